"""A Prefect server of the tests' own, and the command line as a user runs it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness
from typer.testing import CliRunner

from flows.cli import app

DEMO = Path(__file__).parents[2] / "data" / "demo"

# Small supercells and coarse meshes: the physics of the demo in seconds.
QUICK = """
potential: {name: 7net-0}
phonons: {min_supercell_length: 6.0, max_atoms: 40, max_enlargements: 0}
chirality: {mesh_spacing: 0.05, path_spacing: 0.1}
"""


@dataclass(frozen=True)
class Told:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def told(*arguments: object) -> Told:
    """Run the command line in this process: the libraries are loaded once."""
    result = CliRunner().invoke(app, [str(word) for word in arguments], catch_exceptions=False)
    return Told(result.exit_code, result.stdout, result.stderr)


def told_by_process(environment: dict[str, str], *arguments: object) -> Told:
    """Run the command line as a user does."""
    result = subprocess.run(
        [sys.executable, "-m", "flows.cli", *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    return Told(result.returncode, result.stdout, result.stderr)


def eventually(condition: Callable[[], object], seconds: float = 400.0) -> None:
    """Wait for something that other processes bring about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """URL of a real Prefect server with a database of its own."""
    with prefect_test_harness(server_startup_timeout=180):
        from prefect.settings import get_current_settings

        yield str(get_current_settings().api.url)


@pytest.fixture(scope="session")
def environment(server: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a user whose server runs."""
    home = tmp_path_factory.mktemp("prefect home")
    return os.environ | {"PREFECT_API_URL": server, "PREFECT_HOME": str(home)}


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings file for quick runs."""
    path = tmp_path_factory.mktemp("settings") / "quick.yaml"
    path.write_text(QUICK)
    return path
