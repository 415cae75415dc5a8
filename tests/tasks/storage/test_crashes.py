"""Kill -9 at every step on the disk, at random, and many writers at once."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tasks.results.building import build_catalog
from tasks.storage import CATALOG_TABLES, Dataset, DatasetError
from tasks.storage.durable import TEMPORARY_SUFFIX
from tests.tasks.storage import crash_driver, samples

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with what the crash driver left behind, by scenario."""
    root = tmp_path_factory.mktemp("deaths")
    command = [sys.executable, "-m", "tests.tasks.storage.crash_driver", str(root)]
    subprocess.run(command, check=True, cwd=REPOSITORY, timeout=400)
    return root


def remains(root: Path) -> Iterator[Path]:
    """Yield what each death left behind, and at last an orderly end."""
    numbers = sorted(int(path.name) for path in root.iterdir() if path.name.isdigit())
    assert len(numbers) > 5, "the driver is meant to die several times"
    yield from (root / str(number) for number in numbers)


def modes_per_material(dataset: Dataset) -> Counter[str]:
    """Number of rows of modes of each material."""
    return Counter(dataset.read("modes")["material_id"].to_pylist())


def expected_modes(*numbers: int) -> dict[str, int]:
    """All modes of some materials, once."""
    return {samples.material(number): samples.BANDS for number in numbers}


def test_commit_is_whole_or_absent_wherever_it_is_killed(deaths: Path) -> None:
    """A killed commit harms nothing committed, and repeating it leaves a sound dataset."""
    seen = set()
    for root in remains(deaths / "commit"):
        dataset = Dataset(root)
        assert {problem.kind for problem in dataset.verify()} <= {"orphan part"}
        modes = modes_per_material(dataset)
        assert modes in (expected_modes(1, 2), expected_modes(1, 2, 3))
        assert set(dataset.read("chirality")["material_id"].to_pylist()) == modes.keys()
        seen.add(len(modes))
        crash_driver.commit_action(root)
        assert dataset.verify() == []
        assert modes_per_material(dataset) == expected_modes(1, 2, 3)
        assert dataset.list_done_keys("chirality") == {"c1", "c2", "c3"}
    assert seen == {2, 3}


def test_killed_retry_keeps_the_first_results(deaths: Path) -> None:
    """A killed second try takes nothing back, and a third try with other rows ends it."""
    for root in remains(deaths / "retry"):
        dataset = Dataset(root)
        assert {"c1", "c3"} <= dataset.list_succeeded_keys("chirality")
        assert expected_modes(1, 3).items() <= modes_per_material(dataset).items()
        samples.commit(dataset, "chirality", [2], seed=70)
        samples.commit(dataset, "chirality", [1, 2, 3], seed=71)
        assert dataset.verify() == []
        assert modes_per_material(dataset) == expected_modes(1, 2, 3)


def test_catalogue_is_old_or_new_wherever_it_is_killed(deaths: Path) -> None:
    """Every file can be read at any moment, and building it again gives the same bytes."""
    for root in remains(deaths / "catalog"):
        ids = pq.read_table(root / "catalog/chirality.parquet")["material_id"].to_pylist()
        assert sorted(ids) == ["mp-1", "mp-2", "mp-3", "mp-4"]
        for name in CATALOG_TABLES:
            pq.read_table(root / f"catalog/{name}.parquet")
    prepared = Dataset(root.parent / "prepared")
    reference = {name: path.read_bytes() for name, path in build_catalog(prepared).items()}
    again = {name: path.read_bytes() for name, path in build_catalog(Dataset(root)).items()}
    assert again == reference


def test_compaction_can_be_killed_anywhere(deaths: Path) -> None:
    """Readers see the same rows before, during and after it."""
    for root in remains(deaths / "compact"):
        dataset, before = Dataset(root), Dataset(root.parent / "prepared")
        assert {problem.kind for problem in dataset.verify()} <= {"orphan part"}
        assert sorted_rows(dataset) == sorted_rows(before)
        crash_driver.compact_action(root)
        assert dataset.verify() == []
        assert sorted_rows(dataset) == sorted_rows(before)
        assert len(dataset.receipts("relaxation")) <= 2


def sorted_rows(dataset: Dataset) -> list[dict[str, object]]:
    """All relaxations in the order of their keys."""
    return dataset.read("relaxations").sort_by("key").to_pylist()


def test_pruning_can_be_killed_anywhere(deaths: Path) -> None:
    """Pruning never takes what readers need, and ends with nothing left over."""
    for root in remains(deaths / "prune"):
        dataset = Dataset(root)
        rows = sorted_rows(Dataset(root.parent / "prepared"))
        assert dataset.verify() == []
        assert sorted_rows(dataset) == rows
        crash_driver.prune_action(root)
        assert dataset.verify() == []
        assert sorted_rows(dataset) == rows
        receipts = len(dataset.receipts())
        assert len(list(root.glob("receipts/*"))) == receipts
        assert len(list(root.glob("parts/relaxations/*"))) == receipts


def test_upgrade_can_be_killed_anywhere(deaths: Path) -> None:
    """Readers see nothing or everything, and a second upgrade ends it."""
    refusals = 0
    for root in remains(deaths / "upgrade"):
        dataset = Dataset(root)
        assert {problem.kind for problem in dataset.verify()} <= {"outdated receipt"}
        if dataset.verify():
            refusals += 1
            with pytest.raises(DatasetError, match="upgrade the dataset"):
                dataset.read("relaxations")
        crash_driver.upgrade_action(root)
        assert dataset.verify() == []
        assert sorted_rows(dataset) == sorted_rows(Dataset(root.parents[1] / "prune/prepared"))
        assert not list(root.glob("damaged/*"))
    assert refusals > 5


def test_random_kills_lose_and_repeat_nothing(deaths: Path) -> None:
    """A program killed again and again ends with every material once."""
    dataset = Dataset(deaths / "random")
    assert modes_per_material(dataset) == expected_modes(*range(60))
    assert dataset.verify() == []


def test_many_writers_at_once_lose_and_repeat_nothing(deaths: Path) -> None:
    """Four programs commit the same and overlapping chunks, two compact: all rows stay, once."""
    dataset = Dataset(deaths / "writers")
    assert dataset.verify() == []
    assert modes_per_material(dataset) == expected_modes(*range(15))
    relaxed = Counter(dataset.read("relaxations")["material_id"].to_pylist())
    assert relaxed == {samples.material(number): 1 for number in range(12)}
    assert not list(dataset.root.rglob(f"*{TEMPORARY_SUFFIX}"))


@pytest.mark.parametrize("folder", ["receipts", "parts/modes", "catalog"])
def test_temporary_files_are_ignored(tmp_path: Path, folder: str) -> None:
    """What a killed writer was writing is neither read nor reported."""
    dataset = samples.screened(tmp_path, [1])
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / f".1-abc{TEMPORARY_SUFFIX}").write_bytes(b"half a fi")
    assert dataset.verify() == []
    assert modes_per_material(dataset) == expected_modes(1)
    assert len(pq.read_table(build_catalog(dataset)["chirality"])) == 1
