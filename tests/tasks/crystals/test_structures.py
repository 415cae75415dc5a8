"""Crystals are read one by one; what is no crystal becomes a failure with a reason."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import spglib
from ase.build import bulk, make_supercell
from ase.io import write

import data
from tasks.crystals import Material
from tasks.crystals.structures import (
    check_crystal,
    compute_density,
    compute_structure_hash,
    reduce_formula,
    standardize,
)
from tasks.failures import Failure, RemediableError
from tasks.sources import parse_record, read_raw_records
from tasks.sources.materials import read_materials
from tests.bad_inputs import (
    LIMIT_RECORDS,
    REASONS,
    SOUND_RECORDS,
    TRAVERSAL_RECORDS,
    write_bad_inputs,
)

SYMPREC = 0.01
DEMO = Path(data.__file__).parent / "demo"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Material | Failure]:
    folder = tmp_path_factory.mktemp("bad inputs")
    write_bad_inputs(folder)
    return {item.source_record: item for item in read_materials(folder, SYMPREC)}


@pytest.mark.parametrize("record", sorted(set(REASONS) - {*LIMIT_RECORDS, *TRAVERSAL_RECORDS}))
def test_each_defect_is_a_failure_with_its_reason(items, record):
    failure = items[record]
    assert isinstance(failure, Failure)
    assert REASONS[record] in failure.message.lower()
    assert failure.remedy
    assert failure.stage == "read"


@pytest.mark.parametrize("record", [*SOUND_RECORDS, *LIMIT_RECORDS])
def test_sound_records_come_through(items, record):
    assert isinstance(items[record], Material)


def test_no_record_is_lost_or_counted_twice(items):
    expected = {*SOUND_RECORDS, *LIMIT_RECORDS, *TRAVERSAL_RECORDS, *REASONS}
    assert set(items) == expected


def test_names_are_unique(items):
    names = [item.material_id for item in items.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("record", TRAVERSAL_RECORDS)
def test_names_from_files_cannot_leave_a_folder(items, record):
    name = items[record].material_id
    assert "/" not in name
    assert not name.startswith(".")
    assert (Path("/folder") / name).resolve().parent == Path("/folder")


def test_poscar_and_its_cif_are_the_same_crystal(tmp_path):
    write(tmp_path / "salt.cif", bulk("NaCl", "rocksalt", a=5.64))
    write(tmp_path / "POSCAR-salt", bulk("NaCl", "rocksalt", a=5.64), format="vasp")
    found = {item.material_id: item for item in read_materials(tmp_path, SYMPREC)}
    assert set(found) == {"salt", "POSCAR-salt"}
    assert [reduce_formula(item.atoms) for item in found.values()] == ["NaCl", "NaCl"]
    assert all(len(item.atoms) == 2 for item in found.values())


def test_a_file_named_poscar_takes_its_folders_name(tmp_path):
    (tmp_path / "mgo").mkdir()
    write(tmp_path / "mgo" / "POSCAR", bulk("MgO", "rocksalt", a=4.2), format="vasp")
    [found] = read_materials(tmp_path, SYMPREC)
    assert found.material_id == "mgo"


def test_standard_cell_is_primitive_and_keeps_distances():
    supercell = bulk("Si", cubic=True) * (2, 1, 1)
    primitive = standardize(supercell, SYMPREC)
    assert len(primitive) == 2
    assert primitive.get_distance(0, 1, mic=True) == pytest.approx(
        supercell.get_distance(0, 1, mic=True)
    )


def test_hash_sees_a_move_of_the_atoms_and_no_rounding():
    atoms = bulk("ZnS", "zincblende", a=5.4)
    moved, noisy = atoms.copy(), atoms.copy()
    moved.positions[1, 0] += 1e-3
    noisy.positions += 1e-9
    assert compute_structure_hash(atoms) == compute_structure_hash(noisy)
    assert compute_structure_hash(atoms) != compute_structure_hash(moved)


def test_negative_zero_is_zero_to_the_hash():
    atoms = bulk("Cu")
    other = atoms.copy()
    other.positions = np.copysign(other.positions, -1.0)
    assert compute_structure_hash(atoms) == compute_structure_hash(other)


def test_two_atoms_at_one_site_are_refused():
    atoms = bulk("Si")
    atoms.positions[1] = [0.1, 0.0, 0.0]
    with pytest.raises(RemediableError, match=r"overlapping atoms: Si0 and Si1 are 0\.100 Å apart"):
        check_crystal(atoms)


def test_a_slab_is_no_crystal():
    atoms = bulk("Si")
    atoms.pbc = [True, True, False]
    with pytest.raises(RemediableError, match="not periodic in three directions"):
        check_crystal(atoms)


@pytest.mark.parametrize("name", ["quartz-152", "zns-sphalerite", "nbas", "ni3s2", "fesi"])
@pytest.mark.parametrize("matrix", [np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 0, 1]]])
def test_the_primitive_cell_is_that_of_spglib(name, matrix):
    """Primitive, face-centred, body-centred and rhombohedral lattices, and supercells of them."""
    [raw] = read_raw_records(DEMO / f"{name}.cif")
    given = make_supercell(parse_record(raw).atoms, matrix)
    cell = (given.cell.array, given.get_scaled_positions(), given.numbers)
    lattice, positions, numbers = spglib.standardize_cell(cell, to_primitive=True, symprec=SYMPREC)
    found = standardize(given, SYMPREC)
    apart = found.get_scaled_positions() - positions
    np.testing.assert_array_equal(found.numbers, numbers)
    np.testing.assert_allclose(found.cell.array, lattice, atol=1e-9)
    np.testing.assert_allclose(apart - np.rint(apart), 0.0, atol=1e-9)


@pytest.mark.parametrize("lattice", ["3 0 0 1e6 3 0 1e7 1e7 3", "1e-3 0 0 0 1e3 0 0 0 20"])
def test_needles_and_sheets_are_refused_before_neighbours_are_searched(tmp_path, lattice):
    frame = f'1\nLattice="{lattice}" Properties=species:S:1:pos:R:3\nH 0 0 0\n'
    (tmp_path / "thin.xyz").write_text(frame)
    [found] = read_materials(tmp_path, SYMPREC)
    assert "faces" in found.message


READS_AND_LISTS = """
import sys
from pathlib import Path
from tasks.sources.materials import read_materials
(material,) = read_materials(Path(sys.argv[1]), 0.01)
print(material.material_id, *sys.modules)
"""


def test_a_cif_is_read_without_phonopy_and_without_a_potential():
    command = [sys.executable, "-c", READS_AND_LISTS, str(DEMO / "te.cif")]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert found[0] == "te"
    assert "spglib" in found
    slow = {"phonopy", "torch", "e3nn", "sevenn", "tasks.phonons", "tasks.storage"}
    assert not slow & set(found)


@pytest.mark.parametrize(
    ("atoms", "density"),
    # Measured: CRC Handbook of Chemistry and Physics.
    [(bulk("Si"), 2.329), (bulk("NaCl", "rocksalt", a=5.6402), 2.17), (bulk("Cu"), 8.96)],
)
def test_densities_are_those_of_handbooks(atoms, density):
    found = compute_density(atoms.numbers, atoms.cell.array.ravel())
    assert found == pytest.approx(density, rel=5e-3)
    heavier = 1.1 * atoms.get_masses()
    assert compute_density(atoms.numbers, atoms.cell.array, heavier) == pytest.approx(1.1 * found)
