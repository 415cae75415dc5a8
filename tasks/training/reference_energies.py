"""Energies of the elements; a network learns only the differences from them."""

from collections.abc import Sequence

import numpy as np

from potentials.facet import Frame


def fit_reference_energies(frames: Sequence[Frame]) -> dict[int, float]:
    """Fit total energies by a sum over atoms that depends on the species only.

    Least squares; where compositions do not determine all energies, the smallest solution.

    Parameters
    ----------
    frames : sequence of Frame
        Those without an energy are left out.

    Returns
    -------
    dict of int to float
        Energy in eV of each atomic number; empty without any energy.
    """
    known = [frame for frame in frames if np.isfinite(frame.energy)]
    if not known:
        return {}
    numbers = sorted({int(number) for frame in known for number in frame.atoms.numbers})
    counts = np.array([[(f.atoms.numbers == z).sum() for z in numbers] for f in known], dtype=float)
    # Per atom, so that large cells do not decide alone.
    sizes = counts.sum(axis=1, keepdims=True)
    energies = np.array([frame.energy for frame in known]) / sizes[:, 0]
    # Compositions that always come together share their energies instead of cancelling.
    solution = np.linalg.lstsq(counts / sizes, energies, rcond=1e-6)[0]
    return dict(zip(numbers, solution.tolist(), strict=True))
