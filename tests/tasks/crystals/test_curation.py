"""What is wrong or doubtful about a crystal is found, and told."""

import numpy as np
import pandas as pd
import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.io import write

from tasks.crystals.curation import (
    CurationSettings,
    find_charge_balance,
    find_skip_reason,
    find_space_groups,
    has_class_disagreement,
    name_prototype,
)
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.classification import classify_record
from tasks.screening.plan import plan_screening
from tasks.screening.settings import ScreenSettings, read_settings
from tasks.sources import Provenance, SourceSettings, read_raw_records
from tasks.symmetry import analyze_symmetry
from tests.tasks.alloys import SETTINGS, intake_of, write_alloys
from tests.tasks.traps import CINNABAR, TRAPS


def rattled_diamond() -> Atoms:
    """Silicon whose atoms are 0.03 Å from the sites of diamond."""
    atoms = bulk("Si", cubic=True)
    atoms.positions += np.random.default_rng(2).normal(scale=0.02, size=atoms.positions.shape)
    return atoms


def item_of(folder, atoms, settings, name="x"):
    """A crystal as it comes out of the reading."""
    write(folder / f"{name}.xyz", atoms, format="extxyz")
    [raw] = read_raw_records(folder / f"{name}.xyz", settings.source)
    return classify_record(raw, folder, settings)


def searches_of(monkeypatch, folder, atoms, settings) -> list[tuple[int, float]]:
    """Atoms and tolerance of each search of the symmetry of a crystal that is classified."""
    found, search = [], spglib.get_symmetry_dataset

    def counted(cell, symprec):
        found.append((len(cell[2]), symprec))
        return search(cell, symprec=symprec)

    with monkeypatch.context() as patched:
        patched.setattr(spglib, "get_symmetry_dataset", counted)
        item_of(folder, atoms, settings)
    return sorted(found)


def test_symmetry_is_searched_once_for_each_crystal_and_tolerance(monkeypatch, tmp_path):
    """As given at both tolerances, and as idealised."""
    given = bulk("ZnS", "zincblende", a=5.43, cubic=True)
    found = searches_of(monkeypatch, tmp_path, given, SETTINGS)
    assert found == [(2, 0.01), (8, 0.01), (8, 0.1)]


def test_the_symmetry_of_a_cell_that_is_too_large_is_searched_no_further(monkeypatch, tmp_path):
    """A limit of one atom stands for a cell of thousands."""
    given = bulk("ZnS", "zincblende", a=5.44, cubic=True)
    phonons = SETTINGS.phonons.model_copy(update={"max_atoms": 1})
    settings = SETTINGS.model_copy(update={"phonons": phonons})
    assert searches_of(monkeypatch, tmp_path, given, settings) == [(2, 0.01), (8, 0.01)]


def test_a_cell_beyond_the_limit_of_the_source_is_refused_before_any_search(monkeypatch, tmp_path):
    source = SourceSettings(max_atoms=7)
    settings = SETTINGS.model_copy(update={"source": source})
    given = bulk("ZnS", "zincblende", a=5.45, cubic=True)
    assert searches_of(monkeypatch, tmp_path, given, settings) == []
    found = item_of(tmp_path, given, settings)
    assert "source.max_atoms" in found.remedy


def curated(**values) -> ScreenSettings:
    return SETTINGS.model_copy(update={"curation": CurationSettings(**values)})


def test_cinnabar_is_idealised_to_the_chosen_tolerance(tmp_path):
    settings = curated(idealise=0.1, tolerances=(0.01, 0.1))
    found = item_of(tmp_path, CINNABAR, settings)
    assert found.row["space_group_number"] == 152
    assert found.row["space_groups"] == [5, 152]
    assert analyze_symmetry(found.material.atoms, 1e-5).number == 152
    assert item_of(tmp_path, CINNABAR, curated()).row["space_group_number"] == 5


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_traps_have_another_space_group_to_a_loose_tolerance(trap):
    assert find_space_groups(trap.atoms, (0.01, 0.1)) == [trap.tight, trap.loose]


