"""What the output of a crystal generator is worth: rates as CDVAE reports them, and chirality.

Validity is that of T. Xie et al., arXiv:2110.06197: no two atoms closer than 0.5 Å, and a
composition whose charges can balance. Uniqueness and novelty are counted with pymatgen's
`StructureMatcher`, blind to the hand, as is usual for generators. Generated crystals mostly come in
P1: their space group is searched at a tight and at a loose tolerance. With a reference, densities,
numbers of elements and space groups are compared; with the potential of the hull, the stable ones
among the unique and new crystals are counted.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from ase import Atoms
from matscipy.neighbours import neighbour_list
from pydantic import BaseModel, ConfigDict, Field
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from potentials import Potential
from tasks.crystals.curation import find_charge_balance, find_space_groups
from tasks.crystals.structures import PackedCell, check_crystal, reduce_formula
from tasks.failures import Failure, RemediableError
from tasks.generation.metrics import Profile, compare_profiles
from tasks.generation.stability import count_stable
from tasks.relaxation import RelaxationSettings
from tasks.sources import (
    ParallelMap,
    RawRecord,
    Read,
    SourceSettings,
    make_read_failure,
    parse_record,
    read_raw_records,
)
from tasks.symmetry import classify_space_group, find_space_group_number
from tasks.tolerances import AS_GIVEN, LOOSE

_SMALLEST_VOLUME: Final = 0.1  # Å^3, of the cell, as CDVAE has it
_EVERY: Final = 50  # records between two reports of progress
STABILITY: Final = ("stable", "metastable", "symmetric")
"""Counts of unique and new crystals by their energy above the hull: S.U.N., MSUN, S.S.U.N."""


class AssessmentSettings(BaseModel):
    """When generated crystals are valid, symmetric and the same."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    min_distance: float = Field(0.5, gt=0, description="shortest distance between atoms (Å)")
    tight: float = Field(AS_GIVEN, gt=0, description="tolerance of the symmetry as given (Å)")
    loose: float = Field(LOOSE, gt=0, description="tolerance of the parent symmetry (Å)")
    length_tolerance: float = Field(0.2, gt=0, description="of StructureMatcher, as a fraction")
    site_tolerance: float = Field(
        0.3, gt=0, description="of StructureMatcher, in cube roots of the volume per atom"
    )
    angle_tolerance: float = Field(5.0, gt=0, description="of StructureMatcher (degrees)")
    relaxation: RelaxationSettings = RelaxationSettings(
        max_force=0.01, max_stress=1e-3, max_evaluations=100
    )

    @property
    def matcher(self) -> StructureMatcher:
        """Comparison of reduced primitive cells."""
        return StructureMatcher(
            self.length_tolerance,
            self.site_tolerance,
            self.angle_tolerance,
            primitive_cell=False,
            scale=True,
        )


@dataclass(frozen=True)
class GeneratedCrystal:
    """What one record is.

    Attributes
    ----------
    failure : Failure or None
        Why it is no record of a crystal.
    structure_valid, composition_valid : bool
        Whether atoms are apart, and whether charges can balance.
    accepted : bool
        Whether a screening would accept it: atoms do not overlap, the volume is no absurd one.
    tight, loose : int
        Space-group number at the two tolerances; 0 where none is found.
    formula : str
        Reduced formula.
    cell : PackedCell or None
        Its reduced primitive cell; None for an invalid crystal.
    profile : Profile or None
        What is compared with known crystals; None for an invalid one.
    """

    failure: Failure | None = None
    structure_valid: bool = False
    composition_valid: bool = False
    accepted: bool = False
    tight: int = 0
    loose: int = 0
    formula: str = ""
    cell: PackedCell | None = None
    profile: Profile | None = None

    @property
    def valid(self) -> bool:
        """Whether structure and composition are valid."""
        return self.structure_valid and self.composition_valid


