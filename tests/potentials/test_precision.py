"""Energies, forces and frequencies of real crystals, compiled or not, are right to known errors."""

import numpy as np
import pytest
from ase.io import read

from benchmarks.precision import SUPERCELLS, errors_of
from potentials import load_potential

pytestmark = pytest.mark.slow

# eV/Å (root mean square) and THz, by precision.
NEQUIX = {"float32": (1e-6, 5e-4), "float64": (5e-9, 1e-6)}
# The softest mode of quartz is softer by this potential, and follows rounding more.
OAM = {"float32": (1e-6, 5e-3), "float64": (5e-9, 1e-5)}
# The cutoff of 7net-0 has a kink, and its forces are larger.
SEVENNET = {"float32": (5e-6, 5e-3), "float64": (5e-9, 1e-5)}


@pytest.mark.parametrize("crystal", SUPERCELLS)
@pytest.mark.parametrize(
    ("name", "bounds"),
    [("nequix-mp-1-pft", NEQUIX), ("nequix-oam-1-pft", OAM), ("7net-0", SEVENNET)],
)
def test_errors_are_within_their_bounds(name, bounds, crystal):
    kernels = set()
    for potential, dtype, errors in errors_of(name, crystal):
        force, frequency = bounds[dtype]
        assert 0 < errors.force_rms < force, (potential.card.kernel, dtype)
        assert 0 < errors.frequency < frequency, (potential.card.kernel, dtype)
        kernels.add(potential.card.kernel)
    assert kernels == {"torch", "compiled"}


@pytest.mark.parametrize("name", ["nequix-mp-1-pft", "nequix-oam-1-pft", "7net-0", "7net-l3i5"])
def test_energy_and_forces_agree_along_a_line(name):
    potential = load_potential(name, dtype="float64", parity=False)
    assert potential.card.kernel == "compiled"
    start = read("data/demo/quartz-154.cif")
    rng = np.random.default_rng(0)
    direction = rng.normal(size=start.positions.shape)
    direction /= np.linalg.norm(direction)
    step = 1e-3

    def at(x: float):
        atoms = start.copy()
        atoms.positions += x * direction
        return atoms

    for x in (0.0, 0.05, 0.1):
        found = potential.evaluate([at(x + n * step) for n in (-2, -1, 0, 1, 2)])
        slope = np.dot([1, -8, 0, 8, -1], found.energies) / (12 * step)
        assert -slope == pytest.approx(np.sum(found.forces[2] * direction), abs=1e-8)
