"""Blocks of a CIF are found as the format defines them, and what they state of their symmetry."""

import re

import pytest

from tasks.sources import SourceSettings, parse_record, read_raw_records
from tasks.sources.cif_blocks import read_block
from tasks.sources.cif_symmetry import read_stated_group
from tasks.sources.space_groups import parse_space_group
from tests.tasks.sources.containers import CRYSTALS, cif_of

TEXT_FIELD = """_publ_section_comment
;
data_old was the name of this block; see also
  data_older
;
"""


def block(name: str, crystal: str, extra: str = "") -> str:
    """Data block of a crystal."""
    _, _, body = cif_of(CRYSTALS[crystal]).partition("\n")
    return f"data_{name}\n{extra}{body}"


def formulas(path) -> dict[str, str]:
    """Formula of each record by its place."""
    return {
        raw.source_record: parse_record(raw).atoms.get_chemical_formula()
        for raw in read_raw_records(path)
    }


def test_a_text_that_looks_like_a_head_begins_no_block(tmp_path):
    path = tmp_path / "x.cif"
    path.write_text(block("first", "blende", TEXT_FIELD))
    assert formulas(path) == {"x.cif": "SZn"}
    path.write_text(block("first", "blende", TEXT_FIELD) + block("second", "salt", TEXT_FIELD))
    assert formulas(path) == {"x.cif#first": "SZn", "x.cif#second": "ClNa"}


def test_blocks_of_the_same_name_are_two_records(tmp_path):
    path = tmp_path / "x.cif"
    path.write_text(block("same", "blende") + block("same", "salt"))
    assert formulas(path) == {"x.cif#same": "SZn", "x.cif#same-2": "ClNa"}
    assert [raw.material_id for raw in read_raw_records(path)] == ["x-same", "x-same-2"]


def test_heads_may_be_indented_or_in_capitals(tmp_path):
    path = tmp_path / "x.cif"
    text = block("first", "blende") + block("second", "salt")
    path.write_text(
        text.replace("data_first", "  DATA_first").replace("data_second", "Data_second")
    )
    assert formulas(path) == {"x.cif#first": "SZn", "x.cif#second": "ClNa"}


def test_a_block_of_diffraction_data_holds_no_structure(tmp_path):
    path = tmp_path / "x.cif"
    path.write_text(block("first", "blende") + "data_sm_powder_pattern\n_pd_peak_id 1\n")
    assert formulas(path) == {"x.cif": "SZn"}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (152, 152),
        ("152", 152),
        (152.0, 152),
        ("P 31 2 1", 152),
        ("P3_221", 154),
        ("'P 21/c'", 14),
        ("P 1 21/n 1", 14),
        ("P 21/n", 14),
        ("R -3 m :H", 166),
        ("R 3 c H", 161),
        ("I 41/a m d :2", 141),
        ("F -4 3 m", 216),
        ("?", None),
        ("Q 7", None),
        (0, None),
        (231, None),
        (2.5, None),
        (float("nan"), None),
        (None, None),
    ],
)
def test_space_groups_are_read_in_many_dialects(value, number):
    assert parse_space_group(value) == number


@pytest.mark.parametrize(
    ("lines", "number"),
    [
        ("_space_group_IT_number 152\n", 152),
        ("_symmetry_Int_Tables_number   216\n", 216),
        ("_symmetry_space_group_name_H-M 'P 32 2 1'\n", 154),
        ("_space_group_name_H-M_alt   'P 32 2 1'\n_space_group_IT_number ?\n", 154),
        ("_symmetry_space_group_name_H-M 'P 1'\n", None),
        ("_cell_length_a 5\n", None),
    ],
)
def test_a_cif_states_its_space_group_unless_it_is_p1(lines, number):
    """Programs write P1 for any crystal whose symmetry nobody looked for."""
    block = read_block(f"data_x\n{lines}_cell_length_b 5\n_atom_site_label X\n")
    assert read_stated_group(block) == number


def test_the_stated_space_group_is_kept_with_the_record(tmp_path):
    path = tmp_path / "x.cif"
    text = block("x", "blende").replace('"P 1"', "'F -4 3 m'")
    path.write_text(re.sub(r"(_space_group_IT_number\s+)1\b", r"\g<1>216", text))
    [raw] = read_raw_records(path)
    assert parse_record(raw).provenance.space_group_stated == 216


@pytest.mark.parametrize(
    ("extra", "origin"),
    [
        ("", None),
        ("_cell_measurement_temperature 293(2)\n", "measured"),
        ("_refine_ls_R_factor_gt 0.031\n", "measured"),
        ("_diffrn_radiation_probe x-ray\n", "measured"),
        ("_cell_measurement_temperature ?\n_diffrn_ambient_temperature .\n", None),
        # Told of any cell, computed ones as well.
        ("_exptl_crystal_density_diffrn 4.81\n_journal_year 1967\n", None),
    ],
)
def test_a_cif_that_tells_of_its_experiment_is_measured(extra, origin, tmp_path):
    path = tmp_path / "x.cif"
    path.write_text(block("x", "blende", extra))
    [raw] = read_raw_records(path)
    assert parse_record(raw).provenance.cell_origin == origin


@pytest.mark.parametrize(
    ("said", "origin"),
    [
        ({"functional": "PBE"}, "computed"),
        ({"cell_origin": "measured"}, "measured"),
        ({"cell_origin": "computed", "functional": "PBE"}, "computed"),
    ],
)
def test_what_the_user_says_of_the_cells_counts_more(said, origin, tmp_path):
    path = tmp_path / "x.cif"
    path.write_text(block("x", "blende", "_cell_measurement_temperature 293\n"))
    [raw] = read_raw_records(path, SourceSettings(**said))
    assert parse_record(raw).provenance.cell_origin == origin
