"""What Born charges cost the analysis of force constants.

    OMP_NUM_THREADS=1 python -m benchmarks.charges_speed --reference DIR

DIR holds phonopy files (``*.yaml.xz``) of force constants with Born charges. First the modes and
velocities at random q-points, in microseconds each: by phonopy, one q-point after the other, with
the sum over dipoles in bulk, and without charges. Then the whole stage (sum rules, two divisions of
the force constants, analysis) with and without charges, in seconds. Processor time, least of some
repeats.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.derivative_dynmat import DerivativeOfDynamicalMatrix

from tasks.chirality import ChiralitySettings, analyze_force_constants
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.image_weighting import ImageWeightings
from tasks.chirality.modes import compute_modes
from tasks.chirality.velocity import compute_velocity_elements
from tasks.phonons.fourier import HarmonicCrystal
from tasks.phonons.phonopy_files import read_phonopy
from tasks.phonons.sum_rules import OTHER_WEIGHTS, impose_sum_rules
from tasks.tolerances import DEGENERACY

FloatArray = NDArray[np.float64]


def run_stage(phonon: Phonopy, settings: ChiralitySettings) -> None:
    """What the chirality stage computes."""
    rules = impose_sum_rules(phonon)
    assert rules.distribute
    others = ImageWeightings(rules.distribute(OTHER_WEIGHTS), phonon)
    analyze_force_constants(rules.crystal, settings, others)


def sample(crystal: HarmonicCrystal, q_points: FloatArray) -> None:
    """Modes and velocities in bulk."""
    modes = compute_modes(crystal, q_points)
    sets = find_degenerate_sets(modes.frequencies, DEGENERACY)
    compute_velocity_elements(crystal, modes, sets)


def sample_by_phonopy(phonon: Phonopy, q_points: FloatArray) -> None:
    """Modes and derivatives of the dynamical matrix, as phonopy gives them."""
    phonon.run_qpoints(q_points, with_eigenvectors=True)
    derivative = DerivativeOfDynamicalMatrix(phonon.dynamical_matrix)
    for q in q_points:
        derivative.run(q)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Least processor time of some work."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def measured(path: Path, n_q_points: int, repeats: int) -> dict[str, Any] | None:
    """Times of one crystal; None for one without Born charges."""
    phonon = read_phonopy(path).phonon
    if phonon.nac_params is None:
        return None
    q_points = np.random.default_rng(0).uniform(-0.5, 0.5, (n_q_points, 3))
    loop = seconds(lambda: sample_by_phonopy(phonon, q_points), 1)
    times = [loop]
    stages = []
    for charges in (phonon.nac_params, None):
        phonon.nac_params = charges
        crystal = impose_sum_rules(phonon).crystal
        times.append(seconds(lambda crystal=crystal: sample(crystal, q_points), repeats))
        stages.append(seconds(lambda: run_stage(phonon, ChiralitySettings()), repeats))
    names = ("phonopy (µs)", "in bulk (µs)", "no charges (µs)")
    per_q = dict(zip(names, 1e6 * np.array(times) / n_q_points, strict=True))
    return {
        "crystal": path.name.removesuffix(".yaml.xz"),
        "atoms": len(phonon.primitive),
        **{name: round(value) for name, value in per_q.items()},
        "stage (s)": round(stages[0], 2),
        "without (s)": round(stages[1], 2),
        "ratio": round(stages[0] / stages[1], 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of phonopy files")
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    parser.add_argument("--q-points", type=int, default=500, help="number of random q-points")
    parser.add_argument("--repeats", type=int, default=3, help="repeats of all but the loop")
    options = parser.parse_args()
    paths = [p for p in sorted(options.reference.glob("*.yaml.xz")) if options.only in p.name]
    found = (measured(path, options.q_points, options.repeats) for path in paths)
    table = pd.DataFrame([row for row in found if row])
    sys.stdout.write(f"{table.to_markdown(index=False)}\n")


if __name__ == "__main__":
    main()
