"""Measure the constants of the cost model, and how far its estimates are from what was measured.

    chiralscreen screen data/demo --output results/demo --config data/demo.yaml
    OMP_NUM_THREADS=1 python -m benchmarks.costs results/demo
    OMP_NUM_THREADS=1 python -m benchmarks.costs results/* --write

Each stage of each crystal of finished screenings runs once more, into a dataset that is thrown
away: relaxations several at a time, as in a run, the other stages one by one. What counts is
processor time, so that other work on the machine matters little. Every fourth crystal is analysed
again with other meshes and band paths, and with charges that are made up. ``--sample`` takes some
crystals of each screening, at random with a fixed seed. Numbers of evaluations
are fitted to what the crystals took, seconds to the evaluations that there were. Then the
estimates, made from the input alone, are divided by the measured times.

With ``--run SOURCE`` the command itself screens a source with one worker, which wants an idle
machine: start and chunks are what it takes beyond the stages. Without, these two stay as they are.
``--write`` writes the constants.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares

from benchmarks.stage_overhead import SOURCES, TimedPotential, settings_of, works_of
from flows.runs import load_run_potential
from potentials import PotentialCard, load_charge_model
from tasks.chirality import analyze_force_constants
from tasks.crystals.cells import make_atoms
from tasks.crystals.rows import read_atoms
from tasks.phonons.rows import read_phonon, read_strain_response
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.screening.classification import classify_record
from tasks.screening.costs import (
    CONSTANTS_FILE,
    CostConstants,
    ModeCounts,
    WorkCounts,
    count_work,
    estimate_analysis_seconds,
    estimate_seconds,
    estimate_seconds_per_atom,
    read_constants,
)
from tasks.screening.planning import STAGE_NAMES, WorkItem
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import run_stage
from tasks.sources import read_raw_records
from tasks.storage import Dataset

TOGETHER = {"relaxation": 6, "phonons": 1, "chirality": 1}
EVERY = 4
# Spacings of mesh and path with which some crystals are analysed again (1/Å).
SPACINGS = ((0.02, 0.01), (0.006, 0.01), (0.01, 0.0005))
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MADE_UP = {"dielectric": 4 * np.eye(3), "factor": 14.4}
Array = NDArray[np.float64]
S = TypeVar("S")


@dataclass(frozen=True)
class Sample:
    """One stage of some crystals that were treated together.

    Attributes
    ----------
    stage : str
        Which.
    counts : list of WorkCounts
        Of each crystal, from the input alone.
    card : PotentialCard
        Of the potential.
    n_structures, n_atoms : int
        Structures that were evaluated, and the atoms of all of them.
    inside, besides : float
        Processor seconds in the potential, and apart from it.
    """

    stage: str
    counts: list[WorkCounts]
    card: PotentialCard
    n_structures: int
    n_atoms: int
    inside: float
    besides: float

    def estimate(self, known: CostConstants) -> float:
        """Seconds that the model gives."""
        found = (estimate_seconds(one, self.card, known) for one in self.counts)
        return sum(seconds.of(self.stage) for seconds in found)

    def ratio(self, known: CostConstants) -> float:
        """Estimated over measured seconds."""
        return self.estimate(known) / (self.inside + self.besides)

    def ratio_inside(self, known: CostConstants) -> float:
        """Estimated over measured seconds in the potential, for what was evaluated."""
        density = statistics.mean(one.density for one in self.counts)
        extra = known.atoms_per_evaluation if self.stage == "relaxation" else 0.0
        n_atoms = self.n_atoms + extra * self.n_structures
        return n_atoms * estimate_seconds_per_atom(density, self.card, known) / self.inside


@dataclass(frozen=True)
class Screening:
    """A finished screening, whose stages can be run again."""

    dataset: Dataset
    settings: ScreenSettings
    potential: TimedPotential
    works: list[WorkItem]

    @classmethod
    def of(cls, folder: Path, n_crystals: int | None) -> "Screening":
        """Open a dataset, load its potential, and choose crystals."""
        settings = settings_of(Dataset(folder))
        potential = TimedPotential(load_run_potential(settings.potential, "cpu"))
        works = works_of(Dataset(folder))
        order = np.random.default_rng(1).permutation(len(works))[:n_crystals]
        return cls(Dataset(folder), settings, potential, [works[i] for i in order])

    def samples(self, repeats: int) -> Iterator[Sample]:
        """Samples of all stages of all crystals that were computed themselves."""
        works = self.works
        for stage, size in TOGETHER.items():
            self.timed(stage, works[:1])  # what is imported or compiled once is no cost of theirs
            for start in range(0, len(works), size):
                yield self.least(stage, works[start : start + size], repeats)
        for spacings in SPACINGS:
            other = self.sampled(*spacings)
            for work in works[::EVERY]:
                yield other.least("chirality", [work], repeats)

    def sampled(self, mesh: float, path: float) -> "Screening":
        """The same with other spacings of mesh and path (1/Å)."""
        changed = {"mesh_spacing": mesh, "path_spacing": path}
        chirality = self.settings.chirality.model_copy(update=changed)
        return replace(self, settings=self.settings.model_copy(update={"chirality": chirality}))

    def least(self, stage: str, works: Sequence[WorkItem], repeats: int) -> Sample:
        """The fastest of some repeats."""
        found = (self.timed(stage, works) for _ in range(repeats))
        return min(found, key=lambda sample: sample.inside + sample.besides)

    def timed(self, stage: str, works: Sequence[WorkItem]) -> Sample:
        """Run a stage for some crystals."""
        index, potential = STAGE_NAMES.index(stage), self.potential
        keys = [work.keys[index - 1] if index else work.material_key for work in works]
        rows = self.dataset.read(SOURCES[stage], keys=keys)
        before = copy(potential)
        with tempfile.TemporaryDirectory() as folder:
            target = Dataset(Path(folder))
            target.commit("source", {SOURCES[stage]: rows}, keys)
            start = time.process_time()
            report = run_stage(stage, works, target, self.settings, lambda: potential)
            taken = time.process_time() - start
        assert not report.failures, report.failures
        inside = potential.seconds - before.seconds
        return Sample(
            stage,
            [self.counted(work) for work in works],
            potential.card,
            potential.n_structures - before.n_structures,
            potential.n_atoms - before.n_atoms,
            inside,
            taken - inside,
        )

    def counted(self, work: WorkItem) -> WorkCounts:
        """Counts of a crystal as it was given."""
        [row] = self.dataset.read("materials", keys=[work.material_key]).to_pylist()
        return count_work(read_atoms(row), self.settings)

    def charged(self) -> Iterator[tuple[ModeCounts, float]]:
        """Counts and seconds of analyses of some crystals with charges that are made up."""
        works = {work.keys[1]: work for work in self.works[::EVERY]}
        for row in self.dataset.read("force_constants", keys=list(works)).to_pylist():
            phonon, modes = read_phonon(row), self.counted(works[row["key"]]).modes
            ions = np.where(phonon.primitive.numbers == phonon.primitive.numbers.max(), 1.0, 0.0)
            born = (ions - ions.mean())[:, None, None] * np.eye(3)
            phonon.nac_params = MADE_UP | {"born": born}
            start = time.process_time()
            rules = impose_sum_rules(phonon, read_strain_response(row))
            analyze_force_constants(rules.crystal, self.settings.chirality)
            yield replace(modes, has_charges=True), time.process_time() - start

    def predictions(self) -> Iterator[float]:
        """Seconds of one atom in the prediction of Born charges, for some crystals."""
        keys = [work.keys[1] for work in self.works[::EVERY]]
        for row in self.dataset.read("force_constants", keys=keys).to_pylist():
            atoms, model = make_atoms(read_phonon(row).primitive), load_charge_model()
            if not model.find_unknown_elements(atoms):
                model.predict(atoms)  # what is loaded once is no cost of a crystal
                start = time.process_time()
                model.predict(atoms)
                yield (time.process_time() - start) / len(atoms)

    def evaluations(self) -> Iterator[tuple[int, int]]:
        """Free coordinates of each crystal, and evaluations of its relaxation."""
        rows = self.dataset.read("relaxations", columns=["key", "n_evaluations"]).to_pylist()
        taken = {row["key"]: row["n_evaluations"] for row in rows}
        for work in self.works:
            yield self.counted(work).n_coordinates, taken[work.keys[0]]


def fit_constants(screenings: Sequence[Screening], samples: Sequence[Sample]) -> CostConstants:
    """Constants that suit all samples best."""
    of = {stage: [one for one in samples if one.stage == stage] for stage in STAGE_NAMES}
    pairs = np.array([pair for screening in screenings for pair in screening.evaluations()])
    slope, first = np.polyfit(pairs[:, 0], pairs[:, 1], 1)
    known = replace(
        read_constants(),
        first_evaluations=float(first),
        evaluations_per_coordinate=float(slope),
        structure=statistics.median(one.besides / len(one.counts) for one in of["relaxation"]),
        enlargement=_enlargement(of["phonons"]),
        prediction=statistics.median(
            s for screening in screenings for s in screening.predictions()
        ),
    )
    forces, charged = of["relaxation"] + of["phonons"], [p for s in screenings for p in s.charged()]
    known = _adjust_constants(
        known, ("crowding", "atoms_per_evaluation"), forces, Sample.ratio_inside
    )
    known = _adjust_constants(known, ("pair",), of["phonons"], Sample.ratio)
    analysis = ("analysis", "rules", "path", "mode", "power")
    known = _adjust_constants(known, analysis, of["chirality"], Sample.ratio)
    return _adjust_constants(known, ("charges",), charged, _ratio_charged)


def _ratio_charged(pair: tuple[ModeCounts, float], known: CostConstants) -> float:
    """Estimated over measured seconds of an analysis."""
    modes, seconds = pair
    return estimate_analysis_seconds(modes, known) / seconds


def _enlargement(samples: Sequence[Sample]) -> float:
    """Evaluated atoms over those of the supercells that were counted."""
    expected = sum(
        one.evaluations[sample.card.equivariance] * one.modes.n_supercell_atoms
        for sample in samples
        for one in sample.counts
    )
    return sum(sample.n_atoms for sample in samples) / expected


def _adjust_constants(
    known: CostConstants,
    names: Sequence[str],
    samples: Sequence[S],
    ratio: Callable[[S, CostConstants], float],
) -> CostConstants:
    """Constants of some names such that the logarithms of ratios are least."""

    def changed(logarithms: Array) -> CostConstants:
        return replace(known, **dict(zip(names, np.exp(logarithms).tolist(), strict=True)))

    def deviations(logarithms: Array) -> list[float]:
        return [float(np.log(ratio(one, changed(logarithms)))) for one in samples]

    begin = np.log([getattr(known, name) for name in names])
    return changed(least_squares(deviations, begin, loss="soft_l1", f_scale=0.3).x)


def per_record(source: Path) -> float:
    """Processor seconds of reading and classifying a record."""
    settings, start = ScreenSettings(), time.process_time()
    found = [
        classify_record(raw, source, settings) for raw in read_raw_records(source, settings.source)
    ]
    return (time.process_time() - start) / len(found)


def with_command(source: Path, known: CostConstants) -> CostConstants:
    """Start and chunks of a run with one worker: what it takes beyond its stages."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "flows.cli", "screen", str(source), "-o", folder]
        start = time.perf_counter()
        subprocess.run([*command, "--workers", "1"], check=True, capture_output=True)
        taken = time.perf_counter() - start
        receipts = [r for s in STAGE_NAMES for r in Dataset(Path(folder)).receipts(s)]
    ordered = sorted(receipts, key=lambda receipt: receipt.created)
    walls = [receipt.timings["wall_time"] for receipt in ordered]
    ends = [receipt.created.timestamp() for receipt in ordered]
    gaps = [b - a - wall for (a, b), wall in zip(pairwise(ends), walls[1:], strict=True)]
    chunk = statistics.median(gaps)
    return replace(known, chunk=chunk, start=taken - sum(walls) - chunk * len(walls))


