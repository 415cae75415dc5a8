"""Averages of a potential over groups of isometries, which give it a symmetry that it lacks.

Averaged over a finite group an energy is exactly invariant under that group (Frame Averaging, Puny
et al., arXiv:2110.03336, with the group itself as the frame). A group that does not depend on the
positions of the atoms keeps the energy smooth.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from types import MappingProxyType
from typing import Final

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from scipy.spatial.transform import Rotation

from potentials.interface import Equivariance, Evaluation, FloatArray, Potential, PotentialCard

_SAME: Final = 1e-4  # lengths of a lattice that count as equal, as a fraction


@dataclass(frozen=True)
class IsometryGroup:
    """A finite group of isometries, or one for every structure.

    Attributes
    ----------
    name : str
        As it follows the name of a potential: ``7net-0@octahedron``.
    find : callable
        From a structure to matrices (n, 3, 3) that act on Cartesian columns, a group.
    size : int
        Most matrices, and so evaluations of a structure.
    has_inversion : bool
        Whether the inversion is among them.
    limit : str
        What the average means for results, in a sentence.
    """

    name: str
    find: Callable[[Atoms], FloatArray]
    size: int
    has_inversion: bool
    limit: str


@dataclass(frozen=True)
class GroupAverage:
    """The mean of a potential over the images of a structure under a group of isometries.

    Forces and stresses are the derivatives of the mean energy. It costs one evaluation for each
    isometry.

    Attributes
    ----------
    potential : Potential
        The potential to be averaged.
    group : IsometryGroup
        The isometries. With the inversion an SO(3)-invariant energy becomes O(3)-invariant: every
        improper operation is a rotation times the inversion.
    """

    potential: Potential
    group: IsometryGroup

    @property
    def card(self) -> PotentialCard:
        """Card of the averaged potential, with another digest."""
        return average_card(self.potential.card, self.group)

    def evaluate(self, structures: Sequence[Atoms]) -> Evaluation:
        """Evaluate all images of each structure, and average.

        Parameters
        ----------
        structures : sequence of ase.Atoms
            Periodic structures.

        Returns
        -------
        Evaluation
            Means over the images, forces and stresses turned back.
        """
        groups = [self.group.find(atoms) for atoms in structures]
        # Copies of a crystal stay next to each other, for which a potential may search once.
        order = sorted((k, i) for i, group in enumerate(groups) for k in range(len(group)))
        found = self.potential.evaluate([transform(structures[i], groups[i][k]) for k, i in order])
        energies = np.zeros(len(groups))
        forces = [np.zeros((len(atoms), 3)) for atoms in structures]
        stresses = np.zeros((len(groups), 3, 3))
        for place, (k, i) in enumerate(order):
            isometry, size = groups[i][k], len(groups[i])
            energies[i] += found.energies[place] / size
            forces[i] += found.forces[place] @ isometry / size
            stresses[i] += isometry.T @ found.stresses[place] @ isometry / size
        return Evaluation(energies, tuple(forces), stresses, found.wall_time)


def transform(atoms: Atoms, isometry: FloatArray) -> Atoms:
    """Return the image of a crystal under an isometry about the origin.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    isometry : ndarray, shape (3, 3)
        Orthogonal matrix that acts on Cartesian columns.

    Returns
    -------
    ase.Atoms
        Same species. An improper isometry reverses the cell vectors as well, so that they keep
        their hand; a lattice is its own inverse.
    """
    sign = np.sign(np.linalg.det(isometry))
    return Atoms(
        numbers=atoms.numbers,
        cell=sign * (np.asarray(atoms.cell) @ isometry.T),
        positions=atoms.positions @ isometry.T,
        pbc=atoms.pbc,
    )


def invert(atoms: Atoms) -> Atoms:
    """Return the image of a crystal under the inversion through the origin.

    The positions change sign and the lattice stays, since a lattice is its own inverse.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.

    Returns
    -------
    ase.Atoms
        Same cell and species, positions negated (Å).
    """
    return transform(atoms, -np.eye(3))


def remove_average(potential: Potential) -> Potential:
    """Return a potential without its average over the inversion.

    On a crystal that some improper operation maps onto itself, energy and symmetry-allowed forces
    and stress are the same with and without the average, which costs twice as much.

    Parameters
    ----------
    potential : Potential
        Averaged or not.

    Returns
    -------
    Potential
        The potential inside the average, or the given one.
    """
    if isinstance(potential, GroupAverage) and potential.group is INVERSION:
        return potential.potential
    return potential


def average_card(card: PotentialCard, group: IsometryGroup) -> PotentialCard:
    """Tell what an average makes of a potential.

    Parameters
    ----------
    card : PotentialCard
        Of the potential.
    group : IsometryGroup
        What it is averaged over.

    Returns
    -------
    PotentialCard
        With another digest; for other groups than the inversion with another name and cost too.
    """
    averaged = replace(
        card,
        digest=f"{group.name}-average:{card.digest}",
        equivariance=Equivariance.O3 if group.has_inversion else card.equivariance,
        second_derivatives=False,
        limits=(*card.limits, group.limit),
    )
    if group is INVERSION:
        return replace(averaged, averaged=True)
    cost = group.size * card.milliseconds_per_atom
    return replace(averaged, name=f"{card.name}@{group.name}", milliseconds_per_atom=cost)


def list_groups(
    card: PotentialCard, average: str, *, parity: bool = True
) -> tuple[IsometryGroup, ...]:
    """List the groups over which a potential is averaged.

    Parameters
    ----------
    card : PotentialCard
        Of the potential as its authors published it.
    average : str
        Name of a group, or empty for what the potential needs.
    parity : bool
        Average over the inversion whatever is not invariant under mirrors.

    Returns
    -------
    tuple of IsometryGroup
        The innermost average first.
    """
    named = (GROUPS[average],) if average else ()
    mirrored = card.equivariance is Equivariance.O3 or any(g.has_inversion for g in named)
    return named if mirrored or BARE in named or not parity else (*named, INVERSION)


def split_average(name: str) -> tuple[str, str]:
    """Split the name of a potential from that of a group.

    Parameters
    ----------
    name : str
        As ``7net-0@octahedron``; what follows another @ belongs to the name.

    Returns
    -------
    tuple of (str, str)
        ``("7net-0", "octahedron")``; the second is empty where no group is named.
    """
    potential, _, average = name.rpartition("@")
    return (potential, average) if potential and average in GROUPS else (name, "")


def find_lattice_isometries(atoms: Atoms) -> FloatArray:
    """Find the isometries that map the lattice of a crystal onto itself.

    They hold the point group of the crystal, and the inversion. The entries of their matrices in a
    reduced basis are -1, 0 and 1.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal; positions do not matter.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Orthogonal matrices that act on Cartesian columns, 2 to 48.
    """
    return _find_lattice_isometries(np.ascontiguousarray(atoms.cell.array).tobytes())


@cache
def _find_lattice_isometries(cell: bytes) -> FloatArray:
    """As above, of a cell given by its bytes."""
    basis, _ = minkowski_reduce(np.frombuffer(cell).reshape(3, 3))
    vectors = np.array(list(product((-1, 0, 1), repeat=3))) @ basis
    metric = basis @ basis.T
    tolerance = _SAME * np.sqrt(np.outer(np.diag(metric), np.diag(metric)))
    lengths = np.einsum("vx,vx->v", vectors, vectors)
    alike = [vectors[np.abs(lengths - metric[i, i]) < tolerance[i, i]] for i in range(3)]
    images = np.array(list(product(*alike)))
    fits = np.abs(images @ images.transpose(0, 2, 1) - metric) < tolerance
    found = (np.linalg.inv(basis) @ images[fits.all(axis=(1, 2))]).transpose(0, 2, 1)
    u, _, v = np.linalg.svd(found)  # exactly orthogonal, where the lattice is nearly symmetric
    return np.asarray(u @ v)


@cache
def _list_rotations(symbol: str) -> FloatArray:
    """Proper rotations of a polyhedron, shape (n, 3, 3)."""
    return np.asarray(Rotation.create_group(symbol).as_matrix())


BARE: Final = IsometryGroup(
    "bare",
    lambda _: np.eye(3)[None],
    1,
    False,
    "Used as its authors published it, without an average: what it lacks of the symmetry of nature "
    "its results lack, too.",
)
INVERSION: Final = IsometryGroup(
    "inversion",
    lambda _: np.array([np.eye(3), -np.eye(3)]),
    2,
    True,
    "It is not invariant under mirrors by itself; energies and forces are averaged over the "
    "inversion, which makes opposite hands exactly equal.",
)
LATTICE: Final = IsometryGroup(
    "lattice",
    find_lattice_isometries,
    48,
    True,
    "Averaged over the isometries of the lattice: every operation of the crystal holds exactly, "
    "opposite hands are equal, and only turning the whole crystal may change its energy.",
)
OCTAHEDRON: Final = IsometryGroup(
    "octahedron",
    lambda _: _list_rotations("O"),
    24,
    False,
    "Averaged over the rotations of the octahedron: what its energy depends on the direction of "
    "the axes varies as spherical harmonics of order 4 or more.",
)
ICOSAHEDRON: Final = IsometryGroup(
    "icosahedron",
    lambda _: _list_rotations("I"),
    60,
    False,
    "Averaged over the rotations of the icosahedron: what its energy depends on the direction of "
    "the axes varies as spherical harmonics of order 6 or more.",
)
GROUPS: Final = MappingProxyType(
    {group.name: group for group in (BARE, INVERSION, LATTICE, OCTAHEDRON, ICOSAHEDRON)}
)
"""Groups by the name that may follow that of a potential."""
