"""Objects of phonopy: making, symmetrising and evaluating them."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.symmetry import Symmetry

from tasks.crystals.cells import label_isotopes
from tasks.phonons.pairs import PairGroup
from tasks.tolerances import AS_MADE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

N_TRANSLATIONS = 3
_PROJECTOR_ATOMS = 256
_TURNS = 3


def symmetrize(phonon: Phonopy) -> None:
    """Impose space group, index permutation and translational invariance on force constants.

    All at once by their projector (compare Seko & Togo, Phys. Rev. B 110, 214302 (2024)); beyond
    256 atoms, as in all earlier results, permutation and translation in turns, which leaves the
    space group as it was in the input.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants, which are replaced.
    """
    if len(phonon.supercell) <= _PROJECTOR_ATOMS:
        phonon.force_constants = PairGroup(phonon).symmetrize(phonon.force_constants)
    else:
        phonon.symmetrize_force_constants(level=_TURNS, show_drift=False)


def compute_commensurate_frequencies(phonon: Phonopy) -> FloatArray:
    """Compute the frequencies at the q-points that are commensurate with the supercell.

    Frequencies there follow from the forces alone. At other q-points they are interpolated, and
    an imaginary frequency near Γ may come from the interpolation, so that stability is judged
    here.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With force constants.

    Returns
    -------
    ndarray
        All frequencies except those of the three translations (THz); imaginary ones are negative.
    """
    per_primitive = np.linalg.inv(phonon.primitive_matrix) @ phonon.supercell_matrix
    q_points = get_commensurate_points(np.rint(per_primitive).astype(np.int64))
    frequencies = phonon.run_qpoints(q_points).frequencies
    gamma = int(np.argmin(np.abs(q_points).max(axis=1)))
    translations = np.argsort(np.abs(frequencies[gamma]))[:N_TRANSLATIONS]
    others: FloatArray = np.delete(frequencies[gamma], translations)
    return np.concatenate([others, np.delete(frequencies, gamma, axis=0).ravel()])


def make_phonopy(
    unit_cell: PhonopyAtoms,
    supercell_matrix: IntArray,
    primitive_matrix: FloatArray | None = None,
) -> Phonopy:
    """Build a phonopy object whose symmetry is that of the crystal with its masses.

    Parameters
    ----------
    unit_cell : phonopy.structure.atoms.PhonopyAtoms
        Unit cell.
    supercell_matrix : ndarray of int, shape (3, 3)
        Supercell in phonopy's convention.
    primitive_matrix : ndarray, shape (3, 3), optional
        Primitive cell in units of the unit cell; by default the unit cell itself.

    Returns
    -------
    phonopy.Phonopy
        Without displacements and force constants.
    """
    return _Phonopy(
        label_isotopes(unit_cell),
        supercell_matrix,
        primitive_matrix=np.eye(3) if primitive_matrix is None else primitive_matrix,
        symprec=AS_MADE,
        distinguish_symbol_index=True,
    )


class _Phonopy(Phonopy):  # type: ignore[misc] # phonopy is Any to the type checker
    """Phonopy that searches the symmetry of its supercell when that is asked for.

    The search costs more than the rest of the object, and modes need none of it.
    """

    @cached_property
    def _symmetry(self) -> Symmetry:
        """Symmetry of the supercell."""
        cells = self._supercell, self._symprec, self._is_symmetry
        return Symmetry(
            *cells,
            s2p_map=self._primitive.s2p_map,
            lang=self._lang,
            distinguish_symbol_index=self._distinguish_symbol_index,
        )

    def _search_symmetry(self) -> None:
        """Leave the supercell for later."""

    def _search_primitive_symmetry(self) -> None:
        """Search the symmetry of the primitive cell alone."""
        cells = self._primitive, self._symprec, self._is_symmetry
        self._primitive_symmetry = Symmetry(
            *cells,
            lang=self._lang,
            distinguish_symbol_index=self._distinguish_symbol_index,
        )
