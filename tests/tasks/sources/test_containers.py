"""Every container gives the same crystals, with their names; one bad record costs no other."""

import csv
import json
import pickle
import sqlite3
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from ase.db import connect
from pymatgen.core import Structure

from tasks.crystals.structures import compute_structure_hash
from tasks.failures import Failure, RemediableError
from tasks.sources import RawRecord, SourceSettings, parse_record, read_raw_records
from tasks.sources.json_text import parse_json
from tasks.sources.materials import read_materials
from tests.tasks.sources.containers import (
    CRYSTALS,
    WRITERS,
    cif_of,
    columns_of,
    optimade_entry,
    pymatgen_entry,
    write_csv,
    write_optimade_page,
    write_parquet,
)

SYMPREC = 0.01


@pytest.mark.parametrize("name", WRITERS)
def test_every_container_gives_the_same_crystals_and_names(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    found = {item.material_id: item for item in read_materials(path, SYMPREC)}
    assert list(found) == list(CRYSTALS)
    for key, item in found.items():
        assert sorted(item.atoms.symbols) == sorted(CRYSTALS[key].symbols)
        assert item.atoms.get_volume() == pytest.approx(CRYSTALS[key].get_volume(), rel=1e-3)


def test_a_folder_of_containers_is_read_as_one_source(tmp_path):
    write_csv(tmp_path / "a.csv")
    write_parquet(tmp_path / "b.parquet")
    kinds = [type(item).__name__ for item in read_materials(tmp_path, SYMPREC)]
    assert kinds == ["Material"] * 3 + ["Failure"] * 3  # the same names once more


def test_the_same_numbers_give_the_same_digest_whatever_the_container(tmp_path):
    WRITERS["numbers.parquet"](tmp_path / "numbers.parquet")
    WRITERS["ase.db"](tmp_path / "ase.db")
    first, second = (
        {item.material_id: item.structure_hash for item in read_materials(path, SYMPREC)}
        for path in (tmp_path / "numbers.parquet", tmp_path / "ase.db")
    )
    assert first == second


@pytest.mark.parametrize("name", ["numbers.parquet", "lines.jsonl", "ase.db", "mp_20.csv"])
def test_records_name_file_and_place(tmp_path, name):
    WRITERS[name](tmp_path / name)
    first = 1 if name.endswith(".db") else 0
    places = [raw.source_record for raw in read_raw_records(tmp_path / name)]
    assert places == [f"{name}#{first + index}" for index in range(3)]


def test_columns_can_be_named(tmp_path):
    columns = columns_of(CRYSTALS)
    renamed = {f"my_{name}": values for name, values in columns.items()}
    pq.write_table(pa.table(renamed), tmp_path / "own.parquet")
    settings = SourceSettings(
        columns={
            "id": "my_material_id",
            "lattice": "my_lattice",
            "numbers": "my_atomic_numbers",
            "fractional": "my_frac_coords",
        }
    )
    found = [parse_record(raw) for raw in read_raw_records(tmp_path / "own.parquet", settings)]
    assert [record.material_id for record in found] == list(CRYSTALS)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": "absent"}, "no column 'absent'"),
        ({}, "no column holds structures"),
    ],
)
def test_a_table_without_structures_is_one_failure_that_lists_its_columns(tmp_path, columns, words):
    pq.write_table(pa.table({"band_gap": [1.0], "formula": ["Si"]}), tmp_path / "gaps.parquet")
    [failure] = read_raw_records(tmp_path / "gaps.parquet", SourceSettings(columns=columns))
    assert isinstance(failure, Failure)
    assert words in failure.message
    assert "band_gap" in failure.message


