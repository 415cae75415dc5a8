"""What instruments see of a screened crystal: from its force constants, and its potential."""

from typing import Any

from potentials import Potential, load_potential
from tasks.conditions import Conditions
from tasks.crystals.rows import Row
from tasks.failures import RemediableError
from tasks.observables.rows import Rows, require_kind, tabulate_observable, tabulate_strain
from tasks.observables.strain import (
    STRAIN,
    StrainedCrystals,
    choose_strains,
    compute_strained_crystals,
)
from tasks.phonons import PhononSettings
from tasks.phonons.charges import restore_charges
from tasks.phonons.fourier import HarmonicCrystal
from tasks.phonons.rows import read_phonon
from tasks.relaxation import RelaxationSettings
from tasks.results.catalogue import read_run_settings
from tasks.results.stored_crystals import read_force_constants
from tasks.storage import TableSource

_WITH_POTENTIAL = "strain"


def observe_crystal(
    tables: TableSource, row: Row, crystal: HarmonicCrystal, kind: str, conditions: Conditions
) -> Rows:
    """Make the rows of one kind of a screened crystal.

    Parameters
    ----------
    tables : Dataset or TableFolder
        With force constants.
    row : mapping
        Row of the catalogue ``chirality``.
    crystal : phonopy.Phonopy or Interpolation
        From `tasks.results.stored_crystals.read_interpolation`.
    kind : str
        Name of a table of ``tasks.tables.observables``.
    conditions : Conditions
        Temperature, line of Q, laser and so on.

    Returns
    -------
    list of dict
        Values by column, without the name of the material.

    Raises
    ------
    RemediableError
        As `tabulate_observable` and `strain_stored_crystal`.
    """
    require_kind(kind)
    if kind == _WITH_POTENTIAL:
        return tabulate_strain(crystal, strain_stored_crystal(tables, row))
    return tabulate_observable(crystal, kind, conditions)


def strain_stored_crystal(tables: TableSource, row: Row) -> StrainedCrystals:
    """Compute a screened crystal under strains, with the potential and the settings of its run.

    Parameters
    ----------
    tables, row
        As of `observe_crystal`.

    Returns
    -------
    StrainedCrystals

    Raises
    ------
    RemediableError
        When its force constants are no potential's, or the potential is not the one they are from.
    """
    settings = read_run_settings(tables.root, row["run_id"])
    potential = _load_same_potential(row, settings.get("potential", {}))
    phonon = read_phonon(restore_charges(read_force_constants(tables, row), row))
    return compute_strained_crystals(
        phonon,
        STRAIN * choose_strains(phonon),
        potential,
        RelaxationSettings(**settings.get("relaxation", {})),
        PhononSettings(**settings.get("phonons", {})),
    )


def _load_same_potential(row: Row, settings: dict[str, Any]) -> Potential:
    """The potential that the force constants of a crystal are from."""
    name = row["material_id"]
    if not isinstance(row["potential"], str):
        message = (
            f"the force constants of {name!r} were given: a strained crystal needs a potential"
        )
        raise RemediableError(message, "screen the crystal with one")
    potential = load_potential(**({"name": row["potential"]} | settings))
    if potential.card.digest != row["checkpoint_digest"]:
        message = f"the potential {row['potential']} is another one than {name!r} was computed with"
        raise RemediableError(message, "screen the crystal anew")
    return potential
