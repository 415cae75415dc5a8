"""Force constants between commensurate q-points: interpolated by the sum rules of rotations.

A supercell gives, of each pair of atoms, the sum of the force constants over all periodic images of
the pair. The sum fixes the dynamical matrix at the q-points commensurate with the supercell; how it
is divided among the images is left open, and all other q-points depend on that. The usual choice
gives it to the nearest image, in equal parts where several are equally near. It violates what holds
for every crystal at rest whose energy is invariant under rotations (M. Born, K. Huang, Dynamical
Theory of Crystal Lattices, 1954, chapter V). With r the vector from atom 0k to atom l'k',

    M_kαβγ = Σ_l'k' Φ_αβ(0k,l'k') r_γ          is symmetric in βγ             (no forces)
    S_αβγδ = Σ_k Σ_l'k' Φ_αβ(0k,l'k') r_γ r_δ = S_γδαβ                        (no shear stress)

The sum Σ_k M_kαβγ is the term of the dynamical matrix of the translations that is linear in q. It
is antisymmetric in αβ, by the first rule symmetric in βγ, hence zero. Where it is not, ω² ∝ ±|q|
near Γ: one branch is imaginary, and sound is circularly polarised. As an axial vector linear in q,
the term obeys the same selection rule as the velocity-angular-momentum tensor, which it spoils.

Here the sums are divided among the images such that both rules hold and

    Σ |Φ(0k,l'k')|² |r|^n     is least, with n = 8:

the force constants of the infinite crystal are taken to fall off with distance, no more. The
dynamical matrices at all commensurate q-points stay exactly as they are. So do space group,
exchange of indices and acoustic sum rule, since the condition treats equivalent pairs alike.
Another n is as good a guess, and what depends on it is not known (`SumRules.distribute`).

Where the response to homogeneous strain is known, M and S are not only symmetric but equal to it,

    M_kαβγ = −∂F_kα/∂ε_βγ,     −S_αβγδ / (2V) = (A_αγβδ + A_αδβγ) / 2         (clamped ions)

with A the elastic constants, to which a stress adds (`StrainResponse.gradient_stiffness`). This
makes all velocities of sound exact (method of long waves, the same chapter). Born charges enter
through the derivatives of their interaction at Γ; what is divided is the short-range part.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynamical_matrix import get_dynamical_matrix
from phonopy.structure.cells import get_smallest_vectors
from scipy.sparse.linalg import LinearOperator, minres

from tasks.phonons.dipoles import DipoleSum, separate_dipoles
from tasks.phonons.elasticity import GPA, MANDEL, VOIGT, StrainResponse, transform_to_mandel_basis
from tasks.phonons.fourier import FourierSeries, HarmonicCrystal, Interpolation, sum_pairs
from tasks.phonons.pairs import find_atoms_of_sites, find_relative_cells, number_pairs

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_NEUTRAL = 1e-12  # e; the mean of Born charges of which each obeys the sum rule
# Images of a pair are counted in a supercell twice as long.
_LONGER = 2
# Weights r^-n of the images of a pair, by which force constants are divided: those of all numbers,
# and others that tell how much the numbers depend on the choice (benchmarks/divisions.py).
WEIGHTS = 8
OTHER_WEIGHTS = 3
_CLOSEST = 1.0  # Å, below which no other atom is
_PRECISION = 1e-13  # of the linear system, relative: rounding of its right-hand side
_ROUNDS = 2
_MAX_IMAGES = 1_000_000
_SAME = 1e-4  # Å; images of a pair whose distances differ by less are equally near
_STEP = 1e-3  # 1/Å without 2 pi, of derivatives by q
# Under the exchange of two atoms r changes sign, r r^T does not.
_PARITY = np.repeat([-1.0, 1.0], [3, 6])


@dataclass(frozen=True)
class SumRules:
    """Force constants that obey the sum rules, and how far they were from it.

    Attributes
    ----------
    crystal : phonopy.Phonopy or Interpolation
        The same crystal for all q-points; the phonopy object itself where the rules were not
        imposed.
    rotational_before, rotational_after : float
        Largest |M_kαβγ − M_kαγβ| with the usual division among images, and now (eV/Å).
    huang_before, huang_after : float
        Largest |S_αβγδ − S_γδαβ| / (2V), likewise (GPa).
    change : float
        Largest change of a force constant of the infinite crystal (eV/Å^2).
    skipped : str
        Why nothing was done and `crystal` is the one given; empty where the rules were imposed.
    distribute : callable or None
        Gives the crystal whose force constants are divided by other weights r^-n; None where the
        rules were not imposed.
    """

    crystal: HarmonicCrystal
    rotational_before: float
    rotational_after: float
    huang_before: float
    huang_after: float
    change: float
    skipped: str = ""
    distribute: Callable[[float], HarmonicCrystal] | None = None

    @property
    def phonon(self) -> Phonopy:
        """The crystal as a phonopy object, in a supercell twice as long."""
        return self.crystal.phonon if isinstance(self.crystal, Interpolation) else self.crystal


def impose_sum_rules(phonon: Phonopy, response: StrainResponse | None = None) -> SumRules:
    """Divide force constants among periodic images such that the sum rules hold.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants that obey space group, exchange of indices and the acoustic
        sum rule.
    response : StrainResponse, optional
        Response of its primitive cell to strain, which force constants alone do not determine.

    Returns
    -------
    SumRules
        Dynamical matrices at the q-points commensurate with the given supercell are unchanged.
    """
    if reason := _find_reason_to_skip(phonon):
        before = _measure_violations(*_compute_phonopy_moments(phonon), phonon.primitive.volume)
        return SumRules(phonon, before[0], before[0], before[1], before[1], 0.0, reason)
    weighting = _ImageWeighting.from_phonon(phonon, response)
    usual, found = weighting.equal_shares, weighting.weight_by_distance(WEIGHTS)
    before, after = (weighting.measure_violations(x) for x in (usual, found))
    return SumRules(
        weighting.make_crystal(found),
        before[0],
        after[0],
        before[1],
        after[1],
        change=float(np.abs(found - usual).max()),
        distribute=lambda weights: weighting.make_crystal(weighting.weight_by_distance(weights)),
    )


def _find_reason_to_skip(phonon: Phonopy) -> str:
    """Why the sum rules cannot be imposed; empty where they can."""
    n_images = _LONGER**3 * len(phonon.primitive) * len(phonon.supercell)
    if n_images > _MAX_IMAGES:
        return f"{n_images} images of atomic pairs, more than {_MAX_IMAGES}: take a smaller cell"
    if ((phonon.nac_params or {}).get("method") or "gonze") != "gonze":
        return "Born charges are treated by Wang's method: take that of Gonze and Lee"
    return ""


@dataclass(frozen=True)
class _Images:
    """Periodic images of all pairs of an atom k of the primitive cell and j of the supercell.

    Image m of a pair is j moved by steps[m] (m, 3), vectors of the supercell in units of primitive
    ones. vectors and addresses are the shortest vectors between k and the images, as phonopy gives
    them. distances (n, N, m) are |r|, features (n, N, m, 9) r and the six components of r r^T, in
    units of `length` (Å) and its square.
    """

    phonon: Phonopy
    steps: IntArray
    vectors: FloatArray
    addresses: IntArray
    distances: FloatArray
    features: FloatArray
    length: float

    @cached_property
    def partners(self) -> IntArray:
        """Atom of the primitive cell that each site of the supercell is an image of, (N,)."""
        return find_atoms_of_sites(self.phonon)

    @property
    def nearest(self) -> FloatArray:
        """1 for the nearest images of each pair, else 0, (n, N, m)."""
        least = self.distances.min(axis=-1, keepdims=True)
        return np.asarray(self.distances < least + _SAME / self.length, dtype=float)

    def compute_weights(self, power: float) -> "_Weights":
        """Weights r^-n of all images, for n = power."""
        lengths = np.maximum(self.distances, _CLOSEST / self.length)
        return _Weights(self, lengths**-power)

    def gather(self, distributed: FloatArray, longer: Phonopy) -> FloatArray:
        """Compact force constants (n, n_sites, 3, 3) of the longer supercell."""
        n = len(longer.primitive)
        cells = find_relative_cells(self.phonon, self.phonon)[:, :, None] + self.steps
        own = number_pairs(self.partners[:, None], cells, longer).reshape(n, -1)
        cells = find_relative_cells(longer, self.phonon)
        keys = number_pairs(find_atoms_of_sites(longer), cells, longer)
        # Both hold the same numbers, so that sorting brings them together.
        compact = np.empty((n, len(longer.supercell), 3, 3))
        rows = np.arange(n)[:, None]
        compact[rows, keys.argsort(axis=1)] = distributed.reshape(n, -1, 3, 3)[
            rows, own.argsort(axis=1)
        ]
        return compact

    def compute_moments(self, distributed: FloatArray) -> FloatArray:
        """Sums of force constants times features over all images, shape (n, 3, 3, 9)."""
        return np.asarray(np.einsum("kjmab,kjmf->kabf", distributed, self.features, optimize=True))


@dataclass(frozen=True)
class _Weights:
    """Weights (n, N, m) of the images of all pairs, and changes of least weighted size."""

    images: _Images
    values: FloatArray

    @cached_property
    def shares(self) -> FloatArray:
        """Weights that add up to 1 over the images of each pair."""
        return np.asarray(self.values / self.values.sum(axis=-1, keepdims=True))

    def distribute(self, constants: FloatArray) -> FloatArray:
        """Force constants (n, N, m, 3, 3) of all images from their sums."""
        distributed: FloatArray = self.shares[..., None, None] * constants[:, :, None]
        return distributed

    @cached_property
    def centred(self) -> FloatArray:
        """Features less their mean over the images of a pair, (n, N, m, 9)."""
        features = self.images.features
        means = np.einsum("kjm,kjmf->kjf", self.shares, features)
        return np.asarray(features - means[:, :, None])

    def compute_coupling(self) -> FloatArray:
        """Covariance of the moments of all pairs between two atoms, shape (n, n, 9, 9)."""
        centred, n = self.centred, len(self.values)
        pairs = np.einsum("kjm,kjmf,kjmg->jkfg", self.values, centred, centred, optimize=True)
        coupling = np.zeros((n, n, 9, 9))
        np.add.at(coupling, self.images.partners, pairs)
        return coupling.swapaxes(0, 1)

    def distribute_changes(self, multipliers: FloatArray) -> FloatArray:
        """Change of the force constants that multipliers (n, 3, 3, 9) of the moments make."""
        reversed_ = (_PARITY * multipliers.swapaxes(1, 2))[self.images.partners]
        centred = self.centred
        here = np.einsum("kabf,kjmf->kjmab", multipliers, centred, optimize=True)
        there = np.einsum("jabf,kjmf->kjmab", reversed_, centred, optimize=True)
        change: FloatArray = self.values[..., None, None] * (here + there) / 2
        return change


@dataclass(frozen=True)
class _ImageWeighting:
    """What all divisions of the force constants of a crystal share.

    sums (n, N, 3, 3) are the short-range force constants of each pair over all its images, dipoles
    what the Born charges add, and charges these as phonopy takes them.
    """

    images: _Images
    sums: FloatArray
    dipoles: DipoleSum | None
    charges: Mapping[str, Any] | None
    response: StrainResponse | None

    @classmethod
    def from_phonon(cls, phonon: Phonopy, response: StrainResponse | None) -> "_ImageWeighting":
        """Prepare the divisions of a crystal."""
        charges = _neutralize_charges(phonon.nac_params)
        if charges is phonon.nac_params:
            sums, dipoles = separate_dipoles(phonon.dynamical_matrix)
        else:
            sums, dipoles = _separate_dipoles(phonon, charges, phonon.force_constants)
        return cls(_find_images(phonon), sums, dipoles, charges, response)

    @property
    def equal_shares(self) -> FloatArray:
        """Force constants (n, N, m, 3, 3) that the nearest images share equally."""
        return _Weights(self.images, self.images.nearest).distribute(self.sums)

    def weight_by_distance(self, power: float) -> FloatArray:
        """Force constants (n, N, m, 3, 3) by weights r^-n that obey the rules, for n = power."""
        weights, images = self.images.compute_weights(power), self.images
        conditions = _Conditions(weights.compute_coupling(), exact=self.response is not None)
        volume = images.phonon.primitive.volume
        wanted = conditions.compute_wanted_moments(self.response, volume, images.length)
        found = weights.distribute(self.sums)
        for _ in range(_ROUNDS):
            lacking = wanted - conditions.reduce(self._compute_moments(found))
            found = found + weights.distribute_changes(conditions.solve_multipliers(lacking))
        return found

    def measure_violations(self, distributed: FloatArray) -> tuple[float, float]:
        """Largest violation of the rotational rule (eV/Å) and of Huang's (GPa)."""
        length, volume = self.images.length, self.images.phonon.primitive.volume
        return _measure_violations(self._compute_moments(distributed), length, volume)

    def make_crystal(self, distributed: FloatArray) -> Interpolation:
        """The crystal of these force constants, for all q-points."""
        phonon, images = self.images.phonon, self.images
        constants = distributed.reshape(len(distributed), -1, 3, 3)
        pairs = (images.vectors, images.addresses, constants)
        return Interpolation(
            phonon.primitive,
            phonon.primitive_symmetry,
            sum_pairs(phonon.primitive, *pairs, self.dipoles),
            phonon.unit_conversion_factor,
            lambda: self._make_longer_phonon(distributed),
            self.charges,
        )

    def _make_longer_phonon(self, distributed: FloatArray) -> Phonopy:
        """The same as a phonopy object."""
        longer = _make_longer_supercell(self.images.phonon)
        longer.force_constants = self.images.gather(distributed, longer)
        if self.charges:
            bare = np.zeros_like(longer.force_constants)
            longer.force_constants -= _separate_dipoles(longer, self.charges, bare)[0]
            longer.nac_params = self.charges
        return longer

    def _compute_moments(self, distributed: FloatArray) -> FloatArray:
        """Sums of all force constants times features, shape (n, 3, 3, 9)."""
        return self.images.compute_moments(distributed) + self._dipole_moments

    @cached_property
    def _dipole_moments(self) -> FloatArray:
        """Those of the dipoles: derivatives of their dynamical matrix at Γ, (n, 3, 3, 9)."""
        primitive, length = self.images.phonon.primitive, self.images.length
        if self.dipoles is None:
            return np.zeros((len(primitive), 3, 3, 9))
        first, second = _compute_derivatives_at_gamma(self.dipoles, primitive.masses)
        return np.concatenate([first / length, second / length**2], axis=-1)


