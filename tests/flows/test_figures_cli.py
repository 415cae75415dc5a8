"""Commands `plot` and `report`: files where they were asked for, exit codes, plain errors."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.console import DONE, UNUSABLE
from flows.figures_cli import app
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tests.tasks.alloys import carry_out, intake_of, write_alloys


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dataset of one chiral alloy."""
    source = write_alloys(tmp_path_factory.mktemp("alloys"), "helix")
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return context.dataset.root


def run(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


def test_plot_writes_the_kinds_and_formats_asked_for(folder, tmp_path):
    kinds = ("--kind", "tensor", "--kind", "bands-helicity")
    result = run(
        "plot", folder, "helix", *kinds, "--format", "png", "--format", "pdf", "-o", tmp_path
    )
    assert result.exit_code == DONE, result.output
    names = {path.name for path in tmp_path.iterdir()}
    kinds = ("tensor", "bands-helicity")
    assert names == {f"helix-{kind}.{form}" for kind in kinds for form in ("png", "pdf")}
    assert all(path.stat().st_size > 1000 for path in tmp_path.iterdir())


def test_plot_without_a_material_draws_overviews(folder, tmp_path):
    result = run("plot", folder, "--format", "svg", "-o", tmp_path)
    assert result.exit_code == DONE, result.output
    assert {"outcomes.svg", "space-groups.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_plot_compares_two_datasets(folder, tmp_path):
    result = run("plot", folder, "--compare", folder, "--format", "png", "-o", tmp_path)
    assert result.exit_code == DONE, result.output
    assert (tmp_path / "parity-max_frequency.png").exists()


@pytest.mark.parametrize("words", [("nobody",), ("helix", "--kind", "bonds")])
def test_plot_tells_what_is_wrong(folder, tmp_path, words):
    result = run("plot", folder, *words, "-o", tmp_path)
    assert result.exit_code == UNUSABLE
    assert not list(tmp_path.iterdir())


def test_commands_refuse_a_folder_without_dataset(tmp_path):
    assert run("plot", tmp_path).exit_code == UNUSABLE
    assert run("report", tmp_path).exit_code == UNUSABLE


def test_report_lies_in_the_dataset_unless_told_otherwise(folder, tmp_path):
    assert run("report", folder, "--materials", 0).exit_code == DONE
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert run("report", folder, "--materials", 0, "-o", tmp_path / "r.html").exit_code == DONE
    assert (tmp_path / "r.html").exists()


def test_a_report_that_the_disk_cannot_hold_is_told_and_the_earlier_one_stays(folder, tmp_path):
    """The size of files is limited for the process, as a full disk limits it."""
    path = tmp_path / "report.html"
    path.write_text("earlier")
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from flows.cli import app\n"
        "import tasks.site.report\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        f"app(['report', {str(folder)!r}, '-o', {str(path)!r}, '--materials', '0'])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == UNUSABLE
    assert "the file would be larger than is allowed" in result.stderr
    assert "Traceback" not in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    assert path.read_text() == "earlier"
