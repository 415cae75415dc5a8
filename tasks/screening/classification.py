"""From a record to a classified crystal and its row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.crystals import Material
from tasks.crystals.curation import (
    charge_balance,
    doubt_columns,
    prototype,
    skip_reason,
    stated_columns,
)
from tasks.crystals.rows import structure_columns
from tasks.crystals.structures import material_of, reduced_formula
from tasks.failures import Failure, failure_of
from tasks.foreign_text import in_unicode
from tasks.screening.costs import Counts, count
from tasks.screening.planning import digest, material_key
from tasks.screening.settings import ScreenSettings
from tasks.sources import RawRecord, Record, parsed, read_failure
from tasks.symmetry import SymmetryRecord, analyze_symmetry

STAGE = "plan"
_SYMMETRY_COLUMNS = (
    "point_group",
    "chirality_class",
    "helicity_wave",
    "tensor_components",
    "wyckoff_letters",
    "allowed",
    "realised",
)
_HANDS = {-1: "left", 0: None, +1: "right"}


@dataclass(frozen=True)
class Crystal:
    """A crystal that was read, and its symmetry.

    Attributes
    ----------
    material : Material
        The crystal.
    row : dict
        Its row of ``materials``.
    counts : Counts or None
        What its cost follows from; None for a crystal that is not to be screened.
    skipped : str or None
        Why it is not to be screened.
    """

    material: Material
    row: Mapping[str, Any]
    counts: Counts | None
    skipped: str | None = None


def classified(
    record: RawRecord | Failure, source: Path, settings: ScreenSettings
) -> Crystal | Failure:
    """Parse a record and classify its crystal by symmetry.

    Parameters
    ----------
    record : RawRecord or Failure
        As read; a failure is passed on.
    source : pathlib.Path
        Where it was read.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    Crystal or Failure
        Depends on nothing but the arguments, so that records can be classified in any process.
    """
    if isinstance(record, Failure):
        return record
    try:
        given = parsed(record, settings.source.max_atoms)
        material = material_of(given, _idealised_to(settings))
    except Exception as error:  # noqa: BLE001 - any defect of one record is a row, not an end
        return read_failure(error, record.source_record)
    try:
        return _crystal(material, given, source, settings)
    except Exception as error:  # noqa: BLE001 - one crystal must not end the reading
        return planning_failure(material, settings, error)


def _crystal(material: Material, given: Record, source: Path, settings: ScreenSettings) -> Crystal:
    """Crystal with its row, and whether it is worth a computation."""
    row = material_row(material, source, settings)
    if len(material.atoms) <= settings.phonons.max_atoms:  # a larger one is not computed
        row |= doubt_columns(given.atoms, row["chirality_class"], settings.curation)
    row |= stated_columns(given.provenance.space_group_stated, row["space_group_number"])
    skipped = skip_reason(
        row,
        material.atoms,
        material.provenance,
        settings.curation,
        include_centrosymmetric=settings.include_centrosymmetric,
    )
    is_computed = not skipped and len(material.atoms) <= settings.phonons.max_atoms
    charged = material.response is not None
    counts = count(material.atoms, settings, has_charges=charged) if is_computed else None
    return Crystal(material, row, counts, skipped)


def _idealised_to(settings: ScreenSettings) -> float:
    """Tolerance to which crystals are idealised (Å)."""
    return settings.curation.idealise or settings.symmetry.symprec


def material_row(material: Material, source: Path, settings: ScreenSettings) -> dict[str, Any]:
    """Row of ``materials``: the crystal and its symmetry.

    Parameters
    ----------
    material : Material
        The crystal.
    source : pathlib.Path
        Where it was read.
    settings : ScreenSettings
        All settings.

    Returns
    -------
    dict
        Values by column.
    """
    symprec = settings.symmetry.symprec
    symmetry = analyze_symmetry(material.atoms, symprec)
    formula = reduced_formula(material.atoms)
    said = {"source": str(source), "source_record": material.source_record}
    said |= asdict(material.provenance)
    return (
        structure_columns(material.atoms)
        | symmetry_columns(symmetry)
        | {
            "material_id": material.material_id,
            "key": _row_key(material, settings),
            "formula": formula,
            "n_atoms": len(material.atoms),
            "structure_hash": material.structure_hash,
            "symprec": symprec,
            "prototype": prototype(material.atoms, symmetry.number, symmetry.wyckoff_letters),
            "charge_balance": charge_balance(formula),
            "notes": list(material.notes) or None,
        }
        | (material.response.columns if material.response else {})
        | {n: in_unicode(value) if isinstance(value, str) else value for n, value in said.items()}
    )


def _row_key(material: Material, settings: ScreenSettings) -> str:
    """Key of a row of ``materials``: its crystal, where it is from, and how it was searched."""
    searched = [settings.curation.idealise, settings.curation.tolerances]
    charges = material.response and material.response.digest
    notes = [material.notes] if material.notes else []
    key = material_key(material, settings)
    said = asdict(material.provenance)
    if said["cell_origin"] is None:
        del said["cell_origin"]  # so that keys of older datasets remain valid
    return digest(key, said, searched, charges, *notes)


def symmetry_columns(symmetry: SymmetryRecord) -> dict[str, Any]:
    """Columns that hold a symmetry analysis.

    Parameters
    ----------
    symmetry : SymmetryRecord
        The analysis.

    Returns
    -------
    dict
        Values by column of ``materials``.
    """
    columns = {name: getattr(symmetry, name) for name in _SYMMETRY_COLUMNS}
    return columns | {
        "space_group_number": symmetry.number,
        "space_group_symbol": symmetry.symbol,
        "hand": _HANDS[symmetry.hand],
    }


def planning_failure(material: Material, settings: ScreenSettings, error: Exception) -> Failure:
    """Failure of a crystal that could be read, at the planning."""
    return failure_of(
        error,
        material_id=material.material_id,
        key=digest(STAGE, material_key(material, settings), str(error)),
        stage=STAGE,
        source_record=material.source_record,
    )