def report(samples: Sequence[Sample], known: CostConstants) -> pd.DataFrame:
    """Estimated over measured seconds: quantiles of the samples, and of all together."""
    rows = []
    for stage in STAGE_NAMES:
        chosen = [one for one in samples if one.stage == stage]
        ratios = np.quantile([one.ratio(known) for one in chosen], QUANTILES)
        measured = sum(one.inside + one.besides for one in chosen)
        in_all = sum(one.estimate(known) for one in chosen) / measured
        quantiles = {f"{q:.0%}": ratio for q, ratio in zip(QUANTILES, ratios, strict=True)}
        rows.append({"stage": stage, "samples": len(chosen), **quantiles, "in all": in_all})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("datasets", type=Path, nargs="+", help="folders of finished screenings")
    parser.add_argument("--source", type=Path, default=Path("data/demo"), help="to be classified")
    parser.add_argument("--run", type=Path, help="source to be screened, on an idle machine")
    parser.add_argument("--sample", type=int, help="crystals of each; all by default")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"write {CONSTANTS_FILE.name}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    screenings = [Screening.of(folder, options.sample) for folder in options.datasets]
    samples = [one for screening in screenings for one in screening.samples(options.repeats)]
    print("Estimated over measured seconds, with the constants of the file\n")
    print(report(samples, read_constants()).round(2).to_markdown(index=False))
    known = replace(fit_constants(screenings, samples), record=per_record(options.source))
    known = with_command(options.run, known) if options.run else known
    print("\nThe same with those of these samples\n")
    print(report(samples, known).round(2).to_markdown(index=False))
    rounded = {name: float(f"{value:.3g}") for name, value in asdict(known).items()}
    print(f"\n{json.dumps(rounded, indent=2)}")
    if options.write:
        CONSTANTS_FILE.write_text(f"{json.dumps(rounded, indent=2)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
