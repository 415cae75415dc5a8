"""Records of numbers: the usual names are read, and what a record says of itself is heard."""

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.db import connect
from ase.io import write

from tests.tasks.sources.records_of import (
    TELLURIUM,
    TELLURIUM_CELL,
    accepted,
    read,
    record,
    refused,
)

PARAMETERS = {"a": 4.4572, "b": 4.4572, "c": 5.929, "alpha": 90, "beta": 90, "gamma": 120}
ATOMS = Atoms("Te3", cell=TELLURIUM_CELL, scaled_positions=TELLURIUM, pbc=True)
CARTESIAN = ATOMS.positions.tolist()
PLAIN = {"name": "Te", "chemical_symbols": ["Te"], "concentration": [1.0]}


def pymatgen(lattice: dict[str, object], symbols=("Te", "Te", "Te"), **site: object) -> str:
    sites = [
        {"species": [{"element": s, "occu": 1}], "abc": p, **site}
        for s, p in zip(symbols, TELLURIUM, strict=True)
    ]
    return json.dumps({"@class": "Structure", "lattice": lattice, "sites": sites})


@pytest.mark.parametrize(
    "text",
    [
        record(frac_coords=None, positions=CARTESIAN),
        record(lattice=None, **PARAMETERS),
        record(lattice=PARAMETERS),
        record(frac_coords=None, structure=None, cart_coords=np.ravel(CARTESIAN).tolist()),
        record(dimension_types=[1, 1, 1], nperiodic_dimensions=3, structure_features=[]),
        record(pbc=[True, True, True], nsites=3),
        record(pbc=True, assemblies=None),
        record(pbc="[true, True, 1]"),
        record(species=[PLAIN]),
        pymatgen({"matrix": TELLURIUM_CELL}),
        pymatgen(PARAMETERS),
        pymatgen({"matrix": TELLURIUM_CELL, **PARAMETERS}),
        json.dumps({"structure": json.loads(record(frac_coords=None, positions=CARTESIAN))}),
    ],
)
def test_usual_names_give_the_crystal(text):
    found = accepted("x.json", text)
    assert (str(found.atoms.symbols), len(found.atoms)) == ("Te3", 3)
    assert found.atoms.get_volume() == pytest.approx(ATOMS.get_volume(), rel=1e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps([{"id": 1, "energy": 2}]), "no structure but id, energy"),
        (record(nperiodic_dimensions=2), "nperiodic_dimensions 2"),
        (record(dimension_types=[1, 1, 0]), "dimension_types [1, 1, 0]"),
        (record(pbc=[True, True, False]), "pbc [True, True, False]"),
        (record(pbc=False), "pbc False"),
        (record(pbc="T T F"), "pbc [True, True, False]"),
        (pymatgen({"matrix": TELLURIUM_CELL, "pbc": [True, True, False]}), "lattice.pbc"),
        (record(structure_features=["disorder"]), "disordered"),
        (record(structure_features=["implicit_atoms"]), "implicit_atoms"),
        (record(structure_features=["site_attachments"]), "site_attachments"),
        (record(structure_features=["assemblies"]), "assemblies"),
        (record(structure_features=["knots"]), "not known: 'knots'"),
        (record(assemblies=[{"sites_in_groups": [[0], [1]]}]), "assemblies"),
        (record(species=[PLAIN | {"attached": ["H"], "nattached": [1]}]), "attached to sites"),
        (record(species=[PLAIN | {"chemical_symbols": ["vacancy"]}]), "is a vacancy"),
        (record(species=[PLAIN | {"chemical_symbols": ["X"]}]), "'X' is no element"),
        (record(species=[PLAIN | {"concentration": [0.5]}]), "disordered"),
        (record(species=[{"name": "Te"}]), "no name or symbols"),
        (record(nsites=4), "3 positions of 3 atoms, and nsites is 4"),
        (record(frac_coords=None), "no positions (names that are known:"),
        (record(frac_coords=None, positions=TELLURIUM), "may be fractions"),
        (record(frac_coords=[[0, 0], [1], [2]]), "positions holds something"),
        (record(frac_coords="here"), "JSON"),
        (record(lattice=[4.4, 4.4, 5.9, 90, 90, 120]), "a lattice of six numbers"),
        (record(lattice=None, **(PARAMETERS | {"gamma": 400})), "absurd cell"),
        (record(species_at_sites=None), "names no elements"),
        (record(species_at_sites=["Te", "Te", "Q"]), "'Q' is no element"),
        (record(species_at_sites=None, numbers=[52, 52, 0]), "no element 0"),
        (record(species_at_sites=None, numbers=[52, 52, 52.5]), "no element 52.5"),
        (pymatgen({"matrix": TELLURIUM_CELL, **(PARAMETERS | {"c": 9})}), "states two cells"),
        (pymatgen({"pbc": [True] * 3}), "neither a matrix nor lengths and angles"),
        (pymatgen({"matrix": TELLURIUM_CELL}, abc=None), "no coordinates"),
        (pymatgen({"matrix": TELLURIUM_CELL}, species=[]), "occupied by nothing"),
        (pymatgen({"matrix": TELLURIUM_CELL}, species=None), "names no element"),
        (json.dumps({"sites": [{"species": [{"element": "O"}], "xyz": [0, 0, 0]}]}), "a molecule"),
    ],
)
def test_what_is_missing_is_named(text, words):
    failure = refused("x.json", text)
    assert words in failure.message
    assert failure.remedy
    assert not any(word in failure.message for word in ("NoneType", "subscript", "broadcast"))


