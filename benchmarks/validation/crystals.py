"""Crystals as the screening computes them, and tables of results that grow row by row."""

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase import Atoms
from phonopy import Phonopy
from rich.console import Console
from rich.progress import track

from potentials import Potential, load_potential
from tasks.chirality import ScoreSettings
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.phonons import PhononSettings, compute_commensurate_frequencies, compute_force_constants
from tasks.phonons.elasticity import (
    StrainResponse,
    compute_elastic_constants,
    find_smallest_elastic_eigenvalue,
    measure_strain_responses,
)
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax
from tasks.screening.settings import SymmetrySettings

Row = dict[str, Any]
Job = Mapping[str, Any]
KEY = ("potential", "material_id")
POTENTIALS = ("nequix-mp-1-pft", "nequix-oam-1-pft", "7net-l3i5", "7net-0")
MAX_ATOMS = 130
LENGTH = PhononSettings().min_supercell_length  # Å
MESH_LENGTH = 60.0  # of phonopy, Å: 12 points along an axis of 5 Å
SYMPREC = SymmetrySettings().symprec  # Å
STABILITY_TOLERANCE = ScoreSettings().stability_tolerance  # THz
STIFFNESS_TOLERANCE = ScoreSettings().stiffness_tolerance  # GPa


def command_line(
    doc: str | None, table: str, potentials: Sequence[str] = POTENTIALS
) -> argparse.ArgumentParser:
    """Options that every table has."""
    results = Path(__file__).parent / "results"
    parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=results / f"{table}.parquet")
    parser.add_argument("--potentials", nargs="*", default=list(potentials))
    parser.add_argument("--limit", type=int, default=None, help="new rows at most")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    return parser


def command_line_of_reference(
    doc: str | None,
    table: str,
    potentials: Sequence[str] = POTENTIALS,
    max_atoms: int = MAX_ATOMS,
) -> argparse.ArgumentParser:
    """Options of a table that compares with reference data."""
    parser = command_line(doc, table, potentials)
    parser.add_argument("--reference", type=Path, required=True, help="folder of the data")
    parser.add_argument("--max-atoms", type=int, default=max_atoms, help="largest supercell")
    return parser


def load(name: str, dtype: str = "float32") -> Potential:
    """Load a potential in the precision of the screening; once in a process."""
    return load_potential(name, dtype=dtype)


def phonon_settings(max_atoms: int = MAX_ATOMS, length: float = LENGTH) -> PhononSettings:
    """Settings of the screening but for smaller supercells, which are not enlarged."""
    return PhononSettings(max_atoms=max_atoms, min_supercell_length=length, max_enlargements=0)


@dataclass(frozen=True)
class Computed:
    """A crystal relaxed by a potential, with its force constants.

    Attributes
    ----------
    atoms : ase.Atoms
        Relaxed primitive cell.
    phonon : phonopy.Phonopy
        Force constants as computed.
    response : tasks.phonons.elasticity.StrainResponse
        Response to strain.
    """

    atoms: Atoms
    phonon: Phonopy
    response: StrainResponse

    def interpolated(self) -> Phonopy:
        """Force constants fit for all q-points: sum rules and sound imposed."""
        return impose_sum_rules(self.phonon, self.response).phonon

    def min_frequency(self) -> float:
        """Lowest frequency at the q-points of the supercell (THz)."""
        return float(compute_commensurate_frequencies(self.phonon).min())

    def extremes_between(self) -> tuple[float, float]:
        """Lowest and highest frequency (THz) of the whole zone, by force constants as they come.

        That is what databases list, with the false instabilities of interpolation.
        """
        self.phonon.run_mesh(MESH_LENGTH, is_gamma_center=True)
        frequencies = self.phonon.mesh.frequencies
        return float(frequencies.min()), float(frequencies.max())

    def least_stiffness(self) -> float:
        """Smallest eigenvalue of the elastic constants (GPa)."""
        return find_smallest_elastic_eigenvalue(
            compute_elastic_constants(self.phonon, self.response)
        )

    def stable(self) -> bool:
        """Verdict of the screening."""
        return (
            self.min_frequency() >= -STABILITY_TOLERANCE
            and self.least_stiffness() >= -STIFFNESS_TOLERANCE
        )


def compute(
    start: Atoms,
    potential: Potential,
    settings: PhononSettings,
    relaxation: RelaxationSettings | None = None,
) -> Computed:
    """Relax a crystal and compute its force constants.

    Parameters
    ----------
    start : ase.Atoms
        Primitive cell.
    potential : Potential
        Gives forces and stresses.
    settings : PhononSettings
        Displacements and supercell.
    relaxation : RelaxationSettings, optional
        The defaults if left out.

    Returns
    -------
    Computed
        With the atoms in the order of `start`.

    Raises
    ------
    ValueError
        When the crystal does not relax.
    """
    [relaxed] = relax([start], potential, relaxation or RelaxationSettings())
    if not relaxed.converged:
        raise ValueError(f"not relaxed: {relaxed.reason}")
    phonon = compute_force_constants(relaxed.atoms, potential, settings).phonon
    [response] = measure_strain_responses([make_atoms(phonon.primitive)], potential)
    return Computed(relaxed.atoms, phonon, response)


def read_rows(path: Path) -> pd.DataFrame:
    """Rows of an earlier run; none where there is no file."""
    return pd.read_parquet(path) if path.exists() else pd.DataFrame(columns=[*KEY, "error"])


def extend(
    path: Path,
    jobs: Sequence[Job],
    measure: Callable[[Job], Row],
    *,
    workers: int = 1,
    limit: int | None = None,
) -> pd.DataFrame:
    """Measure what is not in a table yet, writing it after every row.

    Parameters
    ----------
    path : pathlib.Path
        Parquet file of the rows.
    jobs : sequence of mappings
        Each holds `KEY`, the columns that name a row, and what `measure` needs.
    measure : callable
        Gives the other columns of a row; what it raises goes into the column ``error``.
    workers : int
        Processes; more than one have one thread each.
    limit : int, optional
        New rows at most.

    Returns
    -------
    pandas.DataFrame
        All rows.
    """
    rows = read_rows(path)
    known = set(rows[[*KEY]].itertuples(index=False, name=None))
    todo = [job for job in jobs if tuple(job[name] for name in KEY) not in known][:limit]
    found = _map_jobs(partial(_catch_errors, measure), todo, workers)
    for row in track(found, "crystals", total=len(todo), console=Console(stderr=True)):
        rows = pd.concat([rows, pd.DataFrame([row])], ignore_index=True)
        _write(rows, path)
    return rows


def _write(rows: pd.DataFrame, path: Path) -> None:
    """Write all rows at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    rows.to_parquet(unfinished)
    unfinished.replace(path)


def _map_jobs(measure: Callable[[Job], Row], jobs: Sequence[Job], workers: int) -> Iterator[Row]:
    """Rows one by one; several workers are fresh processes that keep to the number of threads."""
    if workers == 1:
        yield from map(measure, jobs)
        return
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(measure, jobs)


def _catch_errors(measure: Callable[[Job], Row], job: Job) -> Row:
    """A row, or why there is none."""
    row = {name: job[name] for name in KEY}
    try:
        return row | {"error": None} | measure(job)
    except (RemediableError, ValueError, ArithmeticError, np.linalg.LinAlgError) as error:
        return row | {"error": str(error)}
