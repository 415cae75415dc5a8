"""The energy surface: slopes that are forces, and no roughness on the scale of displacements."""

from collections.abc import Iterator, Mapping

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from potentials import Potential
from tasks.examination.laws import Finding

FloatArray = NDArray[np.float64]
# A step of 0.01 Å is long for the rounding of single precision, and short for the rule below.
_STEP, _STRAIN = 0.01, 0.002
# Derivative from four points, exact up to the fourth order.
_PLACES = np.array([-2, -1, 1, 2])
_WEIGHTS = np.array([1, -8, 8, -1]) / 12
_N_DIRECTIONS = 4
DISTANCES = np.array([0.001, 0.002, 0.003, 0.005, 0.01, 0.015, 0.02, 0.03])  # Å


def measure_surface(
    potential: Potential, crystals: Mapping[str, Atoms], rattled: Mapping[str, Atoms]
) -> Iterator[Finding]:
    """Measure whether forces and stresses are slopes, and how rough the energy is.

    Parameters
    ----------
    potential : Potential
        The potential.
    crystals, rattled : mapping of str to ase.Atoms
        Crystals, and crystals without any symmetry, by name.

    Yields
    ------
    Finding
        The largest of each.
    """
    slopes = {name: _compare_slopes(potential, atoms) for name, atoms in rattled.items()}
    for index, law in enumerate(("conservation_forces", "conservation_stress")):
        value, name = max((errors[index], name) for name, errors in slopes.items())
        yield Finding(law, name, value)
    roughness = {name: measure_roughness(potential, atoms) for name, atoms in crystals.items()}
    name = max(roughness, key=roughness.__getitem__)
    yield Finding("smoothness", name, roughness[name])


def _compare_slopes(potential: Potential, atoms: Atoms) -> tuple[float, float]:
    """Errors of forces and of the stress against slopes of the energy, in %."""
    rng = np.random.default_rng(1)
    found = potential.evaluate([atoms])
    forces, stress = found.forces[0], found.stresses[0]
    worst = 0.0
    for _ in range(_N_DIRECTIONS):
        direction = np.zeros_like(atoms.positions)
        direction[rng.integers(len(atoms))] = _make_unit(rng, 3)
        slope = _differentiate(potential, [_move(atoms, x * _STEP * direction) for x in _PLACES])
        worst = max(worst, abs(slope / _STEP + np.sum(forces * direction)))
    strain = _make_unit(rng, (3, 3))
    strain = (strain + strain.T) / 2
    slope = _differentiate(potential, [_strain(atoms, x * _STRAIN * strain) for x in _PLACES])
    missed = abs(slope / _STRAIN / atoms.get_volume() - np.sum(stress * strain))
    scale = np.linalg.norm(strain) * np.abs(stress).max()
    return 100 * float(worst / np.sqrt((forces**2).mean())), 100 * float(missed / scale)


def measure_roughness(potential: Potential, atoms: Atoms) -> float:
    """Measure how far a force constant is from a smooth function of the displacement.

    Parameters
    ----------
    potential : Potential
        The potential.
    atoms : ase.Atoms
        A crystal.

    Returns
    -------
    float
        Largest deviation of k(d) = -[F(d) - F(-d)] / 2d, d from 0.001 to 0.03 Å, from the best
        k + c d^2, in % of k.
    """
    direction = _make_unit(np.random.default_rng(2), 3)
    moves = np.zeros((len(DISTANCES), len(atoms), 3))
    moves[:, 0] = DISTANCES[:, None] * direction
    copies = [_move(atoms, sign * move) for sign in (1, -1) for move in moves]
    forces = np.array([found[0] for found in potential.evaluate(copies).forces]) @ direction
    ahead, behind = np.split(forces, 2)
    constants = -(ahead - behind) / (2 * DISTANCES)
    terms = np.column_stack([np.ones(len(DISTANCES)), DISTANCES**2])
    fitted = np.linalg.lstsq(terms, constants)[0]
    return 100 * float(np.abs(constants - terms @ fitted).max() / abs(fitted[0]))


def _differentiate(potential: Potential, copies: list[Atoms]) -> float:
    """Slope of the energy from copies at `_PLACES`, in eV per step."""
    return float(_WEIGHTS @ potential.evaluate(copies).energies)


def _make_unit(rng: np.random.Generator, shape: int | tuple[int, int]) -> FloatArray:
    """Random unit vector or matrix."""
    found = rng.normal(size=shape)
    return np.asarray(found / np.linalg.norm(found))


def _move(atoms: Atoms, displacement: FloatArray) -> Atoms:
    """Copy whose atoms are displaced."""
    result = atoms.copy()
    result.positions += displacement
    return result


def _strain(atoms: Atoms, strain: FloatArray) -> Atoms:
    """Copy under a symmetric strain."""
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return result
