"""Whether a supercell is large enough for the force constants it holds."""

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy

from tasks.phonons.supercells import find_nearest_image_distance

FloatArray = NDArray[np.float64]

# Pairs at this fraction of half the distance between images and beyond are at the boundary.
_BOUNDARY = 0.95
_N_Q_POINTS = 24


def estimate_truncation_error(phonon: Phonopy) -> float:
    """Estimate the error of interpolated frequencies from the force constants at the boundary.

    At the boundary of a supercell a force constant is a sum over several images of a pair, and its
    position is a guess. The guess is undone: each force constant at the boundary is spread evenly
    over all pairs of its two sublattices, which leaves the dynamical matrix at Γ as it is. The
    frequencies move by about as much as they would in a much larger supercell.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants; they are the same afterwards.

    Returns
    -------
    float
        Root of the mean square of the change of frequency over evenly spread q-points, as a
        fraction of the highest frequency.
    """
    from scipy.stats import qmc  # noqa: PLC0415 - slow to load, and needed with a potential only

    q_points = qmc.Halton(3, scramble=False).random(_N_Q_POINTS + 1)[1:]
    force_constants = phonon.force_constants
    before: FloatArray = phonon.run_qpoints(q_points).frequencies
    phonon.force_constants = _displace_boundary(phonon)
    after: FloatArray = phonon.run_qpoints(q_points).frequencies
    phonon.force_constants = force_constants
    return float(np.sqrt(((after - before) ** 2).mean()) / np.abs(before).max())


def _displace_boundary(phonon: Phonopy) -> FloatArray:
    """Force constants of which those at the boundary have lost their place."""
    force_constants, primitive = phonon.force_constants, phonon.primitive
    far = (
        _compute_distances(phonon)
        >= _BOUNDARY * find_nearest_image_distance(phonon.supercell.cell) / 2
    )
    sublattice = np.array([primitive.p2p_map[int(s)] for s in primitive.s2p_map])
    member = sublattice == np.arange(len(primitive))[:, None]
    boundary = np.where(far[..., None, None], force_constants, 0.0)
    mean = np.einsum("kj,ijab->ikab", member / member.sum(axis=1, keepdims=True), boundary)
    spread: FloatArray = force_constants - boundary + mean[:, sublattice]
    return spread


def _compute_distances(phonon: Phonopy) -> FloatArray:
    """Distance (Å) of each atom of the supercell from each of the primitive cell, (n, N)."""
    vectors, places = phonon.primitive.get_smallest_vectors()
    lengths = np.linalg.norm(vectors @ phonon.primitive.cell, axis=1)
    distances: FloatArray = lengths[places[..., 1]].T
    return distances
