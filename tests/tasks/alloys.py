"""Alloys, a potential for them that costs nothing, and a screening of them in seconds."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io import write
from ase.spacegroup import crystal
from phonopy import Phonopy

from potentials import Potential, PotentialCard, load_potential
from tasks.crystals.cells import make_atoms
from tasks.results.building import build_catalog
from tasks.screening.decisions import RunContext
from tasks.screening.external import plan_analysis
from tasks.screening.plan import Plan, plan_screening
from tasks.screening.planning import STAGE_NAMES
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import StageReport, run_stage
from tasks.storage import Dataset
from tests.crystals import to_phonopy

EMT = "ase:ase.calculators.emt:EMT"
SETTINGS = ScreenSettings(
    potential={"name": EMT},
    phonons={"min_supercell_length": 5.0, "max_atoms": 32, "max_enlargements": 0},
    chirality={"mesh_spacing": 0.1, "path_spacing": 0.2},
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def _alloys() -> dict[str, Atoms]:
    return {
        # Chiral and stable: gold on helices in a face-centred lattice.
        "helix": crystal(
            ["Au", "Cu", "Cu"],
            [(0.82, 0, 1 / 3), (0.33, 0, 1 / 3), (0.326, 0.502, 0.342)],
            spacegroup=152,
            cellpar=[5.25, 5.25, 6.46, 90, 90, 120],
        ),
        # Neither centrosymmetric nor chiral, and unstable.
        "zincblende": bulk("CuAu", "zincblende", a=5.74),
        # Becomes centrosymmetric (186 to 194) under this potential.
        "wurtzite": bulk("CuAu", "wurtzite", a=4.1, c=6.7),
        # Centrosymmetric.
        "copper": bulk("Cu"),
        # The potential does not know silicon, and says so when asked for forces.
        "carbide": bulk("SiC", "zincblende", a=4.36),
    }


def write_alloys(folder: Path, *names: str) -> Path:
    """Write alloys as CIF files; all when none is named."""
    for name, atoms in _alloys().items():
        if not names or name in names:
            write(folder / f"{name}.cif", atoms)
    return folder


def emt() -> Potential:
    """The potential of `SETTINGS`."""
    return load_potential(EMT)


def no_card() -> PotentialCard:
    """Card that nobody may ask for."""
    raise AssertionError("the potential was asked for")


def intake_of(
    source: Path,
    root: Path,
    settings: ScreenSettings = SETTINGS,
    *,
    run: int = 0,
    card: Callable[[], PotentialCard] = lambda: emt().card,
) -> RunContext:
    """Run number `run` of a screening, an hour after the one before."""
    started = START + timedelta(hours=run)
    return RunContext(f"run-{run}", started, source, Dataset(root), settings, card)


def carry_out(
    plan: Plan,
    context: RunContext,
    load: Callable[[], Potential] = emt,
    stages: Iterable[str] = STAGE_NAMES,
) -> dict[str, StageReport]:
    """Run what a plan leaves open, each stage as one chunk, mirror images after the others."""
    reports: dict[str, list[StageReport]] = {}
    everything = [work for works in plan.open.values() for work in works]
    for mirrored in (False, True):
        above: tuple[str, ...] = ()
        for stage in stages:
            ready = {*above, *(work.material_id for work in plan.open.get(stage, ()))}
            works = [w for w in everything if w.material_id in ready]
            works = [w for w in works if bool(w.image_keys) is mirrored]
            if works:
                report = run_stage(stage, works, context.dataset, context.settings, load)
                reports.setdefault(stage, []).append(report)
                above = report.succeeded
    return {stage: _joined(found) for stage, found in reports.items()}


def screened(folder: Path, *names: str) -> Dataset:
    """A dataset with results of some alloys."""
    folder.mkdir(exist_ok=True)
    context = intake_of(write_alloys(folder, *names), folder / "out")
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return context.dataset


def analysed(folder: Path, **phonons: Phonopy) -> Dataset:
    """A dataset with results of phonopy files of these names."""
    files = [folder / f"{name}.yaml" for name in phonons]
    for file, phonon in zip(files, phonons.values(), strict=True):
        phonon.save(file, settings={"force_constants": True})
    context = replace(intake_of(folder, folder / "out"), kind="analyze")
    carry_out(plan_analysis(context, files), context)
    build_catalog(context.dataset)
    return context.dataset


def _joined(reports: list[StageReport]) -> StageReport:
    """One report of all chunks of a stage."""
    return StageReport(
        reports[0].stage,
        tuple(name for report in reports for name in report.succeeded),
        tuple(failure for report in reports for failure in report.failures),
        sum(report.wall_time for report in reports),
        sum(report.potential_time for report in reports),
    )


def face_centred_phonon() -> Phonopy:
    """Zincblende alloy in its cubic cell of 8 atoms, with the primitive cell of 2 atoms set."""
    cubic = bulk("CuAu", "zincblende", a=5.6, cubic=True)
    phonon = Phonopy(to_phonopy(cubic), np.eye(3, dtype=int), primitive_matrix="F")
    phonon.generate_displacements(distance=0.01)
    cells = [make_atoms(cell) for cell in phonon.supercells_with_displacements]
    phonon.forces = np.array(emt().evaluate(cells).forces)
    phonon.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    phonon.symmetrize_force_constants(use_symfc_projector=True, show_drift=False)
    return phonon
