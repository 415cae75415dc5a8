"""Processor time of the stages besides the potential, for each crystal of a finished screening.

    chiralscreen screen data/demo --output results/demo --config data/demo.yaml
    OMP_NUM_THREADS=1 python benchmarks/stage_overhead.py results/demo

Each stage runs once more on the rows of the stage above, one crystal after the other, into a
dataset that is thrown away: relaxation and phonons with the potential of the screening, whose
processor time is subtracted, the chirality stage from the force constants that are there. Reading
rows and committing results count. With ``--stages chirality`` no potential is loaded, but for Born
charges with ``--predicted``. The least of several repeats is taken.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ase import Atoms
from rich.console import Console
from rich.table import Table

from flows.runs import load_run_potential
from potentials import Evaluation, Potential, PotentialCard
from tasks.screening.costs import StageSeconds
from tasks.screening.planning import STAGE_NAMES, WorkItem
from tasks.screening.settings import ScreenSettings
from tasks.screening.stages import run_stage
from tasks.storage import Dataset

SOURCES = dict(zip(STAGE_NAMES, ("materials", "relaxations", "force_constants"), strict=True))


@dataclass
class TimedPotential:
    """A potential that adds up its evaluations, their atoms, and their processor time."""

    potential: Potential
    seconds: float = field(default=0.0, init=False)
    n_structures: int = field(default=0, init=False)
    n_atoms: int = field(default=0, init=False)

    @property
    def card(self) -> PotentialCard:
        """Card of the potential."""
        return self.potential.card

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate, and note the time."""
        start = time.process_time()
        found = self.potential.evaluate(structures)
        self.seconds += time.process_time() - start
        self.n_structures += len(structures)
        self.n_atoms += sum(map(len, structures))
        return found


def works_of(dataset: Dataset) -> list[WorkItem]:
    """Work on the crystals that went through all stages themselves."""
    materials = {row["material_id"]: row["key"] for row in dataset.read("materials").to_pylist()}
    tables = ("relaxations", "phonons", "chirality")
    keys: dict[str, list[str]] = {}
    for table in tables:
        for row in dataset.read(table, columns=["material_id", "key"]).to_pylist():
            keys.setdefault(row["material_id"], []).append(row["key"])
    return [
        WorkItem(name, materials[name], (found[0], found[1], found[2]), StageSeconds(0.0, 0.0, 0.0))
        for name, found in sorted(keys.items())
        if len(found) == len(tables)
    ]


def predict_charges(dataset: Dataset, works: Sequence[WorkItem]) -> list[WorkItem]:
    """Work with predicted Born charges where the screening had them."""
    rows = dataset.read("chirality", columns=["material_id", "charge_model"]).to_pylist()
    predicted = {row["material_id"] for row in rows if row["charge_model"]}
    return [
        replace(work, charges="predicted") if work.material_id in predicted else work
        for work in works
    ]


def seconds_besides(
    dataset: Dataset,
    stage: str,
    work: WorkItem,
    settings: ScreenSettings,
    load: Callable[[], TimedPotential] | None,
) -> float:
    """Processor time of one stage of one crystal, the potential's left out."""
    index = STAGE_NAMES.index(stage)
    key = work.keys[index - 1] if index else work.material_key
    rows = dataset.read(SOURCES[stage], keys=[key])
    timed = load() if load else None
    with tempfile.TemporaryDirectory() as folder:
        target = Dataset(Path(folder))
        target.commit("source", {SOURCES[stage]: rows}, [key])
        before = timed.seconds if timed else 0.0
        start = time.process_time()
        report = run_stage(stage, [work], target, settings, lambda: timed)  # type: ignore[arg-type]
        taken = time.process_time() - start
    assert not report.failures, report.failures
    return taken - ((timed.seconds - before) if timed else 0.0)


def settings_of(dataset: Dataset) -> ScreenSettings:
    """Settings of the latest run."""
    last = max(dataset.read("runs").to_pylist(), key=lambda row: row["started_at"])
    return ScreenSettings.model_validate_json(last["settings"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder of a finished screening")
    parser.add_argument("--stages", nargs="+", default=STAGE_NAMES, choices=STAGE_NAMES)
    parser.add_argument("--crystals", nargs="+", help="some of them; all by default")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--predicted", action="store_true", help="with predicted Born charges")
    options = parser.parse_args()
    dataset = Dataset(options.dataset)
    settings = settings_of(dataset)
    chosen = options.crystals
    works = [work for work in works_of(dataset) if not chosen or work.material_id in chosen]
    works = predict_charges(dataset, works) if options.predicted else works
    table = Table("crystal", *(f"{stage} (ms)" for stage in options.stages))
    columns = []
    for stage in options.stages:
        load = None
        if stage != "chirality":
            potential = TimedPotential(load_run_potential(settings.potential, "cpu"))
            load = lambda potential=potential: potential  # noqa: E731
        columns.append(
            [
                min(
                    seconds_besides(dataset, stage, work, settings, load)
                    for _ in range(options.repeats)
                )
                for work in works
            ]
        )
    for work, *times in zip(works, *columns, strict=True):
        table.add_row(work.material_id, *(f"{1000 * t:.1f}" for t in times))
    table.add_row("mean", *(f"{1000 * statistics.mean(column):.1f}" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
