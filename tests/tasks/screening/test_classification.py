"""Rows of materials: their keys, and what they carry from the source."""

from pathlib import Path

from ase.build import bulk

from tasks.crystals.structures import make_material
from tasks.screening.classification import make_material_row
from tasks.screening.planning import compute_digest, compute_material_key
from tasks.screening.settings import ScreenSettings
from tasks.sources import Provenance, Record

SETTINGS = ScreenSettings()
OLD = {
    "database": "Materials Project",
    "database_version": None,
    "database_id": "mp-149",
    "licence": None,
    "url": None,
    "functional": None,
    "energy_above_hull": 0.0,
    "band_gap": 0.6,
    "space_group_stated": None,
}


def make_row(**said):
    """Row of silicon, and its material."""
    material = make_material(Record("mp-149", bulk("Si"), "x", Provenance(**said)), 0.01)
    return make_material_row(material, Path("x"), SETTINGS), material


def test_a_crystal_of_which_nothing_new_is_known_keeps_its_key():
    """Datasets of older programs remain valid: their keys were made of these fields alone."""
    row, material = make_row(**OLD)
    searched = [SETTINGS.curation.idealise, SETTINGS.curation.tolerances]
    key = compute_material_key(material, SETTINGS)
    assert row["key"] == compute_digest(key, OLD, searched, None)


def test_what_is_known_is_in_the_row_and_in_its_key():
    said = {
        "observed": False,
        "observed_source": "ICSD, 2020",
        "magnetic_ordering": "NM",
        "icsd_id": "51688",
        "cod_id": "9008565",
    }
    plain, _ = make_row(**OLD)
    keys = {plain["key"]}
    for name, value in said.items():
        row, _ = make_row(**OLD, **{name: value})
        assert row[name] == value
        keys.add(row["key"])
    assert len(keys) == len(said) + 1