@dataclass
class Assessment:
    """Counts over a source.

    Attributes
    ----------
    counts : collections.Counter
        Records by property: ``records``, ``unreadable``, ``structure_valid``,
        ``composition_valid``, ``valid``, ``accepted``, ``unique``, ``novel``, ``p1``,
        ``sohncke`` (in a space group of chiral crystals, as given), ``symmetrised``; where
        stability was asked for, ``judged``, ``stable``, ``metastable`` and ``symmetric`` of
        `tasks.generation.stability.count_stable`.
    classes : collections.Counter
        Valid crystals by (class at the tight, class at the loose tolerance).
    space_groups : collections.Counter
        Valid crystals by space-group number at the loose tolerance.
    failures : list of Failure
        Records that are no crystals.
    has_reference : bool
        Whether novelty was asked for.
    has_stability : bool
        Whether stability was asked for.
    profiles, known_profiles : list of Profile
        Of the valid crystals, and of those of the reference.
    unique_cells : mapping from bytes to list of PackedCell
        Valid crystals that repeat no earlier one, by composition; with a reference, those that it
        lacks.
    """

    counts: Counter[str] = field(default_factory=Counter)
    classes: Counter[tuple[str, str]] = field(default_factory=Counter)
    space_groups: Counter[int] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    has_reference: bool = False
    has_stability: bool = False
    profiles: list[Profile] = field(default_factory=list)
    known_profiles: list[Profile] = field(default_factory=list)
    unique_cells: dict[bytes, list[PackedCell]] = field(default_factory=lambda: defaultdict(list))

    @property
    def rates(self) -> dict[str, float | None]:
        """Rates by name; None where there is nothing to count.

        Validity and stability are of all records; uniqueness and symmetry of the valid ones;
        novelty of the unique. Stable are only unique and new crystals.
        """
        counts = self.counts
        wholes = {
            "structure_valid": "records",
            "composition_valid": "records",
            "valid": "records",
            "accepted": "records",
            "unique": "valid",
            "novel": "unique",
            "p1": "valid",
            "sohncke": "valid",
            "symmetrised": "p1",
            **dict.fromkeys(STABILITY, "records"),
        }
        unknown = set() if self.has_reference else {"novel"}
        unknown |= set() if self.has_stability else set(STABILITY)
        return {
            n: counts[n] / counts[w] if counts[w] and n not in unknown else None
            for n, w in wholes.items()
        }

    @property
    def distances(self) -> dict[str, float]:
        """Distances of `compare_profiles` from the reference; none without crystals in both."""
        if not (self.profiles and self.known_profiles):
            return {}
        return compare_profiles(self.profiles, self.known_profiles)

    @property
    def report(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "counts": dict(self.counts),
            "rates": self.rates,
            "distances": self.distances,
            "classes": {f"{a} to {b}": n for (a, b), n in sorted(self.classes.items())},
            "space_groups": {str(k): n for k, n in self.space_groups.most_common()},
        }


def assess_source(
    source: Path,
    reference: Path | None,
    settings: AssessmentSettings,
    *,
    source_settings: SourceSettings | None = None,
    read: Read = read_raw_records,
    parallel_map: ParallelMap = map,
    on_read: Callable[[int], None] = lambda _: None,
    potential: Potential | None = None,
) -> Assessment:
    """Assess the crystals of a source, one at a time.

    Parameters
    ----------
    source : pathlib.Path
        Anything that `tasks.sources.read_raw_records` reads.
    reference : pathlib.Path or None
        Known crystals, such as the training set; None leaves novelty out. They are read one at a
        time; only the unique crystals of the source stay in memory.
    settings : AssessmentSettings
        Tolerances.
    source_settings : SourceSettings, optional
        Meaning of columns, limits.
    read : callable
        Like `read_raw_records`; may use another process.
    parallel_map : callable
        Like `map`; may use other processes, and gives the results in order.
    on_read : callable
        Told the number of records so far, those of the reference included, and crystals relaxed.
    potential : Potential, optional
        That of the hull, for the stability of the unique and new crystals.

    Returns
    -------
    Assessment
        Counts and rates.

    Raises
    ------
    FileNotFoundError, ValueError
        When source or reference is missing or empty.
    """
    limits = source_settings or SourceSettings()
    found = Assessment(has_reference=reference is not None, has_stability=potential is not None)
    matcher = settings.matcher
    counter = _ProgressCounter(on_read)
    for item in parallel_map(partial(judge_generated, settings=settings), read(source, limits)):
        _count_record(found, item, matcher)
        counter.add()
    if reference is not None:
        unknown = found.unique_cells
        reduce = partial(_reduce_record, compositions=frozenset(unknown), tolerance=settings.tight)
        for known in parallel_map(reduce, read(reference, limits)):
            if known is not None:
                found.known_profiles.append(known.profile)
                _remove_known(unknown, known.cell, matcher)
            counter.add()
        found.counts["novel"] = sum(map(len, unknown.values()))
    if potential is not None:
        cells = [cell.atoms for same in found.unique_cells.values() for cell in same]
        for counts in count_stable(cells, potential, settings.relaxation):
            found.counts.update(counts)
            counter.add(counts["judged"])
    return found


