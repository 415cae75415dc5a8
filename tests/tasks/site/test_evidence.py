"""What a laboratory asks of a crystal, in words, and links to its entries elsewhere."""

import pytest

from tasks.site.evidence import NONE_NAMED, UNKNOWN, list_laboratory_facts, list_links

RECORD = {
    "formula": "CdAs2",
    "observed": True,
    "observed_source": "ICSD, 2020",
    "energy_above_hull": -0.0061,
    "hull_source": "nequix-mp-1-pft",
    "band_gap": 0.412,
    "magnetic_ordering": "NM",
    "density": 5.4712,
    "competing_phases": ["As", "Cd3As2"],
    "toxic_elements": "Cd, As",
}


def test_what_is_known_is_told_with_units_and_sources():
    assert list_laboratory_facts(RECORD) == {
        "observed": "observed (ICSD, 2020)",
        "stability": "0.006 eV/atom below the hull (nequix-mp-1-pft)",
        "competing phases": "As, Cd3As2",
        "band gap": "0.41 eV",
        "magnetic ordering": "NM",
        "density": "5.47 g/cm³",
        "hazards": "toxic: Cd, As",
    }


def test_what_nobody_knows_is_unknown_and_never_concluded():
    """As for a catalogue of an older program, with empty cells as pandas has them."""
    facts = list_laboratory_facts({"formula": "NaCl", "band_gap": float("nan"), "observed": None})
    assert facts["observed"] == "not known whether it was made"
    for name in ("stability", "competing phases", "band gap", "magnetic ordering", "density"):
        assert facts[name] == UNKNOWN
    assert facts["hazards"] == NONE_NAMED


def test_no_gap_is_a_metal_and_no_hull_has_its_reason():
    row = {"formula": "Cu", "band_gap": 0.0, "hull_reason": "the hull has no phase of Po"}
    facts = list_laboratory_facts(row)
    assert facts["band gap"] == "none: a metal"
    assert facts["stability"] == "the hull has no phase of Po"


def test_numbers_and_addresses_of_a_record_become_links():
    row = {
        "database_id": "mp-471",
        "icsd_id": "16037, 23243",
        "cod_id": "9008564",
        "phonondb_url": "https://mdr.nims.go.jp/concern/datasets/k643b637f",
        "url": "https://next-gen.materialsproject.org/materials/mp-471",
    }
    links = {(link.title, link.name): link.address for link in list_links(row)}
    icsd = "https://icsd.fiz-karlsruhe.de/linkicsd.xhtml?coll_code="
    assert links[("ICSD", "16037")] == f"{icsd}16037"
    assert links[("ICSD", "23243")] == f"{icsd}23243"
    assert links[("COD", "9008564")] == "https://www.crystallography.net/cod/9008564.html"
    assert links[("Phonon database (MDR)", row["phonondb_url"])] == row["phonondb_url"]
    assert [title for title, _ in links].count("Materials Project") == 0
    assert links[("Page", row["url"])] == row["url"]


def test_a_name_of_the_materials_project_is_a_link_where_no_page_is_stated():
    [link] = list_links({"database_id": "mp-471", "icsd_id": None})
    assert link.address == "https://next-gen.materialsproject.org/materials/mp-471"


@pytest.mark.parametrize(
    "row",
    [
        {"url": "javascript:alert(1)"},
        {"phonix_url": "file:///etc/passwd"},
        {"icsd_id": '1" onclick="x'},
        {"database_id": "mp-1?x=<script>"},
        {"database_id": "my-crystal"},
        {},
    ],
)
def test_nothing_else_becomes_a_link(row):
    assert list_links(row) == []
