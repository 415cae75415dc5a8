"""A quadratic model of the energy, from springs before the first evaluation and gradients after.

Springs between neighbours tell how stiff a crystal is along each symmetry-allowed coordinate, and
how strain and displacement are coupled. Every evaluation corrects the model along one direction.
"""

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Springs k = k0 (R/r)^p (R0/R)^q between atoms at distance r, R the sum of their covalent radii.
# Empirical, of the size of the curvatures that 7net-0 gives; they only set where one begins.
_SPRING_CUTOFF = 6.0  # Å
_STIFFNESS = 2.9  # k0, eV/Å^2
_DECAY = 6.6  # p
_SIZE = 2.5  # R0, Å
_SOFTENING = 4.2  # q
_TRANSVERSE = 0.064  # stiffness across a pair, in units of that along it
# What holds a crystal where no neighbour is near.
_SOFTEST_STRAIN = 0.01  # eV/Å^3
_SOFTEST_DISPLACEMENT = 0.1  # eV/Å^2

_SOFTEST = 0.05  # curvature, in units of that of the springs, below which none is trusted
# Cosine between a step and its surprise below which the surprise says little about the curvature.
_UNDETERMINED = 0.05


def compute_spring_hessian(
    atoms: Atoms, strains: FloatArray, displacements: FloatArray
) -> FloatArray:
    """Second derivatives of the energy by strains and displacements, from springs.

    Every pair of atoms has a spring along it and a weaker one across it, whose stiffness depends on
    distance and covalent radii alone, in the spirit of R. Lindh, A. Bernhardsson, G. Karlström,
    P.-Å. Malmqvist, Chem. Phys. Lett. 241, 423 (1995). Strain and displacement are coupled, since
    both change the vectors between atoms.

    Parameters
    ----------
    atoms : ase.Atoms
        The crystal.
    strains : ndarray, shape (k, 3, 3)
        Symmetric strains.
    displacements : ndarray, shape (m, n_atoms, 3)
        Displacement fields.

    Returns
    -------
    ndarray, shape (k + m, k + m)
        Positive definite; eV per square of the amplitudes of strains and displacements (Å).
    """
    first, second, vectors, lengths = neighbour_list("ijDd", atoms, _SPRING_CUTOFF)
    radii = covalent_radii[atoms.numbers][first] + covalent_radii[atoms.numbers][second]
    along = _STIFFNESS * (radii / lengths) ** _DECAY * (_SIZE / radii) ** _SOFTENING
    moves = np.concatenate([vectors @ strains, displacements[:, second] - displacements[:, first]])
    stretches = np.einsum("xpa,pa->xp", moves, vectors / lengths[:, None])
    flat = len(moves), 3 * len(along)
    weighted = (moves * (_TRANSVERSE * along)[:, None]).reshape(flat)
    across = weighted @ moves.reshape(flat).T
    springs = (1 - _TRANSVERSE) * (stretches * along) @ stretches.T + across
    counts = [len(strains), len(displacements)]
    softest = np.repeat([_SOFTEST_STRAIN * atoms.get_volume(), _SOFTEST_DISPLACEMENT], counts)
    # The list of neighbours holds each pair twice.
    hessian: FloatArray = springs / 2 + np.diag(softest)
    return hessian


def update_hessian(hessian: FloatArray, step: FloatArray, change: FloatArray) -> FloatArray:
    """Correct second derivatives by what the gradient did along a step.

    The symmetric rank-one update (J. Nocedal, S. J. Wright, Numerical Optimization, 2nd ed., eq.
    6.24), which learns negative curvatures as well as positive ones, skipped as in their eq. 6.26.

    Parameters
    ----------
    hessian : ndarray, shape (n, n)
        Second derivatives so far.
    step : ndarray, shape (n,)
        Difference of two points; zero before the first step, which changes nothing.
    change : ndarray, shape (n,)
        Difference of the gradients there.

    Returns
    -------
    ndarray, shape (n, n)
        Symmetric.
    """
    surprise = change - hessian @ step
    told = surprise @ step
    if abs(told) <= _UNDETERMINED * np.linalg.norm(step) * np.linalg.norm(surprise):
        return hessian
    updated: FloatArray = hessian + np.outer(surprise, surprise) / told
    return updated


def compute_newton_step(hessian: FloatArray, gradient: FloatArray) -> FloatArray:
    """Downhill step -|H|^-1 g, which leaves saddles along negative curvatures.

    Parameters
    ----------
    hessian : ndarray, shape (n, n)
        Second derivatives, in coordinates in which springs have unit curvature.
    gradient : ndarray, shape (n,)
        First derivatives.

    Returns
    -------
    ndarray, shape (n,)
        The step.
    """
    curvatures, modes = np.linalg.eigh(hessian)
    step: FloatArray = -modes @ ((modes.T @ gradient) / np.maximum(np.abs(curvatures), _SOFTEST))
    return step
