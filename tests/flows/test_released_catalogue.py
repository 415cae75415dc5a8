"""The released catalogue, and tables that somebody copied: every command opens them."""

import shutil
from pathlib import Path

import chiralscreen
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from ase.io import read
from rich.cells import cell_len

from tasks.failures import RemediableError
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tasks.site.build import build_site
from tests.flows.conftest import told
from tests.flows.terminals import printed_in_terminal
from tests.tasks.alloys import carry_out, intake_of, write_alloys

RELEASED = Path(__file__).parents[2] / "data" / "catalogue"
TELLURIUM, SELENIUM = "mp-19", "mp-14"


@pytest.fixture(scope="module")
def sample(tmp_path_factory) -> Path:
    """Every tenth crystal of the released catalogue, and both elements."""
    names = pd.read_parquet(RELEASED / "chirality.parquet")["material_id"]
    chosen = {*names[::10], TELLURIUM, SELENIUM}
    folder = tmp_path_factory.mktemp("sample")
    for path in RELEASED.glob("*.parquet"):
        table = pq.read_table(path)
        if "material_id" in table.column_names:
            table = table.filter(pc.is_in(table["material_id"], pa.array(sorted(chosen))))
        pq.write_table(table, folder / path.name)
    return folder


@pytest.fixture
def released(sample, tmp_path) -> Path:
    """The sample in a folder of its own."""
    shutil.copytree(sample, tmp_path / "catalogue")
    return tmp_path / "catalogue"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """A dataset of a chiral alloy, an unstable one, and one that fails."""
    names = ("helix", "zincblende", "wurtzite")
    source = write_alloys(tmp_path_factory.mktemp("alloys"), *names)
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return context.dataset.root


def test_status_says_in_80_columns_what_is_not_stored_and_how_to_get_it(released):
    code, text = printed_in_terminal(released.parent, "status", "catalogue")
    assert code == 0, text
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= 80
    outcomes = read_catalog(released, "chirality")["outcome"].value_counts()
    assert f"outcome: failed {outcomes['failed']}, screened {outcomes['screened']}" in text
    assert "tables alone, without the parts and receipts of a dataset" in text
    stored = read_catalog(released, "force_constants")["material_id"].nunique()
    told = f"force constants of {outcomes['screened'] - stored} of the {outcomes['screened']}"
    assert stored
    assert told in " ".join(text.split())
    assert "helicity_dos" in text
    without = outcomes["screened"] - read_catalog(released, "modes")["material_id"].nunique()
    assert f"modes of {without} of the {outcomes['screened']} screened crystals" in text
    assert lines[-2:] == ["  chiralscreen export catalogue NAME", "  chiralscreen show NAME.cif"]


def test_units_of_status_are_those_that_were_asked_for(released):
    rows = {}
    for unit in ("THz", "cm-1", "meV"):
        _, text = printed_in_terminal(released, "status", ".", "--unit", unit, columns=140)
        line = next(line for line in text.splitlines() if line.startswith(f"│ {SELENIUM} "))
        rows[unit] = float(line.split("│")[10])
    # 1 THz is 33.356 cm⁻¹ and 4.1357 meV; numbers have three decimals.
    assert rows["cm-1"] / rows["THz"] == pytest.approx(33.356, rel=1e-3)
    assert rows["meV"] / rows["THz"] == pytest.approx(4.1357, rel=1e-3)