def judge_generated(record: RawRecord | Failure, settings: AssessmentSettings) -> GeneratedCrystal:
    """Look at one record.

    Parameters
    ----------
    record : RawRecord or Failure
        As read.
    settings : AssessmentSettings
        Tolerances.

    Returns
    -------
    GeneratedCrystal
        Depends on nothing but the arguments, so that records can be looked at in any process.
    """
    if isinstance(record, Failure):
        return GeneratedCrystal(record)
    try:
        atoms = parse_record(record).atoms
        formula = reduce_formula(atoms)
        valid = is_structure_valid(atoms, settings.min_distance)
        balanced = find_charge_balance(formula) != "none"
        if not (valid and balanced):
            return GeneratedCrystal(None, valid, balanced, formula=formula)
        tight, loose = find_space_groups(atoms, (settings.tight, settings.loose))
        cell = _reduce_cell(atoms)
        profile = Profile.read(atoms, tight)
        return GeneratedCrystal(
            None, valid, balanced, _is_accepted(atoms), tight, loose, formula, cell, profile
        )
    except Exception as error:  # noqa: BLE001 - any defect of one record is counted, not an end
        return GeneratedCrystal(make_read_failure(error, record.source_record))


def is_structure_valid(atoms: Atoms, min_distance: float) -> bool:
    """Tell whether atoms are apart and the cell is one.

    Parameters
    ----------
    atoms : ase.Atoms
        A crystal.
    min_distance : float
        Shortest distance in Å, between periodic images as well.

    Returns
    -------
    bool
        The structural validity of CDVAE.
    """
    values = np.append(atoms.cell.array, atoms.positions)
    if not len(atoms) or not np.isfinite(values).all():
        return False
    if abs(np.linalg.det(atoms.cell.array)) < _SMALLEST_VOLUME:
        return False
    return not len(neighbour_list("d", atoms, min_distance))


def _is_accepted(atoms: Atoms) -> bool:
    """Whether a screening would accept a crystal."""
    try:
        check_crystal(atoms)
    except RemediableError:
        return False
    return True


def _count_record(found: Assessment, item: GeneratedCrystal, matcher: StructureMatcher) -> None:
    """Count one record."""
    found.counts["records"] += 1
    found.counts["unreadable"] += item.failure is not None
    if item.failure:
        found.failures.append(item.failure)
    for name in ("structure_valid", "composition_valid", "valid", "accepted"):
        found.counts[name] += getattr(item, name)
    if item.cell is None:
        return
    if item.profile is not None:
        found.profiles.append(item.profile)
    found.counts["p1"] += item.tight == 1
    found.counts["sohncke"] += _find_class(item.tight) == "II"
    found.counts["symmetrised"] += item.tight == 1 and item.loose > 1
    found.classes[_find_class(item.tight), _find_class(item.loose)] += 1
    found.space_groups[item.loose] += 1
    known = found.unique_cells[item.cell.composition]
    if not _find_matches(known, item.cell, matcher):
        known.append(item.cell)
        found.counts["unique"] += 1


def _find_class(number: int) -> str:
    """Chirality class of a space group; none where no group was found."""
    return classify_space_group(number).chirality_class if number else "none"


def _reduce_cell(atoms: Atoms) -> PackedCell:
    """Reduced primitive cell, as the matcher wants it."""
    structure = AseAtomsAdaptor.get_structure(atoms).get_primitive_structure()
    return PackedCell.from_atoms(AseAtomsAdaptor.get_atoms(structure.get_reduced_structure()))


def _make_structure(cell: PackedCell) -> Structure:
    return AseAtomsAdaptor.get_structure(cell.atoms)


def _find_matches(
    known: list[PackedCell], cell: PackedCell, matcher: StructureMatcher
) -> list[PackedCell]:
    """Cells among some that are the same crystal as another."""
    if not known:
        return []
    structure = _make_structure(cell)
    return [other for other in known if matcher.fit(_make_structure(other), structure)]


class _Known(NamedTuple):
    """A known crystal; its cell is None where no generated one has its composition."""

    profile: Profile
    cell: PackedCell | None


def _reduce_record(
    record: RawRecord | Failure, compositions: frozenset[bytes], tolerance: float
) -> _Known | None:
    """What is compared of a known crystal; None where it is unreadable."""
    if isinstance(record, Failure):
        return None
    try:
        atoms = parse_record(record).atoms
        profile = Profile.read(atoms, find_space_group_number(atoms, tolerance))
        cell = _reduce_cell(atoms)
    except Exception:  # noqa: BLE001 - a record that is no crystal is not known
        return None
    return _Known(profile, cell if cell.composition in compositions else None)


def _remove_known(
    unknown: dict[bytes, list[PackedCell]], cell: PackedCell | None, matcher: StructureMatcher
) -> None:
    """Remove the crystals that are known."""
    if cell is None or not (candidates := unknown.get(cell.composition)):
        return
    known = _find_matches(candidates, cell, matcher)
    unknown[cell.composition] = [other for other in candidates if other not in known]


@dataclass
class _ProgressCounter:
    """Progress, told now and then."""

    on_read: Callable[[int], None]
    n: int = 0

    def add(self, count: int = 1) -> None:
        """Count a record, or some."""
        before, self.n = self.n, self.n + count
        if self.n // _EVERY > before // _EVERY:
            self.on_read(self.n)
