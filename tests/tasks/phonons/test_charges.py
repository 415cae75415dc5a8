"""Given Born charges win, metals get none, and what was used can be restored."""

import numpy as np
import pytest
from ase.build import bulk

from potentials import load_charge_card
from tasks.phonons.charges import choose_charges, name_charges, restore_charges, set_charges
from tasks.phonons.rows import make_phonon_columns, read_phonon
from tests.crystals import spring_phonon, wurtzite, zincblende

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("wanted", "has_given", "atoms", "band_gap", "chosen"),
    [
        ("predicted", False, wurtzite(), None, "predicted"),
        ("predicted", True, wurtzite(), None, "stored"),
        ("predicted", False, wurtzite(), 0.0, "stored"),
        ("predicted", False, bulk("CuAu", "zincblende", a=5.7), None, "stored"),
        ("predicted", False, bulk("PuO", "rocksalt", a=5.0), 1.0, "stored"),
        ("given", False, wurtzite(), None, "stored"),
        ("given", True, wurtzite(), None, "stored"),
        ("none", True, wurtzite(), None, "none"),
        ("none", False, wurtzite(), None, "stored"),
    ],
)
def test_given_charges_win_and_metals_get_none(wanted, has_given, atoms, band_gap, chosen):
    """Nothing is predicted of an element that the model does not know."""
    found = choose_charges(wanted, has_given=has_given, atoms=atoms, band_gap=band_gap)
    assert found == chosen


def test_keys_name_what_differs_from_the_stored_charges():
    assert name_charges("stored") == []
    assert name_charges("none") == ["none"]
    assert name_charges("predicted") == ["predicted", load_charge_card().digest]


def test_predicted_charges_are_neutral_and_obey_the_crystal():
    phonon = spring_phonon(wurtzite())
    told = set_charges(phonon, "predicted")
    born, dielectric = phonon.nac_params["born"], phonon.nac_params["dielectric"]
    assert np.abs(born.sum(axis=0)).max() < 1e-9
    # On a threefold axis x and y are alike.
    assert np.abs(born[:, 0, 0] - born[:, 1, 1]).max() < 1e-9
    assert np.abs(dielectric - np.diag(np.diag(dielectric))).max() < 1e-9
    assert told["charge_model"] == load_charge_card().digest
    assert 0 < told["charge_uncertainty"] < 1
    assert told["charge_crystals"] > 10


@pytest.mark.parametrize("charges", ["stored", "none", "predicted"])
@pytest.mark.parametrize("is_given", [False, True])
def test_what_was_used_is_restored_from_the_row(charges, is_given):
    """As a reader of the catalogue does, without a new prediction."""
    constants = make_phonon_columns(spring_phonon(zincblende(), born=is_given))
    used = read_phonon(constants)
    row = set_charges(used, charges) | {"nac": used.nac_params is not None}
    again = read_phonon(restore_charges(constants, row))
    if used.nac_params is None:
        assert charges == "none" or not is_given
        assert again.nac_params is None
        return
    for name in ("born", "dielectric", "factor"):
        assert np.array_equal(again.nac_params[name], used.nac_params[name])
    changed = not np.array_equal(used.nac_params["born"], constants["born"])
    assert changed is (charges == "predicted")


@pytest.mark.parametrize("analysed", [{}, {"nac": None}, {"nac": True, "charge_model": None}])
def test_rows_of_older_programs_leave_the_stored_charges(analysed):
    constants = make_phonon_columns(spring_phonon(zincblende(), born=True))
    assert restore_charges(constants, analysed) == constants
