"""The score goes to zero with chirality, and depends on nothing else that it should not see."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st

from potentials import load_potential
from tasks.chirality import ChiralitySettings, ScoreSettings, analyze_force_constants
from tasks.phonons import PhononSettings, compute_all_force_constants
from tasks.results.ranking import (
    PURPOSES,
    SCORED,
    TERMS,
    compute_purpose_scores,
    compute_raw_score,
    compute_response_norm,
    compute_score_terms,
    make_ranking_columns,
    parse_score_settings,
)
from tasks.results.trust import RULES, Trust
from tasks.storage import CATALOG_TABLES
from tasks.symmetry import classify_space_group
from tests.crystals import (
    helix,
    quartz,
    random_crystal,
    spring_phonon,
    tellurium,
    tilted_cristobalite,
    twisted_rocksalt,
)

pytestmark = pytest.mark.slow

COARSE = ChiralitySettings(mesh_spacing=0.05, path_spacing=1.0)
SETTINGS = ScoreSettings()
LISTING = ScoreSettings(shortlist_score=0.01)
SOUND = Trust((), 1.0, reliable=True)
ON_HULL = {
    "observed": None,
    "observed_source": None,
    "energy_above_hull": 0.0,
    "hull_reason": None,
}
# Force constants of pair springs alone: functions of distances, without a hand of their own.
PAIRS = {"helix": 4.45, "rocksalt": 3.4, "cristobalite": 4.1}


def row_of(phonon) -> dict[str, Any]:
    """Columns of a stable material with significant angular momentum."""
    record = analyze_force_constants(phonon, COARSE).record
    return asdict(record) | {"stable": True, "significant": True} | ON_HULL


@cache
def springs(make: Callable[..., Atoms], *arguments: float, cutoff: float | None = None):
    """Row of a spring model; pair springs alone where a cutoff is given."""
    strength = 0.0 if cutoff else 4.0
    phonon = spring_phonon(make(*arguments), cutoff=cutoff, cluster_strength=strength)
    return row_of(phonon)


def score_of(row: dict[str, Any]) -> float:
    found = compute_raw_score(row, SETTINGS)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("make", "cutoff", "sizes"),
    [
        (helix, PAIRS["helix"], (0.3, 0.1, 0.03, 0.01, 0.003)),
        (twisted_rocksalt, PAIRS["rocksalt"], (0.1, 0.03, 0.01, 0.003)),
        (tilted_cristobalite, PAIRS["cristobalite"], (1.0, 0.3, 0.1, 0.03, 0.01)),
    ],
)
def test_every_term_goes_to_zero_with_chirality(make, cutoff, sizes):
    """A helix of one atom, a twisted cubic crystal, a tilted network: each near an achiral one."""
    rows = [springs(make, size, cutoff=cutoff) for size in sizes]
    terms = np.array([list(compute_score_terms(row, SETTINGS).values()) for row in rows])
    assert np.all(np.diff(terms, axis=0) < 0)
    assert np.all(terms[0] > 1e-3)
    assert np.all(terms[-1] < 1e-3)
    purposes = [compute_purpose_scores(row, SETTINGS) for row in (rows[0], rows[-1])]
    for name, value in purposes[1].items():
        assert value < max(3e-3, 0.1 * purposes[0][name]), name


def test_a_helix_of_three_hundredths_of_an_angstrom_is_no_candidate():
    """Although its branches split linearly: folded at the screw axis, as those of its parent."""
    row = springs(helix, 0.03, cutoff=PAIRS["helix"])
    assert max(map(abs, row["splitting_linear"])) > 20
    assert max(map(abs, row["circular_splitting"])) < 0.01
    assert score_of(row) < 0.003


def test_the_achiral_parent_has_no_score_at_all():
    """Without the displacement the same atoms are a crystal with an inversion centre."""
    parent = helix(0.0)
    del parent[[1, 2]]
    parent.set_cell(parent.cell * np.array([[1], [1], [1 / 3]]))
    record = row_of(spring_phonon(parent, cutoff=PAIRS["helix"], cluster_strength=0.0))
    assert record["mean_angular_momentum"] < 1e-9
    assert score_of(record) == 0.0


def test_a_slightly_twisted_cubic_crystal_with_the_default_potential():
    """Rock salt twisted towards iron silicide by 0.2 and 0.02 A, with real forces."""
    potential = load_potential("nequix-mp-1-pft", device="cpu", dtype="float64")
    settings = PhononSettings(max_atoms=64, min_supercell_length=5.0)
    crystals = [twisted_rocksalt(shift) for shift in (0.02, 0.002)]
    found = compute_all_force_constants(crystals, potential, settings)
    twisted, nearly_cubic = (score_of(row_of(result.phonon)) for result in found)
    assert twisted > 0.03
    assert nearly_cubic < 0.003


def with_masses(atoms: Atoms, masses) -> Atoms:
    heavier = atoms.copy()
    heavier.set_masses(masses)
    return heavier


@pytest.mark.parametrize("make", [quartz, tellurium, twisted_rocksalt])
@pytest.mark.parametrize("factor", [0.25, 3.0])
def test_masses_scaled_by_one_factor_leave_the_score_unchanged(make, factor):
    arguments = (0.1,) if make is twisted_rocksalt else ()
    atoms = make(*arguments)
    heavier = with_masses(atoms, factor * atoms.get_masses())
    assert score_of(row_of(spring_phonon(heavier))) == pytest.approx(
        score_of(springs(make, *arguments)), rel=1e-3
    )


@pytest.mark.parametrize("atom", [0, 3])
def test_one_heavier_isotope_changes_the_score_little(atom):
    """It takes away all symmetry: nothing in the score may hang on an axis or on a doublet."""
    atoms = quartz()
    masses = atoms.get_masses()
    masses[atom] *= 18 / 16
    assert score_of(row_of(spring_phonon(with_masses(atoms, masses)))) == pytest.approx(
        score_of(springs(quartz)), rel=0.1
    )


# Waves s, d, g and i; monoclinic to cubic, with and without a threefold axis.
GROUPS = (1, 4, 19, 90, 152, 173, 198, 6, 31, 82, 109, 122, 160, 174, 186, 187, 215, 216)


@pytest.mark.parametrize("number", GROUPS)
def test_no_crystal_without_inversion_has_a_score_of_zero_by_construction(number):
    row = springs(random_crystal, number)
    assert classify_space_group(number).chirality_class in {"II", "III"}
    terms = compute_score_terms(row, SETTINGS)
    assert tuple(terms) == tuple(term.name for term in TERMS)
    assert min(terms["momentum"], terms["helicity"]) > 5e-3
    assert score_of(row) > 5e-3


def test_terms_read_columns_of_the_catalogue_and_each_has_a_weight_and_a_reason():
    columns = set(CATALOG_TABLES["chirality"].names)
    assert set(SCORED) <= columns
    for term in (*TERMS, *PURPOSES):
        assert set(term.reads) <= set(SCORED)
        assert term.formula
        assert term.reason
    assert {f"{term.name}_weight" for term in TERMS} == {
        name for name in ScoreSettings.model_fields if name.endswith("_weight")
    }
    assert {purpose.name for purpose in PURPOSES} <= columns


NUMBERS = st.fixed_dictionaries(
    {
        "resolved_angular_momentum": st.floats(0, 1),
        "resolved_helicity": st.floats(0, 1),
        "long_wave_helicity": st.floats(0, 1),
        "scattering_angular_momentum": st.floats(0, 1),
        "resonant_helicity": st.floats(0, 1),
        "raman_splitting": st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=3),
        "temperatures": st.just([100.0, 300.0]),
        "tensor": st.floats(-1e-3, 1e-3).map(lambda size: 18 * [size]),
    }
)
JUDGED = {"stable": True, "significant": True}


@given(numbers=NUMBERS, weights=st.lists(st.floats(0.1, 10), min_size=3, max_size=3))
def test_scores_are_shares_and_the_score_a_mean_of_its_terms(numbers, weights):
    names = [f"{term.name}_weight" for term in TERMS]
    settings = ScoreSettings(**dict(zip(names, weights, strict=True)))
    terms = compute_score_terms(numbers, settings)
    found = compute_raw_score(numbers | JUDGED, settings)
    assert min(terms.values()) - 1e-9 <= found <= max(terms.values()) + 1e-9
    assert all(
        0 <= value <= 1 for value in compute_purpose_scores(numbers | JUDGED, settings).values()
    )


@pytest.fixture
def row() -> dict[str, Any]:
    return dict(springs(tellurium))


@pytest.mark.parametrize("name", ["stable", "significant"])
def test_what_is_unstable_or_insignificant_has_no_score(row, name):
    row[name] = False
    assert compute_raw_score(row, SETTINGS) is None
    assert set(compute_purpose_scores(row, SETTINGS).values()) == {None}


@pytest.mark.parametrize("name", ["helicity", "splitting"])
def test_a_term_whose_numbers_spread_is_left_out(row, name):
    """The others keep their weights; the catalogue tells which one is missing."""
    warned = replace(SOUND, warnings=(f"{name}_uncertain",))
    terms = compute_score_terms(row, SETTINGS, warned.warnings)
    assert set(terms) == {term.name for term in TERMS} - {name}
    found = make_ranking_columns(row, warned, SETTINGS)
    assert found["raw_score"] == pytest.approx(np.mean(list(terms.values())))
    assert found["terms_left_out"] == [name]
    assert make_ranking_columns(row, SOUND, SETTINGS)["terms_left_out"] is None


def test_what_spoils_a_term_is_a_warning():
    spoilers = {code for term in (*TERMS, *PURPOSES) for code in term.spoiled_by}
    assert spoilers <= {rule.code for rule in RULES}


def test_empty_columns_leave_terms_out_and_without_any_there_is_no_score(row):
    """As those of an older program, which did not compute them."""
    row["long_wave_helicity"] = None
    assert set(compute_score_terms(row, SETTINGS)) == {"momentum", "helicity"}
    row["resolved_angular_momentum"] = row["resolved_helicity"] = None
    assert compute_raw_score(row, SETTINGS) is None
    assert make_ranking_columns(row, SOUND, SETTINGS)["shortlisted"] is False


def test_a_crystal_without_an_axis_has_no_score_for_circular_raman():
    assert compute_purpose_scores(springs(random_crystal, 19), SETTINGS)["score_raman"] is None
    assert compute_purpose_scores(springs(tellurium), SETTINGS)["score_raman"] > 0


@pytest.mark.parametrize("warning", ["mesh", "forbidden_tensor"])
def test_warnings_of_the_tensor_end_the_thermal_score_alone(row, warning):
    found = compute_purpose_scores(row, SETTINGS, [warning])
    assert found["score_thermal"] is None
    assert None not in {value for name, value in found.items() if name != "score_thermal"}


def test_trust_lowers_all_scores_and_another_class_ends_them(row):
    sound = make_ranking_columns(row, SOUND, SETTINGS)
    doubted = make_ranking_columns(row, Trust(("volume",), 0.6, reliable=False), SETTINGS)
    for name in ("score", *(purpose.name for purpose in PURPOSES)):
        assert doubted[name] == pytest.approx(0.6 * sound[name])
    assert doubted["raw_score"] == sound["raw_score"] == sound["score"]
    other = make_ranking_columns(row, Trust(("class_changed",), 0.3, reliable=False), SETTINGS)
    assert other["raw_score"] == sound["raw_score"]
    assert other["score"] is other["score_thermal"] is None


@pytest.mark.parametrize("reliable", [True, False])
def test_the_shortlist_begins_at_its_score_and_asks_for_a_reliable_result(row, reliable):
    trust = replace(SOUND, reliable=reliable)
    exactly = ScoreSettings(shortlist_score=score_of(row))
    above = ScoreSettings(shortlist_score=score_of(row) + 1e-6)
    assert make_ranking_columns(row, trust, exactly)["shortlisted"] is reliable
    assert make_ranking_columns(row, trust, exactly)["raw_shortlisted"] is True
    assert make_ranking_columns(row, trust, above)["raw_shortlisted"] is False


FAR = {"energy_above_hull": 0.3}
SEEN = {"observed": True, "observed_source": "ICSD, 2020"}


@pytest.mark.parametrize(
    ("known", "evidence", "reason"),
    [
        ({}, "hull", "0.000 eV/atom above the hull, within 0.05"),
        (SEEN | FAR, "observed", "observed (ICSD, 2020)"),
        (
            FAR,
            None,
            "no evidence that it exists: not known whether it was made; 0.300 eV/atom above",
        ),
        ({"energy_above_hull": None, "hull_reason": "not relaxed"}, None, "hull: not relaxed"),
    ],
)
def test_the_shortlist_wants_an_observation_or_a_place_near_the_hull(row, known, evidence, reason):
    found = make_ranking_columns(row | known, SOUND, LISTING)
    assert found["evidence"] == evidence
    assert reason in found["shortlist_reason"]
    assert found["shortlisted"] is (evidence is not None)
    assert found["raw_shortlisted"] is True


def test_the_score_asks_for_no_evidence_and_a_setting_makes_the_list_do_without(row):
    there, gone = (make_ranking_columns(row | known, SOUND, LISTING) for known in ({}, FAR))
    assert gone["score"] == there["score"]
    listed = make_ranking_columns(
        row | FAR, SOUND, LISTING.model_copy(update={"shortlist_hull": None})
    )
    assert listed["shortlisted"] is True
    assert listed["evidence"] is None
    assert "0.300 eV/atom above the hull" in listed["shortlist_reason"]


def test_the_first_obstacle_to_the_shortlist_is_told(row):
    doubted = Trust(("soft", "mesh"), 0.5, reliable=False)
    told = {
        "unstable": make_ranking_columns(row | {"stable": False}, SOUND, LISTING),
        "no significant": make_ranking_columns(row | {"significant": False}, SOUND, LISTING),
        "below 1": make_ranking_columns(row | FAR, SOUND, ScoreSettings(shortlist_score=1.0)),
        "not reliable: soft": make_ranking_columns(row | FAR, doubted, LISTING),
    }
    for reason, found in told.items():
        assert reason in found["shortlist_reason"]
        assert "mesh" not in found["shortlist_reason"]
        assert found["shortlisted"] is False


def test_weights_and_scales_are_those_a_run_recorded(row):
    """Those of older programs, with terms that are gone, are understood."""
    recorded = {"score": {"momentum_weight": 0.0, "isolation_weight": 0.5, "tensor_scale": 1e-9}}
    settings = parse_score_settings(recorded)
    assert (settings.momentum_weight, settings.helicity_weight) == (0.0, 1.0)
    for unread in ({}, {"score": {"of_a_newer_program": 1}}):
        assert parse_score_settings(unread) == SETTINGS
    assert compute_purpose_scores(row, settings)["score_thermal"] > 0.9


def test_scales_are_what_counts_half(row):
    size = max(map(abs, row["raman_splitting"]))
    settings = ScoreSettings(raman_scale=size, tensor_scale=compute_response_norm(row, 300.0))
    found = compute_purpose_scores(row, settings)
    assert found["score_raman"] == pytest.approx(0.5)
    assert found["score_thermal"] == pytest.approx(0.5)


def test_response_is_that_of_the_nearest_temperature(row):
    """A tensor of size T at temperature T has the norm 3 T."""
    kelvin = [100.0, 290.0, 1000.0]
    row |= {"temperatures": kelvin, "tensor": np.repeat(kelvin, 9).tolist()}
    assert compute_response_norm(row, 300.0) == pytest.approx(3 * 290.0)
    assert compute_response_norm(row, 900.0) == pytest.approx(3 * 1000.0)


def test_opposite_hands_have_the_same_scores(row):
    """Mirror images have the opposite splittings and response."""
    mirrored = dict(row)
    for name in ("raman_splitting", "tensor"):
        mirrored[name] = [-value for value in row[name]]
    assert compute_raw_score(mirrored, SETTINGS) == compute_raw_score(row, SETTINGS)
    assert compute_purpose_scores(mirrored, SETTINGS) == compute_purpose_scores(row, SETTINGS)
