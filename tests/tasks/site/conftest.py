"""One site for all tests of this folder."""

from pathlib import Path

import pytest

from tasks.site.build import build_site
from tests.tasks.site.datasets import two_datasets


@pytest.fixture(scope="session")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return two_datasets(tmp_path_factory.mktemp("datasets"))


@pytest.fixture(scope="session")
def site(datasets, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("built") / "a site"
    steps = list(build_site(datasets, output, title="Alloys <b>"))
    assert steps[-1] == (7, 7)
    return output
