"""Commands that bring structures: what they write is a source."""

import pytest
from typer.testing import CliRunner

from flows.classification import classify_source
from flows.sources_cli import app
from tasks.settings import read_settings
from tests.flows.conftest import DEMO


def run(*arguments):
    """Result of a command."""
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_substitutes_of_quartz_are_chiral_candidates(tmp_path):
    path = tmp_path / "new.jsonl"
    result = run("substitute", DEMO / "quartz-152.cif", "-o", path, "--limit", 3)
    assert result.exit_code == 0, result.output
    assert "3 candidates" in result.output
    rows, failures = classify_source(path, 0.01)
    assert not failures
    assert rows["chirality_class"].eq("II").all()
    assert rows["formula"].iloc[0] == "GeO2"
    assert rows["skipped"].isna().all()


def test_classification_tells_what_a_screening_would_skip(tmp_path):
    settings = read_settings(None, {"curation.excluded_elements": ["Zn"]})
    rows, _ = classify_source(DEMO, 0.01, settings=settings)
    skipped = rows.set_index("material_id")["skipped"]
    assert skipped["si"].startswith("centrosymmetric")
    assert skipped["zno"] == "element: Zn not wanted"
    assert skipped[["quartz-152", "quartz-154"]].isna().all()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["substitute", "nowhere", "-o", "new.jsonl"], "no such file"),
        (["fetch", "file:///etc", "-o", "pages"], "no web address"),
    ],
)
def test_unusable_input_is_told(tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert word in result.output
