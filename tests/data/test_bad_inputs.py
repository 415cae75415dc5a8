"""Each file of the folder of defective inputs holds the defect that it is named for."""

import math
import warnings
from pathlib import Path

import ase.io
import numpy as np
import pytest
import spglib
from ase.data import covalent_radii
from pymatgen.core import Structure
from pymatgen.io.cif import CifFile, CifParser

from tests.bad_inputs import (
    LIMIT_RECORDS,
    REASONS,
    SOUND_RECORDS,
    TRAVERSAL_RECORDS,
    write_bad_inputs,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bad")
    write_bad_inputs(path)
    return path


def structure_of(folder: Path, record: str) -> Structure:
    name, _, block = record.partition("#")
    blocks = CifFile.from_file(folder / name).data
    text = str(blocks[block] if block else next(iter(blocks.values())))
    with warnings.catch_warnings(action="ignore"):
        parser = CifParser.from_str(text)
        return parser.parse_structures(primitive=False)[0]


def test_every_record_has_its_file(folder: Path) -> None:
    for record in (*REASONS, *SOUND_RECORDS):
        assert (folder / record.partition("#")[0]).is_file()


def test_writing_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    reasons = write_bad_inputs(tmp_path)
    assert reasons == REASONS
    first, second = (
        {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (folder, tmp_path)
    )
    assert first == second


def test_nothing_is_written_outside_the_folder(folder: Path) -> None:
    assert not list(folder.parent.parent.rglob("escaped*"))


@pytest.mark.parametrize("record", [r for r in SOUND_RECORDS if ".cif" in r])
def test_sound_cif_records_are_silicon(folder: Path, record: str) -> None:
    structure = structure_of(folder, record)
    assert structure.formula == "Si2"
    assert structure.get_space_group_info(symprec=1e-2)[1] == 227


@pytest.mark.parametrize(
    "name", ["corrupt.cif", "empty.cif", "prose.cif", "rubbish.cif", "nan.cif"]
)
def test_unreadable_cifs_give_no_structure(folder: Path, name: str) -> None:
    # pymatgen raises errors of many kinds for broken files.
    with warnings.catch_warnings(action="ignore"), pytest.raises(Exception, match=r".*"):
        CifParser(folder / name).parse_structures(primitive=False)


@pytest.mark.parametrize("name", ["rubbish.cif", "rubbish.extxyz"])
def test_rubbish_is_not_text(folder: Path, name: str) -> None:
    with pytest.raises(UnicodeDecodeError):
        (folder / name).read_text("utf-8")


@pytest.mark.parametrize("name", ["mixed-site.cif", "vacancies.cif"])
def test_disordered_sites(folder: Path, name: str) -> None:
    assert not structure_of(folder, name).is_ordered


def test_overlapping_atoms(folder: Path) -> None:
    structure = structure_of(folder, "overlap.cif")
    radii = covalent_radii[list(structure.atomic_numbers)].sum()
    assert structure.get_distance(0, 1) < 0.1 * radii


def test_coordinates_that_are_no_numbers(folder: Path) -> None:
    assert np.isnan(ase.io.read(folder / "nan.extxyz").positions).sum() == 1


@pytest.mark.parametrize(("name", "limit"), [("crushed.cif", 1.0), ("vacuum.cif", 1e5)])
def test_absurd_volumes(folder: Path, name: str, limit: float) -> None:
    structure = structure_of(folder, name)
    per_atom = structure.volume / len(structure)
    assert per_atom < limit if name == "crushed.cif" else per_atom > limit


def test_elements_beyond_the_potentials(folder: Path) -> None:
    numbers = [structure_of(folder, name).atomic_numbers[0] for name in LIMIT_RECORDS[:2]]
    assert numbers == [118, 99]


def test_huge_cell_cannot_be_reduced(folder: Path) -> None:
    structure = structure_of(folder, "huge.cif")
    cell = (structure.lattice.matrix, structure.frac_coords, structure.atomic_numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-2)
    assert (len(structure), found.number, len(found.rotations)) == (500, 1, 1)
    assert structure.distance_matrix[np.triu_indices(500, 1)].min() > 2.0


def test_traversal_names_would_leave_the_folder(folder: Path) -> None:
    block = TRAVERSAL_RECORDS[0].partition("#")[2]
    frame = ase.io.read(folder / TRAVERSAL_RECORDS[1])
    for name in (block, frame.info["material_id"]):
        assert not (folder / name).resolve().is_relative_to(folder.resolve())
    assert structure_of(folder, TRAVERSAL_RECORDS[0]).formula == "Si2"


def test_twins_share_an_id_in_two_folders(folder: Path) -> None:
    first, second = sorted(folder.rglob("twin.cif"))
    assert first.parent != second.parent
    assert first.read_bytes() == second.read_bytes()


def test_only_the_middle_frame_is_broken(folder: Path) -> None:
    lines = (folder / "frames.extxyz").read_text().splitlines(keepends=True)
    frames = [lines[start : start + 4] for start in (0, 4, 8)]
    assert [frame[0].strip() for frame in frames] == ["2", "2", "2"]
    broken = [not math.isfinite(_number(frame[2].split()[2])) for frame in frames]
    assert broken == [False, True, False]


def _number(text: str) -> float:
    """The value of a coordinate; NaN where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
