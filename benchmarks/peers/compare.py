"""Structures per hour: the whole screening against matcalc, quacc and a plain script.

    python -m venv peers-env
    peers-env/bin/pip install torch==2.13.0
    peers-env/bin/pip install -r benchmarks/peers/requirements.txt
    python benchmarks/peers/compare.py --peers-python peers-env/bin/python --output peers.jsonl

With the default potential the peer is the package of its authors, in an environment of its own:

    python -m venv nequix-env
    nequix-env/bin/pip install -r benchmarks/peers/nequix-requirements.txt
    nequix-env/bin/pip install --no-deps nequix==0.4.5
    python benchmarks/peers/compare.py --potential nequix-mp-1-pft --crystals all \
        --peers-python nequix-env/bin/python --output nequix.jsonl

All relax the same crystals, demo ones or a sample of another source, with one potential until
forces are below 1e-4 eV/Å and compute phonons in the same supercells; peers in float32, the
screening as it is by default. Peers run as their documentation shows, once in one process with the
threads they choose, and once as two processes of one thread, each on a processor of its own, with
half of the crystals each. They take 7net-0 bare, which tells mirror images apart; the screening
averages over the inversion where a crystal needs it, and analyses the chirality of every phonon on
top. Every run starts cold, but for Prefect's database, which exists, and all runs of a repeat
follow one another. Peers end with a mesh of frequencies and thermal properties.

``screened`` counts the crystals whose phonons may carry angular momentum, ``mixed`` all of them:
the screening knows from symmetry that a centrosymmetric crystal has no chiral phonons, peers have
to compute it. ``net`` leaves out what comes before the first crystal: imports, model, Prefect's
server. For the screened crystals alone the time of the peers is their start and the seconds of
those crystals, shared evenly by their processes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from ase.io import write
from rich.console import Console
from rich.progress import track

from flows.console import locate_source
from tasks.crystals import Material
from tasks.phonons.supercells import choose_supercell
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.sources.materials import read_materials
from tasks.symmetry import analyze_symmetry

HERE = Path(__file__).parent
OURS = "chiralscreen"
# Potential -> scripts that take it.
PEERS = {"7net-0": ("matcalc", "quacc", "ase"), "nequix-mp-1-pft": ("nequix",)}
# Prefect makes the tables of its database once in the life of a home folder.
DATABASE = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
# One or two of every kind: chiral, polar, without either, centrosymmetric.
CRYSTALS = ("quartz-154", "se", "cdas2", "zno", "gaas", "si", "mgo", "tio2-rutile")
THREAD_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Crystal:
    """A crystal, whether it is screened, and the supercell for its phonons."""

    name: str
    atoms: Atoms
    screened: bool
    supercell_matrix: list[list[int]]

    def as_json(self) -> dict[str, Any]:
        """What a peer is told."""
        return {
            "name": self.name,
            "numbers": self.atoms.numbers.tolist(),
            "cell": self.atoms.cell.tolist(),
            "positions": self.atoms.positions.tolist(),
            "supercell_matrix": self.supercell_matrix,
        }


@dataclass(frozen=True)
class Run:
    """One run over all crystals.

    Attributes
    ----------
    name : str
        Who ran.
    workers : int
        Processes that computed.
    threads : str
        Threads of each.
    repeat : int
        Number of the repeat.
    wall_seconds : float
        From the start of the command to its end.
    start_seconds : float
        Of these before the first crystal.
    crystals : list of dict
        A row for each crystal that was computed; with ``error`` where it failed.
    versions : dict
        Of the packages.
    """

    name: str
    workers: int
    threads: str
    repeat: int
    wall_seconds: float
    start_seconds: float
    crystals: list[dict[str, Any]]
    versions: dict[str, str]

    def seconds_per_screened(self, crystals: Sequence[Crystal]) -> tuple[float, float]:
        """Seconds per crystal that is screened, with the start and without."""
        names = {crystal.name for crystal in crystals if crystal.screened}
        done = [row for row in self.crystals if row["crystal"] in names and "error" not in row]
        net = self.wall_seconds - self.start_seconds
        if self.name != OURS:
            net = sum(_seconds(row) for row in done) / self.workers
        return (self.start_seconds + net) / len(done), net / len(done)

    def seconds_per_mixed(self, crystals: Sequence[Crystal]) -> tuple[float, float]:
        """Seconds per crystal, with the start and without; one skipped by symmetry is done."""
        done = sum("error" not in row for row in self.crystals)
        if self.name == OURS:
            done += sum(not crystal.screened for crystal in crystals)
        return self.wall_seconds / done, (self.wall_seconds - self.start_seconds) / done


def _seconds(row: dict[str, Any]) -> float:
    return float(row["relaxation_seconds"] + row["phonon_seconds"])


def chosen_crystals(options: argparse.Namespace, settings: ScreenSettings) -> list[Crystal]:
    """Crystals of the source by name or by lot, with the supercells of the settings."""
    materials = [
        material
        for material in read_materials(locate_source(options.source), settings.symmetry.symprec)
        if isinstance(material, Material) and len(material.atoms) <= options.most_atoms
    ]
    if options.sample:
        lot = np.random.default_rng(0).choice(len(materials), options.sample, replace=False)
        materials = [materials[i] for i in sorted(lot)]
    else:
        named = set(options.crystals)
        materials = [m for m in materials if m.material_id in named or named == {"all"}]
    return [
        Crystal(
            name=material.material_id,
            atoms=material.atoms,
            screened=_may_be_chiral(material, settings),
            supercell_matrix=_supercell_matrix(material.atoms, settings),
        )
        for material in materials
    ]


def _may_be_chiral(material: Material, settings: ScreenSettings) -> bool:
    """Whether symmetry lets phonons carry angular momentum."""
    return analyze_symmetry(material.atoms, settings.symmetry.symprec).chirality_class != "I"


def _supercell_matrix(atoms: Atoms, settings: ScreenSettings) -> list[list[int]]:
    """The supercell that the screening would choose."""
    limits = settings.phonons
    matrix = choose_supercell(atoms, limits.min_supercell_length, limits.max_atoms)
    return [[int(entry) for entry in row] for row in matrix]


def run_ours(crystals: Sequence[Crystal], config: Path, potential: str, repeat: int) -> Run:
    """Screen the crystals with the command line, in a folder and with a server of its own."""
    with tempfile.TemporaryDirectory() as name:
        source, output = Path(name) / "source", Path(name) / "dataset"
        source.mkdir()
        for crystal in crystals:
            write(source / f"{crystal.name}.xyz", crystal.atoms, format="extxyz")
        command = [
            sys.executable,
            "-m",
            "flows.cli",
            "screen",
            str(source),
            "--output",
            str(output),
        ]
        environment = _environment(one_thread=False)
        environment |= {"PREFECT_HOME": str(Path(name) / "prefect"), "DO_NOT_TRACK": "1"}
        _finished([_begun(DATABASE, Path(name), environment)])
        start = time.time()
        command += ["--config", str(config), "--potential", potential]
        _finished([_begun(command, Path(name), environment)])
        wall = time.time() - start
        begin = min(_beginnings(output))
        run = pd.read_parquet(output / "catalog" / "runs.parquet").iloc[0]
        versions = json.loads(run["versions"])
        return Run(
            OURS, os.cpu_count() or 1, "1", repeat, wall, begin - start, _rows(output), versions
        )


def _beginnings(dataset: Path) -> Iterator[float]:
    """When each chunk of relaxations was begun, in seconds since the epoch."""
    for path in (dataset / "receipts").glob("relaxation-*.json"):
        receipt = json.loads(path.read_text(encoding="utf-8"))
        committed = datetime.fromisoformat(receipt["created"]).timestamp()
        yield committed - receipt["timings"]["wall_time"]


def _rows(dataset: Path) -> list[dict[str, Any]]:
    """A row for each crystal that was computed to the end."""
    tables = {
        name: pd.read_parquet(dataset / "catalog" / f"{name}.parquet").set_index("material_id")
        for name in ("relaxations", "phonons", "chirality", "modes")
    }
    relaxations, phonons, verdicts, modes = tables.values()
    highest = modes.frequency.groupby(level=0).max()
    return [
        {
            "crystal": name,
            "relaxation_seconds": relaxations.wall_time[name],
            "phonon_seconds": phonons.wall_time[name],
            "volume": abs(_determinant(relaxations.cell[name])),
            "max_frequency": float(highest[name]),
            "n_displacements": int(phonons.n_displacements[name]),
        }
        for name in verdicts.index[verdicts.outcome == "screened"]
    ]


def _determinant(cell: Sequence[float]) -> float:
    """Determinant of a flat 3x3 matrix."""
    return float(Atoms(cell=[cell[i : i + 3] for i in (0, 3, 6)]).cell.volume)


def run_peer(
    peer: str, python: Path, crystals: Sequence[Crystal], workers: int, repeat: int
) -> Run:
    """Run the script of a peer, in so many processes at once."""
    environment = _environment(one_thread=workers > 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.time()
        processes = []
        for index, part in enumerate(shared_evenly(crystals, workers)):
            task, result = folder / f"{index}.json", folder / f"{index}.jsonl"
            task.write_text(json.dumps([crystal.as_json() for crystal in part]), encoding="utf-8")
            command = [str(python), str(HERE / f"{peer}_peer.py"), str(task), str(result)]
            place = index if workers > 1 else None
            processes.append(_begun(command, folder, environment, place))
        _finished(processes)
        wall = time.time() - start
        lines = [
            [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            for path in sorted(folder.glob("*.jsonl"))
        ]
    heads = [head for head, *_ in lines]
    begin = max(head["ready"] for head in heads) - start
    rows = [row for _, *rows in lines for row in rows]
    threads = str(heads[0]["threads"])
    return Run(peer, workers, threads, repeat, wall, begin, rows, heads[0]["versions"])


def _environment(*, one_thread: bool) -> dict[str, str]:
    """Variables of a command; the number of threads is free or one."""
    kept = {name: value for name, value in os.environ.items() if name not in THREAD_COUNTS}
    return kept | (dict.fromkeys(THREAD_COUNTS, "1") if one_thread else {})


def shared_evenly(crystals: Sequence[Crystal], workers: int) -> list[list[Crystal]]:
    """Parts of about equal cost, the dearest crystals first; atoms squared stand for the cost."""
    parts: list[list[Crystal]] = [[] for _ in range(workers)]
    for crystal in sorted(crystals, key=lambda c: -(len(c.atoms) ** 2)):
        min(parts, key=lambda part: sum(len(c.atoms) ** 2 for c in part)).append(crystal)
    return parts


def _begun(
    command: list[str], folder: Path, environment: dict[str, str], place: int | None = None
) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a command whose output goes to a file; with a place, on that processor alone."""
    here = sorted(os.sched_getaffinity(0))
    if place is not None:
        # Not every library heeds the variables of the environment.
        command = ["taskset", "--cpu-list", str(here[place % len(here)]), *command]
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".log", delete=False) as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    return process, Path(log.name)


