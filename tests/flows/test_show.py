"""One crystal at a terminal: the numbers of the stages, files that open, errors of two lines."""

import os
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import chiralscreen
import numpy as np
import pandas as pd
import pytest
from ase.io import read
from scipy.constants import R

from potentials import load_potential
from tasks.chirality import analyze_force_constants, compute_modes, judge
from tasks.crystals.cells import make_atoms
from tasks.crystals.structures import make_material
from tasks.phonons import compute_all_force_constants, compute_commensurate_frequencies
from tasks.phonons.charges import set_charges
from tasks.phonons.elasticity import (
    compute_elastic_constants,
    find_smallest_elastic_eigenvalue,
    measure_strain_responses,
)
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.relaxation import relax
from tasks.results import read_catalog
from tasks.results.ranking import compute_raw_score
from tasks.screening.settings import read_settings
from tasks.sources import parse_record, read_raw_records
from tasks.units import UNITS, UnitName
from tests.flows.conftest import DEMO, told, told_by_process
from tests.flows.terminals import printed_in_terminal

TELLURIUM = DEMO / "te.cif"
COARSE = """
phonons: {min_supercell_length: 6.0, max_atoms: 40, max_enlargements: 0}
chirality: {mesh_spacing: 0.05, path_spacing: 0.1}
"""


@pytest.fixture(scope="module")
def coarse(tmp_path_factory):
    """Settings of the default potential that take seconds."""
    path = tmp_path_factory.mktemp("settings") / "coarse.yaml"
    path.write_text(COARSE)
    return path


@pytest.fixture(scope="module")
def shown(tmp_path_factory, coarse):
    """Tellurium, shown: what was printed, and the folder."""
    folder = tmp_path_factory.mktemp("shown") / "te"
    return told("show", TELLURIUM, "-o", folder, "--config", coarse), folder


def test_the_numbers_are_those_of_the_functions_of_the_stages(shown, coarse):
    """Computed here from one function to the next, without dataset, stages or command."""
    _, folder = shown
    settings = read_settings(coarse, {})
    potential = load_potential(settings.potential.name, "cpu", settings.potential.dtype)
    [record] = read_raw_records(TELLURIUM)
    given = make_material(parse_record(record), settings.symmetry.symprec).atoms
    [relaxed] = relax([given], potential, settings.relaxation)
    [found] = compute_all_force_constants([relaxed.atoms], potential, settings.phonons)
    [response] = measure_strain_responses([make_atoms(found.phonon.primitive)], potential)
    set_charges(found.phonon, "predicted")
    rules = impose_sum_rules(found.phonon, response)
    record = analyze_force_constants(rules.crystal, settings.chirality).record
    stiffness = find_smallest_elastic_eigenvalue(compute_elastic_constants(found.phonon, response))
    frequencies = compute_commensurate_frequencies(found.phonon)
    verdict = judge(record, frequencies, settings.score, stiffness)
    row = read_catalog(folder, "chirality").set_index("material_id").loc["te"]
    for name in ("mean_optical_helicity", "mean_optical_angular_momentum", "max_frequency"):
        assert row[name] == pytest.approx(getattr(record, name), rel=1e-6), name
    # What other divisions of the force constants tell belongs to the stage.
    spreads = {name: row[name] for name in row.index if name.endswith("_spread")}
    found = vars(record) | vars(verdict) | spreads
    expected = compute_raw_score(found, settings.score, row["warnings"])
    assert row["raw_score"] == pytest.approx(expected, rel=1e-6)
    assert row["score"] == pytest.approx(row["trust"] * expected, rel=1e-6)
    assert row["helicity_wave_found"] == "s"
    written = read(folder / "te.cif")
    assert written.get_volume() == pytest.approx(relaxed.atoms.get_volume(), rel=1e-6)
    assert len(written) == 3


