"""Crystals and spring models for the tests: random ones of any space group, and a few real ones.

Random crystals have exactly the space group asked for. The spring models are quadratic forms
E = 1/2 sum_s (w_s . u)^2 over springs s that only see differences of displacements, summed over
the orbits of the space group. So every model obeys the acoustic sum rule, the permutation symmetry
and the whole space group to rounding, and has no imaginary mode; beyond that it is generic.
"""

import os
import warnings
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import spglib
from ase import Atoms
from ase.neighborlist import neighbor_list
from ase.spacegroup import crystal
from numpy.typing import NDArray
from phonopy import Phonopy
from phonopy.harmonic.force_constants import compact_fc_to_full_fc, full_fc_to_compact_fc
from phonopy.interface.calculator import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import get_primitive_matrix_by_centring
from phonopy.structure.symmetry import symmetrize_borns_and_epsilon
from scipy.sparse import csr_array

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Elements of distinct masses from which the species of random crystals are drawn.
SPECIES = ("C", "O", "Na", "Si", "S", "Ti", "Zn", "Se", "Zr")
VOLUME_PER_ATOM = 14.0
CHIRAL_PAIRS = {
    76: 78,
    91: 95,
    92: 96,
    144: 145,
    151: 153,
    152: 154,
    169: 170,
    171: 172,
    178: 179,
    180: 181,
    212: 213,
}


@dataclass(frozen=True)
class PrimitiveGroup:
    """Operations of a space group in a primitive basis, one per element of the point group.

    rotations (ng, 3, 3) and translations (ng, 3) act on fractional primitive coordinates;
    primitive_matrix (3, 3) has the primitive vectors as columns in units of the conventional ones.
    """

    rotations: IntArray
    translations: FloatArray
    primitive_matrix: FloatArray


@cache
def hall_numbers() -> dict[int, int]:
    """First Hall number (spglib's standard setting) of each space group."""
    halls: dict[int, int] = {}
    for hall in range(1, 531):
        halls.setdefault(spglib.get_spacegroup_type(hall).number, hall)
    return halls


@cache
def primitive_group(number: int) -> PrimitiveGroup:
    """Operations of space group `number` in the primitive basis of its standard setting."""
    hall = hall_numbers()[number]
    symbol = spglib.get_spacegroup_type(hall).international_short
    matrix = np.asarray(get_primitive_matrix_by_centring(symbol[0]))
    operations = spglib.get_symmetry_from_database(hall)
    assert operations is not None
    seen: dict[bytes, tuple[IntArray, FloatArray]] = {}
    for rotation, translation in zip(
        operations["rotations"], operations["translations"], strict=True
    ):
        primitive = np.rint(np.linalg.inv(matrix) @ rotation @ matrix).astype(np.int64)
        seen.setdefault(primitive.tobytes(), (primitive, np.linalg.inv(matrix) @ translation))
    rotations, translations = zip(*seen.values(), strict=True)
    return PrimitiveGroup(np.array(rotations), np.array(translations), matrix)


def random_cell(number: int, rng: np.random.Generator) -> FloatArray:
    """Random conventional cell (rows) of the crystal system of space group `number`."""
    a, b, c = rng.uniform(0.8, 1.3, 3) * np.array([1.0, 1.15, 0.9])
    alpha, beta, gamma = np.radians(rng.uniform(75, 105, 3))
    if number > 2:
        alpha = gamma = np.pi / 2
    if number > 15:
        beta = np.pi / 2
    if number > 74:
        b = a
    if 143 <= number <= 194:
        gamma = 2 * np.pi / 3
        c *= 1.3
    if number > 194:
        c = a
    return _cell_rows((a, b, c), (alpha, beta, gamma))


def _cell_rows(
    lengths: tuple[float, float, float], angles: tuple[float, float, float]
) -> FloatArray:
    """Cell with a along x and b in the xy plane; lengths in any unit, angles in radians."""
    (a, b, c), (alpha, beta, gamma) = lengths, angles
    cx = np.cos(beta)
    cy = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    cz = np.sqrt(1 - cx**2 - cy**2)
    rows = [[a, 0, 0], [b * np.cos(gamma), b * np.sin(gamma), 0], [c * cx, c * cy, c * cz]]
    cell = np.array(rows)
    cell[np.abs(cell) < 1e-15] = 0.0
    return cell


