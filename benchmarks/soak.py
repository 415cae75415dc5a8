"""Disturb screenings for hours, and see whether anything is lost, doubled or left behind.

    python -m benchmarks.soak --hours 2 --output /tmp/soak
    python -m benchmarks.soak --hours 2 --output /tmp/soak --resume

Each round screens a small source into a dataset of its own and disturbs it in one way: kill -9,
SIGTERM, SIGSTOP and SIGCONT of processes that the round has started itself, two runs at once, a
full disk, a clock that jumps. Then the same command runs undisturbed and must complete;
``benchmarks/soaking/checks.py`` tells what must hold. The disk is a tmpfs, which takes the right to
mount; without it, a limit for the size of files stands in, and the round says so. The clock jumps
for what Python asks (``benchmarks/soaking/clock``), not for compiled libraries.

A line of JSON per round goes into ``rounds.jsonl``; a round with a fault keeps its folder. The same
seed and number give the same round, as far as the machine is as fast.
"""

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.soaking.programs import adopt_orphans
from benchmarks.soaking.rounds import KINDS, Reference, Round, carry_out, reference_of
from benchmarks.soaking.sources import write_works

# One of so many rounds has the default potential.
_ROUNDS_PER_DEMO = 2
_COLUMNS = ("rounds", "runs", "harms", "faults", "longest end", "difference", "minutes")

Record = dict[str, Any]


def rounds_in(folder: Path) -> list[Record]:
    """Records of the rounds so far."""
    path = folder / "rounds.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def play(number: int, seed: int, folder: Path, references: dict[str, Reference]) -> Record:
    """Play one round.

    Parameters
    ----------
    number, seed : int
        Decide all that is left to chance.
    folder : pathlib.Path
        Of the whole test.
    references : dict from str to Reference
        By the name of the work.

    Returns
    -------
    dict
        Its record.
    """
    random, since = Random(f"{seed}-{number}"), time.monotonic()  # noqa: S311 - chance, no secret
    kind = list(KINDS)[number % len(KINDS)]
    work = "demo" if number % _ROUNDS_PER_DEMO == _ROUNDS_PER_DEMO - 1 else "alloys"
    shutil.rmtree(folder / f"round-{number:05d}", ignore_errors=True)
    of = Round(references[work], folder / f"round-{number:05d}", random)
    difference = carry_out(of, kind)
    if not of.faults:
        shutil.rmtree(of.folder)
    return {
        "round": number,
        "seed": seed,
        "kind": kind,
        "work": work,
        "started": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        "outcome": "fault" if of.faults else "sound",
        "faults": of.faults,
        "harms": [asdict(harm) for harm in of.harms],
        "exit_codes": of.codes,
        "difference": None if math.isnan(difference) else difference,
        "load": os.getloadavg()[0],
        "seconds": round(time.monotonic() - since, 1),
    }


def soak(folder: Path, hours: float, seed: int) -> None:
    """Play rounds until the time is up.

    Parameters
    ----------
    folder : pathlib.Path
        Gets records, references, and rounds with faults.
    hours : float
        No round begins later.
    seed : int
        Of all rounds.
    """
    adopt_orphans()
    end = time.monotonic() + hours * 3600
    works = write_works(folder)
    references = {n: reference_of(w, folder / f"reference-{n}") for n, w in works.items()}
    number = len(rounds_in(folder))
    while time.monotonic() < end:
        record = play(number, seed, folder, references)
        with (folder / "rounds.jsonl").open("a") as stream:
            stream.write(f"{json.dumps(record)}\n")
        print(
            number, record["kind"], record["work"], record["outcome"], *record["faults"], flush=True
        )
        number += 1


def table_of(records: Sequence[Record]) -> Table:
    """A row per kind and one for all."""
    table = Table("kind", *_COLUMNS)
    for kind in [*KINDS, "all"]:
        of_kind = [record for record in records if kind in (record["kind"], "all")]
        table.add_row(kind, *_cells(of_kind))
    return table


def _cells(records: Sequence[Record]) -> Iterator[str]:
    harms = [harm for record in records for harm in record["harms"]]
    ends = [harm["seconds"] for harm in harms if harm["seconds"] is not None]
    yield str(len(records))
    yield str(sum(len(record["exit_codes"]) for record in records))
    yield str(len(harms))
    yield str(sum(bool(record["faults"]) for record in records))
    yield f"{max(ends):.1f} s" if ends else ""
    yield f"{max((r['difference'] or 0.0 for r in records), default=0.0):.1g}"
    yield f"{sum(record['seconds'] for record in records) / 60:.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Play rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--resume", action="store_true", help="play further rounds")
    options = parser.parse_args(arguments)
    folder = options.output.absolute()
    if rounds_in(folder) and not options.resume:
        parser.error(f"{folder} has rounds: --resume plays more")
    folder.mkdir(parents=True, exist_ok=True)
    soak(folder, options.hours, options.seed)
    Console(width=100).print(table_of(rounds_in(folder)))


if __name__ == "__main__":
    main()
