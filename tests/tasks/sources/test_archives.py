"""Archives are read where they are; none fills the disk or the memory, or leaves its folder."""

import gzip
import io
import tarfile
import zipfile

import pytest
from ase.build import bulk

from tasks.failures import Failure
from tasks.sources import RawRecord, SourceSettings, read_raw_records
from tests.tasks.sources.containers import add_member, cif_of

CIF = cif_of(bulk("Si"))
NAMES = ("../../escaped.cif", "/etc/escaped.cif", "C:\\escaped.cif")


def items_of(path, **limits):
    """Records and failures of an archive."""
    return list(read_raw_records(path, SourceSettings(**limits)))


def write_names(path):
    """Archive whose members' names would lead out of a folder."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in NAMES:
                archive.writestr(name, CIF)
    else:
        with tarfile.open(path, "w") as archive:
            for name in NAMES:
                add_member(archive, name, CIF.encode())


@pytest.mark.parametrize("name", ["set.zip", "set.tar"])
def test_names_of_members_are_never_paths(tmp_path, name):
    folder = tmp_path / "source"
    folder.mkdir()
    write_names(folder / name)
    found = items_of(folder)
    assert [type(item) for item in found] == [RawRecord] * 3
    assert not any("/" in raw.material_id or "\\" in raw.material_id for raw in found)
    assert [path.name for path in tmp_path.rglob("*")] == ["source", name]


def test_links_and_devices_are_told_and_not_followed(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            member = tarfile.TarInfo(f"kind-{kind!r}.cif")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        add_member(archive, "good.cif", CIF.encode())
    *others, raw = items_of(tmp_path / "set.tar")
    assert raw.material_id == "good"
    assert len(others) == 4
    assert all("not followed" in failure.message for failure in others)


def test_a_zip_bomb_is_refused_and_its_neighbour_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.cif", b"0" * 2**24)
        archive.writestr("good.cif", CIF)
    bomb, good = items_of(tmp_path / "set.zip")
    assert "claims to become" in bomb.message
    assert good.material_id == "good"


@pytest.mark.parametrize("name", ["bomb.cif.gz", "bomb.tar.gz", "bomb.jsonl.gz"])
def test_a_compressed_bomb_is_refused(tmp_path, name):
    content = b"0" * 2**24
    if ".tar" in name:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            add_member(archive, "bomb.cif", content)
        content = stream.getvalue()
    (tmp_path / name).write_bytes(gzip.compress(content))
    failure = items_of(tmp_path / name)[-1]
    assert isinstance(failure, Failure)
    assert "suspiciously large" in failure.message


def test_a_member_inside_a_tar_may_be_a_bomb_as_well(tmp_path):
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        add_member(archive, "bomb.cif.gz", gzip.compress(b"0" * 2**24))
        add_member(archive, "good.cif", CIF.encode())
    bomb, good = items_of(tmp_path / "set.tar")
    assert "suspiciously large" in bomb.message
    assert good.material_id == "good"


@pytest.mark.parametrize("name", ["set.zip", "set.tar"])
def test_too_many_members_are_refused(tmp_path, name):
    write_names(tmp_path / name)
    failure = items_of(tmp_path / name, max_members=2)[-1]
    assert "more than 2 members" in failure.message


def test_a_record_beyond_the_limit_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "big.cif").write_text(CIF)
    [failure] = items_of(tmp_path / "big.cif", max_record_bytes=100)
    assert "larger than 100 bytes" in failure.message


def test_a_line_without_end_is_refused(tmp_path):
    (tmp_path / "endless.jsonl").write_text("[" * 10_000)
    [failure] = items_of(tmp_path / "endless.jsonl", max_record_bytes=1000)
    assert "longer than 1000 bytes" in failure.message


def test_a_frame_that_claims_too_many_atoms_is_refused(tmp_path):
    (tmp_path / "claim.xyz").write_text("99999999999\n\n")
    [failure] = items_of(tmp_path / "claim.xyz")
    assert "atoms in one frame" in failure.message


@pytest.mark.parametrize("name", ["inner.zip", "inner.tar", "inner.db"])
def test_containers_in_archives_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(name, b"anything")
    [failure] = items_of(tmp_path / "set.zip")
    assert "inside an" in failure.message


@pytest.mark.parametrize("name", ["cut.zip", "cut.tar", "cut.tar.gz", "cut.cif.gz", "cut.parquet"])
def test_a_truncated_file_is_one_failure(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b\x08" + b"PK\x03\x04" * 10)
    [failure] = items_of(tmp_path / name)
    assert failure.message.startswith("unreadable")


def test_an_encrypted_member_costs_no_other(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr("secret.cif", CIF)
        archive.writestr("good.cif", CIF)
    content = bytearray((tmp_path / "set.zip").read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1  # the flag of encryption
    (tmp_path / "set.zip").write_bytes(bytes(content))
    secret, good = items_of(tmp_path / "set.zip")
    assert isinstance(secret, Failure)
    assert good.material_id == "good"
