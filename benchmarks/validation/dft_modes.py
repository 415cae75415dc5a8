"""Modes of crystals: potentials against density functional theory, mode by mode.

    python benchmarks/validation/dft_modes.py --reference DIR --output dft_modes.parquet

DIR holds phonopy YAML files with forces or force constants (``*.yaml.xz``). Each crystal is relaxed
by the potential; modes of both sides at the same q-points (fractional, in the primitive reciprocal
basis) are matched by the overlap of their eigenvectors. Force constants of both sides are made to
obey the sum rules, and the non-analytical term is left out. The analysis of the screening gives
the class and the wave; its tensor is compared by the cosine between both. Rows that are in the
output already are not computed again.

A mode is *sharp* where no other of the same q-point lies within 0.1 THz in the reference; signs of
angular momentum are compared for sharp modes of |l| > 0.1 ħ in the reference.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from phonopy import Phonopy
from rich.console import Console
from rich.progress import track
from scipy.optimize import linear_sum_assignment

from potentials import Potential, load_potential
from tasks.chirality import (
    ChiralityRecord,
    ChiralitySettings,
    Modes,
    analyze_force_constants,
    angular_momentum,
    modes_at,
)
from tasks.elasticity import strain_responses
from tasks.external import read_phonopy
from tasks.failures import RemediableError
from tasks.phonons import (
    PhononSettings,
    atoms_of_cell,
    commensurate_frequencies,
    force_constants,
)
from tasks.relaxation import RelaxationSettings, relax
from tasks.sum_rules import impose_sum_rules

GAP, LARGE = 0.1, 0.1  # THz, hbar
N_Q_POINTS = 40
TEMPERATURE = 300.0  # K
ANALYSIS = ChiralitySettings(mesh_spacing=0.03, temperatures=(TEMPERATURE,))


@cache
def potential_used(name: str) -> Potential:
    """The potential, once in a process."""
    return load_potential(name)


def reference_phonon(path: Path) -> Phonopy:
    """Force constants of the reference without Born charges."""
    phonon = read_phonopy(path).phonon
    phonon.nac_params = None
    return phonon


def own_phonon(start: Phonopy, name: str, settings: PhononSettings) -> tuple[Phonopy, Phonopy]:
    """Force constants of the potential: as computed, and fit for all q-points."""
    potential = potential_used(name)
    [relaxed] = relax([atoms_of_cell(start.primitive)], potential, RelaxationSettings())
    if not relaxed.converged:
        raise ValueError(f"not relaxed: {relaxed.reason}")
    phonon = force_constants(relaxed.atoms, potential, settings).phonon
    [response] = strain_responses([atoms_of_cell(phonon.primitive)], potential)
    return phonon, impose_sum_rules(phonon, response).phonon


def matched(expected: Modes, found: Modes) -> Modes:
    """Modes of the second kind in the order of those of the first, by overlap."""
    overlaps = np.abs(np.swapaxes(expected.eigenvectors.conj(), 1, 2) @ found.eigenvectors) ** 2
    order = np.array([linear_sum_assignment(-overlap)[1] for overlap in overlaps])
    return Modes(
        found.q_points,
        np.take_along_axis(found.frequencies, order, axis=1),
        np.take_along_axis(found.eigenvectors, order[:, None], axis=2),
    )


def mode_numbers(expected: Modes, found: Modes) -> dict[str, Any]:
    """Deviations of matched modes."""
    other = matched(expected, found)
    gaps = np.abs(expected.frequencies[:, :, None] - expected.frequencies[:, None])
    gaps[:, np.arange(expected.n_bands), np.arange(expected.n_bands)] = np.inf
    sharp = gaps.min(axis=2) > GAP
    here, there = angular_momentum(expected.eigenvectors), angular_momentum(other.eigenvectors)
    size = np.linalg.norm(here, axis=-1)
    large = sharp & (size > LARGE)
    along = np.einsum("qba,qba->qb", here, there)
    sorted_errors = np.abs(expected.frequencies - found.frequencies)
    return {
        "frequency_mae": float(sorted_errors.mean()),
        "matched_frequency_mae": float(np.abs(expected.frequencies - other.frequencies).mean()),
        "momentum_mae": float(np.linalg.norm(here - there, axis=-1)[sharp].mean()),
        "n_sharp": int(sharp.sum()),
        "n_large": int(large.sum()),
        "same_sign": float((along[large] > 0).mean()) if large.any() else np.nan,
    }


def tensor_cosine(first: ChiralityRecord, second: ChiralityRecord) -> float:
    """Cosine between two tensors; NaN where both vanish by symmetry."""
    a, b = np.array(first.tensor), np.array(second.tensor)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else np.nan


def compared(name: str, path: Path, settings: PhononSettings) -> dict[str, Any]:
    """One crystal with one potential, or why there are no numbers."""
    row: dict[str, Any] = {"potential": name, "crystal": path.name.removesuffix(".yaml.xz")}
    try:
        return row | measured(reference_phonon(path), name, settings)
    except (RemediableError, ValueError) as error:
        return row | {"error": str(error)}


def measured(reference: Phonopy, name: str, settings: PhononSettings) -> dict[str, Any]:
    """Numbers of one crystal."""
    computed_phonon, phonon = own_phonon(reference, name, settings)
    q_points = np.random.default_rng(0).uniform(-0.5, 0.5, (N_Q_POINTS, 3))
    ruled = impose_sum_rules(reference).phonon
    expected, found = modes_at(ruled, q_points), modes_at(phonon, q_points)
    first, second = (analyze_force_constants(p, ANALYSIS).record for p in (ruled, phonon))
    return {
        "n_atoms": len(phonon.primitive),
        "n_supercell_atoms": len(computed_phonon.supercell),
        **mode_numbers(expected, found),
        "min_frequency": float(commensurate_frequencies(reference).min()),
        "min_frequency_potential": float(commensurate_frequencies(computed_phonon).min()),
        "wave": first.helicity_wave_found,
        "wave_potential": second.helicity_wave_found,
        "mean_momentum": first.mean_angular_momentum,
        "mean_momentum_potential": second.mean_angular_momentum,
        "tensor_cosine": tensor_cosine(first, second),
    }


def computed(
    names: Sequence[str], paths: Sequence[Path], done: pd.DataFrame, settings: PhononSettings
) -> Iterator[dict[str, Any]]:
    """Rows that are not there yet, in one process per core."""
    known = set(zip(done["potential"], done["crystal"], strict=True)) if len(done) else set()
    pairs = [(name, path) for name in names for path in paths]
    todo = [
        (name, path, settings)
        for name, path in pairs
        if (name, path.name.removesuffix(".yaml.xz")) not in known
    ]
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(compared, *zip(*todo, strict=True)) if todo else ()


def main() -> None:
    """Compute what is missing, write it, print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of phonopy files")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file of the rows")
    parser.add_argument("--potentials", nargs="+", default=["7net-0", "7net-l3i5"])
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    parser.add_argument("--max-atoms", type=int, default=130, help="largest supercell")
    options = parser.parse_args()
    paths = sorted(
        path for path in options.reference.glob("*.yaml.xz") if options.only in path.name
    )
    settings = PhononSettings(max_atoms=options.max_atoms, max_enlargements=0)
    rows = pd.read_parquet(options.output) if options.output.exists() else pd.DataFrame()
    found = computed(options.potentials, paths, rows, settings)
    for row in track(found, "crystals", console=Console(stderr=True)):
        rows = pd.concat([rows, pd.DataFrame([{"error": None, **row}])], ignore_index=True)
        rows.to_parquet(options.output)
    print(rows.sort_values(["crystal", "potential"]).round(3).to_markdown(index=False))


if __name__ == "__main__":
    main()