def _random_site(group: PrimitiveGroup, rng: np.random.Generator) -> FloatArray:
    """Random point, mostly restricted to the fixed set of one or two operations."""
    point = rng.uniform(size=3)
    n_constraints = rng.choice([0, 1, 1, 2])
    for _ in range(8 if n_constraints else 0):
        picks = rng.integers(len(group.rotations), size=n_constraints)
        matrix = np.concatenate([np.eye(3) - group.rotations[i] for i in picks])
        shift = np.concatenate([group.translations[i] + rng.integers(-1, 2, 3) for i in picks])
        inverse = np.linalg.pinv(matrix)
        fixed = inverse @ shift
        if matrix.any() and np.abs(matrix @ fixed - shift).max() < 1e-10:
            return fixed + point - inverse @ (matrix @ point)
    return point


def _orbit(group: PrimitiveGroup, site: FloatArray) -> FloatArray:
    """Distinct images of `site` in the primitive cell, shape (n, 3)."""
    images = (group.rotations @ site + group.translations) % 1.0
    difference = images[:, None] - images
    same = np.abs(difference - np.rint(difference)).max(axis=-1) < 1e-8
    return images[np.argmax(same, axis=1) == np.arange(len(images))]


def _assemble(cell: FloatArray, orbits: list[FloatArray], species: list[str]) -> Atoms:
    """Atoms with one species per orbit, scaled to VOLUME_PER_ATOM."""
    symbols = [name for name, orbit in zip(species, orbits, strict=True) for _ in orbit]
    atoms = Atoms(symbols, cell=cell, scaled_positions=np.concatenate(orbits), pbc=True)
    factor = (VOLUME_PER_ATOM * len(atoms) / atoms.get_volume()) ** (1 / 3)
    atoms.set_cell(cell * factor, scale_atoms=True)
    return atoms


def space_group_number(atoms: Atoms, symprec: float = 1e-5) -> int:
    """Space-group number found by spglib; 0 where it finds none."""
    dataset = spglib.get_symmetry_dataset(
        (atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers), symprec=symprec
    )
    return 0 if dataset is None else int(dataset.number)