def test_what_is_written_is_named_and_opens(shown):
    result, folder = shown
    assert result.returncode == 0, result.stderr
    written = re.findall(r"^written: (.+)$", result.stdout, re.MULTILINE)
    names = {path.rsplit("/", 1)[-1] for path in written}
    pictures = {
        f"te-{kind}.{end}"
        for kind in ("bands-helicity", "density", "thermal")
        for end in ("png", "pdf")
    }
    assert names == {"te.html", "te.cif", "te-modes.csv", *pictures}
    assert all((folder / name).stat().st_size for name in names)
    assert (folder / "te-bands-helicity.png").read_bytes().startswith(b"\x89PNG")
    modes = pd.read_csv(folder / "te-modes.csv")
    assert np.allclose(modes["frequency"], read_catalog(folder, "modes")["frequency"])
    assert "next: chiralscreen plot" in result.stdout


class _Page(HTMLParser):
    """Links, pictures and scripts of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.pictures, self.scripts = [], [], 0
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [given["href"]] if tag == "a" else []
        self.pictures += [given["src"]] if tag == "img" else []
        self.scripts += tag == "script"


def test_the_page_holds_figures_and_modes_and_its_links_lead_to_files(shown):
    _, folder = shown
    text = (folder / "te.html").read_text("utf-8")
    page = _Page(text)
    assert len(page.pictures) == 3
    assert all(source.startswith("data:image/png;base64,") for source in page.pictures)
    assert page.scripts == 0
    assert page.links
    assert all((folder / unquote(link)).is_file() for link in page.links)
    for word in ("Te, P3₁21", "largest optical |h|", "mesh_spacing: 0.05"):
        assert word in text


def test_modes_at_special_points_are_sets_whose_labels_add_up(shown):
    """Each point once, all nine bands; at K two modes of opposite label in each set.

    At Γ, approached along the path, predicted charges split the two sets of species E.
    """
    result, folder = shown
    lines = [line.split("│")[1:-1] for line in result.stdout.splitlines() if line.startswith("│")]
    rows = [[cell.strip() for cell in line] for line in lines]
    at_gamma = [row for row in rows if row[0] == "Γ"]
    assert [row[1] for row in at_gamma] == ["0-2", "3", "4", "5", "6", "7", "8"]
    assert [row[-1] for row in at_gamma] == ["-1, 0, +1", "-", "-", "0", "0", "-", "-"]
    assert {row[-2] for row in at_gamma} == {"3_1"}
    assert [row[-1] for row in rows if row[0] == "K" and "-" in row[1]] == ["-1, +1"] * 3
    stored = read_catalog(folder, "modes")
    gamma = stored[stored["q_label"] == "Γ"].drop_duplicates("band")
    assert [row[2] for row in at_gamma][1] == f"{gamma['frequency'].iloc[3]:.3f}"


def test_splittings_are_per_k_with_two_pi_and_paths_and_meshes_without(shown):
    """By finite differences of the frequencies of tellurium along its axis."""
    _, folder = shown
    te = chiralscreen.load(folder)["te"]
    phonon, row = te.phonon, te.row
    [direction] = np.reshape(row["axis_directions"], (-1, 3))
    k = 2e-3  # 1/Å, with 2 pi
    q = phonon.primitive.cell @ direction * k / (2 * np.pi)
    gamma, near = (compute_modes(phonon, point).frequencies[0] for point in ([0, 0, 0], q))
    doublets = np.flatnonzero(np.diff(gamma) < 1e-4)[2:]
    slopes = np.diff(near)[doublets] / k
    assert len(slopes) == 2
    assert slopes.max() == pytest.approx(abs(row["splitting_linear"][0]), rel=1e-2)
    # The path of the table of modes, from its q-points.
    modes = te.modes.drop_duplicates(["segment", "path_distance"])
    inside = modes[modes["segment"] == 0]
    reciprocal = np.linalg.inv(phonon.primitive.cell)
    points = inside[["q_a", "q_b", "q_c"]].to_numpy(float) @ reciprocal.T
    length = np.linalg.norm(points[-1] - points[0])
    assert length == pytest.approx(np.ptp(inside["path_distance"]), rel=1e-4)
    # The mesh of the settings: so many points that each has the cube of the spacing.
    volume = abs(np.linalg.det(reciprocal))
    spacing = np.cbrt(volume / row["n_q_points"])
    assert 0.7 * 0.05 < spacing <= 0.05


def test_a_unit_changes_tables_and_page_but_no_file_of_data(shown, coarse, tmp_path):
    first, folder = shown
    shutil.copytree(folder, tmp_path / "te")
    options = ("--config", coarse, "--no-open", "--unit", "cm-1")
    again = told("show", TELLURIUM, "-o", tmp_path / "te", *options)
    assert again.returncode == 0, again.stderr
    per_terahertz = UNITS[UnitName.INVERSE_CENTIMETRE].per_terahertz
    ours, theirs = (_first_number(result.stdout, "highest ν") for result in (again, first))
    assert ours == pytest.approx(per_terahertz * theirs, rel=1e-3)
    assert "ν (cm⁻¹)" in again.stdout
    page = (tmp_path / "te" / "te.html").read_text("utf-8")
    assert "ν (cm⁻¹)" in page
    assert "(THz)" not in page.replace("frequencies in THz", "")
    same = "te-modes.csv"
    assert (tmp_path / "te" / same).read_bytes() == (folder / same).read_bytes()


def _first_number(text, name):
    """Number in the line of a name."""
    [line] = [line for line in text.splitlines() if name in line]
    return float(line.split()[-1])


def test_thermal_properties_are_shown_and_are_those_of_the_mesh(shown):
    """Three atoms, far above the Debye temperature: nearly 9 R."""
    result, folder = shown
    [line] = [line for line in result.stdout.splitlines() if "C_v at 300 K" in line]
    assert "J/K per mole of primitive cells (3 atoms)" in line
    te = chiralscreen.load(folder)["te"]
    curve = te.thermal([0, 300, 1000])
    assert curve.loc[300, "heat_capacity"] == pytest.approx(te.row["heat_capacity_300"], rel=1e-6)
    assert curve.loc[300, "entropy"] == pytest.approx(te.row["entropy_300"], rel=1e-6)
    assert curve.loc[0, "free_energy"] == pytest.approx(te.row["zero_point_energy"], rel=1e-6)
    assert 0.95 < curve.loc[300, "heat_capacity"] / (9 * R) < 1
    assert te.figure("thermal").get_axes()


def test_the_folder_is_a_dataset_and_showing_again_computes_nothing(shown, coarse):
    _, folder = shown
    assert told("status", folder).returncode == 0
    assert told("verify", folder).stdout.startswith("0 problems")
    before = {path.name for path in (folder / "receipts").iterdir()}
    again = told("show", TELLURIUM, "-o", folder, "--config", coarse, "--no-open")
    assert again.returncode == 0, again.stderr
    new = {path.name for path in (folder / "receipts").iterdir()} - before
    assert {name.split("-")[0] for name in new} <= {"plan", "run"}


def test_force_constants_of_a_file_are_shown_and_have_the_modes_they_had(shown, coarse, tmp_path):
    """At Γ, which every supercell determines; a file lacks the response to strain."""
    _, folder = shown
    exported = told("export", folder, "te", "-o", tmp_path)
    assert exported.returncode == 0, exported.stderr
    assert f"next: chiralscreen analyze {tmp_path / 'te-phonopy.yaml'} -o" in exported.stdout
    result = told("show", tmp_path / "te-phonopy.yaml", "-o", tmp_path / "out", "--config", coarse)
    assert result.returncode == 0, result.stderr
    assert "force constants from a file" in result.stdout
    assert (tmp_path / "out" / "te-phonopy.html").is_file()
    first, second = (_at_gamma(place) for place in (folder, tmp_path / "out"))
    assert len(first) == 9
    assert np.allclose(first, second, atol=1e-4)


def _at_gamma(folder):
    """Frequencies of all bands at Γ (THz)."""
    modes = read_catalog(folder, "modes")
    return modes[modes["q_label"] == "Γ"].drop_duplicates("band")["frequency"].to_numpy()


def test_a_terminal_of_80_columns_cuts_nothing(shown, coarse, tmp_path):
    """And no browser is opened where there is no window for it."""
    _, folder = shown
    shutil.copytree(folder, tmp_path / "te")
    code, text = printed_in_terminal(
        tmp_path, "show", TELLURIUM, "-o", "te", "--config", coarse, "--no-open"
    )
    assert code == 0, text
    assert "…" not in text
    assert "left out" not in text
    assert max(len(line) for line in text.splitlines() if line.startswith("│")) <= 80


def test_a_browser_is_opened_on_a_terminal_only_and_unless_it_is_refused(
    shown, coarse, tmp_path, monkeypatch
):
    """The browser is a program of the test's own that writes down what it was told to open."""
    _, folder = shown
    shutil.copytree(folder, tmp_path / "te")
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" >> {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    command = ("show", TELLURIUM, "-o", "te", "--config", coarse)
    printed_in_terminal(tmp_path, *command, "--no-open")
    monkeypatch.chdir(tmp_path)
    assert told(*command).returncode == 0
    assert not opened.exists()
    printed_in_terminal(tmp_path, *command)
    assert opened.read_text().strip() == (tmp_path / "te" / "te.html").resolve().as_uri()


