"""The command line: help with examples, plans, and errors that say what to do."""

import pandas as pd
import pytest

from tests.flows.conftest import DEMO


@pytest.mark.parametrize("command", ["classify", "screen", "analyze", "status", "verify"])
def test_help_has_an_example(chiralscreen, command):
    result = chiralscreen(command, "--help")
    assert result.returncode == 0
    assert f"chiralscreen {command}" in result.stdout


def test_classify_writes_what_it_prints(chiralscreen, tmp_path):
    result = chiralscreen("classify", DEMO, "--output", tmp_path / "classes.csv")
    table = pd.read_csv(tmp_path / "classes.csv").set_index("material_id")
    assert result.returncode == 0
    assert len(table) == len(list(DEMO.glob("*.cif")))
    assert table.loc["quartz-154", ["chirality_class", "helicity_wave"]].tolist() == ["II", "s"]
    assert table["chirality_class"].value_counts().to_dict() == {"II": 16, "III": 13, "I": 6}


def test_dry_run_shows_the_plan_and_writes_nothing(chiralscreen, quick, tmp_path):
    output = tmp_path / "out"
    result = chiralscreen("screen", "demo", "-o", output, "--config", quick, "--dry-run")
    assert result.returncode == 0, result.stderr
    assert "to compute: 29 structures" in result.stdout
    assert "skipped 6" in result.stdout
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["screen", "nowhere", "-o", "out"], ["no such file or folder", "nowhere"]),
        (["classify", "."], ["no structure file"]),
        (["status", "."], ["holds no dataset", "what to do"]),
        (["screen", "demo", "-o", "out", "--potential", "7net-9"], ["unknown potential", "7net-9"]),
        (["screen", "demo", "-o", "out", "--device", "cuda"], ["no device 'cuda'"]),
        (["screen", "demo", "-o", "out", "--config", "absent.yaml"], ["absent.yaml"]),
        (["screen", "demo"], ["--output"]),
        (["screen", "demo", "-o", "out", "--limit", "0"], ["--limit"]),
    ],
)
def test_unusable_input_is_told_with_exit_code_two(chiralscreen, tmp_path, arguments, words):
    result = chiralscreen(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_centrosymmetric_sources_need_no_potential(chiralscreen, tmp_path):
    """A screening of silicon alone does not even import a calculator that does not exist."""
    result = chiralscreen(
        "screen", DEMO / "si.cif", "-o", tmp_path / "out", "--potential", "ase:no.module:thing"
    )
    assert result.returncode == 0, result.stderr
    assert "skipped 1" in result.stdout
