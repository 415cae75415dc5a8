"""What a source says of a crystal's existence is carried, with who says it and when."""

import json

import ase.io
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.sources import SourceSettings, parse_record, read_raw_records
from tests.tasks.sources.containers import CRYSTALS, cif_of

COD = """_cod_database_code 9008861
_journal_year 1967
_exptl_crystal_density_diffrn 4.09
"""
ICSD = """_database_code_ICSD 60378
_exptl_crystal_density_diffrn 4.09
loop_
_citation_id
_citation_year
primary 1977
2 1978
_refine_ls_R_factor_all 0.024
"""


def read_cif(folder, head, settings=None):
    """Provenance of zinc blende in a CIF with further items."""
    _, _, body = cif_of(CRYSTALS["blende"]).partition("\n")
    (folder / "x.cif").write_text(f"data_x\n{head}{body}")
    return read_one(folder / "x.cif", settings)


def read_one(path, settings=None):
    """Provenance of the only record of a file."""
    [raw] = read_raw_records(path, settings or SourceSettings())
    return parse_record(raw).provenance


def read_table(folder, values, **settings):
    """Provenance of zinc blende in a Parquet table with further columns."""
    row = {"material_id": "mp-10695", "cif": cif_of(CRYSTALS["blende"]), **values}
    pq.write_table(pa.Table.from_pylist([row]), folder / "x.parquet")
    return read_one(folder / "x.parquet", SourceSettings(**settings))


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (COD, (True, "COD, 1967", None, "9008861")),
        (ICSD, (True, "ICSD, 1977", "60378", None)),
        # The ICSD has computed crystals as well.
        ("_database_code_ICSD 60378\n", (None, None, "60378", None)),
        (
            f"{COD}_cod_struct_determination_method theoretical\n",
            (None, None, None, "9008861"),
        ),
        ("_cell_measurement_temperature 293\n", (True, "record", None, None)),
        ("_cod_database_code ?\n_journal_year 1967\n", (None, None, None, None)),
        # A number given twice costs no crystal.
        ("_cod_database_code 1\n_cod_database_code 2\n", (True, "COD", None, "1")),
    ],
)
def test_a_cif_keeps_its_numbers_and_was_observed_where_it_says_so(head, expected, tmp_path):
    said = read_cif(tmp_path, head)
    assert (said.observed, said.observed_source, said.icsd_id, said.cod_id) == expected


def test_a_folder_of_cifs_has_what_the_user_says_of_it_too(tmp_path):
    said = read_cif(tmp_path, COD, SourceSettings(database="COD", licence="CC0-1.0"))
    assert (said.database, said.licence, said.cod_id) == ("COD", "CC0-1.0", "9008861")
    assert said.observed is True


@pytest.mark.parametrize(("theoretical", "observed"), [(False, True), (True, False), (None, None)])
def test_theoretical_is_the_opposite_of_observed(theoretical, observed, tmp_path):
    values = {"is_computed": theoretical}
    said = read_table(
        tmp_path,
        values,
        database="Materials Project",
        database_version="2025.09.25",
        columns={"theoretical": "is_computed"},
    )
    source = None if observed is None else "Materials Project, 2025.09.25"
    assert (said.observed, said.observed_source) == (observed, source)


@pytest.mark.parametrize(
    ("flag", "theoretical", "version", "expected"),
    [
        (False, False, "2025.09.25", (True, "MP, 2025.09.25")),
        (True, True, "2019", (True, "ICSD, 2020")),
        (False, None, "2025.09.25", (False, "ICSD, 2020")),
        (False, False, None, (False, "ICSD, 2020")),
    ],
)
def test_the_later_source_wins(flag, theoretical, version, expected, tmp_path):
    said = read_table(
        tmp_path,
        {"icsd": flag, "theoretical": theoretical},
        database="MP",
        database_version=version,
        observed_source="ICSD, 2020",
        columns={"observed": "icsd"},
    )
    assert (said.observed, said.observed_source) == expected


def test_a_cif_in_a_table_may_be_later_than_its_row(tmp_path):
    _, _, body = cif_of(CRYSTALS["blende"]).partition("\n")
    row = {"cif": f"data_x\n{ICSD}{body}", "observed": False, "observed_source": "a list, 1970"}
    said = read_table(tmp_path, row)
    assert (said.observed, said.observed_source) == (True, "ICSD, 1977")
    said = read_table(tmp_path, row | {"observed_source": "a list, 2020"})
    assert (said.observed, said.observed_source) == (False, "a list, 2020")


def test_words_and_lists_of_other_formats_are_understood(tmp_path):
    entry = {
        "cif": cif_of(CRYSTALS["blende"]),
        "observed": "No",
        "observed_source": "a list, 2020",
        "magnetic_ordering": "NM",
        "icsd_ids": ["icsd-60378", "icsd-77090"],
        "mdr_url": "https://mdr.nims.go.jp/concern/datasets/k643b637f",
        "cod_id": 9008861.0,
    }
    path = tmp_path / "x.json"
    path.write_text(json.dumps(entry))
    said = read_one(path)
    assert (said.observed, said.observed_source) == (False, "a list, 2020")
    assert (said.magnetic_ordering, said.icsd_id) == ("NM", "60378, 77090")
    assert said.phonondb_url == "https://mdr.nims.go.jp/concern/datasets/k643b637f"
    assert said.phonix_url is None
    assert said.cod_id == "9008861"


def test_what_is_neither_yes_nor_no_costs_no_crystal(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"cif": cif_of(CRYSTALS["blende"]), "observed": "perhaps"}))
    [raw] = read_raw_records(path)
    record = parse_record(raw)
    assert record.provenance.observed is None
    assert record.notes == ("observed is not used: 'perhaps' is neither yes nor no",)


def test_extended_xyz_tells_it_in_the_comment_line(tmp_path):
    atoms = CRYSTALS["blende"].copy()
    atoms.info |= {"theoretical": False, "band_gap": 3.7, "icsd_id": [60378, 77090]}
    ase.io.write(tmp_path / "x.xyz", atoms, format="extxyz")
    said = read_one(tmp_path / "x.xyz", SourceSettings(database="a database"))
    assert (said.observed, said.observed_source) == (True, "record")
    assert (said.band_gap, said.icsd_id) == (3.7, "60378, 77090")
    assert said.database == "a database"