def _shortest_distance(atoms: Atoms) -> float:
    """Shortest interatomic distance (A) among the images in the adjoining cells."""
    images = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), axis=-1).reshape(-1, 1, 1, 3)
    x = atoms.get_scaled_positions(wrap=False)
    distances = np.linalg.norm((x[:, None] - x + images) @ atoms.cell.array, axis=-1)
    np.fill_diagonal(distances[len(images) // 2], np.inf)
    return float(distances.min())


def _is_acceptable(atoms: Atoms, number: int) -> bool:
    """True for separate atoms of exactly this space group, in a primitive cell."""
    if _shortest_distance(atoms) < 1.4:
        return False
    cell = (atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-5)
    if found is None or found.number != number:
        return False
    n_translations = int((found.rotations == np.eye(3)).all(axis=(1, 2)).sum())
    return n_translations == 1 and space_group_number(atoms, 1e-2) == number


def _try_crystal(
    number: int, pool: list[FloatArray], limit: int, rng: np.random.Generator
) -> Atoms | None:
    """Crystal of two to four random orbits of the pool, or None where they are unsuitable."""
    picks = rng.choice(len(pool), size=min(len(pool), rng.integers(2, 5)), replace=False)
    if not 3 <= sum(len(pool[i]) for i in picks) <= limit:
        return None
    cell = primitive_group(number).primitive_matrix.T @ random_cell(number, rng)
    names = list(rng.choice(SPECIES, size=2, replace=False)[np.arange(len(picks)) % 2])
    atoms = _assemble(cell, [pool[i] for i in picks], names)
    return atoms if _is_acceptable(atoms, number) else None


@lru_cache(maxsize=512)
def _random_crystal(number: int, seed: int, max_atoms: int) -> Atoms:
    rng = np.random.default_rng([number, seed])
    group = primitive_group(number)
    orbits: list[FloatArray] = []
    for limit in (4, 6, 8, 12, 16, 24, 32, 48, 72, 96, 96, 96):
        size = min(limit, max_atoms)
        orbits += [_orbit(group, _random_site(group, rng)) for _ in range(12)]
        pool = [orbit for orbit in orbits if len(orbit) < size]
        for _ in range(40 if len(pool) > 1 else 0):
            atoms = _try_crystal(number, pool, size, rng)
            if atoms is not None:
                return atoms
    msg = f"no crystal of space group {number} with at most {max_atoms} atoms for seed {seed}"
    raise RuntimeError(msg)


def random_crystal(number: int, seed: int = 0, *, max_atoms: int = 96) -> Atoms:
    """Random crystal with exactly space group `number`, as its primitive cell.

    Parameters
    ----------
    number : int
        Space group, 1-230.
    seed : int
        Same number and seed, same crystal.
    max_atoms : int
        Largest primitive cell accepted; small ones are tried first.

    Returns
    -------
    ase.Atoms
        Two species, at least three atoms, 14 A^3 per atom, in the primitive basis of spglib's
        standard setting; spglib confirms the number at 1e-5 and at 1e-2 A.
    """
    return _random_crystal(number, seed, max_atoms).copy()


@dataclass(frozen=True)
class _Springs:
    """Springs as rows: atom (in the primitive cell), lattice vector and 3-vector of each end."""

    row: IntArray
    atom: IntArray
    lattice: IntArray
    vector: FloatArray
    n_rows: int


def _cutoff(atoms: Atoms) -> float:
    """Smallest of a ladder of radii (A) that joins the crystal into one rigid network."""
    base = (atoms.get_volume() / len(atoms)) ** (1 / 3)
    for factor in np.arange(1.2, 4.0, 0.1):
        i, j, lattice = neighbor_list("ijS", atoms, factor * base)
        if _spans(len(atoms), i, j, lattice):
            return float(factor * base)
    msg = "the crystal falls into pieces: give a cutoff"
    raise RuntimeError(msg)


def _spans(n_atoms: int, i: IntArray, j: IntArray, lattice: IntArray) -> bool:
    """True where springs i-j join all atoms of the infinite crystal into one network.

    Interpenetrating networks show as a zero of the graph's Laplacian at some q other than Gamma.
    """
    fractions = (0, 1 / 3, 1 / 2)
    for q in np.stack(np.meshgrid(fractions, fractions, fractions), axis=-1).reshape(-1, 3):
        phase = np.exp(2j * np.pi * lattice @ q)
        laplacian = np.zeros((n_atoms, n_atoms), dtype=complex)
        np.add.at(laplacian, (i, i), 1.0)
        np.add.at(laplacian, (i, j), -phase)
        n_zero = int((np.linalg.eigvalsh(laplacian) < 1e-6).sum())
        if n_zero != int(not q.any()):
            return False
    return bool(np.bincount(i, minlength=n_atoms).min() >= 3)


def _pair_springs(atoms: Atoms, cutoff: float, rng: np.random.Generator) -> _Springs:
    """Longitudinal and transverse springs, functions of species and distance only."""
    i, j, lattice, r, d = neighbor_list("ijSDd", atoms, cutoff)
    unit = r / d[:, None]
    decay = np.exp(-((d / d.min()) ** 2 - 1) / 3)
    strength = _species_factor(atoms, i, j, rng) * decay
    axes = np.sqrt(strength)[:, None, None] * (
        0.45 * np.eye(3) + 0.55 * unit[:, :, None] * unit[:, None, :]
    )
    n_rows = 3 * len(i)
    row = np.repeat(np.arange(n_rows), 2)
    atom = np.stack([np.repeat(i, 3), np.repeat(j, 3)], axis=1).ravel()
    zero = np.zeros_like(lattice)
    shifts = np.stack([np.repeat(zero, 3, axis=0), np.repeat(lattice, 3, axis=0)], axis=1)
    vector = axes.reshape(-1, 3)
    ends = np.stack([-vector, vector], axis=1).reshape(-1, 3)
    return _Springs(row, atom, shifts.reshape(-1, 3), ends, n_rows)


def _species_factor(atoms: Atoms, i: IntArray, j: IntArray, rng: np.random.Generator) -> FloatArray:
    """Random stiffness (eV/A^2) of each pair of species, symmetric."""
    table = rng.uniform(2.0, 6.0, size=(120, 120))
    table = table + table.T
    return table[atoms.numbers[i], atoms.numbers[j]]


def _cluster_springs(
    atoms: Atoms, group: PrimitiveGroup, strength: float, rng: np.random.Generator
) -> _Springs:
    """Random many-body springs around one atom of each orbit and all their images.

    One spring is (sum_j w_j . (u_j - u_i))^2 over the three nearest neighbours j of atom i. It has
    no symmetry of its own, so that nothing beyond the space group is left.
    """
    permutation, shift = _atom_images(atoms, group)
    cartesian = _cartesian_rotations(atoms.cell.array, group.rotations)
    parts, n_rows = [], 0
    for centre in np.unique(permutation.min(axis=0)):
        neighbours, lattice = _nearest(atoms, int(centre), 3)
        share = len(np.unique(permutation[:, centre])) / (len(cartesian) * len(neighbours))
        ends = rng.normal(size=(len(neighbours), 3)) * np.sqrt(strength * share)
        members = np.concatenate([[centre], neighbours])
        cells = np.concatenate([np.zeros((1, 3), dtype=np.int64), lattice])
        vectors = np.concatenate([-ends.sum(axis=0, keepdims=True), ends])
        n_images = len(cartesian)
        image_cells = np.einsum("gab,mb->gma", group.rotations, cells) + shift[:, members]
        row = n_rows + np.repeat(np.arange(n_images), len(members))
        image_vectors = np.einsum("gab,mb->gma", cartesian, vectors)
        parts.append((row, permutation[:, members].ravel(), image_cells, image_vectors))
        n_rows += n_images
    return _Springs(
        np.concatenate([p[0] for p in parts]),
        np.concatenate([p[1] for p in parts]),
        np.concatenate([p[2].reshape(-1, 3) for p in parts]),
        np.concatenate([p[3].reshape(-1, 3) for p in parts]),
        n_rows,
    )


def _nearest(atoms: Atoms, centre: int, count: int) -> tuple[IntArray, IntArray]:
    """Indices and lattice vectors of the `count` nearest neighbours of an atom."""
    i, j, lattice, d = neighbor_list("ijSd", atoms, 2.2 * VOLUME_PER_ATOM ** (1 / 3))
    mine = np.flatnonzero(i == centre)
    order = mine[np.argsort(d[mine], kind="stable")][:count]
    return j[order].astype(np.int64), lattice[order].astype(np.int64)


def symmetry_operations(atoms: Atoms, symprec: float = 1e-5) -> PrimitiveGroup:
    """Space-group operations of a primitive cell as spglib finds them."""
    cell = (atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers)
    symmetry = spglib.get_symmetry(cell, symprec=symprec)
    return PrimitiveGroup(
        symmetry["rotations"].astype(np.int64), symmetry["translations"], np.eye(3)
    )


def _atom_images(atoms: Atoms, group: PrimitiveGroup) -> tuple[IntArray, IntArray]:
    """Atom k' and lattice vector m with R x_k + t = x_k' + m: shapes (ng, n) and (ng, n, 3)."""
    x = atoms.get_scaled_positions(wrap=False)
    image = np.einsum("gab,kb->gka", group.rotations, x) + group.translations[:, None]
    difference = image[:, :, None] - x
    distance = np.linalg.norm(difference - np.rint(difference), axis=-1)
    permutation = distance.argmin(axis=-1)
    return permutation, np.rint(image - x[permutation]).astype(np.int64)


def _cartesian_rotations(cell: FloatArray, rotations: IntArray) -> FloatArray:
    """Cartesian matrices of fractional rotations, made orthogonal to rounding."""
    matrices = cell.T @ rotations @ np.linalg.inv(cell.T)
    u, _, vh = np.linalg.svd(matrices)
    return np.asarray(u @ vh)


def _supercell_size(cell: FloatArray, reach: float) -> int:
    """Least n for which springs up to `reach` (A) do not meet their images in an n x n x n cell."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    return max(2, int(np.ceil(2.02 * reach / heights.min())))


def _compact_force_constants(
    springs: list[_Springs], atoms: Atoms, phonon: Phonopy, size: int
) -> FloatArray:
    """Force constants (n, N, 3, 3) of a diagonal n x n x n supercell from springs.

    The cell of each spring's end is taken modulo the supercell; the springs of all the other cells
    follow by translation.
    """
    primitive = phonon.primitive
    n_atoms = len(primitive)
    lookup = _supercell_lookup(atoms, phonon, size)
    cells = np.stack(np.meshgrid(*[np.arange(size)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    n_sites = len(phonon.supercell)
    total = np.zeros((3 * n_sites, 3 * n_atoms))
    rows_of_primitive = (3 * np.asarray(primitive.p2s_map)[:, None] + np.arange(3)).ravel()
    for spring in springs:
        target = (spring.lattice[None] + cells[:, None]) % size
        site = lookup[spring.atom[None], target[..., 0], target[..., 1], target[..., 2]]
        row = spring.row[None] + spring.n_rows * np.arange(len(cells))[:, None]
        column = 3 * site[..., None] + np.arange(3)
        data = np.broadcast_to(spring.vector, column.shape)
        rows = np.broadcast_to(row[..., None], column.shape)
        matrix = csr_array(
            (data.ravel(), (rows.ravel(), column.ravel())),
            shape=(spring.n_rows * len(cells), 3 * n_sites),
        )
        total += (matrix.T @ matrix[:, rows_of_primitive]).toarray()
    blocks = total.T.reshape(n_atoms, 3, n_sites, 3)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def _supercell_lookup(atoms: Atoms, phonon: Phonopy, size: int) -> IntArray:
    """Index in the supercell of primitive atom k in cell (a, b, c): shape (n, size, size, size)."""
    x = atoms.get_scaled_positions(wrap=False)
    y = phonon.supercell.scaled_positions * size
    p2p = phonon.primitive.p2p_map
    atom = np.array([p2p[s] for s in phonon.primitive.s2p_map])
    cell = np.rint(y - x[atom]).astype(np.int64) % size
    assert np.abs((y - x[atom]) - np.rint(y - x[atom])).max() < 1e-8
    lookup = np.full((len(x), size, size, size), -1, dtype=np.int64)
    lookup[atom, cell[:, 0], cell[:, 1], cell[:, 2]] = np.arange(len(y))
    return lookup


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """Same crystal as PhonopyAtoms, masses included."""
    return PhonopyAtoms(
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
        numbers=atoms.numbers,
        masses=atoms.get_masses(),
    )


def spring_phonon(
    atoms: Atoms,
    seed: int = 0,
    *,
    cutoff: float | None = None,
    cluster_strength: float = 4.0,
    born: bool = False,
) -> Phonopy:
    """Spring model of a primitive cell: exact space group, sum rule, and no imaginary mode.

    Parameters
    ----------
    atoms : ase.Atoms
        Primitive cell.
    seed : int
        Seed of the random spring constants.
    cutoff : float, optional
        Range of the pair springs in A; by default the shortest that holds the crystal together.
    cluster_strength : float
        Strength (eV/A^2) of the random many-body springs; 0 leaves pair springs alone.
    born : bool
        Add random Born charges and a dielectric tensor of the crystal's symmetry.

    Returns
    -------
    phonopy.Phonopy
        With compact force constants; its primitive cell is `atoms` itself.
    """
    rng = np.random.default_rng(seed)
    cutoff = _cutoff(atoms) if cutoff is None else cutoff
    springs = [_pair_springs(atoms, cutoff, rng)]
    reach = cutoff
    if cluster_strength:
        group = symmetry_operations(atoms)
        springs.append(_cluster_springs(atoms, group, cluster_strength, rng))
        reach = max(reach, _reach(springs[-1], atoms))
    size = _supercell_size(atoms.cell.array, reach)
    phonon = Phonopy(to_phonopy(atoms), np.diag([size] * 3), primitive_matrix=np.eye(3))
    phonon.force_constants = _compact_force_constants(springs, atoms, phonon, size)
    if born:
        phonon.nac_params = random_nac(phonon, rng)
    return phonon


@lru_cache(maxsize=256)
def spring_crystal(number: int, seed: int = 0) -> Phonopy:
    """Spring model of a random crystal of a space group, made once per session: do not change it.

    Parameters
    ----------
    number : int
        Space group, 1-230.
    seed : int
        Seed of `random_crystal` and `spring_phonon`.

    Returns
    -------
    phonopy.Phonopy
        See `spring_phonon`.
    """
    return spring_phonon(random_crystal(number, seed), seed)


@cache
def sampled_groups() -> tuple[int, ...]:
    """Space groups that property tests run over.

    One of each of the 32 point groups (the middle one, mostly not symmorphic); all 230 where the
    environment variable CHIRALSCREEN_ALL_GROUPS is set.
    """
    if os.environ.get("CHIRALSCREEN_ALL_GROUPS"):
        return tuple(range(1, 231))
    groups: dict[str, list[int]] = {}
    for number, hall in hall_numbers().items():
        symbol = spglib.get_spacegroup_type(hall).pointgroup_international
        groups.setdefault(symbol, []).append(number)
    return tuple(numbers[len(numbers) // 2] for numbers in groups.values())


def _reach(springs: _Springs, atoms: Atoms) -> float:
    """Largest distance (A) between two ends of one spring."""
    ends = atoms.get_scaled_positions(wrap=False)[springs.atom] + springs.lattice
    positions = (ends @ atoms.cell.array).reshape(-1, 1, 3)
    blocks = np.split(positions[:, 0], np.flatnonzero(np.diff(springs.row)) + 1)
    return max(float(np.linalg.norm(b[:, None] - b, axis=-1).max()) for b in blocks)


def random_nac(phonon: Phonopy, rng: np.random.Generator) -> dict[str, object]:
    """Random Born charges (e) and dielectric tensor obeying the symmetry, for phonopy."""
    sign = np.where(phonon.primitive.numbers == phonon.primitive.numbers.max(), 1.0, -1.0)
    born = 1.5 * sign[:, None, None] * np.eye(3) + rng.normal(scale=0.3, size=(len(sign), 3, 3))
    noise = rng.normal(scale=0.3, size=(3, 3))
    epsilon = 4.0 * np.eye(3) + noise @ noise.T
    with warnings.catch_warnings():
        # Random charges break the symmetry on purpose; phonopy says so.
        warnings.simplefilter("ignore", UserWarning)
        born, epsilon = symmetrize_borns_and_epsilon(
            born, epsilon, phonon.primitive, primitive_matrix=np.eye(3), is_symmetry=True
        )
    factor = get_calculator_physical_units(interface_mode="vasp").nac_factor
    return {"born": born, "dielectric": epsilon, "factor": factor}


def transformed(
    phonon: Phonopy,
    rotation: FloatArray | None = None,
    *,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
    order: IntArray | None = None,
    repeat: tuple[int, int, int] = (1, 1, 1),
    lattice: IntArray | None = None,
) -> Phonopy:
    """Same crystal described anew: rotated or reflected, shifted, with other vectors or atoms.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        Primitive cell equal to its unit cell, diagonal supercell.
    rotation : ndarray, shape (3, 3), optional
        Cartesian orthogonal matrix applied to the whole crystal; det -1 gives the mirror image
        (in a left-handed cell, which phonopy's dipole sum cannot take: not with Born charges).
    shift : tuple of float
        Shift of the origin, fractional primitive coordinates.
    order : ndarray, shape (n,), optional
        New order of the atoms of the primitive cell.
    repeat : tuple of int
        Repetitions taken as the new "primitive" cell; each must divide the supercell's size.
    lattice : ndarray, shape (3, 3), optional
        Integer matrix of determinant 1 whose rows give the new lattice vectors; without `repeat`.

    Returns
    -------
    phonopy.Phonopy
        With force constants (and Born charges, for repeat = (1, 1, 1)) carried along.
    """
    R = np.eye(3) if rotation is None else np.asarray(rotation, dtype=float)
    assert phonon.nac_params is None or np.linalg.det(R) > 0, "no left-handed cell with charges"
    old = phonon.unitcell
    pick = np.arange(len(old)) if order is None else np.asarray(order)
    M = np.eye(3) if lattice is None else np.asarray(lattice, dtype=float)
    cell = Atoms(
        numbers=old.numbers[pick],
        cell=M @ old.cell @ R.T,
        scaled_positions=(old.scaled_positions[pick] + np.asarray(shift)) @ np.linalg.inv(M),
        pbc=True,
    ).repeat(repeat)
    # The supercell keeps its own lattice vectors, whatever those of the cell.
    matrix = np.diag(np.diag(phonon.supercell_matrix) / repeat) @ np.linalg.inv(M).T
    new = Phonopy(to_phonopy(cell), np.rint(matrix).astype(int), primitive_matrix=np.eye(3))
    source = _match_sites(new, phonon, np.asarray(shift))
    full = np.asarray(phonon.force_constants)
    if full.shape[0] != full.shape[1]:
        full = compact_fc_to_full_fc(phonon.primitive, full)
    rotated = np.einsum("ac,ijcd,bd->ijab", R, full[np.ix_(source, source)], R)
    new.force_constants = full_fc_to_compact_fc(new.primitive, rotated)
    if phonon.nac_params is not None and repeat == (1, 1, 1):
        new.nac_params = _rotated_nac(phonon, R, pick)
    return new


def _match_sites(new: Phonopy, old: Phonopy, shift: FloatArray) -> IntArray:
    """Site of the old supercell under each site of the new one."""
    size = np.diag(old.supercell_matrix)
    x_new = new.supercell.scaled_positions - shift / size
    difference = x_new[:, None] - old.supercell.scaled_positions
    distance = np.abs(difference - np.rint(difference)).max(axis=-1)
    source = distance.argmin(axis=1)
    assert distance[np.arange(len(source)), source].max() < 1e-8
    return source


def _rotated_nac(phonon: Phonopy, R: FloatArray, pick: IntArray) -> dict[str, object]:
    nac = dict(phonon.nac_params)
    nac["born"] = np.einsum("ac,kcd,bd->kab", R, nac["born"][pick], R)
    nac["dielectric"] = R @ nac["dielectric"] @ R.T
    return nac


def random_rotation(seed: int) -> FloatArray:
    """Random proper rotation matrix (3, 3)."""
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return np.asarray(q * np.sign(np.linalg.det(q)))


def rocksalt() -> Atoms:
    """MgO-like rocksalt, space group 225."""
    return _wyckoff(("Mg", "O"), [(0, 0, 0), (0.5, 0.5, 0.5)], 225, (4.21, 4.21, 4.21, 90, 90, 90))


def diamond() -> Atoms:
    """Diamond, space group 227."""
    return _wyckoff(("C",), [(0, 0, 0)], 227, (3.57, 3.57, 3.57, 90, 90, 90))


def zincblende() -> Atoms:
    """ZnS-like zincblende, space group 216."""
    sites = [(0, 0, 0), (0.25, 0.25, 0.25)]
    return _wyckoff(("Zn", "S"), sites, 216, (5.41, 5.41, 5.41, 90, 90, 90))


def wurtzite() -> Atoms:
    """ZnO-like wurtzite, space group 186."""
    sites = [(1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, 0.382)]
    return _wyckoff(("Zn", "O"), sites, 186, (3.25, 3.25, 5.207, 90, 90, 120))


def rutile() -> Atoms:
    """TiO2-like rutile, space group 136."""
    sites = [(0, 0, 0), (0.305, 0.305, 0)]
    return _wyckoff(("Ti", "O"), sites, 136, (4.594, 4.594, 2.959, 90, 90, 90))


def honeycomb() -> Atoms:
    """BN-like planar AB honeycomb, layers stacked 3.3 A apart on top of each other, group 187."""
    cell = _cell_rows((2.5, 2.5, 3.3), (np.pi / 2, np.pi / 2, 2 * np.pi / 3))
    positions = [(1 / 3, 2 / 3, 0), (2 / 3, 1 / 3, 0)]
    return Atoms("BN", cell=cell, scaled_positions=positions, pbc=True)


def quartz(number: int = 152) -> Atoms:
    """Alpha-quartz, one hand in space group 152, the other in 154."""
    parameters = (4.914, 4.914, 5.405, 90, 90, 120)
    if number == 152:
        sites = [(0.4697, 0, 1 / 3), (0.4135, 0.2669, 1 / 3 - 0.1191)]
    elif number == 154:
        sites = [(0.4697, 0, 2 / 3), (0.4135 - 0.2669, -0.2669, -0.1191 + 2 / 3)]
    else:
        msg = f"alpha-quartz is in space group 152 or 154, not {number}"
        raise ValueError(msg)
    return _wyckoff(("Si", "O"), sites, number, parameters)


def tellurium() -> Atoms:
    """Trigonal Te, space group 152."""
    return _wyckoff(("Te",), [(0.2636, 0, 1 / 3)], 152, (4.456, 4.456, 5.921, 90, 90, 120))


def helix(radius: float) -> Atoms:
    """One-atom hexagonal crystal of 2.5 A between layers, its atoms moved off the axis (A).

    A right-handed helix on a threefold screw axis, P3_121; achiral at radius 0.
    """
    x, a = radius / 3.0, np.array([3.0, 0.0, 0.0])
    cell = [a, [-1.5, 1.5 * np.sqrt(3), 0.0], [0.0, 0.0, 7.5]]
    places = [(x, 0, 1 / 3), (0, x, 2 / 3), (-x, -x, 0)]
    return Atoms("Te3", cell=cell, scaled_positions=places, pbc=True)


def twisted_rocksalt(shift: float) -> Atoms:
    """Rocksalt whose atoms moved along threefold axes (fractions): P2_13, as iron silicide."""
    places = [
        place
        for x in (shift, 0.5 - 1.3 * shift)
        for place in (
            (x, x, x),
            (0.5 - x, -x, 0.5 + x),
            (-x, 0.5 + x, 0.5 - x),
            (0.5 + x, 0.5 - x, -x),
        )
    ]
    return Atoms("Na4Cl4", cell=3 * [5.6], scaled_positions=places, pbc=True)


def tilted_cristobalite(tilt: float) -> Atoms:
    """Cristobalite, P4_12_12, between its achiral ideal form (0) and the relaxed one (1)."""
    ideal, real = np.array([0.25, 0.25, 0.0, 0.125]), np.array([0.3003, 0.2392, 0.1044, 0.1787])
    u, x, y, z = ideal + tilt * (real - ideal)
    a = 5.06
    return crystal(
        ["Si", "O"],
        [(u, u, 0), (x, y, z)],
        spacegroup=92,
        cellpar=[a, a, np.sqrt(2) * a, 90, 90, 90],
    )


def _wyckoff(
    symbols: tuple[str, ...],
    sites: list[tuple[float, float, float]],
    number: int,
    parameters: tuple[float, ...],
) -> Atoms:
    """Primitive cell from Wyckoff sites and cell parameters (A, degrees)."""
    atoms = crystal(
        symbols, sites, spacegroup=number, cellpar=list(parameters), primitive_cell=True
    )
    return Atoms(
        numbers=atoms.numbers,
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
        pbc=True,
    )