def test_export_writes_the_relaxed_crystal_and_says_what_it_cannot(released, tmp_path):
    result = told("export", released, TELLURIUM, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert "not written: force constants, which are not stored" in result.stdout
    [path] = (tmp_path / "out").iterdir()
    assert f"chiralscreen show {path}" in result.stdout
    crystal = read(path)
    assert crystal.get_chemical_formula() == "Te3"
    [row] = read_catalog(released, "relaxations", TELLURIUM).to_dict("records")
    assert crystal.get_volume() == pytest.approx(
        abs(np.linalg.det(np.reshape(row["cell"], (3, 3)))), rel=1e-5
    )


def test_plot_draws_what_is_stored_and_names_the_rest(released, tmp_path):
    result = told("plot", released, TELLURIUM, "--format", "png", "-o", tmp_path / "figures")
    assert result.returncode == 0, result.stderr
    assert [p.name for p in (tmp_path / "figures").iterdir()] == [f"{TELLURIUM}-tensor.png"]
    for kind in ("bands-helicity", "density", "sphere", "cut", "motion", "thermal"):
        assert kind in result.stdout
    words = " ".join(result.stdout.split())
    assert f"force constants or spectra of '{TELLURIUM}' are not stored" in words
    assert f"chiralscreen show {TELLURIUM}.cif --potential nequix-mp-1-pft" in words


def test_the_other_commands_fit_80_columns_too(released):
    for command in (
        ("plot", "catalogue", TELLURIUM, "--format", "png"),
        ("export", "catalogue", TELLURIUM),
        ("catalogue", "catalogue", "-o", "site", "--workers", 1),
    ):
        code, text = printed_in_terminal(released.parent, *command)
        assert code == 0, text
        assert max(map(cell_len, text.splitlines())) <= 80
        assert "…" not in text
    assert (released.parent / "site" / "materials" / TELLURIUM).is_dir()


def test_a_figure_that_cannot_be_drawn_is_told_in_two_lines(released, tmp_path):
    result = told("plot", released, TELLURIUM, "--kind", "bands-pam", "-o", tmp_path / "figures")
    assert result.returncode == 2
    message, remedy = result.stderr.splitlines()
    assert "bands-pam" in message
    assert "chiralscreen export" in remedy
    assert not (tmp_path / "figures").exists()


def test_overviews_and_the_report_are_drawn(released, tmp_path):
    result = told("plot", released, "--format", "png", "-o", tmp_path)
    assert result.returncode == 0, result.stderr
    assert {"score.png", "stability.png", "elements.png"} <= {p.name for p in tmp_path.iterdir()}
    result = told("report", released, "--materials", 1, "--unit", "meV", "-o", tmp_path / "r.html")
    assert result.returncode == 0, result.stderr
    page = (tmp_path / "r.html").read_text("utf-8")
    assert "lowest ν (meV)" in page
    assert "(THz)" not in page
    assert "splitting (meV ħ)" in page


def test_every_crystal_has_a_page_with_its_structure(tmp_path):
    """Of the small catalogue of the documentation, which was released in the same way."""
    small = Path(__file__).parents[1] / "docs" / "catalogue"
    assert list(build_site([small], tmp_path / "site"))[-1] == (30, 30)
    pages = [
        pd.read_json(path, typ="series") for path in (tmp_path / "site").rglob("quartz*/*.json")
    ]
    [quartz] = [page for page in pages if page.get("material_id") == "quartz-152"]
    assert len(quartz["structure"]["numbers"]) == 9
    assert "bands" not in quartz
    assert any("force constants are not stored" in text for text in quartz["warnings"])
    assert quartz["downloads"][0][0] == "Structure (CIF)"


def test_a_notebook_gets_what_is_stored_and_is_told_the_rest():
    """Of the whole catalogue."""
    results = chiralscreen.load(RELEASED)
    assert len(results) > 2000
    assert any("force constants of" in line for line in results.not_stored)
    te = results[TELLURIUM]
    assert te.atoms.get_chemical_formula() == "Te3"
    assert te.kinds == ("tensor",)
    assert te.figure("tensor").get_axes()
    for ask, words in (
        (lambda: te.phonon, "force constants are not stored"),
        (te.thermal, "force constants are not stored"),
        (lambda: results.table("plan"), "stores no table 'plan'"),
    ):
        with pytest.raises(RemediableError, match=words):
            ask()
    best = results.overview["score"].idxmax()
    assert "Γ" in set(results[best].modes["q_label"])
    without = results.overview.index.difference(results.table("modes")["material_id"])
    screened = next(name for name in without if results[name].row["outcome"] == "screened")
    with pytest.raises(RemediableError, match="are not stored") as raised:
        _ = results[screened].modes
    assert f"chiralscreen export {RELEASED} {screened}" in raised.value.remedy


@pytest.mark.parametrize("words", [("verify",), ("compact",), ("upgrade",)])
def test_what_needs_a_dataset_says_that_there_are_tables_alone(released, words):
    before = {path: path.read_bytes() for path in released.iterdir()}
    result = told(*words, released)
    assert result.returncode == 2
    message, remedy = result.stderr.splitlines()
    assert "holds only tables" in message
    assert "status" in remedy
    assert {path: path.read_bytes() for path in released.iterdir()} == before


def test_a_copied_catalogue_gives_the_figures_and_files_of_its_dataset(dataset, tmp_path):
    """Whole, it has all tables; only what vouches for them is missing."""
    copy = tmp_path / "copy"
    shutil.copytree(dataset / "catalog", copy)
    for folder in (dataset, copy):
        out = tmp_path / f"of {folder.name}"
        for command in (
            ("plot", folder, "helix", "--format", "png", "-o", out),
            ("export", folder, "helix", "-o", out),
            ("catalogue", folder, "-o", out / "site", "--workers", 1),
        ):
            result = told(*command)
            assert result.returncode == 0, result.stderr
            assert "not stored" not in result.stdout
    ours, theirs = (_files(tmp_path / f"of {folder.name}") for folder in (copy, dataset))
    assert ours.keys() == theirs.keys()
    assert {"helix-sphere.png", "helix-interpolated.yaml"} < ours.keys()
    crystals = [name for name in ours if name.endswith(".cif")]
    assert len(crystals) == 4
    assert all(ours[name] == theirs[name] for name in crystals)
    status = told("status", copy)
    assert status.returncode == 0
    assert "not stored" not in status.stdout


def _files(folder: Path) -> dict[str, bytes]:
    """Contents by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_table_that_was_taken_away_is_said_to_be_missing(dataset, tmp_path):
    shutil.copytree(dataset, tmp_path / "copy", ignore=shutil.ignore_patterns("parts", "receipts"))
    (tmp_path / "copy" / "catalog" / "failures.parquet").unlink()
    result = told("status", tmp_path / "copy")
    assert result.returncode == 0, result.stderr
    assert "table failures: One structure that one stage could not finish." in result.stdout
    assert "outcome: failed 1" in result.stdout
    drawn = told("plot", tmp_path / "copy", "helix", "--kind", "thermal", "-o", tmp_path / "f")
    assert drawn.returncode == 0, drawn.stderr


def test_a_screening_into_the_folder_of_tables_makes_a_dataset_of_its_own(released, sample):
    """Status then tells of the dataset."""
    source = write_alloys(released.parent, "helix")
    context = intake_of(source / "helix.cif", released)
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    result = told("status", released)
    assert result.returncode == 0
    assert "outcome: screened 1" in result.stdout
    assert (released / "chirality.parquet").read_bytes() == (
        sample / "chirality.parquet"
    ).read_bytes()