def test_an_optional_value_that_cannot_be_used_costs_no_crystal():
    found = accepted("x.json", record(band_gap="n/a", energy_above_hull="unknown", id="te"))
    assert found.notes == (
        "energy_above_hull is not used: 'unknown' is no number",
        "band_gap is not used: 'n/a' is no number",
    )
    assert found.provenance.band_gap is None


def test_records_of_a_foreign_kind_are_told():
    data = [
        {"id": "a", "type": "references", "attributes": {"title": "x"}},
        {"id": "b", "type": "structures", "attributes": json.loads(record())},
    ]
    failure, material = read("x.json", json.dumps({"data": data}))
    assert "of type 'references'" in failure.message
    assert material.material_id == "b"


def test_the_json_database_of_ase_is_read(tmp_path):
    with connect(tmp_path / "x.json") as database:
        database.write(ATOMS, material_id="te")
        database.write(bulk("Si"), material_id="si")
        database.write(Atoms("O2", positions=[[0, 0, 0], [0, 0, 1.2]]), material_id="o2")
    te, si, molecule = read("x.json", (tmp_path / "x.json").read_text())
    assert [te.material_id, si.material_id] == ["te", "si"]
    assert "not periodic" in molecule.message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.json", "{", "no JSON (line 1, column 2)"),
        ("x.json", '"text"', "neither objects nor lists but"),
        ("x.json", "3", "neither objects nor lists but 3"),
        ("x.jsonl", "[1]\n", "the record is no object but [1]"),
        ("x.zip", "PK", "no zip archive"),
        ("x.tar", "x" * 600, "no tar archive"),
        ("x.cif.gz", "no gzip", "compressed data are damaged"),
        ("x.parquet", "PAR1", "no Parquet table"),
        ("x.db", "no database" * 100, "no database"),
    ],
)
def test_what_a_library_raises_is_told_in_words(name, content, words):
    assert words in refused(name, content).message


def test_a_database_row_of_a_slab_is_refused(tmp_path):
    slab = ATOMS.copy()
    slab.pbc = (True, True, False)
    with connect(tmp_path / "x.db") as database:
        database.write(slab)
    assert "three directions" in refused("x.db", (tmp_path / "x.db").read_bytes()).message


def test_a_slab_of_extended_xyz_is_refused(tmp_path):
    slab = ATOMS.copy()
    slab.pbc = (True, True, False)
    write(tmp_path / "x.xyz", slab, format="extxyz")
    assert "three directions" in refused("x.xyz", (tmp_path / "x.xyz").read_text()).message
