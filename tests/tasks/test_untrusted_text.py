"""Text of strangers is shown as it stands, and acts on nothing."""

import io
import json

import html5lib
import pandas as pd
import pytest
from ase.io import read
from markdown_it import MarkdownIt

from tasks.failures import RemediableError, make_failure
from tasks.screening.plan import plan_screening
from tasks.untrusted_text import (
    TRANSLITERATING,
    escape_control_characters,
    escape_formulas,
    escape_markdown,
    transliterate,
)
from tests.tasks.alloys import intake_of, write_alloys


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("te [new] :smile: [/b]", "te [new] :smile: [/b]"),
        ("\x1b]0;title\x07\x1b[2J", r"\x1b]0;title\x07\x1b[2J"),
        ("\x9b31mred\x08\r", r"\x9b31mred\x08\r"),
        ("cif\u202efic\u200b", r"cif\u202efic\u200b"),
        (b"te\xff.cif".decode(errors="surrogateescape"), r"te\udcff.cif"),
        ("two\nlines, Å ħ ν é 水", "two\nlines, Å ħ ν é 水"),
    ],
)
def test_what_acts_is_spelled_out_and_all_else_stays(text, seen):
    assert escape_control_characters(text) == seen


@pytest.mark.parametrize(
    ("encoding", "seen"),
    [
        ("utf-8", "0.1 Å, ħν, Te–O, P3₁21, é, 水"),
        ("latin-1", "0.1 Å, hbarnu, Te-O, P3121, é, ?"),
        ("cp1252", "0.1 Å, hbarnu, Te–O, P3121, é, ?"),
        ("ascii", "0.1 Ang., hbarnu, Te-O, P3121, e, ?"),
    ],
)
def test_every_encoding_can_have_every_text(encoding, seen):
    text = "0.1 Å, ħν, Te–O, P3₁21, é, 水"
    assert transliterate(text, encoding) == seen
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=TRANSLITERATING)
    stream.write(text)
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == seen


def test_spreadsheets_compute_nothing_and_numbers_stay_numbers():
    formulas = ["=1+1", "+1", "-A1", "-2+3+cmd|' /C calc'!A0", "@SUM(A1)", "-1\n=2", "＝1"]
    others = ["te", "a=b", "-43m", "-1", "-6m2", "-1.5e3", None]
    texts = formulas + others
    numbers = [-float(number) for number in range(len(texts))]
    table = escape_formulas(pd.DataFrame({"text": texts, "number": numbers, "n": -1}))
    assert list(table["text"][: len(formulas)]) == [f"'{text}" for text in formulas]
    assert list(table["text"][len(formulas) : -1]) == others[:-1]
    assert table["text"].isna().sum() == 1
    pd.testing.assert_series_equal(table["number"], pd.Series(numbers, name="number"))
    assert table["n"].eq(-1).all()


@pytest.mark.parametrize(
    "text",
    [
        "![x](http://example.org/seen.png)",
        "<img src=http://example.org>",
        "[te](javascript:1)",
        "a | b\n| c |",
        "**P6_3mc** `rm` # 1 &lt; ~~no~~ \\*",
    ],
)
def test_markdown_shows_a_text_as_it_stands(text):
    page = html5lib.parse(
        MarkdownIt("gfm-like").disable("linkify").render(escape_markdown(text)),
        namespaceHTMLElements=False,
    )
    assert "".join(page.itertext()).strip() == " ".join(text.splitlines())
    assert {element.tag for element in page.iter()} == {"html", "head", "body", "p"}


def test_control_characters_do_not_reach_a_file_for_spreadsheets(tmp_path):
    texts = pd.Series(["\t=1", "\r=1", "a\x1b[2Jb", "te\udcff"], dtype=object)
    escape_formulas(pd.DataFrame({"text": texts})).to_csv(tmp_path / "t.csv", index=False)
    assert pd.read_csv(tmp_path / "t.csv")["text"].tolist() == [
        r"\t=1",
        r"\r=1",
        r"a\x1b[2Jb",
        r"te\udcff",
    ]


def test_a_failure_is_one_line_without_controls():
    error = RemediableError("bad\x1b[31m name\nin two lines", "rename it")
    failure = make_failure(error, material_id="a", key="k", stage="read", source_record="a\x07.cif")
    assert failure.message == r"bad\x1b[31m name in two lines"
    assert failure.source_record == r"a\x07.cif"


def test_names_that_are_no_text_cost_no_other_crystal(tmp_path):
    """A file name of other bytes, and half a character in JSON, which no Parquet file can hold."""
    source = tmp_path / "source"
    source.mkdir()
    write_alloys(source, "helix", "zincblende")
    (source / "helix.cif").rename(source / "h\udcff.cif")
    (source / "broken\udcff.cif").write_text("no crystal")
    atoms = read(source / "zincblende.cif")
    entry = {
        "material_id": "zb-\ud800",
        "database": "half \ud800",
        "lattice": atoms.cell.tolist(),
        "atomic_numbers": atoms.numbers.tolist(),
        "frac_coords": atoms.get_scaled_positions().tolist(),
    }
    (source / "zincblende.cif").unlink()
    (source / "zb.json").write_text(json.dumps(entry))
    context = intake_of(source, tmp_path / "out")
    plan = plan_screening(context)
    assert len(plan.failures) == 1
    rows = context.dataset.read("materials", columns=["source_record", "database"]).to_pylist()
    assert sorted(row["source_record"] for row in rows) == [r"h\udcff.cif", "zb.json"]
    assert r"half \ud800" in {row["database"] for row in rows}
