"""The wheel holds all that a screening needs: it is built, installed elsewhere and used."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("data", "flows", "potentials", "tasks")
OFFLINE = ("--no-deps", "--no-index")
SETTINGS = """
phonons: {min_supercell_length: 6.0, max_enlargements: 0}
chirality: {mesh_spacing: 0.05, path_spacing: 0.1}
"""


def pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy: a folder `build/` of earlier builds would go into it."""
    copy = tmp_path_factory.mktemp("repository")
    for name in PACKAGES:
        shutil.copytree(
            REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    pip("wheel", copy, "--no-build-isolation", *OFFLINE, "--wheel-dir", copy / "dist")
    return next((copy / "dist").glob("chiralscreen-*.whl"))


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory) -> Path:
    """The installed command, in an environment that borrows the dependencies of this one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=False, symlinks=True)
    pip("--python", home / "bin" / "python", "install", *OFFLINE, wheel)
    packages = next(home.glob("lib/python*/site-packages"))
    # Python reads no `.pth` files in a borrowed folder, so that an editable install stays unseen.
    borrowed = {str(Path(module.__file__).parents[1]) for module in (pd, pytest)}
    (packages / "borrowed.pth").write_text("\n".join(borrowed))
    return home / "bin" / "chiralscreen"


def test_the_wheel_holds_each_file_of_the_packages(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = (path for name in PACKAGES[1:] for path in (REPOSITORY / name).rglob("*"))
    wanted = {str(path.relative_to(REPOSITORY)) for path in files if path.is_file()}
    moved = {name.replace("flows/chiralscreen/", "chiralscreen/") for name in wanted}
    assert {name for name in moved if "__pycache__" not in name} <= inside
    assert {f"chiralscreen_data/{name}" for name in ("demo/te.cif", "measured_cells.csv")} <= inside


def test_what_the_wheel_installs_screens_a_crystal_and_shows_it_in_a_catalogue(
    program, environment, tmp_path
):
    cellar = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONNOUSERSITE": "1"}
    clean = {name: text for name, text in environment.items() if name != "PYTHONPATH"} | cellar
    packages = next(program.parents[1].glob("lib/python*/site-packages"))
    (tmp_path / "quick.yaml").write_text(SETTINGS)
    crystal = packages / "chiralscreen_data" / "demo" / "te.cif"
    for command in (
        ["screen", crystal, "--output", "results", "--config", "quick.yaml", "--workers", "1"],
        ["catalogue", "results", "--output", "site"],
    ):
        done = subprocess.run(
            [program, *command],
            check=False,
            cwd=tmp_path,
            env=clean,
            text=True,
            capture_output=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    rows = pd.read_parquet(tmp_path / "results" / "catalog" / "chirality.parquet")
    assert rows["material_id"].tolist() == ["te"]
    assert rows["mean_helicity"].item() > 0.05
    assert (tmp_path / "site" / "app" / "main.js").is_file()
