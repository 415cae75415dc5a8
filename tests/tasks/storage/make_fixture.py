"""Write a small dataset of the present schema version, for later versions to read.

Run ``python -m tests.tasks.storage.make_fixture`` once for each schema version. After a release
the files of a version are never written again.
"""

import json
import shutil
from pathlib import Path

from tasks.storage import SCHEMA_VERSION, TABLES, Dataset
from tests.tasks.storage import samples

FIXTURES = Path(__file__).parent / "fixtures"


def expected_rows(dataset: Dataset) -> dict[str, list[dict[str, object]]]:
    """All rows of a dataset as JSON can hold them, by table."""
    names = {name: [*TABLES[name].identity] for name in TABLES}
    rows = {
        name: dataset.read(name).sort_by([(column, "ascending") for column in columns]).to_pylist()
        for name, columns in names.items()
    }
    stored: dict[str, list[dict[str, object]]] = json.loads(json.dumps(rows, default=str))
    return stored


def write_fixture(folder: Path) -> None:
    """Write a dataset with rows in every table, and beside it what must be read from it."""
    shutil.rmtree(folder, ignore_errors=True)
    dataset = samples.screened(folder, [1, 2])
    broken = samples.failure("mp-3", "r3", "relaxation", transient=True)
    samples.commit(dataset, "relaxation", [3], failures=[broken])
    dataset.commit("run", {"runs": [samples.row("runs", run_id="run-0")]}, ["run-0"])
    content = json.dumps(expected_rows(dataset), indent=1, ensure_ascii=False)
    folder.with_suffix(".json").write_text(content + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_fixture(FIXTURES / f"version_{SCHEMA_VERSION}")
