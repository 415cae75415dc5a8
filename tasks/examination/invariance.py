"""Images of a crystal that must have the same energy, and forces and stresses that follow it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from potentials import Evaluation, Potential
from potentials.averages import transform
from tasks.examination.laws import Finding

FloatArray = NDArray[np.float64]
_N_IMAGES = 3
_BASIS = np.array([[1, 1, 0], [0, 1, 0], [-1, 0, 1]])  # of determinant 1


@dataclass(frozen=True)
class Image:
    """An image of a crystal.

    Attributes
    ----------
    atoms : ase.Atoms
        The image.
    isometry : ndarray, shape (3, 3)
        What turned it; acts on Cartesian columns.
    origins : ndarray of int, shape (n_atoms,)
        For each atom of the image the atom of the crystal that it is.
    """

    atoms: Atoms
    isometry: FloatArray
    origins: NDArray[np.int64]


@dataclass(frozen=True)
class Errors:
    """Largest differences between a crystal and its images.

    Attributes
    ----------
    energy : float
        meV per atom.
    forces : float
        Of a component, in % of the root mean square of all.
    stress : float
        Of a component, in % of the largest.
    """

    energy: float
    forces: float
    stress: float


def _turn(atoms: Atoms, rng: np.random.Generator) -> Image:
    """A crystal in another orientation."""
    return make_image(atoms, Rotation.random(rng=rng).as_matrix())


def _reflect(atoms: Atoms, rng: np.random.Generator) -> Image:
    """The other hand of a crystal, in another orientation."""
    return make_image(atoms, -Rotation.random(rng=rng).as_matrix())


def make_image(atoms: Atoms, isometry: FloatArray) -> Image:
    """Make the image of a crystal under an isometry about the origin."""
    return Image(transform(atoms, isometry), isometry, np.arange(len(atoms)))


def _shift(atoms: Atoms, rng: np.random.Generator) -> Image:
    """A crystal with another origin, in another cell of its lattice."""
    moved = Atoms(
        numbers=atoms.numbers,
        cell=_BASIS @ atoms.cell.array,
        positions=atoms.positions + rng.uniform(-5, 5, 3),
        pbc=True,
    )
    moved.wrap()
    return Image(moved, np.eye(3), np.arange(len(atoms)))


def _permute(atoms: Atoms, rng: np.random.Generator) -> Image:
    """A crystal whose atoms have another order."""
    order = np.roll(rng.permutation(len(atoms)), 1)
    return Image(atoms[order], np.eye(3), order)


IMAGES: Final[Mapping[str, Callable[[Atoms, np.random.Generator], Image]]] = MappingProxyType(
    {"rotation": _turn, "reflection": _reflect, "translation": _shift, "permutation": _permute}
)


def measure_invariance(potential: Potential, crystals: Mapping[str, Atoms]) -> Iterator[Finding]:
    """Compare crystals with images that must be equal.

    Parameters
    ----------
    potential : Potential
        The potential.
    crystals : mapping of str to ase.Atoms
        Crystals without any symmetry, by name.

    Yields
    ------
    Finding
        For rotation, reflection, translation and permutation the largest errors of energies,
        forces and stresses.
    """
    for kind in IMAGES:
        errors = {name: compare_images(potential, atoms, kind) for name, atoms in crystals.items()}
        for quantity in ("energy", "forces", "stress"):
            value, name = max((getattr(found, quantity), name) for name, found in errors.items())
            yield Finding(f"{kind}_{quantity}", name, value)


def compare_images(potential: Potential, atoms: Atoms, kind: str) -> Errors:
    """Compare a crystal with images of one kind.

    Parameters
    ----------
    potential : Potential
        The potential.
    atoms : ase.Atoms
        A crystal without any symmetry.
    kind : str
        Key of `IMAGES`.

    Returns
    -------
    Errors
        The largest of three images.
    """
    rng = np.random.default_rng(0)
    return compare_with(potential, atoms, [IMAGES[kind](atoms, rng) for _ in range(_N_IMAGES)])


def compare_with(potential: Potential, atoms: Atoms, images: Sequence[Image]) -> Errors:
    """Compare a crystal with given images, one by one: what a batch does is another question."""
    found = [_carry_back(potential.evaluate([image.atoms]), image) for image in images]
    return compare_evaluations(potential.evaluate([atoms]), found)


def compare_evaluations(first: Evaluation, others: Sequence[Evaluation]) -> Errors:
    """Compare evaluations of one structure with another.

    Parameters
    ----------
    first : Evaluation
        Of one structure.
    others : sequence of Evaluation
        Of the same structure.

    Returns
    -------
    Errors
        The largest differences.
    """
    forces, stress = first.forces[0], first.stresses[0]
    energies = [abs(other.energies[0] - first.energies[0]) for other in others]
    apart = [np.abs(other.forces[0] - forces).max() for other in others]
    stresses = [np.abs(other.stresses[0] - stress).max() for other in others]
    return Errors(
        energy=1000 * float(max(energies)) / len(forces),
        forces=100 * float(max(apart) / np.sqrt((forces**2).mean())),
        stress=100 * float(max(stresses) / np.abs(stress).max()),
    )


def _carry_back(found: Evaluation, image: Image) -> Evaluation:
    """What was found for an image, as it should be for the crystal."""
    forces = np.empty_like(found.forces[0])
    forces[image.origins] = found.forces[0] @ image.isometry
    stress = image.isometry.T @ found.stresses[0] @ image.isometry
    return Evaluation(found.energies, (forces,), stress[None], found.wall_time)
