"""Speed of the chirality stage against a loop over q-points, modes and atoms.

    chiralscreen export results/demo quartz-154 --output exported
    python benchmarks/chirality_speed.py exported/quartz-154-phonopy.yaml --q-points 2000

The loop is what scripts for single materials do: one dynamical matrix at a time, then for each mode
and atom the expectation value of the 3x3 matrices M_a. Both give the same angular momenta, which is
checked. The time of the whole stage (mesh, path, tensor, harmonics, pseudo-angular momentum) stands
beside. Medians of several repeats, one thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy
from rich.console import Console
from rich.table import Table

from tasks.chirality import (
    ChiralitySettings,
    analyze_force_constants,
    angular_momentum,
    compute_modes,
)
from tasks.phonons.phonopy_files import read_phonopy

FloatArray = NDArray[np.float64]

# (M_a)_bc = -i eps_abc
GENERATORS = np.zeros((3, 3, 3), dtype=complex)
for _a, _b, _c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
    GENERATORS[_a, _b, _c], GENERATORS[_a, _c, _b] = -1j, 1j


def compute_angular_momentum_by_loop(eigenvectors: NDArray[np.complex128]) -> FloatArray:
    """Angular momentum (nb, 3) at one q-point, one mode, atom and component at a time."""
    n_bands = len(eigenvectors)
    result = np.zeros((n_bands, 3))
    for mode in range(n_bands):
        for atom in range(n_bands // 3):
            e = eigenvectors[3 * atom : 3 * atom + 3, mode]
            for axis in range(3):
                result[mode, axis] += (e.conj() @ GENERATORS[axis] @ e).real
    return result


def by_loop(phonon: Phonopy, q_points: FloatArray) -> FloatArray:
    """Angular momentum (nq, nb, 3), one q-point after the other."""
    found = (phonon.run_qpoints([q], with_eigenvectors=True).eigenvectors[0] for q in q_points)
    return np.array([compute_angular_momentum_by_loop(eigenvectors) for eigenvectors in found])


def in_bulk(phonon: Phonopy, q_points: FloatArray) -> FloatArray:
    """Angular momentum (nq, nb, 3), all at once."""
    return angular_momentum(compute_modes(phonon, q_points).eigenvectors)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of some work."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Measure, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, help="phonopy YAML file with force constants")
    parser.add_argument("--q-points", type=int, default=2000, help="number of random q-points")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of the fast ones")
    options = parser.parse_args()
    phonon = read_phonopy(options.file).phonon
    q_points = np.random.default_rng(1).uniform(-0.5, 0.5, (options.q_points, 3))
    assert np.allclose(by_loop(phonon, q_points[:20]), in_bulk(phonon, q_points[:20]), atol=1e-10)
    loop = seconds(lambda: by_loop(phonon, q_points), 1)
    bulk = seconds(lambda: in_bulk(phonon, q_points), options.repeats)
    vectors = compute_modes(phonon, q_points).eigenvectors
    loop_alone = seconds(lambda: [compute_angular_momentum_by_loop(e) for e in vectors], 1)
    bulk_alone = seconds(lambda: angular_momentum(vectors), options.repeats)
    stage = seconds(lambda: analyze_force_constants(phonon, ChiralitySettings()), options.repeats)
    mesh = analyze_force_constants(phonon, ChiralitySettings()).record
    per_mesh = loop * mesh.n_q_points / options.q_points
    table = Table("what", "loop (s)", "in bulk (s)", "ratio")
    rows = {
        f"angular momentum of {options.q_points} q-points": (loop_alone, bulk_alone),
        "the same with the eigenvectors": (loop, bulk),
        f"loop for {mesh.n_q_points} q-points, and the whole stage": (per_mesh, stage),
    }
    for name, (slow, fast) in rows.items():
        table.add_row(name, f"{slow:.2f}", f"{fast:.3f}", f"{slow / fast:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
