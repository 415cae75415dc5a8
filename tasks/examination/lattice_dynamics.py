"""Force constants as a potential gives them, before symmetry is imposed, and what they invent.

Every atom of the primitive cell is displaced along all axes and back. The exchange of two atoms and
translations are imposed, as any program for phonons does; the space group is not. Compared with the
same force constants symmetrised that tells what a potential with less than the symmetry of nature
does: it splits what is degenerate, and gives angular momentum where there is none.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy

from potentials import Potential, invert
from tasks.chirality import Modes, angular_momentum, compute_modes
from tasks.chirality.degeneracy import average_over_sets, find_degenerate_sets
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.examination.laws import Finding
from tasks.phonons import PhononSettings, compute_all_force_constants, make_phonopy
from tasks.phonons.driver import ForceConstants
from tasks.phonons.pairs import PairGroup
from tasks.phonons.supercells import choose_supercell
from tasks.symmetry import find_allowed_angular_momentum, find_crystal_symmetry
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
# Symmetry does not depend on the supercell; smaller ones than those of a screening will do.
SETTINGS = PhononSettings(min_supercell_length=7.0, max_atoms=80, max_enlargements=0)
# On axes, diagonals and faces of the zone, and one anywhere; far from Γ, where small errors of
# force constants make large ones of frequencies.
Q_POINTS = np.array(
    [
        [0.3, 0.0, 0.0],
        [0.0, 0.0, 0.3],
        [0.3, 0.3, 0.0],
        [0.3, 0.0, 0.3],
        [0.25, 0.25, 0.25],
        [0.5, 0.0, 0.0],
        [0.5, 0.5, 0.0],
        [1 / 3, 1 / 3, 0.0],
        [1 / 3, 1 / 3, 0.25],
        [0.12, 0.29, 0.37],
    ]
)


def measure_force_constants(
    potential: Potential, crystals: Mapping[str, Atoms]
) -> Iterator[Finding]:
    """Measure what force constants lack of the symmetry of their crystals.

    Parameters
    ----------
    potential : Potential
        The potential.
    crystals : mapping of str to ase.Atoms
        Primitive cells by name.

    Yields
    ------
    Finding
        The largest violations of sum rule and space group, false splitting and false l.
    """
    found = {
        name: measure_false_chirality(*compute_raw_force_constants(atoms, potential))
        for name, atoms in crystals.items()
    }
    for law in ("sum_rule", "space_group", "false_splitting", "false_angular_momentum"):
        value, name = max((numbers[law], name) for name, numbers in found.items())
        yield Finding(law, name, value)


def compute_raw_force_constants(
    atoms: Atoms, potential: Potential, settings: PhononSettings = SETTINGS
) -> tuple[Phonopy, float]:
    """Compute force constants without use of the space group.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    potential : Potential
        Any.
    settings : PhononSettings
        Length of displacements, size of the supercell.

    Returns
    -------
    phonon : phonopy.Phonopy
        With compact force constants that are symmetric in the two atoms and obey the acoustic sum
        rule.
    residual : float
        Violation of that rule before, as a share of the largest force constant.
    """
    matrix = choose_supercell(atoms, settings.min_supercell_length, settings.max_atoms, AS_MADE)
    phonon = make_phonopy(make_phonopy_cell(atoms), matrix)
    supercell, sites = make_atoms(phonon.supercell), phonon.primitive.p2s_map
    copies = [
        _displace(supercell, site, sign * settings.displacement * axis)
        for sign in (1, -1)
        for site in sites
        for axis in np.eye(3)
    ]
    ahead, behind = np.split(np.array(potential.evaluate(copies).forces), 2)
    rows = -(ahead - behind).reshape(len(sites), 3, -1, 3) / (2 * settings.displacement)
    constants = rows.transpose(0, 2, 1, 3)
    residual = np.abs(constants.sum(axis=1)).max() / np.abs(constants).max()
    phonon.force_constants = np.ascontiguousarray(constants)
    phonon.symmetrize_force_constants(level=3, show_drift=False)
    return phonon, float(residual)


def _displace(atoms: Atoms, site: int, displacement: FloatArray) -> Atoms:
    """Copy with one atom moved."""
    result = atoms.copy()
    result.positions[site] += displacement
    return result


def measure_false_chirality(phonon: Phonopy, residual: float = 0.0) -> dict[str, float]:
    """Compare force constants with the same made to obey the space group.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        As `compute_raw_force_constants` gives it.
    residual : float
        Likewise.

    Returns
    -------
    dict of str to float
        By name of a law: violations in % of the largest force constant, the largest change of a
        frequency (THz), and the largest l that symmetry forbids (hbar).
    """
    raw = np.array(phonon.force_constants)
    modes = compute_modes(phonon, Q_POINTS)
    forbidden = measure_forbidden_angular_momentum(phonon, modes)
    phonon.force_constants = PairGroup(phonon).symmetrize(raw)
    shift = modes.frequencies - compute_modes(phonon, Q_POINTS).frequencies
    change = np.abs(phonon.force_constants - raw).max() / np.abs(raw).max()
    phonon.force_constants = raw
    return {
        "sum_rule": 100 * residual,
        "space_group": 100 * float(change),
        "false_splitting": float(np.abs(shift).max()),
        "false_angular_momentum": forbidden,
    }


def measure_forbidden_angular_momentum(phonon: Phonopy, modes: Modes) -> float:
    """Largest angular momentum (hbar) of a degenerate set outside the space that symmetry allows.

    Sets are those of `tasks.tolerances.DEGENERACY`: modes that a wrong force constant splits by
    more count one by one.
    """
    operations = find_crystal_symmetry(make_atoms(phonon.primitive)).operations
    sets = find_degenerate_sets(modes.frequencies)
    found = average_over_sets(angular_momentum(modes.eigenvectors), sets)
    largest = 0.0
    for q_point, vectors in zip(modes.q_points, found, strict=True):
        allowed = find_allowed_angular_momentum(operations, q_point)
        outside = vectors - vectors @ allowed.T @ allowed
        largest = max(largest, float(np.linalg.norm(outside, axis=1).max()))
    return largest


def measure_hands(potential: Potential, crystals: Mapping[str, Atoms]) -> Iterator[Finding]:
    """Compare the frequencies of both hands of crystals, computed as a screening computes them.

    Parameters
    ----------
    potential : Potential
        The potential.
    crystals : mapping of str to ase.Atoms
        Primitive cells by name.

    Yields
    ------
    Finding
        The largest difference.
    """
    pairs = [hand for atoms in crystals.values() for hand in (atoms, invert(atoms))]
    found = compute_all_force_constants(pairs, potential, SETTINGS)
    shifts = {
        name: _compare_hands(left, right)
        for name, left, right in zip(crystals, found[::2], found[1::2], strict=True)
    }
    value, name = max((shift, name) for name, shift in shifts.items())
    yield Finding("hands_frequency", name, value)


def _compare_hands(left: ForceConstants | Exception, right: ForceConstants | Exception) -> float:
    """Largest difference of frequencies in THz; those of an image at q are those at -q."""
    if isinstance(left, Exception) or isinstance(right, Exception):
        return np.inf
    here, there = (compute_modes(hand.phonon, Q_POINTS).frequencies for hand in (left, right))
    return float(np.abs(here - there).max())
