"""Pairs of atoms in a supercell: their names, and what the space group does to them.

A pair (k, j) is an atom k of the primitive cell with a site j of the supercell. It is named by the
atom k' that j is an image of and by the primitive cell of j as seen from that of k, modulo the
supercell. From each k the same names are met, so that tables of all pairs have the shape (n, N) of
compact force constants.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from phonopy import Phonopy

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def find_atoms_of_sites(phonon: Phonopy) -> IntArray:
    """Find the atom of the primitive cell that each site of the supercell is an image of.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        The crystal.

    Returns
    -------
    ndarray of int, shape (N,)
        Indices in the primitive cell.
    """
    order = {int(site): k for k, site in enumerate(phonon.primitive.p2s_map)}
    return np.array([order[int(site)] for site in phonon.primitive.s2p_map])


def find_relative_cells(phonon: Phonopy, reference: Phonopy) -> IntArray:
    """Find the primitive cell of each site as seen from that of each atom.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        The crystal.
    reference : phonopy.Phonopy
        The same crystal; cells are counted from the atoms of its primitive cell.

    Returns
    -------
    ndarray of int, shape (n, N, 3)
        In primitive lattice vectors, not reduced by the supercell.
    """
    primitive, atoms = reference.primitive, find_atoms_of_sites(phonon)
    moves = phonon.supercell.positions - primitive.positions[atoms]
    cells = np.rint(moves @ np.linalg.inv(primitive.cell)).astype(np.int64)
    return np.asarray(cells - cells[phonon.primitive.p2s_map][:, None])


def number_pairs(atoms: IntArray, cells: IntArray, phonon: Phonopy) -> IntArray:
    """Number pairs such that periodic images have the same number.

    Parameters
    ----------
    atoms : ndarray of int, shape (...)
        The second atom of each pair.
    cells : ndarray of int, shape (..., 3)
        Its primitive cell as seen from that of the first.
    phonon : phonopy.Phonopy
        Whose supercell is meant.

    Returns
    -------
    ndarray of int, shape (...)
        Name of each pair.
    """
    size, adjugate = _compute_index_and_adjugate(phonon)
    digits = (cells @ adjugate) % size
    return np.asarray(atoms * size**3 + digits @ size ** np.array([2, 1, 0]))


def _compute_index_and_adjugate(phonon: Phonopy) -> tuple[int, IntArray]:
    """Primitive cells in the supercell, and that number times the inverse of its vectors."""
    to_supercell = np.rint(phonon.supercell.cell @ np.linalg.inv(phonon.primitive.cell))
    size = round(abs(np.linalg.det(to_supercell)))
    return size, np.rint(size * np.linalg.inv(to_supercell)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class PairGroup:
    """The space group of a crystal, acting on the pairs of atoms in its supercell.

    Attributes
    ----------
    phonon : phonopy.Phonopy
        The crystal. Operations that its supercell does not have are left out.
    """

    phonon: Phonopy

    def symmetrize(self, constants: FloatArray) -> FloatArray:
        """Project force constants on those that obey all symmetries.

        These are the space group, the exchange of the two atoms of a pair, and that a translation
        of all atoms costs nothing. Their projectors commute, so that their product is the
        projector on what obeys them all.

        Parameters
        ----------
        constants : ndarray, shape (n, N, 3, 3)
            Compact force constants.

        Returns
        -------
        ndarray, shape (n, N, 3, 3)
            The nearest ones that obey.
        """
        both = (constants + self._exchange_atoms(constants)) / 2
        centred = self._remove_means(both)
        images = [self._apply_operation(centred, *operation) for operation in self._operations]
        return np.asarray(np.mean(images, axis=0))

    def solve(self, displaced: IntArray, moves: FloatArray, forces: FloatArray) -> FloatArray:
        """Find the force constants that suit the forces of displaced atoms best.

        The site group carries each displacement and its forces to others; least squares of all of
        them give the rows of the displaced atoms, and the space group those of the others.

        Parameters
        ----------
        displaced : ndarray of int, shape (m,)
            Displaced site of the supercell.
        moves : ndarray, shape (m, 3)
            Its displacement (Å), which together with its images spans space.
        forces : ndarray, shape (m, N, 3)
            Forces (eV/Å) it causes.

        Returns
        -------
        ndarray, shape (n, N, 3, 3)
            Compact force constants (eV/Å^2); NaN for atoms that no displaced atom is an image of.
        """
        constants = np.full((*self._keys.shape, 3, 3), np.nan)
        for site in np.unique(displaced):
            own, atom = displaced == site, self.partners[site]
            seen = np.empty_like(forces[own])
            seen[:, self._map_sites(site)] = forces[own]
            row = self._solve_row(atom, moves[own], seen)
            for turn, atoms, sites in self._operations:
                constants[atoms[atom], sites[atom]] = turn @ row @ turn.T
        return constants

    def _solve_row(self, atom: int, moves: FloatArray, forces: FloatArray) -> FloatArray:
        """Force constants (N, 3, 3) of one atom from all images of its displacements."""
        images, effects = [], []
        for turn, atoms, sites in self._operations:
            if atoms[atom] == atom:
                effect = np.empty_like(forces)
                effect[:, sites[atom]] = forces @ turn.T
                images.append(moves @ turn.T)
                effects.append(effect.reshape(len(moves), -1))
        solution = -np.linalg.pinv(np.concatenate(images)) @ np.concatenate(effects)
        return np.moveaxis(solution.reshape(3, -1, 3), 1, 0)

    def _map_sites(self, site: int) -> IntArray:
        """Site in the table of the primitive cell's atom that each site is to an image of it."""
        keys = number_pairs(self.partners, self._cells[0] - self._cells[0, site], self.phonon)
        return self._find_sites(self.partners[site], keys)

    def _remove_means(self, constants: FloatArray) -> FloatArray:
        """Force constants without their means over the first and over the second atom."""
        n_atoms, n_sites = constants.shape[:2]
        rows = constants.sum(axis=1)
        columns = np.zeros_like(rows)
        np.add.at(columns, self.partners, constants.sum(axis=0))
        total = rows.sum(axis=0) / n_atoms
        centred: FloatArray = constants - (rows[:, None] + columns[self.partners] - total) / n_sites
        return centred

    def _exchange_atoms(self, constants: FloatArray) -> FloatArray:
        """Force constants with the atoms of each pair exchanged."""
        first = np.arange(len(constants))[:, None]
        sites = self._find_sites(self.partners, number_pairs(first, -self._cells, self.phonon))
        return constants[self.partners, sites].swapaxes(-1, -2)

    @cached_property
    def _operations(self) -> list[tuple[FloatArray, IntArray, IntArray]]:
        """Cartesian rotation, image of each atom (n,) and site of each image of a pair (n, N)."""
        found = []
        symmetry, primitive = self.phonon.primitive_symmetry, self.phonon.primitive
        operations, to_cartesian = symmetry.symmetry_operations, primitive.cell.T
        for rotation, translation, atoms in zip(
            operations["rotations"],
            operations["translations"],
            symmetry.atomic_permutations,
            strict=True,
        ):
            if not self._is_in_supercell(rotation):
                continue
            positions = primitive.scaled_positions
            moved = np.rint(positions @ rotation.T + translation - positions[atoms])
            shifts = moved.astype(np.int64)
            cells = self._cells @ rotation.T + shifts[self.partners] - shifts[:, None]
            keys = number_pairs(atoms[self.partners], cells, self.phonon)
            turn = to_cartesian @ rotation @ np.linalg.inv(to_cartesian)
            found.append((turn, atoms, self._find_sites(atoms[:, None], keys)))
        return found

    def _apply_operation(
        self, constants: FloatArray, turn: FloatArray, atoms: IntArray, sites: IntArray
    ) -> FloatArray:
        """Force constants carried along by an operation."""
        carried = np.empty_like(constants)
        carried[atoms[:, None], sites] = turn @ constants @ turn.T
        return carried

    def _is_in_supercell(self, rotation: IntArray) -> bool:
        """Whether an operation maps the lattice of the supercell onto itself."""
        size, adjugate = _compute_index_and_adjugate(self.phonon)
        vectors = np.rint(size * np.linalg.inv(adjugate)).astype(np.int64)
        return not ((vectors @ rotation.T @ adjugate) % size).any()

    def _find_sites(self, atoms: IntArray | int, keys: IntArray) -> IntArray:
        """Site of each pair from its first atom and its key."""
        order, names = self._order
        return np.asarray(order[atoms, np.searchsorted(names, keys)])

    @cached_property
    def _order(self) -> tuple[IntArray, IntArray]:
        """Sites by the names of their pairs (n, N), and these names (N,)."""
        order = self._keys.argsort(axis=1)
        return order, self._keys[0, order[0]]

    @cached_property
    def partners(self) -> IntArray:
        """Atom of the primitive cell that each site is an image of, shape (N,)."""
        return find_atoms_of_sites(self.phonon)

    @cached_property
    def _cells(self) -> IntArray:
        """Primitive cell of each site as seen from that of each atom, shape (n, N, 3)."""
        return find_relative_cells(self.phonon, self.phonon)

    @cached_property
    def _keys(self) -> IntArray:
        """Name of each pair, shape (n, N)."""
        return number_pairs(self.partners, self._cells, self.phonon)
