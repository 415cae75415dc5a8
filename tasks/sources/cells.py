"""Cells from lengths and angles."""

from collections.abc import Sequence

import numpy as np
from pymatgen.core import Lattice

from tasks.failures import RemediableError


def build_lattice(parameters: Sequence[float]) -> Lattice:
    """Build the lattice of lengths and angles.

    Parameters
    ----------
    parameters : sequence of float
        a, b, c in Å and alpha, beta, gamma in degrees.

    Returns
    -------
    pymatgen.core.Lattice
        Right-handed.

    Raises
    ------
    RemediableError
        When no cell has them.
    """
    numbers = np.asarray(parameters, dtype=float)
    if numbers.shape == (6,) and (numbers > 0).all() and (numbers[3:] < 180).all():
        lattice = Lattice.from_parameters(*numbers.tolist())
        # Three vectors in a plane, whose volume is rounding, are no cell.
        if np.isfinite(lattice.matrix).all() and lattice.volume > 1e-6 * numbers[:3].prod():
            return lattice
    told = ", ".join(f"{number:g}" for number in numbers.ravel()[:6])
    raise RemediableError(f"absurd cell: {told}", "give lengths in Å and angles in degrees")
