"""Whatever bytes a file holds, reading ends with records and failures, and nothing else happens."""

import json
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tasks.failures import Failure, RemediableError
from tasks.sources import RawRecord, SourceSettings, make_safe_id, parse_record, read_raw_records
from tests.tasks.sources.containers import CRYSTALS, WRITERS, cif_of, pymatgen_entry

pytestmark = pytest.mark.slow

LIMITS = SourceSettings(max_record_bytes=2**20, max_members=100)
TEXTS = {
    "cif": cif_of(CRYSTALS["blende"]),
    "poscar": "Si\n1.0\n0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0\nSi\n2\nDirect\n0 0 0\n.25 .25 .25\n",
    "xyz": '1\nLattice="3 0 0 0 3 0 0 0 3" Properties=species:S:1:pos:R:3\nSi 0 0 0\n',
    "json": json.dumps(pymatgen_entry("x", CRYSTALS["salt"])["structure"]),
}
NAMES = ("x.cif", "POSCAR", "x.xyz", "x.json", "x.jsonl", "x.csv", *WRITERS)
TRIES = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(-5, 200),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["lattice", "sites", "species", "numbers", "cif", "data", "structure"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which to notice whether anything was written, imported or run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "system", lambda _: pytest.fail("a command was run"))
    return tmp_path


@cache
def container(name: str) -> bytes:
    """Content of a container, written once: its size depends on the time."""
    with TemporaryDirectory() as folder:
        WRITERS[name](Path(folder) / name)
        return (Path(folder) / name).read_bytes()


def read(path: Path, content: bytes) -> None:
    """Read a file of any content and parse all its records."""
    path.write_bytes(content)
    before = sorted(path.parent.rglob("*"))
    for item in read_raw_records(path, LIMITS):
        if isinstance(item, RawRecord):
            parse(item)
        else:
            assert isinstance(item, Failure)
            assert item.remedy
    assert sorted(path.parent.rglob("*")) == before


def parse(raw: RawRecord) -> None:
    """Parse a record; the documented error is the only one."""
    assert make_safe_id(raw.material_id) == raw.material_id
    try:
        parse_record(raw)
    except RemediableError as error:
        assert str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.parametrize("name", NAMES)
@TRIES
@given(content=st.binary(max_size=300))
def test_random_bytes_are_failures(folder, name, content):
    read(folder / name, content)


@pytest.mark.parametrize("name", WRITERS)
@TRIES
@given(data=st.data())
def test_damaged_containers_are_read_as_far_as_they_can_be(folder, name, data):
    content = bytearray(container(name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    read(folder / name, bytes(content[:cut] if cut % 2 else content))


@pytest.mark.parametrize("kind", TEXTS)
@TRIES
@given(data=st.data())
def test_damaged_texts_are_parsed_or_refused(kind, data):
    text = TEXTS[kind]
    place = data.draw(st.integers(0, len(text)))
    inserted = data.draw(st.text(max_size=8) | st.sampled_from(["nan", "1e999", "-1", "\n", "inf"]))
    removed = data.draw(st.integers(0, 10))
    parse(RawRecord("x", kind, text[:place] + inserted + text[place + removed :], "x"))


@TRIES
@given(value=JSON)
def test_any_json_is_records_or_failures(folder, value):
    read(folder / "x.json", json.dumps(value).encode())
    read(folder / "x.jsonl", json.dumps(value).encode())
