"""How one crystal lies on another one: the same crystal from two sources, or its mirror image.

With the lattice vectors of a crystal as rows of L, and L' and r' those of the other one,

    L ~ M L' R^T,    r_k ~ R r'_m(k) + t,

where M is an integer matrix of determinant 1 or -1 and R is orthogonal. Both sides differ by a
scale and small displacements, as results of two methods do. A q-point of the crystal, in fractions
of its reciprocal basis, is q' = q M^-T for the other one, and eigenvectors turn with their atoms,
e_k(q) = R e'_m(k)(q'), up to a phase that the modes of a q-point share (the phase convention of
`tasks.chirality.modes` has the positions of the atoms in it). An improper R makes of the modes of a
chiral crystal those of its mirror image, of the opposite angular momentum.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.linalg import polar

ComplexArray = NDArray[np.complex128]

FloatArray = NDArray[np.float64]

# Of lengths (relative) and angles (degrees), between lattices of the same volume per atom.
_LENGTHS: Final = 0.1
_ANGLES: Final = 5.0


@dataclass(frozen=True)
class Alignment:
    """How another crystal is laid on a crystal.

    Attributes
    ----------
    lattice : ndarray, shape (3, 3)
        The integer matrix M.
    rotation : ndarray, shape (3, 3)
        The orthogonal matrix R (Cartesian).
    order : ndarray of int, shape (n,)
        Atom of the other crystal for each atom of the crystal.
    """

    lattice: FloatArray
    rotation: FloatArray
    order: NDArray[np.int64]

    @classmethod
    def identity(cls, n_atoms: int) -> Self:
        """Leave a crystal where it is."""
        return cls(np.eye(3), np.eye(3), np.arange(n_atoms))

    @property
    def is_proper(self) -> bool:
        """Whether a motion suffices, without a reflection."""
        return bool(np.linalg.det(self.rotation) > 0)

    def map_q_points(self, q_points: FloatArray) -> FloatArray:
        """Where q-points of the crystal lie in the reciprocal basis of the other one.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            In fractions.

        Returns
        -------
        ndarray, shape (nq, 3)
            In fractions.
        """
        return np.asarray(q_points @ np.linalg.inv(self.lattice).T)

    def map_eigenvectors(self, eigenvectors: ComplexArray) -> ComplexArray:
        """Eigenvectors of the other crystal in the frame, and with the atoms, of the crystal.

        Parameters
        ----------
        eigenvectors : ndarray, shape (nq, 3n, nb)
            Of the other crystal, at q-points that `map_q_points` took there.

        Returns
        -------
        ndarray, shape (nq, 3n, nb)
            At the q-points of the crystal.
        """
        n_q, _, n_bands = eigenvectors.shape
        moved = eigenvectors.reshape(n_q, -1, 3, n_bands)[:, self.order]
        turned: ComplexArray = np.einsum("ab,qkbn->qkan", self.rotation, moved)
        return turned.reshape(n_q, -1, n_bands)


def align_crystals(first: Atoms, second: Atoms, distance: float) -> Alignment | None:
    """Lay a crystal on another one as well as can be.

    Parameters
    ----------
    first, second : ase.Atoms
        Primitive cells; right-handed.
    distance : float
        Largest mean displacement, relative to the cube root of the volume per atom.

    Returns
    -------
    Alignment or None
        None where they are no repetitions of each other.
    """
    if sorted(first.numbers) != sorted(second.numbers):
        return None
    matcher = StructureMatcher(
        ltol=_LENGTHS,
        stol=distance,
        angle_tol=_ANGLES,
        primitive_cell=False,
        scale=True,
        comparator=ElementComparator(),
    )
    one, other = (AseAtomsAdaptor.get_structure(atoms) for atoms in (first, second))
    found = matcher.get_transformation(one, other)
    if found is None:
        return None
    lattice = np.asarray(found[0], dtype=np.float64)
    # The rotation is what is left of the deformation of one lattice into the other without strain.
    turned, _ = polar(np.linalg.solve(lattice @ second.cell.array, first.cell.array))
    return Alignment(lattice, turned.T, np.array(found[2], dtype=np.int64))
