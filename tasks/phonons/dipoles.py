"""Interaction of Born charges by the sum of Gonze and Lee, for many wave vectors at once.

With K = q + G over the reciprocal lattice, ε the electronic dielectric tensor and Z the charges,

    D_{ka,k'b}(q) = (4π e²/V) (M_k M_k')^(-1/2) Σ_K K_β K_γ / (K.ε.K) exp[-K.ε.K / (4Λ²)]
                    Z_k,βa Z_k',γb exp[iG.(τ_k - τ_k')]    less what obeys no acoustic sum rule,

the reciprocal half of an Ewald sum: the rest is short-ranged and belongs to the force constants of
the supercell. Λ, the vectors G and the short-range force constants are those of phonopy, which
treats wave vectors one by one (X. Gonze, C. Lee, Phys. Rev. B 55, 10355 (1997), eq. 71).

The factors that depend on q are few, six for each G, and those of the pairs of atoms do not depend
on q: the sum over G is a product of real matrices, and charges are applied afterwards. Of G and -G
cosines meet the sum of the factors and sines the difference, so that half the vectors suffice. The
gradient by q, whose phases do not depend on q either, is the same with eighteen factors.

The vectors G fill a sphere around Γ, so that the sum is not quite periodic in q. It is taken at the
image of q in the first Brillouin zone, where q is as close to Γ as it can be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix, DynamicalMatrixGL

from tasks.phonons.elasticity import VOIGT
from tasks.symmetry.zone import move_to_first_zone

ComplexArray = NDArray[np.complex128]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# 1/Å without 2 pi; phonopy leaves shorter K out, or takes a direction in their place.
_ZONE_CENTRE: Final = DynamicalMatrixGL.Q_DIRECTION_TOLERANCE
# Bytes of factors and blocks at a time: what the cache of a core holds.
_CHUNK_BYTES: Final = 2**20
_FIRST, _SECOND = np.array(VOIGT).T


@dataclass(frozen=True, eq=False)
class DipoleSum:
    """What the Born charges add to dynamical matrices.

    Attributes
    ----------
    vectors : ndarray, shape (n_vectors, 3)
        G, Cartesian (1/Å without 2 pi); -G has the place of G counted from the end.
    charges : ndarray, shape (n_atoms, 3, 3)
        Z_k (4π e²/V M_k)^(1/2), index of the field first, such that D is in phonopy's unit.
    dielectric : ndarray, shape (3, 3)
        ε.
    damping : float
        1 / (4Λ²) in Å^2.
    self_interaction : ndarray, shape (n_atoms, 3, 3)
        What is taken off the diagonal blocks, so that D(0) keeps translations at rest.
    positions : ndarray, shape (n_atoms, 3)
        τ in units of the lattice vectors.
    cell : ndarray, shape (3, 3)
        Primitive lattice vectors in rows (Å).
    """

    vectors: FloatArray
    charges: FloatArray
    dielectric: FloatArray
    damping: float
    self_interaction: FloatArray
    positions: FloatArray
    cell: FloatArray

    def compute_triangles(
        self, q_points: FloatArray, direction: ArrayLike | None = None
    ) -> ComplexArray:
        """Return the lower triangles of D between states without the phases of the positions.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice.
        direction : array_like, shape (3,), optional
            Direction (fractional reciprocal) from which the zone centre is approached. Without it
            the macroscopic field is left out there.

        Returns
        -------
        ndarray, shape (nq, 3 n_atoms (3 n_atoms + 1) / 2)
            exp(iq.τ_k) D exp(-iq.τ_k'), which is periodic in q, in the order of numpy's
            ``tril_indices``.
        """
        found = np.empty((len(q_points), len(self._places)), dtype=np.complex128)
        for rows, q in self._walk(q_points, len(VOIGT)):
            factors = self._compute_factors(self._add_vectors(q), direction)
            found[rows] = self._sum_over_vectors(factors, q).T
        return np.asarray(found - self._self_triangle)

    def compute_gradient_triangles(self, q_points: FloatArray) -> ComplexArray:
        """Return the Cartesian derivatives of D by q.

        Parameters
        ----------
        q_points : ndarray, shape (nq, 3)
            Fractional coordinates of the primitive reciprocal lattice. At the zone centre the
            macroscopic field is left out.

        Returns
        -------
        ndarray, shape (nq, 3, 3 n_atoms (3 n_atoms + 1) / 2)
            exp(iq.τ_k) dD/dq exp(-iq.τ_k') as `compute_triangles`, q in Å^-1 without 2 pi.
        """
        found = np.empty((len(q_points), 3, len(self._places)), dtype=np.complex128)
        for rows, q in self._walk(q_points, 3 * len(VOIGT)):
            factors = self._compute_slopes(self._add_vectors(q))
            found[rows] = self._sum_over_vectors(factors, q).transpose(2, 0, 1)
        return found

    def _walk(self, q_points: FloatArray, n_factors: int) -> Iterator[tuple[slice, FloatArray]]:
        """Some q-points at a time: which, and their images in the first zone."""
        inside = move_to_first_zone(q_points, self.cell)
        blocks = n_factors * 2 * len(self._pairs[0])
        step = max(1, _CHUNK_BYTES // (8 * (n_factors * len(self.vectors) + 3 * blocks)))
        for start in range(0, len(inside), step):
            yield slice(start, start + step), inside[start : start + step]

    def _add_vectors(self, q: FloatArray) -> FloatArray:
        """K = q + G, Cartesian, shape (3, n_vectors, nq)."""
        return self.vectors.T[:, :, None] + (np.linalg.inv(self.cell) @ q.T)[:, None]

    def _compute_strengths(self, K: FloatArray) -> tuple[FloatArray, FloatArray]:
        """K.ε.K (n_vectors, nq), infinite at the zone centre, and the factor of K_β K_γ."""
        squares = np.einsum("agq,agq->gq", K, self._turn(K))
        # No other K is as short as the one of G = 0.
        at_centre = np.linalg.norm(K[:, self._origin], axis=0) < _ZONE_CENTRE
        squares[self._origin, at_centre] = np.inf
        return squares, np.exp(-self.damping * squares) / squares

    def _turn(self, K: FloatArray) -> FloatArray:
        """ε.K of K (3, n_vectors, nq)."""
        return np.asarray((self.dielectric @ K.reshape(3, -1)).reshape(K.shape))

    def _compute_factors(self, K: FloatArray, direction: ArrayLike | None) -> FloatArray:
        """What depends on q, components of symmetric tensors, shape (6, n_vectors, nq)."""
        squares, strengths = self._compute_strengths(K)
        weighted = strengths * K
        factors = np.stack([weighted[a] * K[b] for a, b in VOIGT])
        if direction is not None:
            n = np.linalg.solve(self.cell, np.asarray(direction, dtype=np.float64))
            limit = n[_FIRST] * n[_SECOND] / (n @ self.dielectric @ n)
            factors[:, np.isinf(squares)] = limit[:, None]
        return factors

    def _compute_slopes(self, K: FloatArray) -> FloatArray:
        """Its derivatives by q, shape (3, 6, n_vectors, nq)."""
        squares, strengths = self._compute_strengths(K)
        weighted = strengths * K
        slopes = -2 * (self.damping + 1 / squares) * self._turn(K)
        factors = np.empty((3, len(VOIGT), *squares.shape))
        for component, (a, b) in enumerate(VOIGT):
            np.multiply(slopes, weighted[a] * K[b], out=factors[:, component])
            factors[a, component] += weighted[b]
            factors[b, component] += weighted[a]
        return factors

    def _sum_over_vectors(self, factors: FloatArray, q: FloatArray) -> ComplexArray:
        """Triangles (..., n_elements, nq) of factors (..., 6, n_vectors, nq) in the zone."""
        cosines, sines = self._waves
        ahead, behind = factors[..., self._origin :, :], factors[..., self._origin :: -1, :]
        real, imaginary = (
            self._products @ np.moveaxis(waves @ parts, -3, -2)
            for waves, parts in ((cosines, ahead + behind), (sines, ahead - behind))
        )
        here, there = self._pairs
        phases = np.exp(2j * np.pi * (self.positions[here] - self.positions[there]) @ q.T)
        blocks = (real + 1j * imaginary) * phases[:, None]
        return np.asarray(blocks.reshape(*factors.shape[:-3], -1, len(q))[..., self._places, :])

    @cached_property
    def _origin(self) -> int:
        """Index of G = 0, which is in the middle."""
        return len(self.vectors) // 2

    @cached_property
    def _pairs(self) -> tuple[IntArray, IntArray]:
        """Atoms k and k' <= k of all pairs."""
        return np.tril_indices(len(self.positions))

    @cached_property
    def _places(self) -> IntArray:
        """Place of each element of the lower triangle in the blocks of the pairs."""
        (k, a), (other, b) = (divmod(x, 3) for x in np.tril_indices(3 * len(self.positions)))
        return np.asarray((k * (k + 1) // 2 + other) * 9 + 3 * a + b)

    @cached_property
    def _waves(self) -> tuple[FloatArray, FloatArray]:
        """Cosines, half of the first, and sines of G.(τ_k - τ_k') for G = 0 and half the others."""
        here, there = ((self.positions @ self.cell)[atoms] for atoms in self._pairs)
        angles = 2 * np.pi * (here - there) @ self.vectors[self._origin :].T
        cosines, sines = np.cos(angles), np.sin(angles)
        cosines[:, 0] = 0.5
        return cosines, sines

    @cached_property
    def _products(self) -> FloatArray:
        """Products of the charges of each pair, (n_pairs, 9, 6): from factors to blocks of D."""
        here, there = (self.charges[atoms] for atoms in self._pairs)
        products = np.einsum("pca,pdb->pabcd", here, there)
        both = products + products.swapaxes(-1, -2) * (1 - np.eye(3))
        return np.asarray(both[..., _FIRST, _SECOND].reshape(len(both), 9, 6))

    @cached_property
    def _self_triangle(self) -> FloatArray:
        """The self-interaction as a lower triangle."""
        n = len(self.positions)
        square = np.zeros((n, 3, n, 3))
        square[np.arange(n), :, np.arange(n)] = self.self_interaction
        return square.reshape(3 * n, 3 * n)[np.tril_indices(3 * n)]


def separate_dipoles(matrix: DynamicalMatrix) -> tuple[FloatArray, DipoleSum | None]:
    """Take the sum over dipoles off the force constants.

    Parameters
    ----------
    matrix : phonopy.harmonic.dynamical_matrix.DynamicalMatrix
        With or without Born charges, which are treated as by Gonze and Lee.

    Returns
    -------
    constants : ndarray, shape (n_atoms or n_sites, n_sites, 3, 3)
        Short-range force constants in eV/Å^2; all of them where there are no charges.
    dipoles : DipoleSum or None
        The rest, where there are charges.
    """
    if not isinstance(matrix, DynamicalMatrixGL):
        return np.asarray(matrix.force_constants), None
    if matrix.short_range_force_constants is None:
        matrix.make_Gonze_nac_dataset()
    constants, self_interaction, _, vectors, width = matrix.Gonze_nac_dataset
    primitive, masses = matrix.primitive, matrix.normalization_masses[:, None, None]
    dipoles = DipoleSum(
        vectors=vectors,
        charges=matrix.born * np.sqrt(matrix.nac_factor / masses),
        dielectric=matrix.dielectric_constant,
        damping=1 / (4 * width**2),
        self_interaction=self_interaction.real * matrix.nac_factor / masses,
        positions=primitive.scaled_positions,
        cell=primitive.cell,
    )
    return np.asarray(constants), dipoles
