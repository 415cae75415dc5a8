"""How far the crystals of a generator are from known ones, as distributions.

Densities and numbers of elements are compared as in CDVAE (arXiv:2110.06197), by the Wasserstein
distance; space groups, as in WyFormer (arXiv:2503.02407), by their frequencies.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from scipy.stats import wasserstein_distance

_GRAMS_PER_CUBIC_CENTIMETRE: Final = 1.66053907
"""Of one u per Å^3 (CODATA 2018)."""


@dataclass(frozen=True)
class Profile:
    """What is compared of a crystal.

    Attributes
    ----------
    number : int
        Space-group number as given; 0 where none is found.
    density : float
        In g/cm^3.
    n_elements : int
        How many different ones.
    """

    number: int
    density: float
    n_elements: int

    @classmethod
    def read(cls, atoms: Atoms, number: int) -> "Profile":
        """Profile of a crystal whose space group is known."""
        density = atoms.get_masses().sum() / atoms.get_volume() * _GRAMS_PER_CUBIC_CENTIMETRE
        return cls(number, float(density), len(set(atoms.numbers)))


def compare_profiles(found: Sequence[Profile], known: Sequence[Profile]) -> dict[str, float]:
    """Compute distances between two sets of crystals.

    Parameters
    ----------
    found, known : sequence of Profile
        Generated crystals, and those of the reference; neither is empty.

    Returns
    -------
    dict of str to float
        ``density`` (g/cm^3) and ``n_elements``, Wasserstein distances; ``space_groups``, the
        chi-square distance sum (p - q)^2 / (p + q) of the frequencies p and q: 0 for equal ones,
        2 where no group is common to both.
    """
    columns = ("density", "n_elements")
    values = {
        name: [[getattr(profile, name) for profile in part] for part in (found, known)]
        for name in columns
    }
    distances = {name: float(wasserstein_distance(*pair)) for name, pair in values.items()}
    return distances | {"space_groups": _compare_frequencies(found, known)}


def _compare_frequencies(found: Sequence[Profile], known: Sequence[Profile]) -> float:
    """Chi-square distance of the frequencies of space groups."""
    counts = [Counter(profile.number for profile in part) for part in (found, known)]
    groups = sorted(counts[0] | counts[1])
    p, q = (np.array([part[g] for g in groups]) / part.total() for part in counts)
    return float(((p - q) ** 2 / (p + q)).sum())
