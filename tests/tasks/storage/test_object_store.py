"""Two copies of a dataset come to the same state, whatever is interrupted or repeated."""

import socket
import threading
import uuid
from datetime import timedelta
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest

from tasks.results.building import build_catalog
from tasks.storage import Dataset, DatasetError, compact, prune, quarantine_chunks, upgrade_receipts
from tasks.storage.object_store import pull, push
from tests.tasks.storage import samples

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def s3():
    """A server that speaks S3, and an empty bucket in it."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    serving = pytest.importorskip("werkzeug.serving")
    app = server.DomainDispatcherApplication(server.create_backend_app)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = serving.make_server("127.0.0.1", port, app, threaded=True)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        yield
    running.shutdown()


@pytest.fixture(params=["memory", "s3"])
def url(request) -> str:
    """A place of this test's own in each kind of store."""
    if request.param == "memory":
        return f"memory://{uuid.uuid4()}/data"
    request.getfixturevalue("s3")
    bucket = f"bucket-{uuid.uuid4()}"
    fsspec.filesystem("s3").mkdir(bucket)
    return f"s3://{bucket}/data"


def rows(dataset: Dataset) -> list[dict[str, object]]:
    return dataset.read("modes").sort_by([("material_id", "ascending"), ("band", "ascending")])


def test_machines_without_a_common_folder_gather_everything_once(url, tmp_path):
    """Each screens its share in a folder of its own; both end with the rows of both."""
    one, two = (samples.screened(tmp_path / str(n), [n]) for n in (1, 2))
    assert push(one.root, url, catalog=False) > 0
    assert push(two.root, url, catalog=False) > 0
    assert pull(url, one.root) == pull(url, two.root) > 0
    assert rows(one) == rows(two)
    assert set(one.read("chirality")["material_id"].to_pylist()) == {"mp-1", "mp-2"}
    for dataset in (one, two):
        assert dataset.verify() == []
        assert push(dataset.root, url) == pull(url, dataset.root) == 0


def test_the_catalogue_in_the_store_is_read_from_there(url, tmp_path):
    dataset = samples.screened(tmp_path / "data", [1, 2])
    build_catalog(dataset)
    push(dataset.root, url)
    with fsspec.open(f"{url}/catalog/chirality.parquet") as stream:
        assert set(pq.read_table(stream)["material_id"].to_pylist()) == {"mp-1", "mp-2"}


def test_an_upload_that_broke_off_shows_nothing_and_is_finished_by_the_next(tmp_path, monkeypatch):
    """After any number of uploaded files, whoever fetches gets whole chunks only."""
    dataset = samples.screened(tmp_path / "data", [1, 2])
    memory = type(fsspec.filesystem("memory"))
    put_file, uploaded = memory.put_file, 0
    files = sum(1 + len(receipt.files) for receipt in dataset.receipts())
    for most in range(files):

        def limited(self, *arguments, most=most, **options):
            nonlocal uploaded
            uploaded += 1
            if uploaded > most:
                raise OSError("the line is dead")
            put_file(self, *arguments, **options)

        url, uploaded = f"memory://{uuid.uuid4()}", 0
        monkeypatch.setattr(memory, "put_file", limited)
        with pytest.raises(DatasetError, match="the line is dead"):
            push(dataset.root, url)
        monkeypatch.setattr(memory, "put_file", put_file)
        pull(url, tmp_path / f"copy-{most}")
        copy = Dataset(tmp_path / f"copy-{most}")
        assert copy.verify() == []
        push(dataset.root, url)
        pull(url, copy.root)
        assert rows(copy) == rows(dataset)


def test_what_was_compacted_and_pruned_does_not_come_back(url, tmp_path):
    dataset = samples.screened(tmp_path / "data", [1, 2, 3, 4], chunk=1)
    push(dataset.root, url)
    before = rows(dataset)
    compact(dataset)
    prune(dataset, older_than=timedelta(seconds=-1))
    assert pull(url, dataset.root) == 0
    assert push(dataset.root, url) > 0
    copy = Dataset(tmp_path / "copy")
    pull(url, copy.root)
    assert len(copy.receipts()) == len(dataset.receipts())
    assert rows(copy) == before
    assert copy.verify() == []