@dataclass(frozen=True)
class _Conditions:
    """Linear conditions on the moments, as a vector of 27 n first and 36 second ones.

    Either the moments are given (exact), or merely their antisymmetric parts must vanish.
    """

    coupling: FloatArray
    exact: bool

    def reduce(self, moments: FloatArray) -> FloatArray:
        """Conditioned part of moments (n, 3, 3, 9)."""
        first = moments[..., :3]
        second = MANDEL.reshape(6, 9) @ moments[..., 3:].sum(axis=0).reshape(9, 6)
        return np.append(*self._select_conditioned(first, second))

    def expand(self, vector: FloatArray) -> FloatArray:
        """Transpose of `reduce`, to shape (n, 3, 3, 9)."""
        first, second = self._select_conditioned(
            vector[:-36].reshape(-1, 3, 3, 3), vector[-36:].reshape(6, 6)
        )
        spread = (MANDEL.reshape(6, 9).T @ second).reshape(3, 3, 6)
        return np.concatenate([first, np.broadcast_to(spread, (len(first), 3, 3, 6))], axis=-1)

    def solve_multipliers(self, lacking: FloatArray) -> FloatArray:
        """Multipliers (n, 3, 3, 9) whose spread adds what is lacking."""
        size = len(lacking)
        gram = LinearOperator((size, size), matvec=self._apply_gram, dtype=np.float64)
        scale = np.abs(lacking).max() or 1.0
        solution, _ = minres(gram, lacking / scale, rtol=_PRECISION, maxiter=10 * size)
        return scale * self.expand(solution)

    def compute_wanted_moments(
        self, response: StrainResponse | None, volume: float, length: float
    ) -> FloatArray:
        """Moments that follow from the response to strain; zero antisymmetric parts without."""
        if response is None:
            return np.zeros(27 * len(self.coupling) + 36)
        A = response.gradient_stiffness
        brackets = (A.transpose(0, 2, 1, 3) + A.transpose(0, 2, 3, 1)) / 2
        second = -2 * volume * transform_to_mandel_basis(brackets)
        return np.append(response.forces / length, second / length**2)

    def _select_conditioned(
        self, first: FloatArray, second: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Antisymmetric parts unless all moments are conditioned."""
        if self.exact:
            return first, second
        return (first - first.swapaxes(2, 3)) / 2, (second - second.T) / 2

    def _apply_gram(self, vector: FloatArray) -> FloatArray:
        """Moments that multipliers make."""
        multipliers = self.expand(vector)
        n = len(multipliers)
        own, others = self._couplings
        here = multipliers.reshape(n, 9, 9) @ own
        there = others @ multipliers.transpose(0, 3, 2, 1).reshape(9 * n, 9)
        there = there.reshape(n, 9, 3, 3).transpose(0, 2, 3, 1)
        return self.reduce(here.reshape(n, 3, 3, 9) + there) / 2

    @cached_property
    def _couplings(self) -> tuple[FloatArray, FloatArray]:
        """Couplings of each atom with itself (n, 9, 9) and with the others (9 n, 9 n)."""
        size = 9 * len(self.coupling)
        others = (self.coupling * _PARITY).transpose(0, 2, 1, 3).reshape(size, size)
        return self.coupling.sum(axis=1).swapaxes(1, 2), others


def _make_longer_supercell(phonon: Phonopy) -> Phonopy:
    """Same crystal in a supercell that holds several images of each pair, no force constants."""
    matrix = _LONGER * phonon.supercell_matrix
    # The search for the symmetry of a large supercell is slow and tells nothing new.
    longer = Phonopy(
        phonon.unitcell, matrix, primitive_matrix=phonon.primitive_matrix, is_symmetry=False
    )
    longer._primitive_symmetry = phonon.primitive_symmetry  # noqa: SLF001 - phonopy has no setter
    return longer


def _find_images(phonon: Phonopy) -> _Images:
    """Find the shortest vectors of all pairs in a supercell that holds several images of each."""
    supercell, primitive = phonon.supercell, phonon.primitive
    turns = np.indices((_LONGER,) * 3).reshape(3, -1).T
    positions = ((supercell.scaled_positions[:, None] + turns) / _LONGER).reshape(-1, 3)
    origins = supercell.scaled_positions[primitive.p2s_map] / _LONGER
    vectors, addresses = get_smallest_vectors(_LONGER * supercell.cell, positions, origins)
    in_primitive = np.rint(supercell.cell @ np.linalg.inv(primitive.cell)).astype(np.int64)
    vectors = vectors @ (_LONGER * in_primitive)
    features, distances = _compute_features(vectors @ primitive.cell, addresses)
    shape = (len(origins), len(supercell), len(turns))
    features, distances = features.reshape(*shape, 9), distances.reshape(shape)
    length = float(supercell.volume ** (1 / 3))
    return _Images(
        phonon,
        turns @ in_primitive,
        vectors,
        addresses,
        distances=distances / length,
        features=features / np.repeat([length, length**2], [3, 6]),
        length=length,
    )


def _neutralize_charges(charges: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Born charges that add up to zero, without which the derivatives at Γ do not exist."""
    if charges is None:
        return None
    born = np.asarray(charges["born"])
    excess = born.mean(axis=0)
    return {**charges, "born": born - excess} if np.abs(excess).max() > _NEUTRAL else charges


def _separate_dipoles(
    phonon: Phonopy, charges: Mapping[str, Any] | None, constants: FloatArray
) -> tuple[FloatArray, DipoleSum | None]:
    """Short-range part of force constants with other charges than its own, and these charges."""
    cells = phonon.supercell, phonon.primitive
    return separate_dipoles(get_dynamical_matrix(constants, *cells, nac_params=charges))


def _compute_derivatives_at_gamma(
    dipoles: DipoleSum, masses: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Derivatives that stand for sums over r (n, 3, 3, 3) and r r^T (n, 3, 3, 6), in eV/Å and eV.

    The non-analytical term drops out of the sum over all atoms, whose charges add up to zero.
    """
    n, steps = len(masses), _STEP * np.array([0.0, 1.0, 2.0])
    directions = np.array([np.eye(3)[a] + (a != b) * np.eye(3)[b] for a, b in VOIGT])
    q_points = (steps[:, None, None] * directions).reshape(-1, 3) @ dipoles.cell.T
    root = np.sqrt(masses)
    series = FourierSeries.from_dipoles(dipoles)
    weighted = series.compute_matrices(q_points).reshape(3, 6, n, 3, n, 3)
    weighted *= root[:, None, None, None] * root[:, None]
    at_0, at_1, at_2 = weighted.sum(axis=4)
    # Errors of the second and fourth order in the step cancel (Richardson).
    slopes = (8 * at_1.imag - at_2.imag) / (6 * _STEP * 2 * np.pi)
    bends = -(16 * at_1.real - at_2.real - 15 * at_0.real) / (6 * (_STEP * 2 * np.pi) ** 2)
    mixed = bends[3:] - np.array([bends[a] + bends[b] for a, b in VOIGT[3:]])
    second = np.concatenate([bends[:3], np.sqrt(0.5) * mixed])
    return np.moveaxis(slopes[:3], 0, -1), np.moveaxis(second, 0, -1)


def _compute_features(vectors: FloatArray, addresses: IntArray) -> tuple[FloatArray, FloatArray]:
    """Shortest vectors r and r r^T of all pairs, averaged over equal ones, and distances.

    Shapes (n, N, 9) in Å and Å^2, and (n, N) in Å.
    """
    squares = np.einsum("ia,ib,qab->iq", vectors, vectors, MANDEL)
    stacked = np.concatenate([vectors, squares], axis=1)
    counts, starts = addresses.reshape(-1, 2).T
    means = np.add.reduceat(stacked, starts, axis=0) / counts[:, None]
    features = means.reshape(*addresses.shape[:2], 9).swapaxes(0, 1)
    distances = np.linalg.norm(vectors[starts], axis=1).reshape(addresses.shape[:2]).T
    return features, distances


def _compute_phonopy_moments(phonon: Phonopy) -> tuple[FloatArray, float]:
    """Moments with phonopy's own division among images, in units of 1 Å."""
    vectors, addresses = phonon.primitive.get_smallest_vectors()
    features, _ = _compute_features(vectors @ phonon.primitive.cell, addresses)
    return np.einsum("kjab,kjf->kabf", phonon.force_constants, features, optimize=True), 1.0


def _measure_violations(moments: FloatArray, length: float, volume: float) -> tuple[float, float]:
    """Largest violation of the rotational rule (eV/Å) and of Huang's (GPa)."""
    first = length * moments[..., :3]
    second = length**2 * np.einsum("kabq,qcd->abcd", moments[..., 3:], MANDEL)
    huang = np.abs(second - second.transpose(2, 3, 0, 1)).max() / (2 * volume)
    return float(np.abs(first - first.swapaxes(2, 3)).max()), float(GPA * huang)
