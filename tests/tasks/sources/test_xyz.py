"""Every frame of an extended XYZ file is a crystal or a failure, whatever stands before it."""

import pytest

from tasks.failures import Failure
from tests.tasks.sources.records_of import TELLURIUM_CELL, accepted, read, refused

LATTICE = " ".join(str(x) for vector in TELLURIUM_CELL for x in vector)
ROWS = ("Te 1.17491792 0 1.976333", "Te -0.58745896 1.01750877 3.952667", "Te 1.64114104 2.84 0")
PROPERTIES = "Properties=species:S:1:pos:R:3"


def frame(rows=ROWS, count: int | None = None, comment: str = PROPERTIES) -> str:
    count = len(rows) if count is None else count
    return "\n".join([str(count), f'Lattice="{LATTICE}" {comment}', *rows]) + "\n"


def kinds(text: str) -> str:
    """One letter for each record: m for a material, f for a failure."""
    return "".join("f" if isinstance(item, Failure) else "m" for item in read("x.xyz", text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (frame() + frame(), "mm"),
        (frame() + "\n\n" + frame(), "mm"),
        (frame() + frame(count=4) + frame(), "mfm"),
        (frame() + "rubbish\nmore\n" + frame(), "mfm"),
        (frame() + frame(ROWS[:2], count=3), "mf"),
        (frame(count=2) + frame(), "mfm"),
        (frame() + "99999999999999\n" + frame(), "mfm"),
        (frame() + frame().replace("1.64", "one") + frame(), "mfm"),
        ("\ufeff" + frame(), "m"),
        (frame() + "rubbish", "mf"),
    ],
)
def test_frames_after_a_defect_are_read(text, expected):
    assert kinds(text) == expected


def test_a_defect_is_told_with_its_lines():
    _, failure, _ = read("x.xyz", frame() + "rubbish\nmore\n" + frame())
    assert "lines 6 to 7: expected a number of atoms, found 'rubbish'" in failure.message
    _, failure, _ = read("x.xyz", frame() + frame(count=4) + frame())
    assert "line 6: 4 atoms announced, 3 lines found" in failure.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (frame((*ROWS[:2], "X 1.6 2.8 0")), "'X' is no element"),
        (frame((*ROWS[:2], "OH 1.6 2.8 0")), "is no element"),
        (frame((*ROWS[:2], "Te 1.6 2.8")), "line 5 of the frame has 3 values"),
        (frame((*ROWS[:2], "Te 1.6 2.8 here")), "a value of the frame is not what its columns"),
        (frame(comment="Properties=species:S:1"), "are no elements and positions"),
        (frame(comment="Properties=pos:R:3"), "are no elements and positions"),
        (frame(comment=f'{PROPERTIES} pbc="T T F"'), "not periodic in three directions"),
        ("1\nmolecule\nTe 0 0 0\n", "not periodic in three directions"),
    ],
)
def test_what_is_no_crystal_is_told_in_words(text, words):
    failure = refused("x.xyz", text)
    assert words in failure.message
    assert not any(word in failure.message for word in ("ase.", "KeyError", "could not", "dtype"))


def test_a_frame_with_further_columns_is_read():
    rows = [f"{row} 0.1 0.2 0.3" for row in ROWS]
    found = accepted("x.xyz", frame(rows, comment=f"{PROPERTIES}:forces:R:3 energy=-3"))
    assert str(found.atoms.symbols) == "Te3"
