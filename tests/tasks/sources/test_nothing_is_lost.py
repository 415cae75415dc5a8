"""What a folder or an archive holds is read or told, but for what other programs put there."""

import io
import tarfile
import zipfile

import pytest

from tasks.failures import Failure
from tasks.sources import list_source_files, optimade, read_raw_records
from tests.tasks.sources.containers import add_member
from tests.tasks.sources.records_of import cif, poscar

GOOD = cif()


def told(source) -> dict[str, str]:
    """Message of each failure by its place; empty for what is read."""
    return {
        item.source_record: item.message if isinstance(item, Failure) else ""
        for item in read_raw_records(source)
    }


def test_folders_behind_links_are_told_and_not_followed(tmp_path):
    """A link could lead to the whole disk; one to a folder of the source hides nothing."""
    source, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    (source / "inner").mkdir(parents=True)
    elsewhere.mkdir()
    (source / "inner" / "a.cif").write_text(GOOD)
    (elsewhere / "b.cif").write_text(GOOD)
    (source / "linked").symlink_to(elsewhere)
    (source / "again").symlink_to(source)
    (source / "inner" / "up").symlink_to("..")
    (source / "c.cif").symlink_to(elsewhere / "b.cif")
    found = told(source)
    assert set(found) == {"inner/a.cif", "c.cif", "linked"}
    assert found["inner/a.cif"] == found["c.cif"] == ""
    assert f"outside of the source is not followed ({elsewhere})" in found["linked"]


def test_a_folder_of_links_alone_says_so(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "linked").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="linked: a link to a folder outside"):
        list_source_files(tmp_path / "in")


@pytest.mark.parametrize("name", ["gone.cif", "gone"])
def test_a_link_that_leads_nowhere_is_told(tmp_path, name):
    (tmp_path / "good.cif").write_text(GOOD)
    (tmp_path / name).symlink_to(tmp_path / "nowhere.cif")
    assert told(tmp_path) == {"good.cif": "", name: "a link that leads nowhere"}


@pytest.mark.parametrize("name", ["x.res", "x.xsf", "x.cssr", "x.traj", "XDATCAR", "x.7z"])
def test_structures_in_a_format_that_is_not_read_are_told(tmp_path, name):
    (tmp_path / "good.cif").write_text(GOOD)
    (tmp_path / name).write_text("whatever")
    (tmp_path / "notes.txt").write_text("nothing")
    found = told(tmp_path)
    assert set(found) == {"good.cif", name}
    assert "format that is not read" in found[name]
    assert [path.name for path in list_source_files(tmp_path)] == ["good.cif"]


def test_files_of_other_programs_are_no_failures(tmp_path):
    (tmp_path / "__MACOSX").mkdir()
    for name in ("good.cif", "._good.cif", ".DS_Store", "__MACOSX/._good.cif"):
        (tmp_path / name).write_text(GOOD if name == "good.cif" else "\0\5\26")
    assert told(tmp_path) == {"good.cif": ""}


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_archives_hold_such_files_too(tmp_path, kind):
    path = tmp_path / f"set.{kind}"
    members = {
        "./a/good.cif": GOOD.encode(),
        "a/._good.cif": b"\0\5\26",
        "__MACOSX/a/good.cif": b"\0\5\26",
        "a/notes.txt": b"nothing",
        "a/other.xsf": b"CRYSTAL",
    }
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w") as archive:
            for name, content in members.items():
                add_member(archive, name, content)
    found = told(path)
    assert sorted(message != "" for message in found.values()) == [False, True]
    assert "format that is not read (.xsf)" in found[f"set.{kind}/a/other.xsf"]


def test_blocks_behind_a_defective_one_are_read_beside_a_born_file(tmp_path):
    (tmp_path / "two.cif").write_text(cif(symmetry="", name="bad") + cif(name="good"))
    (tmp_path / "two.BORN").write_text("14.4\n1 0 0 0 1 0 0 0 1\n")
    assert list(told(tmp_path)) == ["two.cif#bad", "two.cif#good"]


def test_a_compressed_file_that_is_cut_off_is_told(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        add_member(archive, "a/POSCAR", poscar().encode())
        add_member(archive, "b/POSCAR", poscar().encode() * 500)
    (tmp_path / "set.tar.gz").write_bytes(stream.getvalue()[:-60])
    messages = [message for message in told(tmp_path / "set.tar.gz").values() if message]
    assert any("damaged" in message for message in messages)


def test_a_provider_is_asked_whether_the_sites_are_all():
    url = optimade.Query("https://example.org").url
    assert all(f in url for f in ("structure_features", "assemblies", "nperiodic_dimensions"))
