"""The demo crystals are what their table says: space group, class, orbits, bonds, density, hand."""

import subprocess
import sys
import warnings
from pathlib import Path
from typing import NamedTuple

import ase.io
import moyopy
import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list
from moyopy.interface import MoyoAdapter
from pymatgen.core import Structure
from pymatgen.io.cif import CifFile, CifParser

from data import make_demo

pytestmark = pytest.mark.slow

DEMO = make_demo.DEMO


class Known(NamedTuple):
    """Facts about a crystal that are not taken from the table of the demo crystals.

    number: space group; kind: class; atoms: number in the primitive cell; orbits: multiplicities
    in the conventional cell, in the order of the asymmetric unit; density: g/cm^3 (handbooks);
    bond: elements, length in angstrom and number of neighbours of the first at that length.
    """

    number: int
    kind: str
    atoms: int
    orbits: tuple[int, ...]
    density: float
    bond: tuple[str, str, float, int]


KNOWN = {
    "quartz-152": Known(152, "II", 9, (3, 6), 2.65, ("Si", "O", 1.605, 2)),
    "quartz-154": Known(154, "II", 9, (3, 6), 2.65, ("Si", "O", 1.605, 2)),
    "quartz-beta": Known(180, "II", 9, (3, 6), 2.53, ("Si", "O", 1.588, 4)),
    "cristobalite": Known(92, "II", 12, (4, 8), 2.33, ("O", "Si", 1.601, 1)),
    "geo2": Known(154, "II", 9, (3, 6), 4.28, ("Ge", "O", 1.739, 4)),
    "alpo4-berlinite": Known(152, "II", 18, (3, 3, 6, 6), 2.62, ("P", "O", 1.523, 4)),
    "teo2": Known(92, "II", 12, (4, 8), 6.02, ("Te", "O", 1.879, 2)),
    "te": Known(152, "II", 3, (3,), 6.24, ("Te", "Te", 2.835, 2)),
    "se": Known(152, "II", 3, (3,), 4.81, ("Se", "Se", 2.373, 2)),
    "hgs-cinnabar": Known(154, "II", 6, (3, 3), 8.18, ("Hg", "S", 2.368, 2)),
    "fesi": Known(198, "II", 8, (4, 4), 6.17, ("Fe", "Si", 2.29, 1)),
    "naclo3": Known(198, "II", 20, (4, 4, 12), 2.49, ("Cl", "O", 1.48, 3)),
    "srsi2": Known(212, "II", 12, (4, 8), 3.40, ("Si", "Si", 2.41, 3)),
    "crsi2": Known(180, "II", 9, (3, 6), 4.98, ("Cr", "Si", 2.48, 4)),
    "cdas2": Known(98, "II", 6, (4, 8), 5.88, ("As", "As", 2.44, 2)),
    "ni3s2": Known(155, "II", 5, (9, 6), 5.87, ("Ni", "Ni", 2.495, 2)),
    "li3po4": Known(31, "III", 16, (4, 2, 2, 4, 2, 2), 2.47, ("P", "O", 1.545, 4)),
    "cdal2s4": Known(82, "III", 7, (2, 2, 2, 8), 3.06, ("Cd", "S", 2.41, 4)),
    "znsip2": Known(122, "III", 8, (4, 4, 8), 3.39, ("Si", "P", 2.253, 4)),
    "pbtio3": Known(99, "III", 5, (1, 1, 1, 2), 7.95, ("Ti", "O", 1.77, 1)),
    "nbas": Known(109, "III", 4, (4, 4), 8.0, ("Nb", "As", 2.60, 2)),
    "linbo3": Known(161, "III", 10, (6, 6, 18), 4.64, ("Nb", "O", 1.889, 3)),
    "wc": Known(187, "III", 2, (1, 1), 15.67, ("W", "C", 2.197, 6)),
    "zno": Known(186, "III", 4, (2, 2), 5.67, ("Zn", "O", 1.975, 3)),
    "aln": Known(186, "III", 4, (2, 2), 3.26, ("Al", "N", 1.889, 3)),
    "gan": Known(186, "III", 4, (2, 2), 6.08, ("Ga", "N", 1.946, 1)),
    "cu3vs4": Known(215, "III", 8, (1, 3, 4), 3.92, ("V", "S", 2.215, 4)),
    "zns-sphalerite": Known(216, "III", 2, (4, 4), 4.09, ("Zn", "S", 2.342, 4)),
    "gaas": Known(216, "III", 2, (4, 4), 5.32, ("Ga", "As", 2.448, 4)),
    "si": Known(227, "I", 2, (8,), 2.329, ("Si", "Si", 2.352, 4)),
    "diamond": Known(227, "I", 2, (8,), 3.515, ("C", "C", 1.544, 4)),
    "mgo": Known(225, "I", 2, (4, 4), 3.58, ("Mg", "O", 2.106, 6)),
    "nacl": Known(225, "I", 2, (4, 4), 2.165, ("Na", "Cl", 2.820, 6)),
    "tio2-rutile": Known(136, "I", 6, (2, 4), 4.25, ("Ti", "O", 1.947, 4)),
    "al2o3-corundum": Known(167, "I", 10, (12, 18), 3.98, ("Al", "O", 1.856, 3)),
}
CRYSTALS = pytest.mark.parametrize("material_id", KNOWN)


