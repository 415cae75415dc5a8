"""A crystal as its source gives it, before it is checked."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Literal

from ase import Atoms

CellOrigin = Literal["measured", "computed"]

_ID_CHARACTERS = re.compile(r"[^A-Za-z0-9._+-]")
_MAX_ID_LENGTH = 120
_MARK_LENGTH = 8


@dataclass(frozen=True)
class Provenance:
    """What a database says of one of its structures.

    Attributes
    ----------
    database, database_version : str or None
        Name of the database and its release.
    database_id : str or None
        Name of the structure there, unchanged.
    licence, url, functional : str or None
        Licence of the data, page of the structure, density functional of its relaxation.
    energy_above_hull : float or None
        Energy above the convex hull in eV/atom.
    band_gap : float or None
        Band gap in eV.
    space_group_stated : int or None
        Space-group number that the record states.
    cell_origin : str or None
        Whether its cell is ``measured`` or ``computed``; None where nothing says so.
    observed : bool or None
        Whether the crystal was observed; None where nothing says so.
    observed_source : str or None
        Who says so, with the year where it is known, such as ``ICSD, 2020``.
    magnetic_ordering : str or None
        As the source writes it, such as ``NM``, ``FM``, ``FiM``, ``AFM``.
    icsd_id, cod_id : str or None
        Numbers in the ICSD and in the Crystallography Open Database, with commas between several.
    phonondb_url, phonix_url : str or None
        Pages of the crystal in the phonon database (MDR) and in Phonix: it has DFT phonons there.
    """

    database: str | None = None
    database_version: str | None = None
    database_id: str | None = None
    licence: str | None = None
    url: str | None = None
    functional: str | None = None
    energy_above_hull: float | None = None
    band_gap: float | None = None
    space_group_stated: int | None = None
    cell_origin: CellOrigin | None = None
    observed: bool | None = None
    observed_source: str | None = None
    magnetic_ordering: str | None = None
    icsd_id: str | None = None
    cod_id: str | None = None
    phonondb_url: str | None = None
    phonix_url: str | None = None


@dataclass(frozen=True)
class Record:
    """One structure as it stands in a source.

    Attributes
    ----------
    material_id : str
        Name made of letters, digits and ``. _ + -`` only.
    atoms : ase.Atoms
        The crystal as given; with the array ``masses`` where they are special.
    source_record : str
        File, and the record inside it where it holds several.
    provenance : Provenance
        Where it is from.
    notes : tuple of str
        What was read otherwise than to the letter, or not used.
    """

    material_id: str
    atoms: Atoms
    source_record: str
    provenance: Provenance = field(default_factory=Provenance)
    notes: tuple[str, ...] = ()


def describe_observation(observed: bool | None, source: str | None) -> str:
    """Say whether a crystal was observed, and who says so."""
    if observed is None:
        return "not known whether it was made"
    return f"{'observed' if observed else 'not observed'} ({source})"


def make_safe_id(name: str) -> str:
    """Turn any text into an identifier that is also a harmless file name.

    Parameters
    ----------
    name : str
        Any text.

    Returns
    -------
    str
        Letters, digits and ``. _ + -``, not beginning with a dot, at most 120 characters. A text
        that had to be changed carries a mark of the original, so that two texts stay apart.

    Examples
    --------
    >>> safe_id("mp-149")
    'mp-149'
    >>> safe_id("../../etc/passwd")
    '_.._etc_passwd-3754d6cb'
    """
    found = _ID_CHARACTERS.sub("_", name).lstrip(".")[:_MAX_ID_LENGTH]
    if found == name and found:
        return found
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_LENGTH]
    return f"{found[: _MAX_ID_LENGTH - _MARK_LENGTH - 1]}-{mark}".lstrip("-")
