"""One material in the formats of other programs."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from ase import Atoms
from ase.io import write
from phonopy import Phonopy

from tasks.chirality.angular_momentum import compute_mean_angular_momentum
from tasks.chirality.axes import FloatArray
from tasks.chirality.bands import compute_band_structure, find_most_chiral_mode
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.chirality.settings import ChiralitySettings
from tasks.crystals.cells import make_atoms
from tasks.crystals.rows import Row
from tasks.failures import RemediableError
from tasks.phonons.charges import restore_charges
from tasks.phonons.phonopy_files import OWN_BLOCK
from tasks.phonons.rows import (
    interpolate_row,
    make_strain_columns,
    read_phonon,
    read_strain_response,
)
from tasks.results.catalogue import read_material
from tasks.results.export_modes import (
    MovingMode,
    make_moving_mode,
    write_animation,
    write_displaced,
)
from tasks.results.interchange import make_phononwebsite_data
from tasks.results.stored_crystals import (
    read_chirality_settings,
    read_crystal,
    read_material_phonon,
    read_screened_material,
    read_stored_phonon,
)
from tasks.sources import make_safe_id
from tasks.storage import TableFolder, TableSource


def export_material(tables: TableSource, material_id: str, folder: Path) -> list[Path]:
    """Write the relaxed crystal as CIF and its force constants as phonopy YAML.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue.
    material_id : str
        The material.
    folder : pathlib.Path
        Where to write; made where it is missing.

    Returns
    -------
    list of pathlib.Path
        ``<id>.cif``; ``<id>-phonopy.yaml`` with the force constants as they were computed, Born
        charges that were given, and the response to strain, which phonopy ignores and
        `tasks.phonons.phonopy_files` reads; and ``<id>-interpolated.yaml`` with those that obey
        the sum rules, in a supercell twice as long, and with the Born charges that were used,
        predicted ones included, from which phonopy obtains the frequencies of the catalogue at
        all q-points. The crystal alone where no force constants are stored.

    Raises
    ------
    RemediableError
        When there is no such material, or it was not computed to its end in a dataset, or not even
        its crystal is in the tables.
    """
    row = read_material(tables.root, material_id)
    key = row["phonon_key"] if row else None
    found = tables.read("force_constants", keys=[key]).to_pylist() if isinstance(key, str) else []
    start = folder / make_safe_id(material_id)
    if row and found:
        return _write_force_constants(found[0], row, start)
    if row and (row["outcome"] == "screened" or isinstance(tables, TableFolder)):
        return [_write_crystal(read_crystal(tables, "relaxations", row), start)]
    message = f"{tables.root} has no force constants of {material_id!r}"
    raise RemediableError(message, "`chiralscreen status` says what happened to it")


def export_for_euphonic(tables: TableSource, material_id: str, folder: Path) -> Path:
    """Write force constants, fit for all q-points, as Euphonic reads them.

    Euphonic 2.1 takes the rows of ``supercell_matrix`` for lattice vectors, where phonopy means
    the columns; the two differ for supercells of oblique vectors.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue and force constants.
    material_id : str
        The material.
    folder : pathlib.Path
        Where to write; made where it is missing.

    Returns
    -------
    pathlib.Path
        ``<id>-euphonic.yaml``, for ``ForceConstants.from_phonopy``. phonopy must not read it.

    Raises
    ------
    RemediableError
        When there is no such material, or no force constants of it.
    """
    phonon = read_material_phonon(tables, material_id)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{make_safe_id(material_id)}-euphonic.yaml"
    phonon.save(path, settings={"force_constants": True})
    transposed = np.asarray(phonon.supercell_matrix).T
    rows = "".join(f"- [ {', '.join(str(int(x)) for x in row)} ]\n" for row in transposed)
    text = path.read_text(encoding="utf-8")
    pattern = r"^supercell_matrix:\n(?:- .*\n){3}"
    path.write_text(
        re.sub(pattern, f"supercell_matrix:\n{rows}", text, count=1, flags=re.MULTILINE),
        encoding="utf-8",
    )
    return path


@dataclass(frozen=True)
class ModeChoice:
    """Mode that is exported.

    Attributes
    ----------
    q_point : tuple of float, optional
        Fractional reciprocal coordinates; those of the most chiral optical mode of the band path
        if left out.
    band : int, optional
        Counted from 0; of the bands at the q-point the most chiral one if left out.
    """

    q_point: tuple[float, float, float] | None = None
    band: int | None = None


def export_modes(
    tables: TableSource, material_id: str, folder: Path, choice: ModeChoice = ModeChoice()
) -> tuple[MovingMode, list[Path]]:
    """Write modes of a material as other programs show them.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With a catalogue and force constants.
    material_id : str
        The material.
    folder : pathlib.Path
        Where to write; made where it is missing.
    choice : ModeChoice
        Which mode moves.

    Returns
    -------
    mode : MovingMode
        The mode.
    paths : list of pathlib.Path
        ``<id>-mode.xyz``, one period of it; ``<id>-mode.vasp``, the crystal displaced along it;
        ``<id>-phononwebsite.json`` with the eigenvectors of all bands along the whole path.

    Raises
    ------
    RemediableError
        When there is no such material or mode, or no force constants.
    """
    row = read_screened_material(tables, material_id)
    phonon, settings = read_stored_phonon(tables, row), read_chirality_settings(tables, row)
    mode = make_moving_mode(phonon, *_choose_mode(phonon, choice, settings))
    start = folder / make_safe_id(material_id)
    folder.mkdir(parents=True, exist_ok=True)
    website = start.with_name(f"{start.name}-phononwebsite.json")
    website.write_text(json.dumps(make_phononwebsite_data(phonon, material_id)), encoding="utf-8")
    return mode, [
        write_animation(mode, start.with_name(f"{start.name}-mode.xyz")),
        write_displaced(mode, start.with_name(f"{start.name}-mode.vasp")),
        website,
    ]


def _choose_mode(
    phonon: Phonopy, choice: ModeChoice, settings: ChiralitySettings
) -> tuple[FloatArray, int]:
    """q-point and band; the most chiral optical mode where they are left open."""
    if choice.q_point is None:
        bands = compute_band_structure(phonon, settings)
        row, band = find_most_chiral_mode(bands)
        return bands.q_points[row], band if choice.band is None else choice.band
    q_point = np.asarray(choice.q_point)
    if choice.band is not None:
        return q_point, choice.band
    modes = compute_modes(phonon, q_point)
    sets = find_degenerate_sets(modes.frequencies)
    size = np.linalg.norm(compute_mean_angular_momentum(modes.eigenvectors, sets)[0], axis=-1)
    return q_point, int(size.round(6).argmax())


def _write_force_constants(constants: Row, analysed: Row, start: Path) -> list[Path]:
    """Files of a row of ``force_constants``, whose names begin alike."""
    phonon, response = read_phonon(constants), read_strain_response(constants)
    interpolated = interpolate_row(restore_charges(constants, analysed)).phonon
    paths = [start.with_name(start.name + end) for end in ("-phonopy.yaml", "-interpolated.yaml")]
    crystal = _write_crystal(make_atoms(phonon.primitive), start)
    phonon.save(paths[0], settings={"force_constants": True})
    if response:
        strain = {
            name: value.ravel().tolist() for name, value in make_strain_columns(response).items()
        }
        with paths[0].open("a", encoding="utf-8") as stream:
            stream.write("\n")  # phonopy leaves its last line open
            yaml.safe_dump({OWN_BLOCK: strain}, stream, default_flow_style=None)
    interpolated.save(paths[1], settings={"force_constants": True})
    return [crystal, *paths]


def _write_crystal(atoms: Atoms, start: Path) -> Path:
    """Write a CIF; its folder is made where it is missing."""
    path = start.with_name(f"{start.name}.cif")
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, atoms)
    return path
