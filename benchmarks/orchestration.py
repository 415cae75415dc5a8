"""What the orchestration itself costs: a screening whose stages compute nothing.

    python benchmarks/orchestration.py --structures 100000

Everything is real but the stages: the source is a file of so many crystals, each is parsed and
classified, planned and committed; chunks travel through a Prefect server to worker processes, which
read their input rows and commit output rows; the catalogue is built at the end. Instead of
computing, a stage repeats the rows of one crystal that was screened before.

Reading and symmetry are work on the crystals, and are given apart; all the rest is overhead.

Prefect keeps its records in a new SQLite file, or in an empty Postgres::

    export POSTGRES_FOLDER=... POSTGRES_USER=prefect POSTGRES_PASSWORD=secret POSTGRES_DB=prefect
    sh deploy/database.sh &
    address=postgresql+asyncpg://prefect:secret@127.0.0.1:5432/prefect
    PREFECT_SERVER_DATABASE_CONNECTION_URL=$address python benchmarks/orchestration.py
"""

import argparse
import asyncio
import contextlib
import itertools
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import asyncpg
import numpy as np
import pyarrow as pa
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import write
from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows import chunks, planning, screening
from flows.engines import WorkerOptions
from flows.parallel_map import map_records
from flows.reading import read_records
from potentials import load_potential
from tasks.screening import stages
from tasks.screening.classification import classify_record
from tasks.screening.plan import plan_screening
from tasks.screening.planning import STAGE_NAMES
from tasks.screening.settings import ScreenSettings
from tasks.sources import read_raw_records
from tasks.storage import Dataset

EMT = "ase:ase.calculators.emt:EMT"
SETTINGS = ScreenSettings(
    potential={"name": EMT},
    phonons={"min_supercell_length": 5.0, "max_atoms": 32, "max_enlargements": 0},
    chirality={"mesh_spacing": 0.06, "path_spacing": 0.06},
)
TABLES = {
    "relaxation": ("relaxations",),
    "phonons": ("phonons", "force_constants"),
    "chirality": ("chirality", "modes"),
}
Rows = Mapping[str, Any]


def polar_crystal(first: str, second: str, third: str) -> Atoms:
    """Tetragonal cell of space group 99; symmetry searches in it take little time."""
    return Atoms(
        [first, second, third],
        scaled_positions=[(0, 0, 0), (0.5, 0.5, 0.2), (0.5, 0.5, 0.62)],
        cell=[3.9, 3.9, 5.6],
        pbc=True,
    )


def write_source(path: Path, count: int) -> None:
    """Write crystals that all differ in composition, none with an inversion centre."""
    symbols = chemical_symbols[1:93]
    all_of_them = list(itertools.combinations(symbols, 3))
    chosen = np.random.default_rng(0).choice(len(all_of_them), count, replace=False)
    atoms = polar_crystal("X", "X", "X")
    with path.open("w") as stream:
        for i, which in enumerate(chosen):
            atoms.symbols = all_of_them[which]
            atoms.info = {"material_id": f"crystal-{i}"}
            write(stream, atoms, format="extxyz")


def template(folder: Path) -> dict[str, Rows]:
    """Rows of one crystal that really went through all stages."""
    source = folder / "template.extxyz"
    write(source, polar_crystal("Cu", "Au", "Pd"), format="extxyz")
    context = planning.make_run_context(source, folder / "template", SETTINGS, "cpu")
    plan = plan_screening(context)
    [work] = plan.open["relaxation"]
    for stage in STAGE_NAMES:
        stages.run_stage(stage, [work], context.dataset, SETTINGS, partial(load_potential, EMT))
    names = [name for tables in TABLES.values() for name in tables if name != "modes"]
    rows: dict[str, Rows] = {name: context.dataset.read(name).to_pylist()[0] for name in names}
    modes = context.dataset.read("modes").drop_columns(["material_id", "key"])
    return rows | {"modes": {"table": modes}}


def repeated(
    stage: str, rows: Mapping[str, Rows], tasks: Sequence[stages.StageInput]
) -> list[stages.StageOutcome]:
    """Outcome of a stage that repeats the template."""
    return [
        stages.StageOutcome(
            {name: _with_identity(name, rows[name], task) for name in TABLES[stage]}
        )
        for task in tasks
    ]


def _with_identity(name: str, row: Rows, of: stages.StageInput) -> Rows | pa.Table:
    if name == "relaxations":
        # With the elements of the template all crystals would be one, and compared with each other.
        return {**row, **of.identity, "numbers": of.row["numbers"]}
    if name != "modes":
        return {**row, **of.identity}
    modes = row["table"]
    for column, value in reversed(of.identity.items()):
        modes = modes.add_column(0, column, pa.array([value] * len(modes)))
    return modes