@pytest.mark.parametrize("trap", TRAPS, ids=lambda trap: trap.name)
def test_traps_become_the_crystals_they_are(tmp_path, trap):
    """Idealised to 0.1 Å they have the symmetry of the mineral, and its primitive cell."""
    found = item_of(tmp_path, trap.atoms, curated(idealise=0.1, tolerances=(0.01, 0.1)))
    assert found.row["space_group_number"] == trap.loose
    assert found.row["space_groups"] == [trap.tight, trap.loose]
    assert found.row["classes_differ"] is trap.classes_differ
    assert found.row["n_atoms"] == trap.n_primitive
    assert analyze_symmetry(found.material.atoms, 1e-5).number == trap.loose
    assert found.row["charge_balance"] == "uniform"
    assert found.skipped is None


def test_a_distorted_achiral_cell_passes_for_chiral_and_is_told_as_doubtful(tmp_path):
    """Lithium niobate in the cell of mp-3731 has no symmetry at 0.01 Å, hence a hand."""
    [trap] = [trap for trap in TRAPS if trap.name == "mp-3731"]
    found = item_of(tmp_path, trap.atoms, curated())
    assert (found.row["space_group_number"], found.row["chirality_class"]) == (1, "II")
    assert found.row["classes_differ"]
    refused = item_of(tmp_path, trap.atoms, curated(require_agreement=True))
    assert refused.skipped == "doubtful symmetry: space group 1 at 0.01 Å, 161 at 0.1 Å"


@pytest.mark.parametrize(
    ("stated", "expected"), [(152, False), (154, True), (5, True), (None, None)]
)
def test_a_stated_space_group_is_compared_with_the_one_found(tmp_path, stated, expected):
    """Of two enantiomorphic groups one is of the other hand."""
    atoms = CINNABAR.copy()
    if stated:
        atoms.info["space_group_number"] = stated
    found = item_of(tmp_path, atoms, curated(idealise=0.1))
    assert found.row["space_group_stated"] == stated
    assert found.row.get("space_group_differs") is expected


def test_a_class_that_depends_on_the_tolerance_is_doubtful(tmp_path):
    """Rattled diamond has no symmetry at all to a tolerance below the displacements."""
    found = item_of(tmp_path, rattled_diamond(), curated(require_agreement=True))
    assert found.row["space_groups"] == [1, 227]
    assert found.row["classes_differ"]
    assert found.skipped == "doubtful symmetry: space group 1 at 0.01 Å, 227 at 0.1 Å"
    assert item_of(tmp_path, rattled_diamond(), curated()).skipped is None


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [([5, 152], False), ([1, 227], True), ([19, 62], True), ([152, 186], True), ([0, 152], False)],
)
def test_disagreement_is_one_of_classes(numbers, expected):
    assert has_class_disagreement(numbers) is expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SiO2", "uniform"),
        ("HgS", "uniform"),
        ("LiNbO3", "uniform"),
        ("NaClO3", "uniform"),
        ("Fe3O4", "mixed"),
        ("Te", "uniform"),
        ("CuAu", "metallic"),
        ("NaCl2", "none"),
        ("NeF", "none"),
    ],
)
def test_charges_balance_where_chemistry_says_so(formula, expected):
    assert find_charge_balance(formula) == expected


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"max_atoms": 1}, "size: 2 atoms"),
        ({"excluded_elements": ("Zn",)}, "element: Zn"),
        ({"excluded_elements": ("radioactive", "toxic", "S")}, "element: S"),
        ({"elements": ("Zn", "O")}, "element: S"),
        ({"min_distance": 3.0}, "distance: atoms are 2.34"),
        ({"max_energy_above_hull": 0.1}, "energy: 0.300"),
        ({"observed_only": True}, "observed: not observed (ICSD, 2020)"),
        ({"charge_balance": "uniform"}, "charge"),
    ],
)
def test_each_filter_tells_its_reason(values, word):
    row = {"chirality_class": "III", "charge_balance": "none"}
    zincblende = bulk("ZnS", "zincblende", a=5.41)
    said = Provenance(energy_above_hull=0.3, observed=False, observed_source="ICSD, 2020")
    options = {"include_centrosymmetric": False}
    found = find_skip_reason(row, zincblende, said, CurationSettings(**values), **options)
    assert found.startswith(word)
    assert find_skip_reason(row, zincblende, said, CurationSettings(), **options) is None