def test_a_chunk_that_was_damaged_here_comes_back_whole(url, tmp_path):
    dataset = samples.screened(tmp_path / "data", [1, 2])
    push(dataset.root, url)
    before = rows(dataset)
    [part] = dataset.root.glob("parts/modes/*.parquet")
    part.write_bytes(part.read_bytes()[:-9])
    quarantine_chunks(dataset.root, dataset.verify())
    assert pull(url, dataset.root) == 1
    assert rows(dataset) == before


def test_a_chunk_that_was_damaged_there_is_refused(url, tmp_path):
    dataset = samples.screened(tmp_path / "data", [1])
    push(dataset.root, url)
    system, base = fsspec.core.url_to_fs(url)
    [part] = system.glob(f"{base}/parts/modes/*.parquet")
    system.pipe_file(part, b"something else")
    with pytest.raises(DatasetError, match=r"differs from the committed one"):
        pull(url, tmp_path / "copy")
    assert Dataset(tmp_path / "copy").read("modes").num_rows == 0


def send_old_receipts(dataset: Dataset, url: str) -> None:
    """Send a dataset as older versions did: its receipts in format 1."""
    samples.downgrade(dataset.root)
    system, base = fsspec.core.url_to_fs(url)
    for path in [*dataset.root.glob("parts/*/*"), *dataset.root.glob("receipts/*")]:
        name = path.relative_to(dataset.root).as_posix()
        system.pipe_file(f"{base}/{name}", path.read_bytes())


def test_old_receipts_in_a_store_come_and_are_upgraded_here_and_there(url, tmp_path):
    """The folder refuses them until the upgrade; what goes back is in the new format."""
    dataset = samples.screened(tmp_path / "data", [1, 2])
    before = rows(dataset)
    send_old_receipts(dataset, url)
    copy = Dataset(tmp_path / "copy")
    number = pull(url, copy.root)
    with pytest.raises(DatasetError, match="upgrade the dataset"):
        copy.read("modes")
    assert upgrade_receipts(copy.root, print) == (number, [])
    assert rows(copy) == before
    assert pull(url, copy.root) == 0
    assert push(copy.root, url) == number
    other = Dataset(tmp_path / "other")
    assert pull(url, other.root) == number
    assert other.verify() == []
    assert rows(other) == before


def test_a_damaged_receipt_in_a_store_is_refused(url, tmp_path):
    push(samples.screened(tmp_path / "data", [1]).root, url)
    system, base = fsspec.core.url_to_fs(url)
    [path] = system.glob(f"{base}/receipts/relaxation-*")
    system.pipe_file(path, system.cat_file(path).replace(b"r1", b"r0"))
    with pytest.raises(DatasetError, match="digest"):
        pull(url, tmp_path / "copy")
    assert Dataset(tmp_path / "copy").receipts() == ()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nothing://bucket/data", "cannot open"),
        ("file:///data", "no object store"),
        ("/data", "no object store"),
    ],
)
def test_an_address_that_is_no_object_store_is_told(tmp_path, url, words):
    with pytest.raises(DatasetError, match=words):
        push(tmp_path, url)


def test_a_store_that_cannot_be_reached_is_told(s3, tmp_path):
    with pytest.raises(DatasetError, match="no-such-bucket"):
        push(samples.screened(tmp_path / "data", [1]).root, "s3://no-such-bucket/data")


def test_a_copy_is_a_folder_beside_others(tmp_path):
    """Nothing of a neighbour whose name begins alike is taken."""
    push(samples.screened(tmp_path / "a", [1]).root, "memory://side/data")
    push(samples.screened(tmp_path / "b", [2]).root, "memory://side/data2")
    pull("memory://side/data/", tmp_path / "copy")
    assert set(Dataset(tmp_path / "copy").read("modes")["material_id"].to_pylist()) == {"mp-1"}
    assert not Path(tmp_path / "copy" / "catalog").exists()
