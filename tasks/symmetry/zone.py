"""Images of wave vectors in the first Brillouin zone, a Wigner-Seitz cell.

On its boundary several images of q are equally short; what depends on the direction of q is
averaged over them. Reciprocal vectors are Cartesian in 1/Å without 2 pi, fractional coordinates
refer to the reciprocal basis of the primitive cell.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Final

import numpy as np
from ase.geometry import minkowski_reduce
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]

# In a reduced basis no other reciprocal vectors lead to the images of a point in the zone.
NEIGHBOURS: Final = np.array(sorted(product((-1, 0, 1), repeat=3), key=lambda g: g != (0, 0, 0)))
# Images longer by less than this fraction of the shortest reciprocal vector count as equally short.
_BOUNDARY_TOLERANCE: Final = 1e-4


@dataclass(frozen=True, eq=False)
class ZoneImages:
    """Images of q-points in the first Brillouin zone.

    Attributes
    ----------
    vectors : ndarray, shape (nq, m, 3)
        Equally short images of each q-point, Cartesian, 1/Å without 2 pi; m is the largest number
        of them.
    weights : ndarray, shape (nq, m)
        One over the number of images; 0 in the unused columns.
    """

    vectors: FloatArray
    weights: FloatArray

    @property
    def directions(self) -> FloatArray:
        """Unit vectors of the images, shape (nq, m, 3); zero at Gamma."""
        length = np.linalg.norm(self.vectors, axis=-1, keepdims=True)
        return np.where(length > 1e-12, self.vectors / np.maximum(length, 1e-12), 0.0)

    @property
    def mean_direction(self) -> FloatArray:
        """Mean of the unit vectors of the images, shape (nq, 3)."""
        return np.asarray(np.einsum("qm,qma->qa", self.weights, self.directions))


def find_zone_images(q_points: ArrayLike, cell: ArrayLike) -> ZoneImages:
    """Move q-points into the Wigner-Seitz cell of the reciprocal lattice, with all images there.

    Parameters
    ----------
    q_points : array_like, shape (nq, 3)
        Fractional reciprocal coordinates.
    cell : array_like, shape (3, 3)
        Primitive cell vectors as rows, in Å.

    Returns
    -------
    ZoneImages
        One image inside the zone, several on its boundary.
    """
    reduced, turn = _reduce_reciprocal(np.ascontiguousarray(cell, dtype=np.float64).tobytes())
    fractional = np.asarray(q_points, dtype=np.float64).reshape(-1, 3) @ turn
    fractional -= np.rint(fractional)
    images = (fractional[:, None] + NEIGHBOURS) @ reduced
    length = np.sqrt(np.einsum("qma,qma->qm", images, images))
    tolerance = _BOUNDARY_TOLERANCE * np.linalg.norm(reduced, axis=1).min()
    shortest = length <= length.min(axis=1, keepdims=True) + tolerance
    count = shortest.sum(axis=1)
    order = np.argsort(~shortest, axis=1, kind="stable")[:, : count.max()]
    weights = np.take_along_axis(shortest, order, axis=1) / count[:, None]
    return ZoneImages(np.take_along_axis(images, order[..., None], axis=1), weights)


@lru_cache(maxsize=64)
def _reduce_reciprocal(cell: bytes) -> tuple[FloatArray, FloatArray]:
    """Reduced basis (rows) of the reciprocal lattice, and what leads to coordinates in it."""
    reduced, change = minkowski_reduce(np.linalg.inv(np.frombuffer(cell).reshape(3, 3)).T)
    return reduced, np.linalg.inv(change)


def move_to_first_zone(q_points: ArrayLike, cell: ArrayLike) -> FloatArray:
    """Move q-points into the Wigner-Seitz cell of the reciprocal lattice, to one image each.

    Parameters
    ----------
    q_points : array_like, shape (nq, 3)
        Fractional reciprocal coordinates.
    cell : array_like, shape (3, 3)
        Primitive cell vectors as rows, in Å.

    Returns
    -------
    ndarray, shape (nq, 3)
        Fractional coordinates, which differ from those given by integers.
    """
    points = np.asarray(q_points, dtype=np.float64).reshape(-1, 3)
    images = find_zone_images(points, cell).vectors[:, 0] @ np.asarray(cell, dtype=np.float64).T
    return np.asarray(points + np.rint(images - points))
