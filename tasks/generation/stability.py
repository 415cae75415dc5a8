"""Stability of generated crystals: relaxed by the potential of the hull, and placed above it.

The stable ones among the unique and new are what the literature counts as S.U.N., those at most
0.1 eV/atom above the hull as MSUN, and those with symmetry beyond P1 as S.S.U.N. The hull is that
of the package: the phases it knows, by its own potential.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from ase import Atoms

from potentials import Potential
from tasks.crystals.structures import check_crystal, standardize
from tasks.failures import RemediableError
from tasks.relaxation import Relaxation, RelaxationSettings, relax
from tasks.symmetry import find_space_group_number
from tasks.thermodynamics.evidence import assess_stability, find_hull
from tasks.tolerances import AS_GIVEN

METASTABLE: Final = 0.1  # eV/atom above the hull
_ON_HULL: Final = 1e-3  # eV/atom; relaxations end within about as much
_TOGETHER: Final = 8
"""Crystals relaxed together."""


def count_stable(
    crystals: Sequence[Atoms], potential: Potential, settings: RelaxationSettings
) -> Iterator[Counter[str]]:
    """Relax crystals inside their space group and count those that are stable.

    Parameters
    ----------
    crystals : sequence of ase.Atoms
        Unique and new ones.
    potential : Potential
        That of the hull.
    settings : RelaxationSettings
        Limits.

    Yields
    ------
    collections.Counter
        Of some crystals each: ``judged``, those with an energy above the hull; ``stable``,
        ``metastable`` and ``symmetric``, the stable ones that are not in P1.

    Raises
    ------
    RemediableError
        When the potential is not that of the hull.
    """
    hull = find_hull(potential.card.digest)
    for start in range(0, len(crystals), _TOGETHER):
        counts = Counter[str]()
        relaxed = _relax_sound(crystals[start : start + _TOGETHER], potential, settings)
        for found in relaxed:
            try:
                check_crystal(found.atoms)
                above = assess_stability(found.atoms, found.energy, hull).energy_above_hull
            except RemediableError:
                continue
            counts["judged"] += 1
            counts["metastable"] += above <= METASTABLE
            if above <= _ON_HULL:
                counts["stable"] += 1
                counts["symmetric"] += find_space_group_number(found.atoms, AS_GIVEN) > 1
        yield counts


def _relax_sound(
    crystals: Sequence[Atoms], potential: Potential, settings: RelaxationSettings
) -> list[Relaxation]:
    """Relaxations of those crystals that have a space group and atoms apart."""
    sound = []
    for atoms in crystals:
        try:
            check_crystal(atoms)
            sound.append(standardize(atoms, AS_GIVEN))
        except RemediableError:
            continue
    return [found for found in relax(sound, potential, settings) if "volume" not in found.reason]
