"""Commands that bring structures: what they write is a source."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from flows.classification import classify_source
from flows.cli import app as main
from flows.sources_cli import app
from tasks.screening.settings import read_settings
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


def test_generated_crystals_are_assessed(tmp_path):
    """Known crystals are valid and not novel; a broken file is told by the exit code."""
    generated, report = tmp_path / "generated", tmp_path / "rates.json"
    generated.mkdir()
    for name in ("quartz-152", "zno"):
        shutil.copy(DEMO / f"{name}.cif", generated)
    (generated / "broken.cif").write_text("no crystal")
    result = run("assess", generated, "--reference", DEMO, "-o", report, "--workers", 1)
    assert result.exit_code == 1, result.output
    assert "66.7 %" in result.output
    assert "3 records, 1 unreadable" in result.output
    found = json.loads(report.read_text())
    assert found["rates"]["valid"] == pytest.approx(2 / 3)
    assert found["rates"]["novel"] == 0
    assert found["classes"] == {"II to II": 1, "III to III": 1}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["substitute", "nowhere", "-o", "new.jsonl"], "no such file"),
        (["fetch", "file:///etc", "-o", "pages"], "no web address"),
        (["fetch", "mp", "-o", "pages"], "MP_API_KEY is not set"),
        (["fetch", "mp", "--filter", "Te", "-o", "pages"], "no condition"),
        (["assess", "nowhere"], "no such file"),
    ],
)
def test_unusable_input_is_told(tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MP_API_KEY", raising=False)
    result = run(*arguments)
    assert result.exit_code == 2
    assert word in result.output
    assert not [*tmp_path.iterdir()]


def test_notes_on_a_record_are_printed_and_written(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "te.vasp").write_text(
        "Te\n1.0\n4.4572 0 0\n-2.2286 3.86004843 0\n0 0 5.929\n3\nDirect\n"
        "0.2636 0 0.333333333\n0 0.2636 0.666666667\n0.7364 0.7364 0\n"
    )
    table = tmp_path / "classes.csv"
    result = CliRunner().invoke(main, ["classify", str(tmp_path / "in"), "--output", str(table)])
    assert result.exit_code == 0, result.output
    assert "te: note: the elements are those of the first line" in result.output
    assert "the elements are those of the first line" in table.read_text()
