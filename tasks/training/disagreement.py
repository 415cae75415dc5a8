"""Active learning: the cells on which two potentials disagree most are labelled."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from potentials import Potential


def measure_disagreements(
    structures: Sequence[Atoms], first: Potential, second: Potential
) -> NDArray[np.float64]:
    """Measure how far two potentials differ, such as two teachers or students of two seeds.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Candidates.
    first, second : Potential
        The two.

    Returns
    -------
    ndarray, shape (n_structures,)
        Largest difference of the force on an atom in eV/Å.
    """
    pairs = zip(first.evaluate(structures).forces, second.evaluate(structures).forces, strict=True)
    return np.array([np.linalg.norm(one - two, axis=1).max() for one, two in pairs])


def select_most_disputed(
    structures: Sequence[Atoms], referees: tuple[Potential, Potential], count: int
) -> list[Atoms]:
    """Keep the structures on which two potentials disagree most.

    Parameters
    ----------
    structures : sequence of ase.Atoms
        Candidates.
    referees : tuple of Potential
        The two.
    count : int
        How many to keep.

    Returns
    -------
    list of ase.Atoms
        In the order given.
    """
    if not structures:
        return []
    order = np.argsort(-measure_disagreements(structures, *referees), kind="stable")
    return [structures[index] for index in sorted(order[:count])]
