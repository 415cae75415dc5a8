"""Files are cut into records in order, lazily, and each record parses by itself."""

import itertools
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from tasks.failures import Failure, RemediableError
from tasks.screening.plan import plan_screening
from tasks.sources import RawRecord, list_source_files, make_safe_id, parse_record, read_raw_records
from tests.tasks.alloys import intake_of, write_alloys

TWO_BLOCKS = """data_first
_cell_length_a 4.2
_cell_length_b 4.2
_cell_length_c 4.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{first} 0 0 0
data_second
_cell_length_a 5.2
_cell_length_b 5.2
_cell_length_c 5.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'P 1'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Po 0 0 0
"""


def test_each_block_of_a_cif_is_a_record(tmp_path):
    path = tmp_path / "two.cif"
    path.write_text(TWO_BLOCKS.format(first="Mg"))
    found = list(read_raw_records(path))
    assert [raw.source_record for raw in found] == ["two.cif#first", "two.cif#second"]
    assert [raw.material_id for raw in found] == ["two-first", "two-second"]
    assert [str(parse_record(raw).atoms.symbols) for raw in found] == ["Mg", "Po"]


def test_a_bad_block_costs_the_others_nothing(tmp_path):
    path = tmp_path / "two.cif"
    path.write_text(TWO_BLOCKS.format(first="Xx"))
    bad, good = read_raw_records(path)
    with pytest.raises(RemediableError, match="unreadable"):
        parse_record(bad)
    assert str(parse_record(good).atoms.symbols) == "Po"


def test_a_single_block_is_named_by_its_file(tmp_path):
    write(tmp_path / "salt.cif", bulk("NaCl", "rocksalt", a=5.64))
    [raw] = read_raw_records(tmp_path)
    assert (raw.material_id, raw.source_record) == ("salt", "salt.cif")


def test_letters_of_another_encoding_do_not_matter(tmp_path):
    write(tmp_path / "salt.cif", bulk("NaCl", "rocksalt", a=5.64))
    text = (tmp_path / "salt.cif").read_text()
    (tmp_path / "salt.cif").write_bytes(f"# Mößbauer\n{text}".encode("latin-1"))
    [raw] = read_raw_records(tmp_path)
    assert len(parse_record(raw).atoms) == 2


def test_frames_are_read_as_they_are_needed(tmp_path):
    """The end of a file, broken here, matters to nobody who has not come so far."""
    path = tmp_path / "many.xyz"
    write(path, [bulk("Cu", a=3.6 + i / 100) for i in range(50)], format="extxyz")
    with path.open("a") as stream:
        stream.write("no number of atoms\n")
    first = list(itertools.islice(read_raw_records(path), 50))
    assert all(isinstance(raw, RawRecord) for raw in first)
    assert [raw.material_id for raw in first[:2]] == ["many-0", "many-1"]
    *_, last = read_raw_records(path)
    assert isinstance(last, Failure)
    assert "expected a number of atoms" in last.message


def test_a_frame_may_carry_its_name(tmp_path):
    atoms = bulk("Cu")
    atoms.info["material_id"] = "mp-30"
    write(tmp_path / "one.xyz", atoms, format="extxyz")
    [raw] = read_raw_records(tmp_path)
    assert (raw.material_id, parse_record(raw).material_id) == ("one", "mp-30")


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "a\\b", "nul\0", "", "é" * 300])
def test_any_text_becomes_a_harmless_file_name(name):
    found = make_safe_id(name)
    assert found
    assert (Path("/folder") / found).resolve().parent == Path("/folder")
    assert len(found) <= 120


def test_missing_source_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        list_source_files(tmp_path / "nowhere")


def test_folder_without_structures_is_told(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(ValueError, match="no structure file"):
        list_source_files(tmp_path)


def test_hidden_files_are_left_alone(tmp_path):
    write(tmp_path / "seen.cif", bulk("Si"))
    (tmp_path / ".cache").mkdir()
    write(tmp_path / ".cache" / "unseen.cif", bulk("Si"))
    assert [path.name for path in list_source_files(tmp_path)] == ["seen.cif"]


def test_results_beside_structures_are_no_source(tmp_path):
    """A screening of a folder writes into that folder, and is resumed there."""
    source = write_alloys(tmp_path, "copper")
    results = tmp_path / "results"
    plan_screening(intake_of(source, results))
    assert list(results.rglob("*.parquet"))
    assert [path.name for path in list_source_files(source)] == ["copper.cif"]
    with pytest.raises(ValueError, match="no structure file"):
        list_source_files(results)