def _finished(processes: Iterable[tuple[subprocess.Popen[bytes], Path]]) -> None:
    """Wait for commands; show the end of what one that failed has said."""
    for process, log in processes:
        if process.wait() > 1:
            print(log.read_text(encoding="utf-8")[-3000:], file=sys.stderr)
            raise SystemExit(f"{' '.join(map(str, process.args))} failed")


def print_table(runs: Sequence[Run], crystals: Sequence[Crystal]) -> None:
    """Structures per hour of each, medians of the repeats, and the ratio of ours to them."""
    columns = ("screened", "screened, net", "mixed", "mixed, net", "mixed, per core")
    print("| who | processes x threads | " + " | ".join(columns) + " | ours / theirs |")
    print("|---" * (len(columns) + 3) + "|")
    kinds = list(dict.fromkeys((run.name, run.workers, run.threads) for run in runs))
    rates = {
        kind: _rates([r for r in runs if (r.name, r.workers, r.threads) == kind], crystals)
        for kind in kinds
    }
    for (_, workers, threads), found in rates.items():
        found.append(found[2] / (workers * int(threads)))
    ours = next((rates[kind] for kind in kinds if kind[0] == OURS), None)
    for kind in kinds:
        ratios = [f"{a / b:.1f}" for a, b in zip(ours, rates[kind], strict=True)] if ours else []
        shown = " | ".join(f"{rate:.0f}" for rate in rates[kind])
        print(f"| {kind[0]} | {kind[1]} x {kind[2]} | {shown} | {' / '.join(ratios)} |")


