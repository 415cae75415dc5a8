"""Random unitary mixing inside degenerate sets: what another eigensolver might have returned."""

import numpy as np
from numpy.typing import NDArray

from tasks.chirality.modes import Modes


def mix(modes: Modes, sets: NDArray[np.int64], seed: int = 5) -> Modes:
    """Apply a random unitary matrix inside each degenerate set of the modes."""
    rng = np.random.default_rng(seed)
    vectors = modes.eigenvectors.copy()
    for q, labels in enumerate(sets):
        for label in np.unique(labels):
            bands = np.flatnonzero(labels == label)
            noise = rng.normal(size=(2, len(bands), len(bands)))
            unitary, _ = np.linalg.qr(noise[0] + 1j * noise[1])
            vectors[q][:, bands] = vectors[q][:, bands] @ unitary
    return Modes(modes.q_points, modes.frequencies, vectors)
