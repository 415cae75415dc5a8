"""The Brillouin zone: directions of q, meshes, and the band path.

The direction of q has a meaning for q in the Wigner-Seitz cell of the reciprocal lattice only. On
its boundary several images of q are equally short; what depends on the direction is averaged over
them. Reciprocal vectors are Cartesian in 1/Å without 2 pi, fractional coordinates refer to the
reciprocal basis of the primitive cell.
"""

import warnings
from dataclasses import dataclass
from typing import Final

import numpy as np
import seekpath
from ase.geometry import minkowski_reduce
from numpy.typing import ArrayLike, NDArray
from phonopy.structure.atoms import PhonopyAtoms

from tasks.crystals.cells import make_atoms
from tasks.phonons.fourier import HarmonicCrystal
from tasks.symmetry import label_species
from tasks.symmetry.zone import NEIGHBOURS, ZoneImages, find_zone_images
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Mesh points, those on the boundary among them, whose directions sample the sphere.
_N_DIRECTIONS: Final = 512
_INTERIOR_LABEL: Final = "path"
_GREEK: Final = {"GAMMA": "Γ", "DELTA": "Δ", "LAMBDA": "Λ", "SIGMA": "Σ"}


def find_zone_faces(cell: ArrayLike) -> FloatArray:
    """Feet of the planes that may bound the first Brillouin zone.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Primitive cell vectors as rows, in Å.

    Returns
    -------
    ndarray, shape (26, 3)
        Halves of reciprocal vectors, 1/Å without 2 pi; in a reduced basis no others bound it.
    """
    reduced, _ = minkowski_reduce(np.linalg.inv(np.asarray(cell, dtype=np.float64)).T)
    return np.asarray(NEIGHBOURS[1:] @ reduced / 2)


def compute_inscribed_radius(cell: ArrayLike) -> float:
    """Radius of the largest sphere inside the first Brillouin zone.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Primitive cell vectors as rows, in Å.

    Returns
    -------
    float
        Half the shortest reciprocal vector, 1/Å without 2 pi.
    """
    return float(np.linalg.norm(find_zone_faces(cell), axis=1).min())


def compute_helicity(angular_momentum: FloatArray, images: ZoneImages) -> FloatArray:
    """Helicity h = l . qhat of each mode, averaged over the images of q.

    Parameters
    ----------
    angular_momentum : ndarray, shape (nq, nb, 3)
        Angular momentum, means of degenerate sets, in hbar.
    images : ZoneImages
        Images of the q-points.

    Returns
    -------
    ndarray, shape (nq, nb)
        In hbar; a pseudoscalar, even in q; 0 at Gamma, where l of every set vanishes.
    """
    return np.asarray(np.einsum("qba,qa->qb", angular_momentum, images.mean_direction))


def compute_helicity_size(angular_momentum: FloatArray, images: ZoneImages) -> FloatArray:
    """Size |l . qhat| of the helicity of each mode, averaged over the images of q.

    On the boundary of the zone the images may have opposite helicities, which cancel in
    `compute_helicity` but not here.

    Parameters
    ----------
    angular_momentum : ndarray, shape (nq, nb, 3)
        Angular momentum, means of degenerate sets, in hbar.
    images : ZoneImages
        Images of the q-points.

    Returns
    -------
    ndarray, shape (nq, nb)
        In hbar.
    """
    total = np.zeros(angular_momentum.shape[:2])
    for weight, direction in zip(
        images.weights.T, np.moveaxis(images.directions, 1, 0), strict=True
    ):
        total += weight[:, None] * np.abs(np.einsum("qba,qa->qb", angular_momentum, direction))
    return total


