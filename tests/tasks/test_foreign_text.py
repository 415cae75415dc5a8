"""Text of strangers is shown as it stands, and acts on nothing."""

import io

import pandas as pd
import pytest

from tasks.failures import RemediableError, failure_of
from tasks.foreign_text import SPELLED, spelled, visible, without_formulas


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
    assert visible(text) == seen


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
    assert spelled(text, encoding) == seen
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=SPELLED)
    stream.write(text)
    stream.flush()
    assert stream.buffer.getvalue().decode(encoding) == seen


def test_spreadsheets_compute_nothing_and_numbers_stay_numbers():
    texts = ["=1+1", "+1", "-2", "@SUM(A1)", "\t=1", "\r=1", "te", "a=b", None]
    numbers = [-1.5, 2.0, -0.0, 1e-9, float("nan"), 3.0, 4.0, 5.0, 6.0]
    table = without_formulas(pd.DataFrame({"text": texts, "number": numbers, "n": -1}))
    assert list(table["text"][:6]) == [f"'{text}" for text in texts[:6]]
    assert list(table["text"][6:8]) == ["te", "a=b"]
    assert table["text"].isna().sum() == 1
    pd.testing.assert_series_equal(table["number"], pd.Series(numbers, name="number"))
    assert table["n"].eq(-1).all()


def test_a_failure_is_one_line_without_controls():
    error = RemediableError("bad\x1b[31m name\nin two lines", "rename it")
    failure = failure_of(error, material_id="a", key="k", stage="read", source_record="a\x07.cif")
    assert failure.message == r"bad\x1b[31m name in two lines"
    assert failure.source_record == r"a\x07.cif"