def test_a_row_without_structure_costs_no_other(tmp_path):
    with (tmp_path / "some.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["material_id", "cif"])
        writer.writerow(["whole", cif_of(bulk("Si"))])
        writer.writerow(["empty", ""])
        writer.writerow(["prose", "no crystal"])
        writer.writerow(["short"])
        writer.writerow(["last", cif_of(bulk("Cu"))])
    items = list(read_materials(tmp_path / "some.csv", SYMPREC))
    assert [isinstance(item, Failure) for item in items] == [False, True, True, True, False]
    assert [i.source_record for i in items[1:4]] == [f"some.csv#{k}" for k in (1, 2, 3)]


def test_lines_that_are_no_objects_cost_no_others(tmp_path):
    good = json.dumps(pymatgen_entry("good", bulk("Si")))
    lines = ["{", "[]", "null", "3", "{}", '{"structure": {"sites": 1}}', "[" * 100_000, good]
    (tmp_path / "mixed.jsonl").write_text("\n".join(lines) + "\n")
    items = list(read_materials(tmp_path / "mixed.jsonl", SYMPREC))
    assert [isinstance(item, Failure) for item in items] == [True] * 7 + [False]


def test_disorder_is_told_in_every_dialect():
    mixed = Structure([[4, 0, 0], [0, 4, 0], [0, 0, 4]], [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    entry = optimade_entry("x", bulk("Cu"))["attributes"]
    kinds = [{"name": "Cu-kind", "chemical_symbols": ["Cu", "Zn"], "concentration": [0.7, 0.3]}]
    optimade = {"lattice": entry["lattice_vectors"], "cartesian": [[0, 0, 0]], "kinds": kinds}
    for value in (mixed.as_dict(), {**optimade, "species": ["Cu-kind"]}):
        raw = RawRecord("x", "json", json.dumps(value), "x")
        with pytest.raises(RemediableError, match="disordered"):
            parse_record(raw)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"dimension_types": [1, 1, 0]}, "three directions"),
        ({"numbers": [0]}, "element"),
        ({"numbers": [14, 14]}, "positions"),
        ({"lattice": [1.0, 2.0]}, "unreadable"),
        ({"numbers": None, "species": ["Xx"]}, "unreadable"),
    ],
)
def test_what_is_no_crystal_is_refused(change, word):
    value = {"lattice": np.eye(3).tolist(), "numbers": [14], "fractional": [[0, 0, 0]]} | change
    text = json.dumps({key: item for key, item in value.items() if item is not None})
    with pytest.raises(RemediableError, match=word):
        parse_record(RawRecord("x", "json", text, "x"))


def test_provenance_of_rows_goes_before_that_of_the_source(tmp_path):
    columns = columns_of(CRYSTALS) | {
        "licence": ["CC0", None, ""],
        "energy_above_hull": [0.0, 0.1, float("nan")],
    }
    pq.write_table(pa.table(columns), tmp_path / "said.parquet")
    settings = SourceSettings(
        database="Example", licence="CC-BY-4.0", url="https://example.org/{id}", functional="PBE"
    )
    said = [raw.provenance for raw in read_raw_records(tmp_path / "said.parquet", settings)]
    assert [p.licence for p in said] == ["CC0", "CC-BY-4.0", "CC-BY-4.0"]
    assert [p.energy_above_hull for p in said] == [0.0, 0.1, None]
    assert said[0].url == "https://example.org/salt"
    assert {(p.database, p.functional) for p in said} == {("Example", "PBE")}


def test_files_have_the_provenance_of_their_source(tmp_path):
    (tmp_path / "salt.cif").write_text(cif_of(CRYSTALS["salt"]))
    [raw] = read_raw_records(tmp_path, SourceSettings(licence="CC0", url="https://e.org/{id}.html"))
    assert (raw.provenance.licence, raw.provenance.url) == ("CC0", "https://e.org/salt.html")


def test_a_page_of_optimade_names_its_provider(tmp_path):
    write_optimade_page(tmp_path / "page.json.gz")
    said = {raw.provenance.database for raw in read_raw_records(tmp_path)}
    assert said == {"Example"}
    [*_, raw] = read_raw_records(tmp_path, SourceSettings(database="Mine"))
    assert raw.provenance.database == "Mine"


def test_pickled_data_of_a_database_is_never_looked_at(tmp_path):
    with connect(tmp_path / "odd.db") as database:
        database.write(bulk("Si"), material_id="si")
    with sqlite3.connect(tmp_path / "odd.db") as connection:
        bomb = pickle.dumps(print)
        connection.execute("UPDATE systems SET data = ?, constraints = ?", (bomb, "{"))
    [raw] = read_raw_records(tmp_path / "odd.db")
    assert compute_structure_hash(parse_record(raw).atoms) == compute_structure_hash(bulk("Si"))


def test_a_database_with_a_view_in_place_of_its_table_is_refused(tmp_path):
    with sqlite3.connect(tmp_path / "view.db") as connection:
        connection.execute("CREATE VIEW systems AS SELECT randomblob(10) AS id")
    [failure] = read_raw_records(tmp_path / "view.db")
    assert "no table 'systems'" in failure.message


def test_classes_named_in_a_dictionary_are_not_imported(tmp_path, monkeypatch):
    """The reader of pymatgen itself would import the module that a property names."""
    entry = pymatgen_entry("x", bulk("Si"))
    entry["structure"]["sites"][0]["properties"] = {"p": {"@module": "evil", "@class": "Evil"}}
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "x.json").write_text(json.dumps(entry))
    [raw] = read_raw_records(tmp_path / "x.json")
    assert len(parse_record(raw).atoms) == 2


def test_deep_nesting_is_refused_before_it_is_json_value():
    """Where the limit of recursion was raised, the interpreter's parser would crash."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10**6)
    try:
        with pytest.raises(ValueError, match="nested more than 100 deep"):
            parse_json("[" * 10**6)
    finally:
        sys.setrecursionlimit(limit)
    assert parse_json(r'{"text": "[[[[", "quoted": "\"[["}') == {"text": "[[[[", "quoted": '"[['}
    assert parse_json("[" * 100 + "]" * 100)
