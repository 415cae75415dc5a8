"""`import chiralscreen`: names for notebooks, loaded when they are asked for."""

import subprocess
import sys
from pathlib import Path

import chiralscreen
import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy

from tasks.failures import RemediableError
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tests.tasks.alloys import carry_out, intake_of, write_alloys


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A dataset of a chiral alloy, a centrosymmetric metal, and one that fails."""
    source = write_alloys(tmp_path_factory.mktemp("alloys"), "helix", "copper", "carbide")
    context = intake_of(source, tmp_path_factory.mktemp("dataset"))
    carry_out(plan_screening(context), context)
    build_catalog(context.dataset)
    return context.dataset.root


@pytest.fixture(scope="module")
def results(folder):
    return chiralscreen.load(folder)


def test_every_name_is_there_and_is_what_its_home_has():
    for name in chiralscreen.__all__:
        assert getattr(chiralscreen, name).__name__ == name
    assert set(chiralscreen.__all__) <= set(dir(chiralscreen))
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = chiralscreen.lod


def test_importing_it_loads_no_library_of_the_work(tmp_path):
    """In a process of its own, outside the sources, as a notebook imports what is installed."""
    heavy = ("torch", "prefect", "phonopy", "pandas", "matplotlib", "pymatgen")
    program = (
        "import sys, chiralscreen\n"
        f"print([name for name in {heavy!r} if name in sys.modules], chiralscreen.__version__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"[] {chiralscreen.__version__}"


@pytest.mark.parametrize("name", ["flows.py", "potentials.py", "tasks.py", "tasks/__init__.py"])
def test_a_file_that_shadows_a_package_is_named_and_not_run(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("print('it ran')")
    done = subprocess.run(
        [sys.executable, "-c", "import chiralscreen"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert str(path) in done.stderr.splitlines()[-1]
    assert "rename it, or work in another folder" in done.stderr.splitlines()[-1]


def test_a_dataset_is_a_mapping_of_its_crystals(results):
    assert set(results) == {"helix", "copper", "carbide"}
    assert len(results) == 3
    assert "helix" in results
    assert "helics" not in results
    assert results.overview.loc["copper", "outcome"] == "skipped"
    assert set(results.table("modes")["material_id"]) == {"helix"}
    with pytest.raises(KeyError, match=r"did you mean helix\?"):
        results["helics"]


def test_a_crystal_has_rows_atoms_phonons_and_figures(results):
    helix = results["helix"]
    assert helix.row["space_group_number"] == 152
    assert isinstance(helix.atoms, Atoms)
    assert isinstance(helix.phonon, Phonopy)
    assert sorted(helix.atoms.get_chemical_symbols()) == sorted(helix.given.get_chemical_symbols())
    assert helix.atoms.get_volume() != pytest.approx(helix.given.get_volume(), rel=1e-4)
    # The phonopy object gives the frequencies of the table of modes.
    modes = helix.modes[helix.modes["path_distance"] == helix.modes["path_distance"].max()]
    q_point = modes[["q_a", "q_b", "q_c"]].iloc[0].to_numpy(float)
    helix.phonon.run_qpoints([q_point])
    found = helix.phonon.qpoints.frequencies[0]
    assert np.allclose(found, modes.sort_values("band")["frequency"], atol=2e-3)
    for kind in ("bands-helicity", "tensor"):
        assert kind in helix.kinds
        assert helix.figure(kind).get_axes()


def test_a_crystal_tells_what_an_instrument_sees(results):
    lines = results["helix"].observe("raman", refractive_index=2.0)
    assert set(lines["channels"]) <= {"RR LL", "RL LR"}
    assert lines["frequency"].is_monotonic_increasing
    cold = results["helix"].observe("scattering", temperature=10.0)
    warm = results["helix"].observe("scattering", temperature=300.0)
    assert cold["intensity"].sum() < warm["intensity"].sum()
    strain = results["helix"].observe("strain")
    assert set(strain["component"]) == {"xx", "yy", "zz", "yz", "xz", "xy"}
    assert strain.loc[strain["q_label"] == "Γ", "gruneisen"].notna().all()


def test_a_notebook_shows_tables_and_pictures(results):
    """What IPython asks an object for, without anything that draws to a screen."""
    assert "<table" in results._repr_html_()
    assert "helix" in results._repr_html_()
    assert "P3_121" in results["helix"]._repr_html_()
    assert results["helix"].figure()._repr_png_().startswith(b"\x89PNG")


def test_what_has_no_phonons_says_why(results):
    assert "skipped: centrosymmetric" in repr(results["copper"])
    assert isinstance(results["copper"].given, Atoms)
    with pytest.raises(RemediableError, match="skipped, centrosymmetric"):
        _ = results["copper"].phonon
    with pytest.raises(RemediableError, match="failed"):
        results["carbide"].figure()


def test_a_folder_without_catalogue_is_refused(tmp_path):
    with pytest.raises(RemediableError, match="has no catalogue"):
        chiralscreen.load(tmp_path)
