"""Response to strain: how frequencies, helicity and splittings follow a homogeneous deformation.

Wave vectors keep their fractional coordinates, atoms relax in the strained cell. With dD the change
of the dynamical matrix, P the projector on a degenerate set, lambda its eigenvalue,

    d lambda       = Tr[P dD] / Tr P,                  -d ln nu / d eps = -d lambda / (2 lambda eps)
    d l            = 2 Re sum_{n in, m out} <n|L|m> <m|dD|n> / (lambda_n - lambda_m) / Tr P
    d h            = dl.qhat + l.dqhat,                dqhat = qhat (qhat.eps.qhat) - eps qhat

The spectrum of P dD P tells how far the strain drives the modes of the set apart. dD is linear in
the strain, dD = sum_ab D_ab eps_ab, and turns with the crystal: an operation {R|t} carries D(q)
under the strain eps to D(Rq) under R eps R^T. So a few strains give all six D_ab. For a shear D_ab
is the derivative by 2 eps_ab. Central differences give the numbers; half the difference of the two
one-sided ones, the curvature over the strain taken, tells how far from linear they are.

Born charges and the dielectric tensor are those of the crystal at rest: how they follow the strain
is left out.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray
from phonopy import Phonopy

from potentials import Potential
from tasks.chirality.angular_momentum import (
    compute_angular_momentum_matrices,
    compute_mean_angular_momentum,
)
from tasks.chirality.axes import (
    ComplexArray,
    FloatArray,
    IntArray,
    RotationAxis,
    find_crystal_operations,
)
from tasks.chirality.brillouin import compute_helicity
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets
from tasks.chirality.modes import Modes, compute_modes
from tasks.chirality.raman import make_label_basis
from tasks.chirality.statistics import find_translations
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.phonons import PhononSettings, compute_all_force_constants
from tasks.phonons.elasticity import (
    MANDEL,
    STRAIN_CANDIDATES,
    VOIGT,
    measure_strain_responses,
    rotate_tensors,
    strain_crystal,
)
from tasks.phonons.fourier import HarmonicCrystal, compute_dynamical_matrices
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import RelaxationSettings, relax
from tasks.symmetry.zone import find_zone_images
from tasks.tolerances import DEGENERACY, FREQUENCY_CUTOFF

STRAIN = 0.005
"""Length, the root of the sum of all squared elements, of the strains that are computed."""
# Of the images of chosen strains, mean squared share of the component that they hold least of.
_SPANNED = 0.01
_SAME = 1e-6  # of strains of unit length: rounding of rotations
# The unit strains of the six components.
_COMPONENTS = np.array([(np.eye(3)[[a, b]].T @ np.eye(3)[[b, a]]) / 2 for a, b in VOIGT])


@dataclass(frozen=True, eq=False)
class StrainedCrystals:
    """A crystal under small strains of either sign, its atoms relaxed in each.

    Attributes
    ----------
    strains : ndarray, shape (n, 3, 3)
        Symmetric; slopes need strains whose images under the point group span all.
    plus, minus : tuple of phonopy.Phonopy or Interpolation
        The crystal under each strain and its opposite, atoms in the order of the crystal at rest.
    """

    strains: FloatArray
    plus: tuple[HarmonicCrystal, ...]
    minus: tuple[HarmonicCrystal, ...]


@dataclass(frozen=True, eq=False)
class Slope:
    """Derivative by the six components of the strain, xx, yy, zz, yz, xz, xy.

    Attributes
    ----------
    value : ndarray, shape (..., 6)
        From the two signs of the strain; by 2 eps of a shear.
    error : ndarray, shape (..., 6)
        Half the difference between the two signs.
    """

    value: FloatArray
    error: FloatArray


@dataclass(frozen=True, eq=False)
class StrainSlopes:
    """How modes at some q-points follow a strain.

    Attributes
    ----------
    modes : Modes
        Of the crystal at rest, without a macroscopic field at Gamma.
    sets : ndarray of int, shape (nq, nb)
        Label of the degenerate set of each band.
    frequencies : ndarray, shape (nq, nb)
        Mean of the set, in THz.
    left_out : ndarray of bool, shape (nq, nb)
        The three translations at Gamma.
    helicity : ndarray, shape (nq, nb)
        Mean h of the set, in hbar.
    gruneisen : Slope, shape (nq, nb, 6)
        -d ln nu / d eps, mean of the set; NaN for imaginary modes and translations.
    helicity_slope : Slope, shape (nq, nb, 6)
        dh / d eps in hbar; on the boundary of the zone of the images of q at rest.
    separation : Slope, shape (nq, nb, 6)
        Distance of the highest from the lowest mode of the set per strain, in THz; NaN as above.
    """

    modes: Modes
    sets: IntArray
    frequencies: FloatArray
    left_out: NDArray[np.bool_]
    helicity: FloatArray
    gruneisen: Slope
    helicity_slope: Slope
    separation: Slope


@dataclass(frozen=True, eq=False)
class SplittingSlopes:
    """How the splitting of opposite hands along one axis follows a strain.

    Attributes
    ----------
    labels : ndarray of int, shape (n_doublets,)
        Label l > 0 of each optical doublet.
    frequencies : ndarray, shape (n_doublets,)
        At Gamma, in THz; negative for imaginary ones.
    linear : ndarray, shape (n_doublets,)
        (nu(+l) - nu(-l)) / k in THz Å, at a small k along the axis; NaN for imaginary doublets.
    slope : Slope, shape (n_doublets, 6)
        Its derivative in THz Å. What the strain does beyond the rotations of the axis, drive the
        doublet apart at Gamma, is the `separation` there, and enters the splitting in second order.
    """

    labels: IntArray
    frequencies: FloatArray
    linear: FloatArray
    slope: Slope


def choose_strains(phonon: HarmonicCrystal) -> FloatArray:
    """Choose the strains that have to be computed; the others follow by symmetry.

    Parameters
    ----------
    phonon : phonopy.Phonopy or Interpolation
        The crystal at rest.

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Of unit length. Their images under the point group span all six, and the number of
        displacements, about one over the number of operations that a strained crystal keeps, is
        least.
    """
    rotations = find_crystal_operations(phonon).cartesian
    images = np.einsum("gnab,pab->ngp", rotate_tensors(STRAIN_CANDIDATES, rotations), MANDEL)
    own = np.einsum("nab,pab->np", STRAIN_CANDIDATES, MANDEL)
    kept = (np.abs(images - own[:, None]) < _SAME).all(axis=-1).sum(axis=1)
    squares = np.einsum("ngp,ngq->npq", images, images) / len(rotations)
    choices = [
        [*choice]
        for n in range(1, len(VOIGT) + 1)
        for choice in itertools.combinations(range(len(images)), n)
        if np.linalg.eigvalsh(squares[[*choice]].sum(axis=0))[0] > _SPANNED
    ]
    costs = [(round(float((1 / kept[choice]).sum()), 6), len(choice)) for choice in choices]
    return np.asarray(STRAIN_CANDIDATES[choices[costs.index(min(costs))]])


def compute_strained_crystals(
    phonon: Phonopy,
    strains: FloatArray,
    potential: Potential,
    relaxation: RelaxationSettings,
    phonons: PhononSettings,
) -> StrainedCrystals:
    """Compute the force constants of a crystal under some strains and their opposites.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        The crystal at rest, whose unit cell is primitive; its supercell and Born charges are those
        of the strained ones.
    strains : ndarray, shape (n, 3, 3)
        Symmetric, such as `STRAIN` times those of `choose_strains`.
    potential : Potential
        An O(3)-invariant potential.
    relaxation, phonons : RelaxationSettings, PhononSettings
        As of the crystal at rest; the cells are not relaxed.

    Returns
    -------
    StrainedCrystals
        Each relaxed inside the space group that its strain leaves.

    Raises
    ------
    RemediableError
        When a strained crystal does not come to rest.
    """
    atoms = make_atoms(phonon.unitcell)
    cells = [strain_crystal(atoms, sign * strain) for sign in (1, -1) for strain in strains]
    relaxed = relax(cells, potential, relaxation.model_copy(update={"cell": "fixed"}))
    if reasons := {found.reason for found in relaxed if not found.converged}:
        message = f"a strained crystal does not come to rest: {', '.join(sorted(reasons))}"
        raise RemediableError(message, "raise relaxation.max_evaluations, or screen it anew")
    crystals = _compute_crystals([found.atoms for found in relaxed], phonon, potential, phonons)
    return StrainedCrystals(strains, crystals[: len(strains)], crystals[len(strains) :])


def _compute_crystals(
    atoms: Sequence[Atoms], phonon: Phonopy, potential: Potential, settings: PhononSettings
) -> tuple[HarmonicCrystal, ...]:
    """Force constants of strained crystals, fit for all q-points."""
    found = compute_all_force_constants(atoms, potential, settings, phonon.supercell_matrix)
    crystals = []
    for constants, response in zip(found, measure_strain_responses(atoms, potential), strict=True):
        if isinstance(constants, Exception):
            raise constants
        if phonon.nac_params is not None:
            constants.phonon.nac_params = phonon.nac_params
        crystals.append(impose_sum_rules(constants.phonon, response).crystal)
    return tuple(crystals)


def measure_strain_slopes(
    crystal: HarmonicCrystal,
    strained: StrainedCrystals,
    q_points: ArrayLike,
    tolerance: float = DEGENERACY,
) -> StrainSlopes:
    """Measure how the modes at some q-points follow a strain.

    Parameters
    ----------
    crystal : phonopy.Phonopy or Interpolation
        The crystal at rest.
    strained : StrainedCrystals
        From `compute_strained_crystals`.
    q_points : array_like, shape (nq, 3)
        Fractional reciprocal coordinates of the primitive cell.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    StrainSlopes
    """
    modes = compute_modes(crystal, q_points)
    sets = find_degenerate_sets(modes.frequencies, tolerance)
    changes = [_differentiate(crystal, strained, q) for q in modes.q_points]
    sides = [
        _measure_side(crystal, modes, sets, np.array([change[side] for change in changes]))
        for side in (0, 1)
    ]
    gruneisen, helicity, separation = itertools.starmap(_average_sides, zip(*sides, strict=True))
    mean = compute_mean_angular_momentum(modes.eigenvectors, sets)
    images = find_zone_images(modes.q_points, crystal.primitive.cell)
    return StrainSlopes(
        modes=modes,
        sets=sets,
        frequencies=average_over_sets(modes.frequencies, sets),
        left_out=find_translations(modes, crystal.primitive.masses),
        helicity=compute_helicity(mean, images),
        gruneisen=gruneisen,
        helicity_slope=helicity,
        separation=separation,
    )


def measure_splitting_slopes(
    crystal: HarmonicCrystal, strained: StrainedCrystals, axis: RotationAxis, wave_number: float
) -> SplittingSlopes:
    """Measure how the splitting of opposite hands follows a strain.

    Parameters
    ----------
    crystal : phonopy.Phonopy or Interpolation
        The crystal at rest.
    strained : StrainedCrystals
        From `compute_strained_crystals`.
    axis : RotationAxis
        Axis of order 3, 4 or 6.
    wave_number : float
        k in 1/Å with 2 pi; small, as of light.

    Returns
    -------
    SplittingSlopes
        Of opposite sign in the mirror image, slopes and all.
    """
    n = axis.direction
    q_points = np.outer([0, wave_number / (2 * np.pi)], crystal.primitive.cell @ n)
    at_gamma, matrix = compute_dynamical_matrices(crystal, q_points)
    changes = _differentiate(crystal, strained, q_points[1])
    factor = float(crystal.unit_conversion_factor)
    parts = [
        _compare_partners(axis, label, at_gamma, matrix, changes, factor)
        for label in range(1, (axis.order + 1) // 2)
    ]
    labels, frequencies, splittings, *sides = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    acoustic = np.where(labels == 1, np.abs(frequencies), np.inf).argmin()
    optical = np.delete(np.arange(len(labels)), acoustic)
    # k along the axis shrinks as the crystal is drawn out; the splitting is told at a given k.
    stretched = np.outer(splittings, [n @ component @ n for component in _COMPONENTS])
    slopes = [((side + stretched) / wave_number)[optical] for side in sides]
    return SplittingSlopes(
        labels=labels[optical].astype(np.int64),
        frequencies=frequencies[optical],
        linear=splittings[optical] / wave_number,
        slope=_average_sides(*slopes),
    )


def _compare_partners(
    axis: RotationAxis,
    label: int,
    at_gamma: ComplexArray,
    matrix: ComplexArray,
    changes: ComplexArray,
    factor: float,
) -> tuple[FloatArray, ...]:
    """Labels, frequencies at Gamma, nu(+l) - nu(-l), and its derivatives to either side."""
    frequencies, derivatives = [], []
    for sign in (1, -1):
        basis = make_label_basis(axis, sign * label, len(matrix))
        squares, states = np.linalg.eigh(basis.conj().T @ matrix @ basis)
        nu = factor * np.sign(squares) * np.sqrt(np.abs(squares))
        vectors = basis @ states
        slopes = np.einsum("kn,svkm,mn->snv", vectors.conj(), changes, vectors, optimize=True).real
        real = np.where(nu > FREQUENCY_CUTOFF, nu, np.nan)
        frequencies.append(real)
        derivatives.append(factor**2 * slopes / (2 * real[:, None]))
    basis = make_label_basis(axis, label, len(matrix))
    squares = np.linalg.eigvalsh(basis.conj().T @ at_gamma @ basis)
    nu = factor * np.sign(squares) * np.sqrt(np.abs(squares))
    differences = derivatives[0] - derivatives[1]
    return np.full(len(nu), label), nu, frequencies[0] - frequencies[1], *differences


def _differentiate(
    crystal: HarmonicCrystal, strained: StrainedCrystals, q_point: FloatArray
) -> ComplexArray:
    """D_ab at one q-point from either sign of the strains, (2, 6, 3 n_atoms, 3 n_atoms)."""
    operations = find_crystal_operations(crystal)
    sources = q_point @ operations.rotations
    at_rest = compute_dynamical_matrices(crystal, sources)
    sides = [
        [sign * (compute_dynamical_matrices(one, sources) - at_rest) for one in crystals]
        for sign, crystals in ((1, strained.plus), (-1, strained.minus))
    ]
    changes = np.swapaxes(np.array(sides), 0, 2)  # (n_operations, n_strains, 2, ...)
    turned = np.array(
        [
            _turn_matrices(*one)
            for one in zip(changes, operations.cartesian, operations.sites, strict=True)
        ]
    )
    images = rotate_tensors(strained.strains, operations.cartesian)
    given = np.einsum("gnab,pab->gnp", images, MANDEL).reshape(-1, len(MANDEL))
    effects = turned.reshape(len(given), -1)
    answers = (np.linalg.pinv(given) @ effects).reshape(len(MANDEL), *turned.shape[2:])
    to_components = np.einsum("pab,vab->vp", MANDEL, _COMPONENTS)
    return np.asarray(np.einsum("vp,psij->svij", to_components, answers))


def _turn_matrices(matrices: ComplexArray, rotation: FloatArray, sites: IntArray) -> ComplexArray:
    """Matrices (..., 3 n_atoms, 3 n_atoms) of the crystal that an operation turns."""
    n = len(sites)
    blocks = matrices.reshape(*matrices.shape[:-2], n, 3, n, 3)
    turned = np.empty_like(blocks)
    rotated = np.einsum("ab,...kbld,cd->...kalc", rotation, blocks, rotation, optimize=True)
    turned[..., sites[:, None], :, sites[None], :] = np.moveaxis(rotated, (-4, -2), (0, 1))
    return turned.reshape(matrices.shape)


def _measure_side(
    crystal: HarmonicCrystal, modes: Modes, sets: IntArray, changes: ComplexArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Slopes by one sign of the strain, each (nq, nb, 6); changes are (nq, 6, 3n, 3n)."""
    vectors, factor = modes.eigenvectors, float(crystal.unit_conversion_factor)
    elements = np.einsum("qkm,qvkl,qln->qvmn", vectors.conj(), changes, vectors, optimize=True)
    real = (modes.frequencies > FREQUENCY_CUTOFF) & ~find_translations(
        modes, crystal.primitive.masses
    )
    frequencies = np.where(real, average_over_sets(modes.frequencies, sets), np.nan)[..., None]
    diagonal = np.moveaxis(np.einsum("qvnn->qvn", elements).real, 1, 2)
    gruneisen = -(factor**2) * average_over_sets(diagonal, sets) / (2 * frequencies**2)
    separation = factor**2 * _measure_widths(elements, sets) / (2 * frequencies)
    return gruneisen, _differentiate_helicity(crystal, modes, sets, elements), separation


