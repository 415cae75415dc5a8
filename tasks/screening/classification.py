"""From a record to a classified crystal and its row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.crystals import Material
from tasks.crystals.curation import (
    compare_stated_group,
    find_charge_balance,
    find_skip_reason,
    make_doubt_columns,
    name_prototype,
)
from tasks.crystals.rows import make_structure_columns
from tasks.crystals.structures import make_material, reduce_formula
from tasks.failures import Failure, make_failure
from tasks.phonons.charges import Charges
from tasks.screening.costs import WorkCounts, count_work
from tasks.screening.planning import (
    choose_material_charges,
    compute_digest,
    compute_material_key,
)
from tasks.screening.settings import ScreenSettings
from tasks.sources import RawRecord, Record, make_read_failure, parse_record
from tasks.symmetry import SymmetryRecord, analyze_symmetry
from tasks.untrusted_text import escape_surrogates

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
# Fields of provenance that older datasets lack.
_LATER = frozenset(
    (
        *("cell_origin", "observed", "observed_source"),
        *("magnetic_ordering", "icsd_id", "cod_id", "phonondb_url", "phonix_url"),
    )
)
_HANDS = {-1: "left", 0: None, +1: "right"}


@dataclass(frozen=True)
class ClassifiedCrystal:
    """A crystal that was read, and its symmetry.

    Attributes
    ----------
    material : Material
        The crystal.
    row : dict
        Its row of ``materials``.
    counts : WorkCounts or None
        What its cost follows from; None for a crystal that is not to be screened.
    charges : {"stored", "none", "predicted"}
        Born charges with which its modes will be analysed.
    skipped : str or None
        Why it is not to be screened.
    """

    material: Material
    row: Mapping[str, Any]
    counts: WorkCounts | None = None
    charges: Charges = "stored"
    skipped: str | None = None


def classify_record(
    record: RawRecord | Failure, source: Path, settings: ScreenSettings
) -> ClassifiedCrystal | Failure:
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
    ClassifiedCrystal or Failure
        Depends on nothing but the arguments, so that records can be classified in any process.
    """
    if isinstance(record, Failure):
        return record
    try:
        given = parse_record(record, settings.source.max_atoms)
        material = make_material(given, _get_idealisation_tolerance(settings))
    except Exception as error:  # noqa: BLE001 - any defect of one record is a row, not an end
        return make_read_failure(error, record.source_record)
    try:
        return _make_crystal(material, given, source, settings)
    except Exception as error:  # noqa: BLE001 - one crystal must not end the reading
        return make_planning_failure(material, settings, error)


def _make_crystal(
    material: Material, given: Record, source: Path, settings: ScreenSettings
) -> ClassifiedCrystal:
    """Crystal with its row, and whether it is worth a computation."""
    row = make_material_row(material, source, settings)
    if len(material.atoms) <= settings.phonons.max_atoms:  # a larger one is not computed
        row |= make_doubt_columns(given.atoms, row["chirality_class"], settings.curation)
    row |= compare_stated_group(given.provenance.space_group_stated, row["space_group_number"])
    skipped = find_skip_reason(
        row,
        material.atoms,
        material.provenance,
        settings.curation,
        include_centrosymmetric=settings.include_centrosymmetric,
    )
    is_computed = not skipped and len(material.atoms) <= settings.phonons.max_atoms
    if not is_computed:
        return ClassifiedCrystal(material, row, skipped=skipped)
    charges = choose_material_charges(material, settings)
    return ClassifiedCrystal(material, row, _count_work(material, settings, charges), charges)


def _count_work(material: Material, settings: ScreenSettings, charges: Charges) -> WorkCounts:
    """Count what the stages of a crystal take, with the Born charges that it will have."""
    predicted = charges == "predicted"
    given = material.response is not None and settings.phonons.nac != "none"
    return count_work(
        material.atoms, settings, has_charges=given or predicted, is_predicted=predicted
    )


def _get_idealisation_tolerance(settings: ScreenSettings) -> float:
    """Tolerance to which crystals are idealised (Å)."""
    return settings.curation.idealise or settings.symmetry.symprec


def make_material_row(material: Material, source: Path, settings: ScreenSettings) -> dict[str, Any]:
    """Row of ``materials``: the crystal and its symmetry."""
    symprec = settings.symmetry.symprec
    symmetry = analyze_symmetry(material.atoms, symprec)
    formula = reduce_formula(material.atoms)
    said = {"source": str(source), "source_record": material.source_record}
    said |= asdict(material.provenance)
    return (
        make_structure_columns(material.atoms)
        | make_symmetry_columns(symmetry)
        | {
            "material_id": material.material_id,
            "key": _compute_row_key(material, settings),
            "formula": formula,
            "n_atoms": len(material.atoms),
            "structure_hash": material.structure_hash,
            "symprec": symprec,
            "prototype": name_prototype(material.atoms, symmetry.number, symmetry.wyckoff_letters),
            "charge_balance": find_charge_balance(formula),
            "notes": list(material.notes) or None,
        }
        | (material.response.columns if material.response else {})
        | {
            n: escape_surrogates(value) if isinstance(value, str) else value
            for n, value in said.items()
        }
    )


def _compute_row_key(material: Material, settings: ScreenSettings) -> str:
    """Key of a row of ``materials``: its crystal, where it is from, and how it was searched."""
    searched = [settings.curation.idealise, settings.curation.tolerances]
    charges = material.response and material.response.digest
    notes = [material.notes] if material.notes else []
    key = compute_material_key(material, settings)
    told = asdict(material.provenance)
    # Keys of older datasets remain valid.
    said = {n: value for n, value in told.items() if value is not None or n not in _LATER}
    return compute_digest(key, said, searched, charges, *notes)


def make_symmetry_columns(symmetry: SymmetryRecord) -> dict[str, Any]:
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


def make_planning_failure(
    material: Material, settings: ScreenSettings, error: Exception
) -> Failure:
    """Failure of a crystal that could be read, at the planning."""
    return make_failure(
        error,
        material_id=material.material_id,
        key=compute_digest(STAGE, compute_material_key(material, settings), str(error)),
        stage=STAGE,
        source_record=material.source_record,
    )
