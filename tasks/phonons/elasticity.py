"""Response to homogeneous strain, and the elastic constants and sound velocities that follow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from scipy.constants import atomic_mass, elementary_charge

from potentials import Potential
from tasks.symmetry.site_permutations import SpaceGroup, find_space_group

FloatArray = NDArray[np.float64]

GPA = elementary_charge * 1e21  # per eV/Å^3
# Order of the components of a symmetric tensor (Voigt).
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
# Orthonormal basis of the symmetric tensors, shape (6, 3, 3).
MANDEL = np.array([np.eye(3)[[a, b]].T @ np.eye(3)[[b, a]] for a, b in VOIGT])


MANDEL /= np.linalg.norm(MANDEL, axis=(1, 2), keepdims=True)


_STRAIN = 1e-3  # of the central differences: linear, and far above the rounding of stresses
# Unit strains. A stretch and a shear at once serve two where some rotation tells them apart.
STRAIN_CANDIDATES = np.concatenate([(MANDEL[:3] + MANDEL[3:]) / np.sqrt(2), MANDEL])
_INDEPENDENT = 0.1
_NOT_A_TRANSLATION = 1e-6  # of the largest eigenvalue of the force constants at Γ


@dataclass(frozen=True)
class StrainResponse:
    """What a homogeneous strain does to a crystal whose atoms keep their fractional coordinates.

    Attributes
    ----------
    stiffness : ndarray, shape (3, 3, 3, 3)
        Derivative of the stress by the strain at clamped ions in eV/Å^3.
    forces : ndarray, shape (n_atoms, 3, 3, 3)
        Minus the derivative of the force on an atom by the strain in eV/Å; the last two axes
        belong to the strain.
    stress : ndarray, shape (3, 3), or None
        Stress of the crystal itself in eV/Å^3, which a fixed cell leaves; None where it is not
        known, which counts as none.
    potential_time : float
        Seconds it took inside the potential.
    """

    stiffness: FloatArray
    forces: FloatArray
    stress: FloatArray | None = None
    potential_time: float = 0.0

    @property
    def gradient_stiffness(self) -> FloatArray:
        """Second derivatives A_αγβδ of the energy density by ∂u_α/∂r_γ and ∂u_β/∂r_δ, (3, 3, 3, 3).

        Under a stress σ they differ from the derivatives B of the stress (D. C. Wallace,
        Thermodynamics of Crystals, 1972, chapter 1), which are stored symmetric in αγ and βδ:

            A − B = (δ_βδ σ_αγ + δ_αγ σ_βδ + δ_αβ σ_γδ − δ_αδ σ_βγ − δ_γβ σ_αδ − δ_γδ σ_αβ) / 2
        """
        if self.stress is None:
            return self.stiffness
        plus, minus = (
            sum(np.einsum(f"{pair}->agbd", np.eye(3), self.stress) for pair in pairs)
            for pairs in (("bd,ag", "ag,bd", "ab,gd"), ("ad,bg", "gb,ad", "gd,ab"))
        )
        return np.asarray(self.stiffness + (plus - minus) / 2)


def measure_strain_responses(
    crystals: Sequence[Atoms], potential: Potential
) -> list[StrainResponse]:
    """Measure responses to strain by central differences of the forces and the stress.

    Of each crystal only as many strains are evaluated as its point group needs to make all six of
    them: two evaluations of a cubic crystal, twelve of a triclinic one.

    Parameters
    ----------
    crystals : sequence of ase.Atoms
        Relaxed primitive cells; evaluated together.
    potential : Potential
        An O(3)-invariant potential.

    Returns
    -------
    list of StrainResponse
        Made to obey the space group, the exchange of strains and the acoustic sum rule.

    Raises
    ------
    ValueError
        When a force or stress is not a number.
    """
    groups = [find_space_group(atoms) for atoms in crystals]
    chosen = [_choose_strains(group) for group in groups]
    cells = [
        strain_crystal(atoms, sign * _STRAIN * strain)
        for atoms, strains in zip(crystals, chosen, strict=True)
        for strain in strains
        for sign in (1, -1)
    ]
    found = potential.evaluate(cells)
    second_per_atom = found.wall_time / max(sum(map(len, cells)), 1)
    responses, start = [], 0
    for group, strains in zip(groups, chosen, strict=True):
        own = slice(start, start := start + 2 * len(strains))
        slopes, pushes = _take_central_differences(found.stresses[own], np.array(found.forces[own]))
        response = _fit_response(group, strains, slopes, -pushes)
        # Opposite strains cancel to first order.
        stress = rotate_tensors([found.stresses[own].mean(axis=0)], group.rotations).mean(
            axis=(0, 1)
        )
        seconds = second_per_atom * 2 * pushes[..., 0].size
        responses.append(replace(response, stress=stress, potential_time=seconds))
    return responses


def compute_elastic_constants(phonon: Phonopy, response: StrainResponse) -> FloatArray:
    """Elastic constants with the atoms relaxed (Born & Huang, chapter V).

    The atoms follow the strain by u = −Φ⁻¹ F, with Φ the force constants at Γ without the
    translations; this lowers the energy by F Φ⁻¹ F / 2.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants; its primitive cell is the crystal of the response.
    response : StrainResponse
        At clamped ions.

    Returns
    -------
    ndarray, shape (3, 3, 3, 3)
        In eV/Å^3; `GPA` converts.
    """
    n_atoms = len(phonon.primitive)
    order = {int(site): k for k, site in enumerate(phonon.primitive.p2s_map)}
    columns = [order[int(site)] for site in phonon.primitive.s2p_map]
    at_gamma = np.zeros((n_atoms, 3, n_atoms, 3))
    np.add.at(at_gamma.transpose(2, 0, 1, 3), columns, phonon.force_constants.swapaxes(0, 1))
    square = at_gamma.reshape(3 * n_atoms, 3 * n_atoms)
    inverse = np.linalg.pinv((square + square.T) / 2, rcond=_NOT_A_TRANSLATION, hermitian=True)
    push = response.forces.reshape(3 * n_atoms, 9)
    relaxation = (push.T @ inverse @ push).reshape(3, 3, 3, 3) / phonon.primitive.volume
    constants: FloatArray = response.stiffness - relaxation
    return constants


def compute_sound_velocities(
    constants: FloatArray, density: float, directions: Sequence[Sequence[float]] | FloatArray
) -> FloatArray:
    """Velocities of sound from Christoffel's equation.

    Parameters
    ----------
    constants : ndarray, shape (3, 3, 3, 3)
        Elastic constants with the atoms relaxed in eV/Å^3.
    density : float
        In u/Å^3.
    directions : array_like, shape (n, 3)
        Cartesian directions of any length.

    Returns
    -------
    ndarray, shape (n, 3)
        In km/s, ascending; negative where the crystal is elastically unstable.
    """
    n = np.array(directions, dtype=float)
    n /= np.linalg.norm(n, axis=1, keepdims=True)
    matrices = np.einsum("abcd,nb,nd->nac", constants, n, n)
    squares = np.linalg.eigvalsh((matrices + matrices.swapaxes(1, 2)) / 2) / density
    unit = np.sqrt(elementary_charge / atomic_mass) / 1e3
    velocities: FloatArray = np.sign(squares) * np.sqrt(np.abs(squares)) * unit
    return velocities


def make_voigt_matrix(constants: FloatArray) -> FloatArray:
    """Elastic constants as the usual matrix.

    Parameters
    ----------
    constants : ndarray, shape (3, 3, 3, 3)
        Any unit.

    Returns
    -------
    ndarray, shape (6, 6)
        Ordered xx, yy, zz, yz, xz, xy.
    """
    first, second = np.array(VOIGT).T
    matrix: FloatArray = constants[first[:, None], second[:, None], first, second]
    return matrix


def find_smallest_elastic_eigenvalue(constants: FloatArray) -> float:
    """Smallest eigenvalue of the elastic constants; below zero some strain lowers the energy.

    Parameters
    ----------
    constants : ndarray, shape (3, 3, 3, 3)
        Elastic constants with the atoms relaxed in eV/Å^3.

    Returns
    -------
    float
        In GPa, for strains normalised to ε_αβ ε_αβ = 1.
    """
    return float(GPA * np.linalg.eigvalsh(transform_to_mandel_basis(constants)).min())


def transform_to_mandel_basis(tensor: FloatArray) -> FloatArray:
    """Write a tensor that is symmetric in its first and its last two indices as a matrix.

    Parameters
    ----------
    tensor : ndarray, shape (3, 3, 3, 3)
        Any unit.

    Returns
    -------
    ndarray, shape (6, 6)
        In the orthonormal basis `MANDEL`, ordered as `VOIGT`.
    """
    return np.asarray(np.einsum("pab,abcd,qcd->pq", MANDEL, tensor, MANDEL))


def _choose_strains(group: SpaceGroup) -> FloatArray:
    """Strains (n, 3, 3) of unit length whose images under the point group span all six."""
    chosen: list[FloatArray] = []
    rank = 0
    for candidate in STRAIN_CANDIDATES:
        orbits = rotate_tensors([*chosen, candidate], group.rotations).reshape(-1, 9)
        larger = int(np.linalg.matrix_rank(orbits, tol=_INDEPENDENT * np.sqrt(len(orbits))))
        if larger > rank:
            chosen, rank = [*chosen, candidate], larger
    return np.array(chosen)


def rotate_tensors(tensors: Sequence[FloatArray] | FloatArray, R: FloatArray) -> FloatArray:
    """Images (n_operations, n, 3, 3) of tensors (n, 3, 3) under rotations (n_operations, 3, 3)."""
    return np.asarray(np.einsum("gab,nbc,gdc->gnad", R, np.array(tensors), R, optimize=True))


def _take_central_differences(*values: FloatArray) -> list[FloatArray]:
    """Central differences of values (2 n, ...) at strains of either sign."""
    if not all(np.isfinite(found).all() for found in values):
        raise ValueError("the potential gave a force or stress that is not a number")
    return [(found[::2] - found[1::2]) / (2 * _STRAIN) for found in values]


def strain_crystal(atoms: Atoms, strain: FloatArray) -> Atoms:
    """Crystal under a homogeneous strain (3, 3); fractional coordinates are kept."""
    strained = atoms.copy()
    strained.set_cell(np.asarray(atoms.cell) @ (np.eye(3) + strain), scale_atoms=True)
    return strained


def _fit_response(
    group: SpaceGroup, strains: FloatArray, slopes: FloatArray, pushes: FloatArray
) -> StrainResponse:
    """Linear map from strains to stresses and forces that suits all images best.

    Parameters
    ----------
    group : SpaceGroup
        Operations, under which a strain, its stress and its forces turn together.
    strains, slopes : ndarray, shape (n, 3, 3)
        Unit strains and the changes of the stress with them (eV/Å^3).
    pushes : ndarray, shape (n, n_atoms, 3)
        Minus the changes of the forces (eV/Å).
    """
    turned = np.einsum("gab,nkb->gnka", group.rotations, pushes)
    moved = np.empty_like(turned)
    for images, permutation, image in zip(moved, group.permutations, turned, strict=True):
        images[:, permutation] = image
    given, stresses = (
        np.einsum("gnab,pab->gnp", rotate_tensors(tensors, group.rotations), MANDEL).reshape(-1, 6)
        for tensors in (strains, slopes)
    )
    effects = np.hstack([stresses, moved.reshape(len(given), -1)])
    answers, *_ = np.linalg.lstsq(given, effects)
    stiffness = (answers[:, :6] + answers[:, :6].T) / 2
    forces = np.einsum("pf,pbc->fbc", answers[:, 6:], MANDEL).reshape(-1, 3, 3, 3)
    return StrainResponse(
        np.einsum("pq,pab,qcd->abcd", stiffness, MANDEL, MANDEL), forces - forces.mean(axis=0)
    )
