"""Choose the crystals that taught `facet-tetrahedra`.

    python -m benchmarks.tetrahedra mp.extxyz crystals.extxyz

Of the structures of the first file (any source that ``chiralscreen screen`` takes; the Materials
Project's are meant) those are kept in which every atom has four unlike neighbours (O, S, Se also
two or three), whose electrons count to octets, and which are no demo crystal. Elements are then
replaced by alike ones, lengths scaled with the covalent radii, so that every bond occurs in several
crystals. Of each formula a few are kept, chosen by a hash.
"""

import argparse
import hashlib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import ase.io
import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from matscipy.neighbours import neighbour_list
from numpy.typing import NDArray

from tasks.failures import Failure
from tasks.sources.materials import read_materials
from tasks.symmetry import classify_space_group, find_dataset

DEMO = Path(__file__).resolve().parents[1] / "data" / "demo"
VALENCE = {
    "Zn": 2, "Cd": 2, "Al": 3, "Ga": 3, "Si": 4, "Ge": 4,
    "N": 5, "P": 5, "As": 5, "O": 6, "S": 6, "Se": 6,
}  # fmt: skip
ALIKE = (("Al", "Ga"), ("Zn", "Cd"), ("Si", "Ge"), ("N", "P", "As"), ("O", "S", "Se"))
# Valences of the cations, and the anions they may have; one anion in each crystal.
FAMILIES = {
    (4,): ("", "O"),
    (3,): ("N", "P", "As"),
    (2,): ("O", "S", "Se"),
    (3, 5): ("O",),
    (2, 4): ("N", "P", "As"),
    (2, 3): ("S", "Se"),
}
MOST_ELEMENTS = 3
ANIONS = ("N", "P", "As", "O", "S", "Se")
BRIDGES = ("O", "S", "Se")
MOST_ATOMS = 18
MOST_OF_FORMULA = {1: 6, 2: 12, 3: 6}  # by the number of elements
# Silica is what has most polymorphs.
MOST_OF = {"O2Si": 80, "GeO2": 60, "AlO4P": 24, "GaO4P": 16, "AlAsO4": 12, "AsGaO4": 12}
# Beyond this sum of covalent radii (times) atoms are no neighbours.
REACH = 1.25


def main() -> None:
    """Read, choose and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="structures")
    parser.add_argument("output", type=Path, help="extended XYZ")
    options = parser.parse_args()
    found = [m for m in read_materials(options.source, 0.01) if not isinstance(m, Failure)]
    crystals = [named(m.atoms, m.material_id) for m in found if is_tetrahedral(m.atoms)]
    coloured = [new for old in crystals for new in decorated(old)]
    pool = [*crystals, *coloured]
    chosen = choose([*pool, *(new for old in pool for new in replaced(old))])
    ase.io.write(options.output, chosen, format="extxyz")
    print(f"{len(crystals)} crystals kept, {len(chosen)} chosen with replaced elements")


def named(atoms: Atoms, name: str) -> Atoms:
    """Bare copy with a name."""
    return Atoms(
        numbers=atoms.numbers,
        positions=atoms.positions,
        cell=atoms.cell,
        pbc=True,
        info={"material_id": name},
    )


def is_tetrahedral(atoms: Atoms) -> bool:
    """Whether elements, electrons and neighbours are those of the domain."""
    symbols = atoms.get_chemical_symbols()
    if len(atoms) > MOST_ATOMS or not set(symbols) <= set(VALENCE) or not in_family(set(symbols)):
        return False
    if sum(VALENCE[symbol] for symbol in symbols) % 8:
        return False
    first, second, _ = neighbours(atoms)
    counts = np.bincount(first, minlength=len(atoms))
    bridging = np.isin(symbols, BRIDGES) & np.isin(counts, (2, 3))
    alike = (atoms.numbers[first] == atoms.numbers[second]).any() and len(set(symbols)) > 1
    return bool(np.all((counts == 4) | bridging)) and not alike


def in_family(symbols: set[str]) -> bool:
    """Whether some choice of the anion makes one of the families."""
    if len(symbols) > MOST_ELEMENTS or {"N", "O"} <= symbols:
        return False
    choices = [symbol for symbol in ("", *ANIONS) if not symbol or symbol in symbols]
    return any(
        anion in FAMILIES.get(tuple(sorted({VALENCE[s] for s in symbols - {anion}})), ())
        for anion in choices
    )


def neighbours(
    atoms: Atoms,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of bonded atoms, and their distance in sums of covalent radii."""
    first, second, distance = neighbour_list("ijd", atoms, 4.0)
    radii = covalent_radii[atoms.numbers]
    ratio = distance / (radii[first] + radii[second])
    bonded = ratio < REACH
    return first[bonded], second[bonded], ratio[bonded]