def compute_cycloidicity(angular_momentum: FloatArray, images: ZoneImages) -> FloatArray:
    """Cycloidicity |qhat x l| of each mode, averaged over the images of q.

    Parameters
    ----------
    angular_momentum : ndarray, shape (nq, nb, 3)
        Angular momentum, means of degenerate sets, in hbar.
    images : ZoneImages
        Images of the q-points.

    Returns
    -------
    ndarray, shape (nq, nb)
        In hbar. With a single image |l|^2 = h^2 + |qhat x l|^2.
    """
    total = np.zeros(angular_momentum.shape[:2])
    for weight, direction in zip(
        images.weights.T, np.moveaxis(images.directions, 1, 0), strict=True
    ):
        rows = np.flatnonzero(weight)
        # q x l by the matrix of the cross product with q.
        across = angular_momentum[rows] @ np.cross(np.eye(3), direction[rows, None])
        total[rows] += weight[rows, None] * np.sqrt(np.einsum("qba,qba->qb", across, across))
    return total


@dataclass(frozen=True, eq=False)
class Mesh:
    """Gamma-centred mesh invariant under the point group, reduced by it and by time reversal.

    Attributes
    ----------
    numbers : ndarray of int, shape (3,)
        Divisions along the primitive reciprocal vectors.
    q_points : ndarray, shape (n, 3)
        One q-point of each star.
    weights : ndarray of int, shape (n,)
        Number of mesh points in each star; their sum is the product of `numbers`.
    star : ndarray of int, shape (N,)
        Star of each point of the whole mesh, in the order of `full_q_points`.
    operation : ndarray of int, shape (N,)
        Operation that carries the q-point of the star to the mesh point.
    axial_matrices : ndarray, shape (n_operations, 3, 3)
        What each operation does to an angular momentum: det(R) R, or -det(R) R with time reversal.
    """

    numbers: IntArray
    q_points: FloatArray
    weights: IntArray
    star: IntArray
    operation: IntArray
    axial_matrices: FloatArray

    @property
    def full_q_points(self) -> FloatArray:
        """Whole mesh, shape (N, 3), in (-1/2, 1/2]; the last coordinate runs fastest."""
        return _wrap_addresses(_list_addresses(self.numbers), self.numbers)

    def expand(self, angular_momentum: FloatArray) -> FloatArray:
        """Carry angular momenta from the q-points of the stars to the whole mesh.

        l(R q) = det(R) R l(q) and l(-q) = -l(q).

        Parameters
        ----------
        angular_momentum : ndarray, shape (n, ..., 3)
            At `q_points`.

        Returns
        -------
        ndarray, shape (N, ..., 3)
            At `full_q_points`.
        """
        matrices = self.axial_matrices[self.operation]
        return np.asarray(np.einsum("pab,p...b->p...a", matrices, angular_momentum[self.star]))


def choose_mesh_numbers(cell: ArrayLike, rotations: IntArray, spacing: float) -> IntArray:
    """Divisions of a Gamma-centred mesh that the point group leaves invariant.

    They are proportional to the lengths of the reciprocal vectors, and their product is at least
    the volume of the zone over the cube of the spacing. For orthogonal vectors that is the spacing
    along each of them; oblique cells get as many points as the others of their volume.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Primitive cell vectors as rows, in Å.
    rotations : ndarray of int, shape (n_operations, 3, 3)
        Rotations in fractional coordinates.
    spacing : float
        Cube root of the volume per mesh point, 1/Å without 2 pi.

    Returns
    -------
    ndarray of int, shape (3,)
        Equal along reciprocal vectors that a rotation mixes.
    """
    reciprocal = np.linalg.inv(np.asarray(cell))
    lengths = np.linalg.norm(reciprocal, axis=0)
    scale = np.cbrt(np.abs(np.linalg.det(reciprocal)) / lengths.prod())
    # A quotient that is whole but for rounding wants no further division.
    numbers = np.maximum(np.ceil(scale * lengths / spacing - 1e-6), 1).astype(np.int64)
    mixed = (rotations != 0).any(axis=0)
    tied = np.linalg.matrix_power((mixed | mixed.T).astype(np.int64), 2) > 0
    return np.asarray(np.where(tied, numbers, 0).max(axis=1))


