"""Other programs' formats hold the same crystal and the same phonons."""

import itertools

import numpy as np
import pytest
import yaml
from ase.build import bulk

from tasks.chirality.modes import compute_modes
from tasks.results.interchange import (
    format_bibtex,
    format_citation_file,
    make_optimade_response,
    make_optimade_structure,
    make_phononwebsite_data,
)
from tests.crystals import quartz, spring_phonon

INVERSE_CENTIMETRE = 33.35641  # of a terahertz


@pytest.fixture(scope="module")
def phonon():
    return spring_phonon(quartz(), 3)


@pytest.fixture(scope="module")
def website(phonon):
    return make_phononwebsite_data(phonon, "quartz", spacing=0.1)


def test_frequencies_are_in_inverse_centimetres(phonon, website):
    expected = compute_modes(phonon, website["qpoints"]).frequencies * INVERSE_CENTIMETRE
    assert np.allclose(website["eigenvalues"], expected, atol=0.05)


def test_vectors_are_displacements_of_eigenmodes(phonon, website):
    # D e = w^2 e with e = sqrt(M) u.
    row, band = len(website["qpoints"]) // 2, 10
    u = np.array(website["vectors"][row][band]) @ [1, 1j]
    e = (np.sqrt(phonon.primitive.masses)[:, None] * u).ravel()
    e /= np.linalg.norm(e)
    modes = compute_modes(phonon, website["qpoints"][row])
    same = np.abs(modes.frequencies[0] - modes.frequencies[0][band]) < 1e-3
    assert np.linalg.norm(modes.eigenvectors[0][:, same].conj().T @ e) == pytest.approx(1, abs=1e-3)


def test_the_path_is_named_and_cut_where_it_jumps(website):
    names = {name for _, name in website["highsym_qpts"]}
    assert {"Γ", "M", "K", "A"} <= names
    breaks = website["line_breaks"]
    assert breaks[0][0] == 0
    assert breaks[-1][1] == len(website["qpoints"])
    assert all(a[1] == b[0] for a, b in itertools.pairwise(breaks))


def test_positions_agree(website):
    expected = np.array(website["atom_pos_red"]) @ np.array(website["lattice"])
    assert np.allclose(website["atom_pos_car"], expected)
    assert len(website["atom_types"]) == website["natoms"] == len(website["atom_numbers"])


def test_optimade_formulas_and_ratios():
    entry = make_optimade_structure(quartz(), "q", score=0.5)
    found = entry["attributes"]
    assert found["chemical_formula_reduced"] == "O2Si"
    assert found["chemical_formula_anonymous"] == "A2B"
    assert found["elements"] == ["O", "Si"]
    assert sum(found["elements_ratios"]) == pytest.approx(1)
    assert found["nsites"] == len(found["cartesian_site_positions"]) == 9
    assert found["_chiralscreen_score"] == 0.5


def test_optimade_names_a_species_for_each_site():
    found = make_optimade_structure(bulk("GaAs", "zincblende", a=5.65), "g")["attributes"]
    assert set(found["species_at_sites"]) == {species["name"] for species in found["species"]}


def test_optimade_answer_counts_its_entries():
    answer = make_optimade_response([make_optimade_structure(quartz(), "q")])
    assert answer["meta"]["data_returned"] == len(answer["data"]) == 1


def test_citation_lists_each_work_once():
    text = format_citation_file("1.0", ["B, work", "A, work", "A, work"], ["CC0"])
    content = yaml.safe_load(text)
    assert [work["title"] for work in content["references"]] == ["A, work", "B, work"]
    assert "CC0" in content["abstract"]


def test_bibtex_names_each_work_once_with_its_address():
    works = [
        "A et al., arXiv:2601.07742",
        "A et al., arXiv:2601.07742",
        "P & Q, doi:10.1/x_y, 2024",
    ]
    text = format_bibtex("1.0", works)
    assert text.count("@misc{") == 3
    assert text.count("{") == text.count("}")
    assert "url = {https://arxiv.org/abs/2601.07742}," in text
    assert "url = {https://doi.org/10.1/x_y}," in text
    assert r"{{P \& Q, doi:10.1/x\_y, 2024}}" in text
    assert "@misc{a-et-al-arxiv-2601-07742," in text