@task(name="stage", cache_policy=NO_CACHE)
def null_chunk(stage, works, output, settings, rows):  # noqa: ANN001, ANN201
    """`chunks.run_chunk` without computation."""
    treatment = partial(repeated, stage, rows)
    null = {stage: stages._STAGES[stage]._replace(treat=treatment, needs_potential=False)}  # noqa: SLF001
    with patch.dict(stages._STAGES, null):  # noqa: SLF001
        return stages.run_stage(stage, works, Dataset(output), settings, lambda: None)


def peak_memory(who: int) -> float:
    """Largest resident memory in GB."""
    return resource.getrusage(who).ru_maxrss / 1e6


def processor_seconds() -> float:
    """Time of processors that this process and those that it waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def database_size() -> float:
    """Bytes of Prefect's database."""
    url = os.environ.get("PREFECT_SERVER_DATABASE_CONNECTION_URL", "").replace("+asyncpg", "")
    if not url:
        return size_of(Path(os.environ["PREFECT_HOME"]).glob("*.db*"))

    async def asked() -> float:
        connection = await asyncpg.connect(url)
        size = await connection.fetchval("select pg_database_size(current_database())")
        await connection.close()
        return float(size)

    return asyncio.run(asked())


def size_of(paths: Iterator[Path]) -> float:
    """Bytes of files."""
    return sum(path.stat().st_size for path in paths if path.is_file())


@flow(name="orchestration")
def measured(source: Path, output: Path, rows: Mapping[str, Rows], workers: int) -> list[float]:
    """Seconds of the planning and of all the rest, and the number of crystals to compute."""
    context = planning.make_run_context(source, output, SETTINGS, "cpu")
    start = time.perf_counter()
    plan = plan_screening(
        context,
        read=read_records,
        parallel_map=partial(map_records, workers=workers, limits=SETTINGS.source),
    )
    planned = time.perf_counter()
    submit = chunks.ChunkContext.submit

    def submit_null(context, chunk, engine, place):  # noqa: ANN001, ANN202
        runner = engine.places[place]
        original = runner.submit

        def null(_, parameters):  # noqa: ANN001, ANN202
            wanted = {name: parameters[name] for name in ("stage", "works", "output", "settings")}
            return original(null_chunk, {**wanted, "rows": rows})

        with patch.object(runner, "submit", null):
            return submit(context, chunk, engine, place)

    with patch.object(chunks.ChunkContext, "submit", submit_null):
        screening.compute_plan(context, plan, WorkerOptions(workers, "cpu"))
    return [planned - start, time.perf_counter() - planned, plan.n_open]


def classification_seconds(source: Path, count: int) -> float:
    """Seconds of one process for parsing and classifying a crystal of the source."""
    raw = list(itertools.islice(read_raw_records(source), count))
    start = time.perf_counter()
    for record in raw:
        classify_record(record, source, SETTINGS)
    return (time.perf_counter() - start) / len(raw)


def report(options: argparse.Namespace, folder: Path) -> None:
    """Run all and print a table."""
    n, source, output = options.structures, folder / "source.extxyz", folder / "dataset"
    rows = template(folder)
    write_source(source, n)
    alone = classification_seconds(source, min(n, 500))
    before = processor_seconds()
    planning, rest, wanted = measured(source, output, rows, options.workers)
    found = len(Dataset(output).read("chirality", columns=["material_id"]))
    if found != wanted:
        sys.exit(f"{found} of {wanted} structures arrived")
    overhead = rest + max(planning - alone * n / options.workers, 0.0)
    used = processor_seconds() - before
    lines = {
        "parsing and symmetry, one process": f"{1e3 * alone:.2f} ms",
        "planning, parsing and symmetry included": f"{1e3 * planning / n:.2f} ms",
        "chunks, commits, catalogue": f"{1e3 * rest / n:.2f} ms",
        "processors, all of these and start-up included": f"{1e3 * used / n:.2f} ms",
        "overhead: all but parsing and symmetry": f"{1e3 * overhead / n:.2f} ms",
        "dataset": f"{size_of(output.rglob('*')) / n / 1e3:.1f} kB",
        "Prefect's database": f"{database_size() / n / 1e3:.2f} kB",
    }
    modes = len(rows["modes"]["table"])
    print(f"{n} structures of {modes} modes each, {options.workers} worker processes")
    print("| what | per structure |\n|---|---|")
    print("\n".join(f"| {what} | {value} |" for what, value in lines.items()))
    print(f"peak memory: {peak_memory(resource.RUSAGE_SELF):.2f} GB in the run, ", end="")
    print(f"{peak_memory(resource.RUSAGE_CHILDREN):.2f} GB in its largest process")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, help="new folder to keep source and dataset in")
    options = parser.parse_args()
    logging.disable(logging.INFO)
    with contextlib.ExitStack() as stack:
        folder = options.output or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        report(options, folder)


if __name__ == "__main__":
    if "PREFECT_HOME" in os.environ:
        main()
    else:
        # Prefect's database is measured, so it must be a new one.
        with tempfile.TemporaryDirectory() as home:
            environment = os.environ | {"PREFECT_HOME": home}
            sys.exit(subprocess.call([sys.executable, *sys.argv], env=environment))