def _rates(runs: Sequence[Run], crystals: Sequence[Crystal]) -> list[float]:
    """Structures per hour: screened, the same net, mixed, the same net."""
    seconds = [
        (*run.seconds_per_screened(crystals), *run.seconds_per_mixed(crystals)) for run in runs
    ]
    return [3600 / statistics.median(column) for column in zip(*seconds, strict=True)]


def print_agreement(runs: Sequence[Run]) -> None:
    """How far the results lie apart: it is the same potential, but for its average."""
    table = pd.DataFrame(
        [row | {"who": run.name} for run in runs for row in run.crystals if "error" not in row]
    )
    for column, unit in (("volume", "Å^3"), ("max_frequency", "THz"), ("n_displacements", "")):
        means = table.pivot_table(index="crystal", columns="who", values=column)
        print(f"\n{column} {unit}\n{means.round(3).to_string()}")


def main() -> None:
    """Run everything, write the raw results, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--peers-python", type=Path, required=True, help="python of the peers")
    parser.add_argument("--output", type=Path, required=True, help="JSON lines to write")
    parser.add_argument("--source", type=Path, default=Path("demo"), help="crystals")
    parser.add_argument("--crystals", nargs="+", default=CRYSTALS, help="names, or all")
    parser.add_argument("--sample", type=int, help="take so many by lot instead")
    parser.add_argument("--most-atoms", type=int, default=100, help="in a primitive cell")
    parser.add_argument("--potential", choices=PEERS, default="7net-0", help="of all who run")
    parser.add_argument("--only", nargs="+", help="who runs: chiralscreen, or names of peers")
    parser.add_argument("--repeats", type=int, default=1, help="repeats, for medians")
    parser.add_argument("--config", type=Path, default=HERE.parents[1] / "data" / "demo.yaml")
    options = parser.parse_args()
    config, python = options.config.resolve(), options.peers_python.absolute()
    crystals = chosen_crystals(options, read_settings(config, {}))
    who = options.only or (OURS, *PEERS[options.potential])
    plan = [(name, workers) for name in who for workers in (1, 2)]
    plan = [(name, workers) for name, workers in plan if name != OURS or workers == 1]
    runs = []
    with options.output.open("w", encoding="utf-8") as stream:
        for index in track(range(options.repeats * len(plan)), console=Console(stderr=True)):
            repeat, (name, workers) = index // len(plan), plan[index % len(plan)]
            if name == OURS:
                runs.append(run_ours(crystals, config, options.potential, repeat))
            else:
                runs.append(run_peer(name, python, crystals, workers, repeat))
            print(json.dumps(asdict(runs[-1])), file=stream, flush=True)
    print(f"`{' '.join(sys.argv)}`\n\n{', '.join(c.name for c in crystals)}\n")
    print({k: v for run in runs for k, v in run.versions.items()}, "\n")
    print_table(runs, crystals)
    print_agreement(runs)


if __name__ == "__main__":
    main()