def make_irreducible_mesh(phonon: HarmonicCrystal, spacing: float) -> Mesh:
    """Mesh of a given spacing, reduced by the point group and time reversal.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any, with or without force constants.
    spacing : float
        Cube root of the volume per mesh point, 1/Å without 2 pi (see `choose_mesh_numbers`).

    Returns
    -------
    Mesh
        With what is needed to expand angular momenta to the whole mesh.
    """
    primitive, symmetry = phonon.primitive, phonon.primitive_symmetry
    rotations = np.unique(np.asarray(symmetry.symmetry_operations["rotations"]), axis=0)
    numbers = choose_mesh_numbers(primitive.cell, rotations, spacing)
    addresses = _list_addresses(numbers)
    images = _find_images(addresses, numbers, rotations)
    representative = images.min(axis=0)
    counts = np.bincount(representative)
    kept = np.flatnonzero(counts)
    return Mesh(
        numbers=numbers,
        q_points=_wrap_addresses(addresses[kept], numbers),
        weights=counts[kept],
        star=(np.cumsum(counts > 0) - 1)[representative],
        operation=images.argmin(axis=0),
        axial_matrices=_make_axial_matrices(primitive.cell, rotations),
    )


def choose_zone_directions(phonon: HarmonicCrystal) -> tuple[FloatArray, IntArray]:
    """Directions of q, one of each star, as dense everywhere as the symmetry allows.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any, with or without force constants.

    Returns
    -------
    directions : ndarray, shape (n, 3)
        Cartesian unit vectors, those of the points of a mesh inside the first zone.
    weights : ndarray of int, shape (n,)
        Number of points in each star.
    """
    volume = abs(float(np.linalg.det(phonon.primitive.cell)))
    mesh = make_irreducible_mesh(phonon, float(np.cbrt(1 / (volume * _N_DIRECTIONS))))
    images = find_zone_images(mesh.q_points, phonon.primitive.cell)
    # Points on the boundary have several directions; Gamma has none.
    inside = (images.weights == 1).any(axis=1) & mesh.q_points.any(axis=1)
    return images.directions[inside, 0], mesh.weights[inside]


def _list_addresses(numbers: IntArray) -> IntArray:
    """Integer coordinates of all mesh points, shape (N, 3)."""
    return np.stack(np.unravel_index(np.arange(numbers.prod()), tuple(numbers)), axis=-1)


def _wrap_addresses(addresses: IntArray, numbers: IntArray) -> FloatArray:
    """Fractional coordinates of mesh points in (-1/2, 1/2]."""
    return (addresses - numbers * (2 * addresses > numbers)) / numbers


