"""What a point group, as a list of rotations, allows: chirality class, helicity, tensor form.

The rotations may be those of a space group from the tables or of one crystal in its actual
orientation. Where only traces and determinants count, any basis serves; the tensors need Cartesian
matrices.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import qr

from tasks.symmetry.operations import FloatArray

ChiralityClass = Literal["I", "II", "III"]
HelicityWave = Literal["none", "s", "d", "g", "i"]
CrystalSystem = Literal[
    "triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"
]

_TRACE_OF_ORDER = {1: 3, 2: -1, 3: 0, 4: 1, 6: 2}
# Elements of an orthonormal basis below this are rounding; the others are of order one.
_TOLERANCE = 1e-8


def find_chirality_class(rotations: ArrayLike) -> ChiralityClass:
    """Return the chirality class of a point group.

    Parameters
    ----------
    rotations : array_like, shape (n, 3, 3)
        Matrices of the point group, Cartesian or in any other basis.

    Returns
    -------
    {"I", "II", "III"}
        I with an inversion centre, II with proper rotations only, III otherwise.
    """
    matrices = np.asarray(rotations, dtype=float)
    if np.all(np.linalg.det(matrices) > 0):
        return "II"
    has_inversion = np.isclose(np.trace(matrices, axis1=1, axis2=2), -3).any()
    return "I" if has_inversion else "III"


def find_crystal_system(rotations: ArrayLike) -> CrystalSystem:
    """Return the crystal system of a point group.

    Parameters
    ----------
    rotations : array_like, shape (n, 3, 3)
        Matrices of the point group, Cartesian or in any other basis.

    Returns
    -------
    str
        Decided by the orders of the rotations and rotoinversions.
    """
    count = _count_rotations(np.asarray(rotations, dtype=float))
    if count[3] > 4:
        return "cubic"
    if count[6]:
        return "hexagonal"
    if count[3]:
        return "trigonal"
    if count[4]:
        return "tetragonal"
    if count[2] > 2:
        return "orthorhombic"
    return "monoclinic" if count[2] else "triclinic"


def is_polar(rotations: ArrayLike) -> bool:
    """Return whether a point group leaves some polar vector unchanged.

    Parameters
    ----------
    rotations : array_like, shape (n, 3, 3)
        Matrices of the point group, Cartesian or in any other basis.

    Returns
    -------
    bool
        True where the averaged rotation, a projector, is not zero.
    """
    return bool(np.trace(np.mean(np.asarray(rotations), axis=0)) > 0.5)


def count_helicity_harmonics(rotations: ArrayLike, order: int) -> int:
    """Count the harmonics of order L that the helicity of a point group may contain.

    h(Rq) = det(R) h(q) and h(-q) = h(q): only even L, in the pseudoscalar representation,
    n_L = (1/|G|) sum_R det(R) chi_L(R) with chi_L = sum_{m=-L}^{L} cos(m theta) and theta the
    angle of the proper part det(R) R. Class II groups have n_0 = 1; with inversion every n_L is 0.

    Parameters
    ----------
    rotations : array_like, shape (n, 3, 3)
        Matrices of the point group, Cartesian or in any other basis.
    order : int
        Even order L >= 0.

    Returns
    -------
    int
        Multiplicity n_L.

    Raises
    ------
    ValueError
        When the order is odd or negative.
    """
    if order < 0 or order % 2:
        message = f"the helicity is even in q: the order must be 0, 2, 4, ..., not {order}"
        raise ValueError(message)
    matrices = np.asarray(rotations, dtype=float)
    parity = np.sign(np.linalg.det(matrices))
    cosine = (parity * np.trace(matrices, axis1=1, axis2=2) - 1) / 2
    angle = np.arccos(np.clip(cosine, -1, 1))
    character = np.cos(np.outer(np.arange(-order, order + 1), angle)).sum(axis=0)
    return round(float(np.mean(parity * character)))


def make_tensor_projector(rotations: ArrayLike) -> FloatArray:
    """Return the projector on the allowed velocity-angular-momentum tensors.

    alpha_ij couples the axial angular momentum J_i with the polar velocity (or temperature
    gradient) j: alpha -> det(R) R alpha R^T. Both l and v are odd under time reversal, hence
    sum_q l_i v_j is even and time reversal restricts nothing; the response J = alpha grad T is
    odd only through the relaxation time tau (Hamada et al., arXiv:1810.05359).

    Parameters
    ----------
    rotations : array_like, shape (n, 3, 3)
        Cartesian matrices of the point group, in the orientation in which alpha is given.

    Returns
    -------
    ndarray, shape (9, 9)
        Orthogonal projector P; the allowed part of alpha is
        ``(P @ alpha.reshape(9)).reshape(3, 3)``.
    """
    matrices = np.asarray(rotations, dtype=float)
    parity = np.linalg.det(matrices)
    products = np.einsum("g,gab,gcd->gacbd", parity, matrices, matrices)
    return np.asarray(products.mean(axis=0).reshape(9, 9))


def find_tensor_basis(rotations: ArrayLike) -> FloatArray:
    """Return an orthonormal basis of the allowed velocity-angular-momentum tensors.

    Parameters
    ----------
    rotations : array_like, shape (n, 3, 3)
        Cartesian matrices of the point group, in the orientation in which alpha is given.

    Returns
    -------
    ndarray, shape (n_components, 3, 3)
        Tensors orthonormal under the sum over elements; along elements of alpha where possible.
    """
    return find_invariant_basis(make_tensor_projector(rotations)).reshape(-1, 3, 3)


def find_invariant_basis(projector: ArrayLike) -> FloatArray:
    """Return an orthonormal basis of the range of an orthogonal projector.

    Parameters
    ----------
    projector : array_like, shape (n, n)
        Symmetric matrix with eigenvalues 0 and 1.

    Returns
    -------
    ndarray, shape (rank, n)
        Rows, aligned with projected unit vectors, ordered by the first non-zero element, which is
        positive.
    """
    matrix = np.asarray(projector, dtype=float)
    rank = round(float(np.trace(matrix)))
    orthogonal, _, _ = qr(matrix, pivoting=True)
    rows = orthogonal[:, :rank].T
    rows[np.abs(rows) < _TOLERANCE] = 0.0
    leading = (rows != 0).argmax(axis=1)
    rows *= np.sign(rows[np.arange(rank), leading])[:, None]
    # Adding zero turns -0 into 0.
    return np.asarray(rows[np.argsort(leading, kind="stable")] + 0.0)


def _count_rotations(rotations: FloatArray) -> dict[int, int]:
    """Number of matrices whose proper part is a rotation of order 1, 2, 3, 4 or 6."""
    proper_trace = np.linalg.det(rotations) * np.trace(rotations, axis1=1, axis2=2)
    return {n: int(np.isclose(proper_trace, t).sum()) for n, t in _TRACE_OF_ORDER.items()}