def path_of(material_id: str) -> Path:
    return DEMO / f"{material_id}.cif"


def read_ase(material_id: str) -> Atoms:
    with warnings.catch_warnings(action="error"):
        return ase.io.read(path_of(material_id))


def read_pymatgen(material_id: str) -> Structure:
    with warnings.catch_warnings(action="error"):
        parser = CifParser(path_of(material_id))
        [structure] = parser.parse_structures(primitive=False)
    assert parser.warnings == []
    return structure


def cell_of(atoms: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers


def same_sites(first: np.ndarray, second: np.ndarray, tolerance: float) -> bool:
    """Whether every point of one set is a point of the other, up to lattice translations."""
    difference = first[:, None] - second[None]
    distance = np.abs(difference - np.round(difference)).max(axis=2)
    return bool((distance.min(axis=1) < tolerance).all() and len(first) == len(second))


def test_folder_holds_exactly_the_known_crystals() -> None:
    assert {path.stem for path in DEMO.glob("*.cif")} == KNOWN.keys()


def test_script_reproduces_committed_files(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    assert make_demo.main(["--output", str(folder)]) == 0
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert written == {path.name: path.read_bytes() for path in DEMO.iterdir()}


def test_script_reproduces_the_measured_volumes(tmp_path: Path) -> None:
    make_demo.main(["--output", str(tmp_path / "demo")])
    volumes = tmp_path / make_demo.CELLS
    assert volumes.read_bytes() == (DEMO.parent / make_demo.CELLS).read_bytes()
    volumes.write_text("formula\n")
    assert make_demo.main(["--check", "--output", str(tmp_path / "demo")]) == 1


def test_check_reports_changed_missing_and_left_over_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "demo"
    make_demo.main(["--output", str(folder)])
    assert make_demo.main(["--check", "--output", str(folder)]) == 0
    (folder / "te.cif").write_text("data_te\n")
    (folder / "se.cif").unlink()
    (folder / "stray.cif").write_text("data_stray\n")
    assert make_demo.main(["--check", "--output", str(folder)]) == 1
    assert [line.split()[-1] for line in capsys.readouterr().err.splitlines()] == [
        "se.cif",
        "stray.cif",
        "te.cif",
    ]


def test_script_runs_by_path_and_explains_itself() -> None:
    command = [sys.executable, make_demo.__file__, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--check" in done.stdout


def test_coordinate_sums_are_exact() -> None:
    assert make_demo.fraction("0.1191+2/3") == make_demo.Fraction(7857_6666 * 3 + 2, 3 * 10**8)


@CRYSTALS
def test_ase_and_pymatgen_read_the_same_crystal_without_warnings(material_id: str) -> None:
    atoms, structure = read_ase(material_id), read_pymatgen(material_id)
    assert np.allclose(sorted(atoms.cell.lengths()), sorted(structure.lattice.abc), atol=1e-10)
    assert np.allclose(atoms.cell.angles(), structure.lattice.angles, atol=1e-10)
    for number in set(atoms.numbers):
        chosen = [i for i, z in enumerate(structure.atomic_numbers) if z == number]
        ours = atoms.get_scaled_positions()[atoms.numbers == number]
        assert same_sites(ours, structure.frac_coords[chosen], tolerance=1e-9)


@CRYSTALS
@pytest.mark.parametrize("symprec", [1e-5, 1e-3, 1e-2])
def test_space_group_holds_at_several_tolerances(material_id: str, symprec: float) -> None:
    found = spglib.get_symmetry_dataset(cell_of(read_ase(material_id)), symprec=symprec)
    assert found.number == KNOWN[material_id].number


@CRYSTALS
def test_a_second_program_finds_the_same_space_group(material_id: str) -> None:
    found = moyopy.MoyoDataset(MoyoAdapter.from_atoms(read_ase(material_id)), symprec=1e-4)
    assert found.number == KNOWN[material_id].number


@CRYSTALS
def test_file_is_ascii_as_cif_demands(material_id: str) -> None:
    assert path_of(material_id).read_bytes().isascii()


@CRYSTALS
def test_header_states_the_space_group_and_the_id(material_id: str) -> None:
    [(block, items)] = CifFile.from_file(path_of(material_id)).data.items()
    assert block == material_id
    assert int(items["_space_group_IT_number"]) == KNOWN[material_id].number


@CRYSTALS
def test_class_follows_from_the_operations_of_the_crystal(material_id: str) -> None:
    # I: inversion; II: proper operations only; III: improper ones, but no inversion.
    known = KNOWN[material_id]
    found = spglib.get_symmetry_dataset(cell_of(read_ase(material_id)), symprec=1e-4)
    proper = np.linalg.det(found.rotations) > 0
    inversion = (found.rotations == -np.eye(3, dtype=int)).all(axis=(1, 2)).any()
    kind = "I" if inversion else "II" if proper.all() else "III"
    assert kind == known.kind == make_demo.class_of(known.number)


@CRYSTALS
def test_orbits_have_the_multiplicities_of_their_wyckoff_positions(material_id: str) -> None:
    [items] = CifFile.from_file(path_of(material_id)).data.values()
    stated = tuple(map(int, items["_atom_site_symmetry_multiplicity"]))
    found = spglib.get_symmetry_dataset(cell_of(read_ase(material_id)), symprec=1e-4)
    _, sizes = np.unique(found.crystallographic_orbits, return_counts=True)
    assert stated == KNOWN[material_id].orbits
    assert sorted(sizes) == sorted(stated)


@CRYSTALS
def test_primitive_cell_is_small(material_id: str) -> None:
    primitive = spglib.find_primitive(cell_of(read_ase(material_id)), symprec=1e-4)
    assert len(primitive[2]) == KNOWN[material_id].atoms <= 20


@CRYSTALS
def test_no_two_atoms_are_too_close(material_id: str) -> None:
    atoms = read_ase(material_id)
    first, second, distance = neighbor_list("ijd", atoms, cutoff=4.0)
    contact = covalent_radii[atoms.numbers[first]] + covalent_radii[atoms.numbers[second]]
    assert (distance > 0.7 * contact).all()


@CRYSTALS
def test_density_is_that_of_the_handbooks(material_id: str) -> None:
    atoms = read_ase(material_id)
    density = atoms.get_masses().sum() / atoms.get_volume() * 1.66053907
    assert density == pytest.approx(KNOWN[material_id].density, rel=0.015)


@CRYSTALS
def test_nearest_bond_has_its_length_and_number(material_id: str) -> None:
    centre, ligand, length, count = KNOWN[material_id].bond
    atoms = read_ase(material_id)
    symbols = np.array(atoms.get_chemical_symbols())
    first, second, distance = neighbor_list("ijd", atoms, cutoff=4.0)
    bonds = distance[(symbols[first] == centre) & (symbols[second] == ligand)]
    assert np.isclose(bonds, length, atol=0.006).sum() == count * (symbols == centre).sum()


@pytest.mark.parametrize(
    ("material_id", "centre", "lengths"),
    [
        # Both independent bonds, where the length of one is not enough to fix all coordinates.
        ("quartz-154", ("Si", "O"), (1.605, 1.614)),
        ("geo2", ("Ge", "O"), (1.737, 1.741)),
        ("alpo4-berlinite", ("Al", "O"), (1.730, 1.738)),
        ("alpo4-berlinite", ("P", "O"), (1.521, 1.524)),
        ("teo2", ("Te", "O"), (1.879, 2.122)),
        ("te", ("Te", "Te"), (2.835, 3.495)),
        ("se", ("Se", "Se"), (2.373, 3.436)),
        ("pbtio3", ("Ti", "O"), (1.770, 1.979, 2.386)),
        ("znsip2", ("Zn", "P"), (2.374,)),
        ("linbo3", ("Nb", "O"), (1.889, 2.112)),
        ("linbo3", ("Li", "O"), (2.068, 2.238)),
        ("cristobalite", ("Si", "O"), (1.601, 1.617)),
        ("naclo3", ("Na", "O"), (2.454, 2.459)),
        ("srsi2", ("Sr", "Si"), (3.213, 3.432)),
        ("crsi2", ("Cr", "Si"), (2.480, 2.552)),
        ("ni3s2", ("Ni", "S"), (2.254, 2.291)),
        ("cdas2", ("Cd", "As"), (2.694,)),
        ("nbas", ("Nb", "As"), (2.596, 2.631)),
        ("fesi", ("Fe", "Si"), (2.286, 2.341, 2.516)),
        ("hgs-cinnabar", ("Hg", "S"), (2.368, 3.094, 3.287)),
        ("li3po4", ("P", "O"), (1.540, 1.545, 1.549)),
        ("cu3vs4", ("Cu", "S"), (2.297,)),
        ("cdal2s4", ("Al", "S"), (2.344, 2.353)),
        ("al2o3-corundum", ("Al", "O"), (1.856, 1.970)),
        ("tio2-rutile", ("Ti", "O"), (1.947, 1.981)),
    ],
)
def test_bond_lengths_that_fix_the_free_coordinates(
    material_id: str, centre: tuple[str, str], lengths: tuple[float, ...]
) -> None:
    atoms = read_ase(material_id)
    symbols = np.array(atoms.get_chemical_symbols())
    first, second, distance = neighbor_list("ijd", atoms, cutoff=3.6)
    bonds = distance[(symbols[first] == centre[0]) & (symbols[second] == centre[1])]
    assert np.unique(bonds.round(4))[: len(lengths)] == pytest.approx(lengths, abs=0.002)


@pytest.mark.parametrize(
    ("material_id", "bridge", "angle"),
    [
        # Angles at the oxygen bridge of the frameworks, in degrees.
        ("quartz-154", ("Si", "O"), 143.7),
        ("geo2", ("Ge", "O"), 130.1),
    ],
)
def test_bridging_angle(material_id: str, bridge: tuple[str, str], angle: float) -> None:
    atoms = read_ase(material_id)
    symbols = np.array(atoms.get_chemical_symbols())
    first, second, vector = neighbor_list("ijD", atoms, cutoff=2.0)
    oxygen = np.flatnonzero(symbols == bridge[1])[0]
    legs = vector[(first == oxygen) & (symbols[second] == bridge[0])]
    a, b = legs / np.linalg.norm(legs, axis=1, keepdims=True)
    assert np.degrees(np.arccos(a @ b)) == pytest.approx(angle, abs=0.15)


def test_quartz_pair_is_related_by_exact_inversion() -> None:
    left, right = read_ase("quartz-152"), read_ase("quartz-154")
    assert np.array_equal(left.cell[:], right.cell[:])
    for element in ("Si", "O"):
        inverted = -left[left.symbols == element].get_scaled_positions()
        image = right[right.symbols == element].get_scaled_positions()
        assert same_sites(inverted, image, tolerance=1e-12)


def test_quartz_pair_has_the_same_distances() -> None:
    fingerprints = [
        np.sort(neighbor_list("d", read_ase(name), cutoff=6.0))
        for name in ("quartz-152", "quartz-154")
    ]
    assert np.allclose(*fingerprints, rtol=0.0, atol=1e-10)


def test_quartz_pair_is_not_superposable() -> None:
    # A rotation of the crystal keeps the sign of the triple products, an inversion turns it.
    left, right = (triple_product(read_ase(name)) for name in ("quartz-152", "quartz-154"))
    assert abs(left) > 1.0
    assert left == pytest.approx(-right, rel=1e-9)


def triple_product(atoms: Atoms) -> float:
    """Pseudoscalar of the silicon sites: (a x b).c (a.b) (b.c)^2 over bonds a, b, c."""
    first, vector = neighbor_list("iD", atoms, cutoff=4.2)
    total = 0.0
    for site in np.flatnonzero(atoms.numbers == 14):
        legs = vector[first == site]
        triple = np.einsum("aj,bk,cl,jkl->abc", legs, legs, legs, LEVI_CIVITA, optimize=True)
        dots = legs @ legs.T
        total += float(np.einsum("abc,ab,bc->", triple, dots, dots**2)) / len(legs) ** 3
    return total


LEVI_CIVITA = np.zeros((3, 3, 3))
LEVI_CIVITA[[0, 1, 2], [1, 2, 0], [2, 0, 1]] = 1.0
LEVI_CIVITA[[0, 2, 1], [2, 1, 0], [1, 0, 2]] = -1.0


@pytest.mark.parametrize(
    ("material_id", "pitch"), [("quartz-152", 1), ("quartz-154", 2), ("te", 1), ("hgs-cinnabar", 2)]
)
def test_screw_sense(material_id: str, pitch: int) -> None:
    # 3_1: counter-clockwise by 120 degrees about c and up by c/3, a right-handed screw; 3_2 the
    # same turn with 2c/3, that is the left-handed screw. Neither crystal obeys the other one.
    atoms = read_ase(material_id)
    turned = atoms.copy()
    turned.rotate(120, "z")
    fractions = np.linalg.solve(atoms.cell[:].T, turned.positions.T).T
    for thirds in (1, 2):
        image = fractions + np.array([0.0, 0.0, thirds / 3])
        kept = all(
            same_sites(
                image[atoms.numbers == z], atoms.get_scaled_positions()[atoms.numbers == z], 1e-9
            )
            for z in set(atoms.numbers)
        )
        assert kept == (thirds == pitch)


def test_readme_lists_every_crystal_once_with_its_source() -> None:
    lines = (DEMO / "README.md").read_text("utf-8").splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if "| `" in line
    ]
    assert sorted(row[0].strip("`") for row in rows) == sorted(KNOWN)
    for name, _, _, _, kind, atoms, _, source, check in rows:
        known = KNOWN[name.strip("`")]
        assert (kind, int(atoms)) == (known.kind, known.atoms)
        assert source.rstrip(" K").split("(")[-1][:2] in {"19", "20"}
        assert check in {"listing", "bonds"}