def _find_images(addresses: IntArray, numbers: IntArray, rotations: IntArray) -> NDArray[np.int32]:
    """Index of the image of each mesh point under R and, in the second half, under -R."""
    scaled = np.linalg.inv(rotations) * numbers[None, None, :] / numbers[None, :, None]
    index = np.zeros((2 * len(rotations), len(addresses)), dtype=np.int32)
    for column, number in zip(np.moveaxis(np.rint(scaled), -1, 0), numbers.tolist(), strict=True):
        # Products of small whole numbers are exact, and much faster than those of integers.
        turned = (column @ addresses.T.astype(np.float64)).astype(np.int32)
        turned -= number * (turned // number)
        index *= number
        index += np.concatenate([turned, np.where(turned > 0, number - turned, 0)])
    return index


def _make_axial_matrices(cell: FloatArray, rotations: IntArray) -> FloatArray:
    """Matrices that carry l of the image back to the point, in the order of `_find_images`."""
    left, _, right = np.linalg.svd(cell.T @ rotations @ np.linalg.inv(cell.T))
    cartesian = left @ right
    # The image is the representative, so the inverse operation leads from it to the mesh point.
    inverse = np.linalg.det(cartesian)[:, None, None] * np.swapaxes(cartesian, 1, 2)
    return np.concatenate([inverse, -inverse])


@dataclass(frozen=True, eq=False)
class BandPath:
    """Path through the Brillouin zone.

    Attributes
    ----------
    q_points : ndarray, shape (nq, 3)
        Fractional reciprocal coordinates; the ends of each segment are included.
    labels : tuple of str
        Name of the point at the ends of segments, "path" between them.
    segments : ndarray of int, shape (nq,)
        Segment of each point, counted from 0.
    distances : ndarray, shape (nq,)
        Distance along the path, 1/Å without 2 pi; jumps between segments have no length.
    directions : ndarray, shape (nq, 3)
        Direction of the segment, fractional reciprocal coordinates.
    """

    q_points: FloatArray
    labels: tuple[str, ...]
    segments: IntArray
    distances: FloatArray
    directions: FloatArray

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """True at the named points, shape (nq,)."""
        return np.array([label != _INTERIOR_LABEL for label in self.labels])


def find_special_points(
    primitive: PhonopyAtoms, symprec: float = AS_MADE
) -> tuple[dict[str, FloatArray], list[tuple[str, str]]]:
    """Named points and segments of the standard band path, in the basis of the given cell.

    Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), as seekpath gives it. Time reversal
    makes -q the copy of q with l reversed, so the path is not doubled for crystals without
    inversion.

    Parameters
    ----------
    primitive : phonopy.structure.atoms.PhonopyAtoms
        Primitive cell, in any setting and orientation.
    symprec : float
        Distance tolerance of the symmetry search, in Å.

    Returns
    -------
    points : dict
        Fractional reciprocal coordinates (3,) of each named point.
    segments : list of tuple of str
        Names of the ends of each segment.
    """
    kinds = label_species(make_atoms(primitive))
    cell = (primitive.cell, primitive.scaled_positions, kinds)
    with warnings.catch_warnings():
        # Two equal cell parameters of a low-symmetry crystal: either path is a valid one.
        warnings.simplefilter("ignore", seekpath.hpkot.EdgeCaseWarning)
        path = seekpath.get_path(cell, symprec=symprec)
    standard = np.asarray(path["primitive_lattice"]) @ np.asarray(path["rotation_matrix"])
    # Integers, so that the special points stay exact fractions.
    change = np.rint(primitive.cell @ np.linalg.inv(standard))
    points = {
        _format_label(key): change @ np.array(q) + 0.0 for key, q in path["point_coords"].items()
    }
    return points, [(_format_label(start), _format_label(end)) for start, end in path["path"]]


def make_band_path(phonon: HarmonicCrystal, spacing: float) -> BandPath:
    """Sample the standard band path of a crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        Any, with or without force constants.
    spacing : float
        Largest distance of neighbouring points, 1/Å without 2 pi.

    Returns
    -------
    BandPath
        See `find_special_points` for the choice of the path.
    """
    points, pairs = find_special_points(phonon.primitive, phonon.primitive_symmetry.tolerance)
    reciprocal = np.linalg.inv(phonon.primitive.cell).T
    q_points, labels, segments, distances, directions = [], [], [], [], []
    travelled = 0.0
    for index, (start, end) in enumerate(pairs):
        step = points[end] - points[start]
        length = float(np.linalg.norm(step @ reciprocal))
        fraction = np.linspace(0, 1, max(2, int(np.ceil(length / spacing - 1e-6)) + 1))
        q_points.append(points[start] + fraction[:, None] * step)
        labels += [start, *[_INTERIOR_LABEL] * (len(fraction) - 2), end]
        segments.append(np.full(len(fraction), index))
        distances.append(travelled + fraction * length)
        directions.append(np.broadcast_to(step, (len(fraction), 3)))
        travelled += length
    return BandPath(
        np.concatenate(q_points),
        tuple(labels),
        np.concatenate(segments),
        np.concatenate(distances),
        np.concatenate(directions),
    )


def _format_label(label: str) -> str:
    """Label with Greek letters: GAMMA becomes Γ, SIGMA_0 becomes Σ_0."""
    head, separator, tail = label.partition("_")
    return _GREEK.get(head, head) + separator + tail
