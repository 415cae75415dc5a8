"""Exchanged elements keep charge and space group; known relatives of quartz are found."""

import json
from pathlib import Path

import pytest

from tasks.crystals.substitution import guess_oxidation_states, substitute_ions
from tasks.failures import Failure
from tasks.generation.substitution import generate_candidates
from tasks.sources import parse_record, read_raw_records
from tasks.sources.materials import read_materials
from tasks.symmetry import analyze_symmetry

pytestmark = pytest.mark.slow

DEMO = Path(__file__).parents[3] / "data" / "demo"


@pytest.fixture(scope="module")
def quartz():
    """Right-handed quartz."""
    [material] = read_materials(DEMO / "quartz-152.cif", 0.01)
    return material.atoms


@pytest.fixture(scope="module")
def relatives(quartz):
    """What quartz becomes, by formula."""
    return {item.material_id: item for item in substitute_ions("quartz", quartz, 0.01)}


def test_germania_is_the_most_probable_relative_of_quartz(relatives):
    """Quartz-type GeO2 exists."""
    first = next(iter(relatives.values()))
    assert (first.material_id, first.exchanges) == ("quartz-GeO2", ("Si4+ -> Ge4+",))


def test_space_group_stays_and_volume_follows_the_elements(relatives, quartz):
    germania = relatives["quartz-GeO2"].atoms
    assert analyze_symmetry(germania, 1e-4).number == 152
    assert 1.0 < germania.get_volume() / quartz.get_volume() < 1.5


def test_charges_stay_balanced(relatives):
    for item in relatives.values():
        assert guess_oxidation_states(item.atoms.get_chemical_formula()) or item.exchanges
        assert item.probability > 0.01
    assert "quartz-AlO2" not in relatives


def test_elements_alone_have_no_ions():
    assert guess_oxidation_states("Te") == {}


def test_candidates_are_a_source(tmp_path):
    (tmp_path / "source").mkdir()
    for name in ("quartz-152", "si"):
        (tmp_path / "source" / f"{name}.cif").write_bytes((DEMO / f"{name}.cif").read_bytes())
    (tmp_path / "source" / "bad.cif").write_text("nothing")
    found = list(generate_candidates(tmp_path / "source", 0.01, 0.01, limit=3))
    made = [item for item in found if not isinstance(item, Failure)]
    assert (len(found), len(made)) == (4, 3)
    path = tmp_path / "new.jsonl"
    path.write_text("".join(f"{json.dumps(item.entry)}\n" for item in made))
    records = [parse_record(raw) for raw in read_raw_records(path)]
    assert [record.material_id for record in records] == [item.material_id for item in made]
    assert records[0].provenance.database == "substitution in quartz-152"