def test_nothing_of_prefect_is_loaded_nor_a_server_started(shown, coarse, tmp_path):
    _, folder = shown
    shutil.copytree(folder, tmp_path / "te")
    (tmp_path / "prefect.py").write_text("raise SystemExit('Prefect was imported')")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    result = told_by_process(
        environment, "show", TELLURIUM, "-o", tmp_path / "te", "--config", coarse
    )
    assert result.returncode == 0, result.stderr


def test_a_centrosymmetric_crystal_is_told_with_the_option_that_computes_it(coarse, tmp_path):
    result = told("show", DEMO / "si.cif", "-o", tmp_path / "si", "--config", coarse)
    assert result.returncode == 2
    message, remedy = result.stderr.splitlines()
    assert "centrosymmetric" in message
    assert "--all" in remedy
    again = told("show", DEMO / "si.cif", "-o", tmp_path / "si", "--config", coarse, "--all")
    assert again.returncode == 0, again.stderr
    assert "zero on the whole path" in again.stdout
    assert (tmp_path / "si" / "si.html").is_file()


def test_what_the_potential_cannot_relax_is_told_in_two_lines(coarse, tmp_path):
    """7net-0 turns trigonal tellurium into a simple cubic crystal."""
    options = ("--config", coarse, "--potential", "7net-0")
    result = told("show", TELLURIUM, "-o", tmp_path / "te", *options)
    assert result.returncode == 1
    message, remedy = result.stderr.splitlines()
    assert "relaxation of te" in message
    assert "152 into 221" in message
    assert remedy.startswith("what to do: use a better potential")
    assert not (tmp_path / "te" / "te.html").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere.cif", ["no such file"]),
        (".", ["is a folder", "chiralscreen screen"]),
        ("bad.cif", ["unreadable"]),
        ("two.cif", ["more than one crystal", "chiralscreen screen"]),
        ("phonopy.yaml", ["phonopy.yaml"]),
    ],
)
def test_unusable_files_are_told_in_two_lines_with_exit_code_two(
    monkeypatch, tmp_path, name, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.cif").write_text("rubbish")
    (tmp_path / "two.cif").write_text(TELLURIUM.read_text() + (DEMO / "se.cif").read_text())
    (tmp_path / "phonopy.yaml").write_text("rubbish: 1\n")
    result = told("show", name, "-o", "out")
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 2
    assert all(word in result.stderr for word in words), result.stderr
    assert "what to do:" in result.stderr
