"""Rows in a wanted order of keys."""

from pathlib import Path

import pytest

from tasks.storage import Dataset, ordering
from tasks.storage.ordering import read_rows_in_order
from tests.tasks.storage import samples


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Modes of four materials in two chunks that overlap."""
    made = Dataset(tmp_path)
    samples.commit(made, "chirality", [1, 2, 3])
    samples.commit(made, "chirality", [3, 4])
    return made


@pytest.mark.parametrize(("memory", "n_batches"), [(1, 4), (10**9, 1)])
def test_order_is_that_of_the_keys(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, memory: int, n_batches: int
) -> None:
    """Whatever fits into memory, each key's rows come once and in the order asked for."""
    monkeypatch.setattr(ordering, "_BATCH_BYTES", memory)
    keys = ["c3", "c1", "absent", "c4", "c2"]
    batches = list(read_rows_in_order(dataset.take_snapshot(), "modes", keys))
    found = [key for batch in batches for key in batch["key"].to_pylist()]
    assert found == [key for key in ("c3", "c1", "c4", "c2") for _ in range(samples.BANDS)]
    assert len(batches) == n_batches


def test_rows_inside_a_material_keep_their_order(dataset: Dataset) -> None:
    """Bands come in the order in which the stage wrote them."""
    [batch] = read_rows_in_order(dataset.take_snapshot(), "modes", ["c4", "c1"])
    assert batch["band"].to_pylist() == list(range(samples.BANDS)) * 2


def test_no_keys_mean_no_rows(dataset: Dataset) -> None:
    """Nothing is read for nothing."""
    assert list(read_rows_in_order(dataset.take_snapshot(), "modes", [])) == []
