"""A crystal gets its distance from the hull, or the reason why there is none."""

import pyarrow.parquet as pq
import pytest
from ase.build import bulk

from potentials.registry import load_card
from tasks.crystals.rows import make_structure_columns
from tasks.screening.settings import PotentialSettings
from tasks.thermodynamics.corrections import compute_correction
from tasks.thermodynamics.evidence import load_hull, make_hull_columns, weigh_evidence
from tasks.thermodynamics.hull import VERTEX_SCHEMA, VERTICES


def relaxed_row(atoms, energy, digest=None):
    digest = digest or load_hull().checkpoint_digest
    return make_structure_columns(atoms) | {"energy": energy, "checkpoint_digest": digest}


def find_energy(name):
    """Corrected energy of the vertex of a formula (eV/atom)."""
    phases = load_hull().gather(frozenset(("Mg", "O"))).collect(frozenset(("Mg", "O")))
    return next(p.energy_per_atom for p in phases if p.reduced_formula == name)


def test_the_table_is_that_of_the_default_potential_and_small():
    card, hull = load_card(PotentialSettings().name), load_hull()
    assert (hull.potential, hull.checkpoint_digest) == (card.name, card.digest)
    assert pq.read_schema(VERTICES).remove_metadata() == VERTEX_SCHEMA
    assert VERTICES.stat().st_size < 3e6
    assert sum(map(len, hull.vertices.values())) > 10_000


def test_energies_are_corrected_before_they_are_compared():
    """Half the atoms of MgO are oxygen, each of which is corrected by -0.687 eV."""
    energy = find_energy("MgO") + 0.687 / 2 + 0.1
    found = make_hull_columns(None, relaxed_row(bulk("MgO", "rocksalt", 4.21), energy))
    assert found["energy_above_hull"] == pytest.approx(0.1)
    assert found["hull_source"] == load_hull().potential
    assert found["competing_phases"][0].startswith("1 MgO (mp-")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (None, "not relaxed"),
        ({"energy": None}, "not relaxed"),
        (relaxed_row(bulk("MgO", "rocksalt", 4.21), -6.0, "another"), "another potential"),
        (relaxed_row(bulk("Po", "sc", 3.4), -3.0), "no phase of Po"),
    ],
)
def test_without_an_energy_the_reason_is_told(row, reason):
    found = make_hull_columns(None, row)
    assert list(found) == ["hull_reason"]
    assert reason in found["hull_reason"]


def test_what_the_database_states_comes_first():
    row = relaxed_row(bulk("MgO", "rocksalt", 4.21), 0.0)
    assert make_hull_columns(0.02, row) == {"energy_above_hull": 0.02, "hull_source": "record"}


@pytest.mark.parametrize("symbol", ["Te", "O", "S", "H"])
def test_an_element_needs_no_correction(symbol):
    """Its distance is found without the scheme, which would add nothing."""
    assert compute_correction(bulk(symbol, "sc", a=3)) == 0


def weigh(above, distance=0.05, observed=None, reason=None):
    row = {"observed": observed, "observed_source": "COD", "energy_above_hull": above}
    return weigh_evidence(row | {"hull_reason": reason}, distance)


@pytest.mark.parametrize(
    ("above", "kind", "words"),
    [
        (0.0499, "hull", "0.050 eV/atom above the hull, within 0.05"),
        (0.0501, None, "not within 0.05"),
        (-0.02, "hull", "0.020 eV/atom below the hull, within 0.05"),
        # No crystal is that much more stable than all known phases.
        (-0.126, None, "0.126 eV/atom below the hull, not within 0.05"),
        (-1e-9, "hull", "0.000 eV/atom above the hull"),
        (None, None, "no energy above the hull: another potential"),
    ],
)
def test_a_crystal_counts_near_the_hull_on_either_side(above, kind, words):
    found = weigh(above, reason="another potential")
    assert found.kind == kind
    assert words in found.reason


def test_an_observation_counts_wherever_the_crystal_lies_and_its_lack_does_not():
    assert weigh(0.4, observed=True).kind == "observed"
    assert weigh(0.4, observed=False).reason.startswith("not observed (COD); 0.400 eV/atom")
    assert weigh(0.01, observed=False).kind == "hull"
    assert weigh(0.01, distance=None).kind is None


def test_ytterbium_is_that_of_the_potential():
    """Its metal has 41 Å^3 per atom, measured and by the potential; the table knew 30 once."""
    [metal] = load_hull().vertices[frozenset(("Yb",))]
    assert metal[2] < -1.5
