"""What the scripts of all peers share: crystals in, one JSON line per crystal out.

Runs in the environment of the peers, which does not have this package.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from ase import Atoms

FMAX = 1e-4  # eV/Å


@dataclass
class Record:
    """What a peer found for one crystal, and how long it took.

    Attributes
    ----------
    crystal : str
        Name.
    relaxation_seconds, phonon_seconds : float
        Wall time of the two steps.
    volume : float
        Of the relaxed primitive cell (Å^3).
    max_frequency : float
        Highest on the peer's own mesh (THz).
    n_displacements : int
        Supercells whose forces were computed.
    """

    crystal: str
    relaxation_seconds: float
    phonon_seconds: float
    volume: float
    max_frequency: float
    n_displacements: int


@dataclass(frozen=True)
class Crystal:
    """One crystal to compute.

    Attributes
    ----------
    name : str
        Name.
    atoms : ase.Atoms
        Idealised primitive cell.
    supercell_matrix : list of list of int
        In phonopy's convention.
    """

    name: str
    atoms: Atoms
    supercell_matrix: list[list[int]]


@dataclass
class Clock:
    """Seconds of the steps of one crystal."""

    laps: list[float] = field(default_factory=list)
    last: float = field(default_factory=time.perf_counter)

    def lap(self) -> None:
        """End a step."""
        now = time.perf_counter()
        self.laps.append(now - self.last)
        self.last = now


def run(packages: tuple[str, ...], treat: Callable[[Crystal], Record], threads: int) -> None:
    """Treat all crystals named on the command line, one after the other.

    The first line tells when the peer was ready (seconds since the epoch) and its versions.

    Parameters
    ----------
    packages : tuple of str
        Distributions whose versions are told.
    treat : callable
        Relaxes one crystal and computes its phonons.
    threads : int
        That the potential computes with.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("crystals", type=Path, help="JSON list of crystals")
    parser.add_argument("output", type=Path, help="JSON lines to write")
    arguments = parser.parse_args()
    versions = {name: version(name) for name in (*packages, "ase", "phonopy")}
    ready = {"ready": time.time(), "threads": threads, "versions": versions}
    with arguments.output.open("w", encoding="utf-8") as stream:
        print(json.dumps(ready), file=stream, flush=True)
        for entry in json.loads(arguments.crystals.read_text(encoding="utf-8")):
            print(json.dumps(_treated(entry, treat)), file=stream, flush=True)


def _treated(entry: dict[str, object], treat: Callable[[Crystal], Record]) -> dict[str, object]:
    """Record of one crystal, or what went wrong."""
    atoms = Atoms(
        numbers=entry["numbers"], cell=entry["cell"], positions=entry["positions"], pbc=True
    )
    crystal = Crystal(str(entry["name"]), atoms, entry["supercell_matrix"])  # type: ignore[arg-type]
    try:
        return asdict(treat(crystal))
    except Exception as error:  # noqa: BLE001 - a crystal that fails does not end the others
        print(f"{crystal.name}: {error}", file=sys.stderr)
        return {"crystal": crystal.name, "error": f"{type(error).__name__}: {error}"}