def replaced(atoms: Atoms) -> Iterator[Atoms]:
    """The crystal with one or more of its elements replaced by alike ones."""
    present = sorted(set(atoms.get_chemical_symbols()))
    families = [next((f for f in ALIKE if symbol in f), (symbol,)) for symbol in present]
    for names in itertools.product(*families):
        if len(set(names)) < len(names) or names == tuple(present) or not in_family(set(names)):
            continue
        new = dict(zip(present, names, strict=True))
        numbers = [atomic_numbers[new[symbol]] for symbol in atoms.get_chemical_symbols()]
        changed = named(atoms, f"{atoms.info['material_id']}-{''.join(names)}")
        changed.numbers = numbers
        yield rescaled(atoms, changed)


def rescaled(before: Atoms, after: Atoms) -> Atoms:
    """The second crystal with the bonds of the first, in sums of covalent radii."""
    first, second, _ = neighbours(before)
    lengths = [
        float((covalent_radii[a.numbers][first] + covalent_radii[a.numbers][second]).mean())
        for a in (before, after)
    ]
    after.set_cell(np.asarray(before.cell) * lengths[1] / lengths[0], scale_atoms=True)
    return after


def decorated(atoms: Atoms) -> Iterator[Atoms]:
    """An oxide of silicon or germanium with Al and P in turns, where its rings allow it."""
    symbols = np.array(atoms.get_chemical_symbols())
    if set(symbols) not in ({"Si", "O"}, {"Ge", "O"}):
        return
    colours = two_colours(atoms, symbols != "O")
    if colours is not None:
        changed = named(atoms, f"{atoms.info['material_id']}-AlPO")
        changed.numbers[colours > 0] = atomic_numbers["Al"]
        changed.numbers[colours < 0] = atomic_numbers["P"]
        yield rescaled(atoms, changed)


def two_colours(atoms: Atoms, centres: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Sign of each centre, opposite to all that share a bridge with it; None where none exist."""
    first, second, _ = neighbours(atoms)
    bonds = np.zeros((len(atoms), len(atoms)), dtype=int)
    np.add.at(bonds, (first, second), 1)
    shared = bonds @ bonds
    # Across a bridge that it has to itself a centre finds itself once for each bond, and no more.
    own = bonds.sum(axis=1)
    colours = np.zeros(len(atoms), dtype=int)
    stack = [int(np.flatnonzero(centres)[0])]
    colours[stack[0]] = 1
    while stack:
        here = stack.pop()
        for there in np.flatnonzero(shared[here] * centres):
            if there == here:
                if shared[here, here] != own[here]:
                    return None
            elif not colours[there]:
                colours[there] = -colours[here]
                stack.append(int(there))
            elif colours[there] == colours[here]:
                return None
    return colours if np.all(colours[centres]) else None


def choose(crystals: Iterable[Atoms]) -> list[Atoms]:
    """Leave out demo crystals and repetitions, and keep a few of each formula."""
    held_out = {fingerprint(atoms)[:2] for atoms in demo_crystals()}
    formulas: dict[str, list[Atoms]] = {}
    seen = set()
    for atoms in sorted(crystals, key=_rank):
        mark = fingerprint(atoms)
        if mark[:2] in held_out or mark in seen:
            continue
        seen.add(mark)
        formulas.setdefault(mark[0], []).append(atoms)
    kept = [
        atoms
        for formula, found in sorted(formulas.items())
        for atoms in found[: _most(formula, found[0])]
    ]
    return sorted(kept, key=_rank)


def _most(formula: str, crystal: Atoms) -> int:
    """How many crystals of a formula are kept."""
    return MOST_OF.get(formula, MOST_OF_FORMULA[len(set(crystal.numbers))])


def demo_crystals() -> list[Atoms]:
    """The crystals that no student may see."""
    return [m.atoms for m in read_materials(DEMO, 0.01) if not isinstance(m, Failure)]


def fingerprint(atoms: Atoms) -> tuple[str, str, int, float]:
    """Reduced formula, point group with lattice type, size and density, all blind to the hand."""
    dataset = find_dataset(atoms, 0.01)
    formula = atoms.symbols.formula.reduce()[0].format("hill")
    volume = round(atoms.get_volume() / len(atoms), 1)
    return formula, hand_free(dataset.number), len(atoms), volume


def hand_free(number: int) -> str:
    """One name for both hands of an enantiomorphic pair of space groups."""
    return str(min(classify_space_group(number).enantiomorphic_partner or number, number))


def _rank(atoms: Atoms) -> tuple[bool, bytes]:
    """Originals first, then by a hash of the name."""
    name = str(atoms.info["material_id"])
    return name.count("-") > 1, hashlib.sha256(name.encode()).digest()


if __name__ == "__main__":
    main()
