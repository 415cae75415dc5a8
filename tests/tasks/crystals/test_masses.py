"""Isotopes are the same elements with other masses, in every format and up to the phonons."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.db import connect
from ase.io import read, write

from potentials import invert
from tasks.crystals.cells import make_atoms, make_phonopy_cell
from tasks.crystals.duplicates import Duplicates
from tasks.crystals.masses import find_number_and_mass, find_special_masses, set_special_masses
from tasks.crystals.rows import make_structure_columns, read_atoms
from tasks.crystals.structures import compute_structure_hash, standardize
from tasks.failures import RemediableError
from tasks.phonons import make_phonopy
from tasks.screening.plan import plan_screening
from tasks.symmetry import find_dataset, label_species
from tests.tasks.alloys import carry_out, intake_of, write_alloys
from tests.tasks.sources.records_of import accepted, cif

SYMPREC = 0.01
HYDRIDE = bulk("LiH", "rocksalt", a=4.08)
DEUTERIDE = HYDRIDE.copy()
DEUTERIDE.set_masses([6.94, 2.014])
P1 = "_symmetry_space_group_name_H-M 'P 1'\n_symmetry_equiv_pos_as_xyz x,y,z"
SITES = "Li1 Li 0 0 0\n{0}1 {0} 0.5 0.5 0.5"
PRIMITIVE = (2.88499567, 2.88499567, 2.88499567, 60, 60, 60)


def as_poscar(symbol: str) -> str:
    cell = "\n".join(" ".join(map(str, v)) for v in HYDRIDE.cell.array)
    return f"lithium hydride\n1.0\n{cell}\nLi {symbol}\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def as_xyz(symbol: str) -> str:
    lattice = " ".join(str(x) for x in HYDRIDE.cell.array.ravel())
    head = f'2\nLattice="{lattice}" Properties=species:S:1:pos:R:3'
    return f"{head}\nLi 0 0 0\n{symbol} 2.04 0 0\n"


def as_json(**further: object) -> str:
    entry = {"lattice": HYDRIDE.cell.array.tolist(), "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}
    return json.dumps(entry | further)


def as_pymatgen(symbol: str) -> str:
    sites = [
        {"species": [{"element": s, "occu": 1}], "abc": [x, x, x]}
        for s, x in (("Li", 0), (symbol, 0.5))
    ]
    return json.dumps({"lattice": {"matrix": HYDRIDE.cell.array.tolist()}, "sites": sites})


def as_optimade(mass: float) -> str:
    kinds = [
        {"name": "Li", "chemical_symbols": ["Li"], "concentration": [1.0], "mass": [6.94]},
        {"name": "h", "chemical_symbols": ["H"], "concentration": [1.0], "mass": [mass]},
    ]
    return as_json(species_at_sites=["Li", "h"], species=kinds)


def as_file(atoms: Atoms, folder, name: str) -> bytes:
    path = folder / name
    if name.endswith(".db"):
        with connect(path) as database:
            database.write(atoms)
    else:
        columns = ["symbols", "positions"] + (["masses"] if atoms.has("masses") else [])
        write(path, atoms, format="extxyz", columns=columns)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "heavy", "light"),
    [
        ("x.cif", cif(SITES.format("D"), P1, PRIMITIVE), cif(SITES.format("H"), P1, PRIMITIVE)),
        ("x.vasp", as_poscar("D"), as_poscar("H")),
        ("x.xyz", as_xyz("D"), as_xyz("H")),
        ("x.json", as_json(species_at_sites=["Li", "D"]), as_json(species_at_sites=["Li", "H"])),
        ("x.json", as_json(numbers=[3, 1], masses=[6.94, 2.014]), as_json(numbers=[3, 1])),
        ("x.json", as_pymatgen("D"), as_pymatgen("H")),
        ("x.json", as_optimade(2.014), as_optimade(1.00794)),
    ],
)
def test_deuterium_is_hydrogen_of_mass_2014_in_every_format(name, heavy, light):
    found, usual = accepted(name, heavy), accepted(name, light)
    assert sorted(found.atoms.symbols) == sorted(usual.atoms.symbols) == ["H", "Li"]
    assert find_special_masses(found.atoms) == pytest.approx([6.94, 2.014], abs=0.01)
    assert find_special_masses(usual.atoms) is None
    assert usual.structure_hash == standard_hash(HYDRIDE)
    assert found.structure_hash == standard_hash(DEUTERIDE)


@pytest.mark.parametrize("name", ["x.db", "x.xyz"])
def test_masses_of_ase_are_read(tmp_path, name):
    (tmp_path / "heavy").mkdir()
    heavy = accepted(name, as_file(DEUTERIDE, tmp_path / "heavy", name))
    assert heavy.structure_hash == standard_hash(DEUTERIDE)
    assert accepted(name, as_file(HYDRIDE, tmp_path, name)).structure_hash == standard_hash(HYDRIDE)


def standard_hash(atoms: Atoms) -> str:
    return compute_structure_hash(standardize(atoms, SYMPREC))


def test_masses_of_another_table_are_not_special():
    """A crystal whose file lists the usual masses is the crystal without that list."""
    atoms = HYDRIDE.copy()
    set_special_masses(atoms, [6.941, 1.00794])
    assert find_special_masses(atoms) is None
    assert compute_structure_hash(atoms) == compute_structure_hash(HYDRIDE)


def test_masses_that_differ_inside_an_element_are_special():
    """Iron 56 beside natural iron differs by less than tables may."""
    atoms = bulk("Fe", cubic=True)
    set_special_masses(atoms, [55.845, 55.935])
    assert find_special_masses(atoms) == pytest.approx([55.845, 55.935])
    set_special_masses(uniform := bulk("Fe", cubic=True), [55.935, 55.935])
    assert find_special_masses(uniform) is None


@pytest.mark.parametrize("masses", [[1.0], [6.94, -2.0], [6.94, None], [6.94, "heavy"]])
def test_masses_that_are_none_cost_no_crystal(masses):
    with pytest.raises(RemediableError, match="mass"):
        set_special_masses(HYDRIDE.copy(), masses)
    found = accepted("x.json", as_json(numbers=[3, 1], masses=masses))
    assert found.structure_hash == standard_hash(HYDRIDE)
    [note] = found.notes
    assert note.startswith("masses are not used: ")


def test_symbols_of_isotopes_are_those_of_hydrogen_alone():
    assert find_number_and_mass("T") == (1, 3.016)
    with pytest.raises(RemediableError, match="'Q' is no element"):
        find_number_and_mass("Q")


def layered_copper() -> Atoms:
    """Copper whose two isotopes alternate along one axis."""
    atoms = bulk("Cu", a=3.6, cubic=True)
    set_special_masses(atoms, [62.93, 62.93, 64.93, 64.93])
    return atoms


def test_symmetry_is_that_of_the_crystal_with_its_masses():
    atoms = layered_copper()
    assert find_dataset(bulk("Cu", a=3.6, cubic=True), SYMPREC).number == 225
    assert find_dataset(atoms, SYMPREC).number == 123
    primitive = standardize(atoms, SYMPREC)
    assert sorted(primitive.get_masses()) == [62.93, 64.93]
    assert len(set(label_species(primitive))) == 2
    assert list(label_species(DEUTERIDE)) == [3, 1]


def test_masses_survive_every_way_of_storing_a_crystal():
    atoms = standardize(layered_copper(), SYMPREC)
    for other in (
        read_atoms(make_structure_columns(atoms)),
        make_atoms(make_phonopy_cell(atoms)),
        standardize(atoms, SYMPREC),
    ):
        assert other.get_masses() == pytest.approx(atoms.get_masses())
    assert find_special_masses(read_atoms(make_structure_columns(HYDRIDE))) is None
    assert list(make_phonopy_cell(HYDRIDE).masses) == pytest.approx([6.94, 1.008], abs=1e-2)


def test_modes_are_classified_by_the_group_of_the_masses():
    atoms = standardize(layered_copper(), SYMPREC)
    phonon = make_phonopy(make_phonopy_cell(atoms), 2 * np.eye(3, dtype=int))
    assert len(phonon.primitive_symmetry.symmetry_operations["rotations"]) == 16
    assert phonon.primitive.masses == pytest.approx(atoms.get_masses())


def test_isotopologues_are_no_repetitions_of_each_other():
    known = Duplicates(0.1)

    def original(name, atoms):
        letters = ("a", "b")
        return known.find_original(
            name, compute_structure_hash(atoms), atoms, 225, letters, chiral=False
        )

    assert original("LiH", HYDRIDE) is None
    assert original("LiD", DEUTERIDE) is None
    assert original("LiD again", DEUTERIDE) == "LiD"


def test_a_heavy_crystal_is_screened_with_its_masses(tmp_path):
    """Masses four times as large halve every frequency; everything else is the same."""
    highest = {}
    for factor in (1.0, 4.0):
        source = tmp_path / f"in-{factor}"
        source.mkdir()
        atoms = bulk("CuAu", "zincblende", a=5.74)
        atoms.set_masses(factor * atoms.get_masses())
        columns = ["symbols", "positions", "masses"]
        write(source / "alloy.extxyz", atoms, format="extxyz", columns=columns)
        context = intake_of(source, tmp_path / f"out-{factor}")
        carry_out(plan_screening(context), context)
        [row] = context.dataset.read("phonons").to_pylist()
        [material] = context.dataset.read("materials").to_pylist()
        assert (material["masses"] is None) == (factor == 1.0)
        highest[factor] = row["max_frequency"]
    assert highest[4.0] == pytest.approx(highest[1.0] / 2, rel=1e-3)


@pytest.mark.parametrize("mass", [None, 60.0])
def test_a_mirror_image_with_isotopes_is_computed_itself(tmp_path, mass):
    """The comparison of mirror images sees elements, and isotopes may lie elsewhere."""
    source = tmp_path / "in"
    source.mkdir()
    write_alloys(source, "helix")
    helix = read(source / "helix.cif")
    columns = ["symbols", "positions"] + ([] if mass is None else ["masses"])
    for name, atoms in (("helix", helix), ("image", invert(helix))):
        if mass is not None:
            atoms.set_masses([mass if s == "Cu" else None for s in atoms.symbols])
        write(source / f"{name}.extxyz", atoms, format="extxyz", columns=columns)
    (source / "helix.cif").unlink()
    context = intake_of(source, tmp_path / "out")
    plan_screening(context)
    rows = {r["material_id"]: r for r in context.dataset.read("plan").to_pylist()}
    assert rows["image"]["enantiomorph_of"] == ("helix" if mass is None else None)
    assert {row["outcome"] for row in rows.values()} == {"screen"}


def test_an_isotope_on_one_site_lowers_the_group_through_all_stages(tmp_path):
    """One heavy atom of nine: forces have the trigonal group, modes the monoclinic one."""
    source = tmp_path / "in"
    source.mkdir()
    write_alloys(source, "helix")
    helix = read(source / "helix.cif")
    (source / "helix.cif").unlink()
    helix.set_masses([65.9 if index == 3 else None for index in range(len(helix))])
    columns = ["symbols", "positions", "masses"]
    write(source / "one.extxyz", helix, format="extxyz", columns=columns)
    context = intake_of(source, tmp_path / "out")
    reports = carry_out(plan_screening(context), context)
    assert not any(report.failures for report in reports.values())
    [material] = context.dataset.read("materials").to_pylist()
    [relaxed] = context.dataset.read("relaxations").to_pylist()
    [constants] = context.dataset.read("force_constants").to_pylist()
    assert (material["space_group_number"], relaxed["space_group_number_final"]) == (5, 5)
    for row in (material, relaxed, constants):
        assert np.sort(row["masses"])[-4:] == pytest.approx([65.9, *[196.967] * 3], abs=1e-3)
