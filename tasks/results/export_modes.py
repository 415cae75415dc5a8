"""One mode as other programs show and use it: a moving crystal, and a displaced one."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from ase import Atoms
from ase.io import write
from numpy.typing import ArrayLike, NDArray
from phonopy import Phonopy

from tasks.chirality.angular_momentum import find_circular_basis
from tasks.chirality.degeneracy import find_degenerate_sets
from tasks.chirality.modes import compute_modes
from tasks.crystals.cells import make_atoms
from tasks.failures import RemediableError
from tasks.symmetry.zone import find_zone_images
from tasks.tolerances import DEGENERACY

_N_FRAMES: Final = 24
# Waves of more cells than this are not held by a supercell that a program would show.
_MAX_CELLS: Final = 200
_MAX_ATOMS: Final = 20_000
_SAME_Q: Final = 1e-8


@dataclass(frozen=True, eq=False)
class MovingMode:
    """One mode in the smallest supercell that holds whole waves of it.

    Attributes
    ----------
    atoms : ase.Atoms
        The supercell at rest.
    displacements : ndarray, shape (n, 3), complex
        Amplitudes u in Å, the largest of the size asked for; the atoms move as Re{u exp(-i w t)}.
    q_point : ndarray, shape (3,)
        Fractional reciprocal coordinates of the primitive cell.
    band : int
        Counted from 0.
    frequency : float
        In THz.
    axis : ndarray, shape (3,)
        Unit vector about which the modes of a degenerate set circle: along q, z at Gamma.
    circulation : float
        Angular momentum of the mode along the axis, in hbar.
    """

    atoms: Atoms
    displacements: NDArray[np.complex128]
    q_point: NDArray[np.float64]
    band: int
    frequency: float
    axis: NDArray[np.float64]
    circulation: float

    def displace(self, phase: float = 0.0) -> Atoms:
        """Crystal at one moment.

        Parameters
        ----------
        phase : float
            w t in radians.

        Returns
        -------
        ase.Atoms
            With displaced positions.
        """
        moved = self.atoms.copy()
        moved.positions += (self.displacements * np.exp(-1j * phase)).real
        return moved


def make_moving_mode(
    phonon: Phonopy,
    q_point: ArrayLike,
    band: int,
    *,
    amplitude: float = 0.3,
    tolerance: float = DEGENERACY,
) -> MovingMode:
    """Put one mode into a supercell.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.
    q_point : array_like, shape (3,)
        Fractional reciprocal coordinates of the primitive cell.
    band : int
        Counted from 0. In a degenerate set the modes are those that circle about q, in descending
        order of l . q.
    amplitude : float
        Largest displacement in Å.
    tolerance : float
        Bands closer than this (THz) belong to one degenerate set.

    Returns
    -------
    MovingMode

    Raises
    ------
    RemediableError
        When there is no such band, or no supercell of at most 200 cells along an edge and 20 000
        atoms holds whole waves.
    """
    modes = compute_modes(phonon, q_point)
    if not 0 <= band < modes.n_bands:
        message = f"there is no band {band}"
        raise RemediableError(message, f"give one from 0 to {modes.n_bands - 1}")
    q = modes.q_points[0]
    repeats = _count_cells(q, len(phonon.primitive))
    axis = find_zone_images(q[None], phonon.primitive.cell).directions[0, 0]
    axis = axis if axis.any() else np.array([0.0, 0.0, 1.0])
    sets = find_degenerate_sets(modes.frequencies, tolerance)[0]
    vectors, circulation = find_circular_basis(modes.eigenvectors[0], sets, axis)
    motion = vectors[:, band].reshape(-1, 3) / np.sqrt(phonon.primitive.masses)[:, None]
    atoms = make_atoms(phonon.primitive)
    cells = np.indices(repeats).reshape(3, -1).T  # the order of ase's repeat
    places = (cells[:, None] + atoms.get_scaled_positions(wrap=False)).reshape(-1, 3)
    waves = np.tile(motion, (len(cells), 1)) * np.exp(2j * np.pi * places @ q)[:, None]
    return MovingMode(
        atoms=atoms.repeat(repeats),
        displacements=amplitude * waves / np.linalg.norm(motion, axis=1).max(),
        q_point=q,
        band=band,
        frequency=float(modes.frequencies[0, band]),
        axis=axis,
        circulation=float(circulation[band]),
    )


def write_animation(mode: MovingMode, path: Path) -> Path:
    """Write one period of a mode as extended XYZ.

    Parameters
    ----------
    mode : MovingMode
        The mode.
    path : pathlib.Path
        File, ending in ``.xyz``; ASE, OVITO and VMD play it.

    Returns
    -------
    pathlib.Path
        The same.
    """
    frames = [mode.displace(phase) for phase in 2 * np.pi * np.arange(_N_FRAMES) / _N_FRAMES]
    for frame in frames:
        frame.info = {
            "q_point": mode.q_point,
            "band": mode.band,
            "frequency_THz": mode.frequency,
            "axis": mode.axis,
            "angular_momentum_hbar": mode.circulation,
        }
    write(path, frames, format="extxyz", columns=["symbols", "positions"])
    return path


def write_displaced(mode: MovingMode, path: Path) -> Path:
    """Write the supercell displaced along a mode, for a calculation of a frozen phonon."""
    write(path, mode.displace(), format="vasp", sort=True)
    return path


def _count_cells(q_point: NDArray[np.float64], n_atoms: int) -> tuple[int, int, int]:
    """Cells along each edge of the smallest supercell that holds whole waves."""
    fractions = [Fraction(float(x)).limit_denominator(_MAX_CELLS) for x in q_point]
    counts = [fraction.denominator for fraction in fractions]
    whole = np.allclose([float(x) for x in fractions], q_point, rtol=0, atol=_SAME_Q)
    if not whole or np.prod(counts) * n_atoms > _MAX_ATOMS:
        q_text = " ".join(f"{x:.6g}" for x in q_point)
        message = f"no supercell of at most {_MAX_ATOMS} atoms holds whole waves of q = ({q_text})"
        raise RemediableError(message, "give a q-point of simple fractions, such as 0,0,1/3")
    return counts[0], counts[1], counts[2]
