"""The setting phonons.nac redoes the analysis of the modes, never forces."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from potentials import Potential, load_charge_model, load_potential
from tasks.crystals.cells import make_atoms
from tasks.figures.material import read_material_data
from tasks.phonons.rows import read_phonon
from tasks.results import read_catalog
from tasks.results.building import build_catalog
from tasks.results.export import export_material
from tasks.screening.plan import plan_screening
from tasks.screening.settings import ScreenSettings, read_settings
from tests.tasks.alloys import START, carry_out, intake_of

pytestmark = pytest.mark.slow

OVERRIDES = {
    "phonons.min_supercell_length": 5.0,
    "phonons.max_enlargements": 0,
    "chirality.mesh_spacing": 0.08,
    "chirality.path_spacing": 0.05,
}


def settings_with(nac: str) -> ScreenSettings:
    return read_settings(None, OVERRIDES | {"phonons.nac": nac})


def default_potential() -> Potential:
    return load_potential(ScreenSettings().potential.name)


def no_forces() -> Potential:
    raise AssertionError("the potential was loaded again")


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """Zinc oxide without charges, then with predicted ones, then without again."""
    root = tmp_path_factory.mktemp("nac") / "out"
    source = Path("data/demo/zno.cif").resolve()
    found, rows = [], []
    for run, nac in enumerate(("given", "predicted", "none")):
        context = intake_of(
            source, root, settings_with(nac), run=run, card=lambda: default_potential().card
        )
        plan = plan_screening(context)
        carry_out(plan, context, no_forces if run else default_potential)
        build_catalog(context.dataset)
        [row] = read_catalog(root, "chirality").to_dict("records")
        found.append((context, plan))
        rows.append(row)
    return found, rows


def test_another_choice_redoes_the_modes_alone(contexts):
    """Without charges the setting is what it was before there was one: nothing is left to do."""
    (_, first), (_, second), (_, third) = contexts[0]
    assert set(first.open) == {"relaxation"}
    assert set(second.open) == {"chirality"}
    assert not third.open
    dataset = contexts[0][0][0].dataset
    assert dataset.read("force_constants").num_rows == 1
    assert dataset.read("chirality").num_rows == 2


def test_the_catalogue_tells_what_was_used(contexts):
    without, predicted, again = contexts[1]
    assert (without["nac"], predicted["nac"], again["nac"]) == (False, True, False)
    assert predicted["nac_source"] == "predicted"
    assert pd.isna(without["nac_source"])
    assert pd.isna(again["nac_source"])
    assert without["born_charges"] is None
    assert "no_born_charges" in without["warnings"]
    assert not {"no_born_charges", "charges_unsure"} & set(predicted["warnings"])


def test_stored_charges_are_those_of_the_model(contexts):
    context, predicted = contexts[0][1][0], contexts[1][1]
    [constants] = context.dataset.read("force_constants").to_pylist()
    assert constants["born"] is None
    found = load_charge_model().predict(make_atoms(read_phonon(constants).primitive))
    assert predicted["born_charges"] == pytest.approx(found.born.ravel(), abs=1e-4)
    assert predicted["dielectric_tensor"] == pytest.approx(found.dielectric.ravel(), abs=1e-3)
    assert predicted["charge_uncertainty"] == pytest.approx(found.uncertainty)


def test_longitudinal_modes_are_split(contexts):
    """The longitudinal mode of zinc oxide rises above the silent one, the highest without."""
    without, predicted, _ = contexts[1]
    # At these q-points frequencies follow from the forces alone.
    lowest = without["min_frequency_commensurate"]
    assert predicted["min_frequency_commensurate"] == pytest.approx(lowest)
    dataset = contexts[0][0][0].dataset
    highest = {}
    for row in dataset.read("chirality", columns=["key", "nac"]).to_pylist():
        modes = dataset.read("modes", keys=[row["key"]]).to_pandas()
        highest[row["nac"]] = modes[modes["q_label"] == "Γ"]["frequency"].max()
    assert highest[True] > highest[False] + 0.3


def test_readers_see_the_charges_of_the_analysis(contexts, tmp_path):
    """Figures, and the exported phonopy file that serves all q-points; not the one as computed."""
    context = contexts[0][1][0]
    later = replace(context, run_id="run-3", started_at=START + timedelta(hours=3))
    plan = plan_screening(later)
    assert not plan.open
    build_catalog(context.dataset)
    material = read_material_data(context.dataset, "zno")
    used = material.row["born_charges"]
    assert np.ravel(material.phonon.nac_params["born"]) == pytest.approx(used)
    _, computed, interpolated = export_material(context.dataset, "zno", tmp_path)
    assert "born_effective_charge" not in computed.read_text()
    assert "born_effective_charge" in interpolated.read_text()
