"""Force constants of the mirror image of a crystal."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.structure.atoms import PhonopyAtoms

from tasks.crystals.cells import make_phonopy_cell
from tasks.phonons.phonopy_objects import make_phonopy

_SAME = 1e-5  # fractions of the supercell; what is mirrored here is apart by rounding only


def make_mirror_image(phonon: Phonopy) -> Phonopy:
    """Force constants of the inverted crystal.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With compact force constants.

    Returns
    -------
    phonopy.Phonopy
        Same cell and supercell, positions of the other sign.
    """
    cell = phonon.unitcell
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, scaled_positions=-cell.scaled_positions)
    rounded = make_phonopy_cell(atoms)
    unit_cell = PhonopyAtoms(
        numbers=cell.numbers,
        cell=cell.cell,
        scaled_positions=rounded.scaled_positions,
        masses=cell.masses,
    )
    image = make_phonopy(unit_cell, phonon.supercell_matrix, phonon.primitive_matrix)
    origin = _find_origins(image, phonon)
    constants = compact_fc_to_full_fc(phonon.primitive, phonon.force_constants)
    image.force_constants = constants[np.ix_(origin[image.primitive.p2s_map], origin)]
    if phonon.nac_params is not None:
        image.nac_params = phonon.nac_params | {"born": _mirror_charges(image, phonon, origin)}
    return image


def _mirror_charges(
    image: Phonopy, phonon: Phonopy, origin: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Born charges of the mirror image: tensors of even rank, of the atoms renamed."""
    primitive = phonon.primitive
    sites = primitive.s2p_map[origin[image.primitive.p2s_map]]
    order = [primitive.p2p_map[int(site)] for site in sites]
    return np.asarray(phonon.nac_params["born"])[order]


def _find_origins(image: Phonopy, phonon: Phonopy) -> NDArray[np.int64]:
    """For each atom of the inverted supercell, the atom of the original it comes from."""
    here, there = image.supercell.scaled_positions, -phonon.supercell.scaled_positions
    apart = here[:, None] - there[None]
    distance = np.abs(apart - np.rint(apart)).max(axis=-1)
    origin: NDArray[np.int64] = distance.argmin(axis=1)
    if distance.min(axis=1).max() > _SAME or len(set(origin)) < len(origin):
        raise ValueError("the supercell and its mirror image do not match")
    return origin