def test_an_unknown_energy_is_no_reason_to_skip():
    settings, row = CurationSettings(max_energy_above_hull=0.1), {"chirality_class": "II"}
    row["charge_balance"] = "uniform"
    options = {"include_centrosymmetric": False}
    assert find_skip_reason(row, bulk("Si"), Provenance(), settings, **options) is None


def test_only_crystals_that_are_known_to_be_observed_pass_where_these_are_wanted():
    settings = CurationSettings(observed_only=True)
    row = {"chirality_class": "II", "charge_balance": "uniform"}
    options = {"include_centrosymmetric": False}
    seen = Provenance(observed=True, observed_source="COD, 1967")
    assert find_skip_reason(row, bulk("Si"), seen, settings, **options) is None
    reason = find_skip_reason(row, bulk("Si"), Provenance(), settings, **options)
    assert reason == "observed: not known whether it was made"


@pytest.mark.parametrize(
    "values", [{"elements": ["Xx"]}, {"tolerances": [0.0]}, {"max_atoms": 0}, {"unknown": 1}]
)
def test_wrong_settings_are_told(values):
    name, value = next(iter(values.items()))
    with pytest.raises(ValueError, match="wrong settings"):
        read_settings(None, {f"curation.{name}": value})


def test_a_prototype_is_the_same_for_other_elements():
    names = {
        name_prototype(atoms, 216, analyze_symmetry(atoms).wyckoff_letters)
        for atoms in (bulk("ZnS", "zincblende", a=5.4), bulk("GaAs", "zincblende", a=5.6))
    }
    assert len(names) == 1


def test_reasons_and_provenance_reach_the_catalogue(tmp_path):
    (tmp_path / "source").mkdir()
    source = write_alloys(tmp_path / "source", "zincblende", "helix", "copper")
    settings = curated(excluded_elements=("Cu",)).model_copy(
        update={
            "source": SourceSettings(database="Alloys", licence="CC0", url="https://a.org/{id}")
        }
    )
    context = intake_of(source, tmp_path / "out", settings)
    plan_screening(context)
    build_catalog(context.dataset)
    found = read_catalog(context.dataset.root, "chirality").set_index("material_id")
    assert found["outcome"].eq("skipped").all()
    assert found.loc["helix", "reason"] == "element: Cu not wanted"
    assert found.loc["copper", "reason"].startswith("centrosymmetric")
    assert found["licence"].eq("CC0").all()
    assert found.loc["helix", "url"] == "https://a.org/helix"
    assert found.loc["helix", "prototype"] == "AB3_152_a3_a3c6"
    assert pd.isna(found.loc["copper", "classes_differ"])
    assert not found.loc["helix", "classes_differ"]


def test_earlier_results_hold_under_other_filters(tmp_path):
    """What is wanted decides on the plan, never on the keys of results."""
    (tmp_path / "source").mkdir()
    source = write_alloys(tmp_path / "source", "zincblende")
    keys = {
        plan_screening(intake_of(source, tmp_path / "out", s), commit=False).open["relaxation"][0]
        for s in (SETTINGS, curated(max_atoms=5, charge_balance="off"))
    }
    assert len({work.keys for work in keys}) == 1
