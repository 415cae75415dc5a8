"""Force constants from elsewhere, from the command line to the catalogue."""

import pyarrow.parquet as pq
import pytest

from flows.console import DONE_WITH_FAILURES
from tasks.storage import Dataset
from tests.crystals import spring_phonon, zincblende
from tests.flows.conftest import told


@pytest.fixture(scope="module")
def analysed(server, quick, tmp_path_factory):
    """Two sound files of one name, and one made to break the parser, in one run."""
    folder = tmp_path_factory.mktemp("files")
    files = [folder / name / "zns.yaml" for name in ("a", "b")]
    for seed, path in enumerate(files, 1):
        path.parent.mkdir()
        spring_phonon(zincblende(), seed).save(path, settings={"force_constants": True})
    deep = folder / "deep.yaml"
    deep.write_text("x: " + "[" * 100_000)
    output = tmp_path_factory.mktemp("output")
    words = ("--output", output, "--config", quick, "--workers", 1, "--memory", 6)
    return told("analyze", files[0], deep, files[1], *words), output, [*files, deep]


def table(output, name):
    return pq.read_table(output / "catalog" / f"{name}.parquet").to_pylist()


def test_a_file_that_breaks_the_parser_costs_the_sound_ones_nothing(analysed):
    said, output, files = analysed
    assert said.returncode == DONE_WITH_FAILURES, said.stderr
    outcomes = {row["material_id"]: row["outcome"] for row in table(output, "chirality")}
    assert outcomes.pop("zns") == outcomes.pop("b-zns") == "screened"
    assert [*outcomes.values()] == ["failed"]
    [failure] = table(output, "failures")
    assert failure["source_record"] == str(files[2])
    assert "SIGSEGV" in failure["message"]
    assert Dataset(output).verify() == []


def test_each_file_is_its_own_source_and_the_run_an_analysis(analysed):
    _, output, files = analysed
    materials = Dataset(output).read("materials").to_pylist()
    assert {row["source"] for row in materials} == set(map(str, files[:2]))
    [run] = table(output, "runs")
    assert run["kind"] == "analyze"
    assert run["source"] == str(files[2].parent)
    assert run["potential"] is None


def test_the_summary_says_what_an_analysis_cannot_know(analysed):
    assert "what a relaxation would tell" in " ".join(analysed[0].stdout.split())