def _measure_widths(elements: ComplexArray, sets: IntArray) -> FloatArray:
    """Largest less smallest eigenvalue of P dD P of the set of each band, (nq, nb, 6)."""
    widths = np.zeros((*sets.shape, len(VOIGT)))
    for q, labels in enumerate(sets):
        for label in range(labels.max() + 1):
            members = np.flatnonzero(labels == label)
            block = elements[q][:, members[:, None], members]
            widths[q, members] = np.ptp(np.linalg.eigvalsh(block), axis=-1)
    return widths


def _differentiate_helicity(
    crystal: HarmonicCrystal, modes: Modes, sets: IntArray, elements: ComplexArray
) -> FloatArray:
    """Derivative of the helicity, (nq, nb, 6)."""
    squares = (modes.frequencies / float(crystal.unit_conversion_factor)) ** 2
    squares = squares * np.sign(modes.frequencies)
    apart = squares[:, :, None] - squares[:, None]
    outside = sets[:, :, None] != sets[:, None]
    weights = outside / np.where(outside, apart, 1.0)
    momenta = compute_angular_momentum_matrices(modes.eigenvectors)
    turned = 2 * np.einsum("qanm,qvmn,qnm->qnva", momenta, elements, weights, optimize=True).real
    images = find_zone_images(modes.q_points, crystal.primitive.cell)
    direction = images.mean_direction
    along = np.einsum("qia,vab,qib->qiv", images.directions, _COMPONENTS, images.directions)
    bent = np.einsum("qiv,qia->qiva", along, images.directions)
    bent -= np.einsum("vab,qib->qiva", _COMPONENTS, images.directions)
    mean = compute_mean_angular_momentum(modes.eigenvectors, sets)
    by_modes = np.einsum("qnva,qa->qnv", average_over_sets(turned, sets), direction)
    return np.asarray(by_modes + np.einsum("qi,qiva,qna->qnv", images.weights, bent, mean))


def _average_sides(plus: FloatArray, minus: FloatArray) -> Slope:
    """Central difference and half the difference of the one-sided ones."""
    return Slope((plus + minus) / 2, np.abs(plus - minus) / 2)
