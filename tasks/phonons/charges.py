"""Which Born charges an analysis of modes takes: those stored, predicted ones, or none.

Forces know nothing of them: one set of force constants serves all three.
"""

from collections.abc import Mapping
from typing import Any, Literal

from ase import Atoms
from phonopy import Phonopy

from potentials import load_charge_card, load_charge_model
from tasks.crystals.born_charges import format_nac_params, symmetrize_response
from tasks.crystals.cells import make_atoms
from tasks.crystals.dielectric import DielectricResponse, is_insulating, read_response
from tasks.crystals.metals import is_metal
from tasks.phonons.settings import NacSetting
from tasks.tolerances import AS_MADE

Charges = Literal["stored", "none", "predicted"]
"""Charges of an analysis: those that the force constants have, if any; none; or predicted ones."""


def choose_charges(
    wanted: NacSetting, *, has_given: bool, atoms: Atoms, band_gap: float | None
) -> Charges:
    """Choose the Born charges of an analysis.

    Parameters
    ----------
    wanted : {"none", "given", "predicted"}
        The setting ``phonons.nac``.
    has_given : bool
        Whether the force constants have charges that somebody calculated; these always win.
    atoms : ase.Atoms
        The crystal; only its elements count.
    band_gap : float or None
        That of its record (eV).

    Returns
    -------
    {"stored", "none", "predicted"}
        Predicted ones for insulators of elements that the model knows.
    """
    if wanted == "none":
        return "none" if has_given else "stored"
    if wanted == "given" or has_given:
        return "stored"
    covered = load_charge_card().elements.keys() >= set(atoms.numbers.tolist())
    metal = is_metal(atoms.get_chemical_formula(), band_gap)
    return "predicted" if covered and not metal else "stored"


def name_charges(charges: Charges) -> list[str]:
    """Name what the key of an analysis has beside that of its force constants.

    Parameters
    ----------
    charges : {"stored", "none", "predicted"}
        From `choose_charges`.

    Returns
    -------
    list of str
        Nothing for the charges that the force constants have, so that older results remain valid.
    """
    named = {"stored": [], "none": ["none"], "predicted": ["predicted", load_charge_card().digest]}
    return named[charges]


def set_charges(phonon: Phonopy, charges: Charges) -> dict[str, Any]:
    """Give force constants the Born charges of an analysis.

    Parameters
    ----------
    phonon : phonopy.Phonopy
        With the charges that are stored; changed.
    charges : {"stored", "none", "predicted"}
        From `choose_charges`.

    Returns
    -------
    dict
        Columns of ``chirality`` that tell of them; empty without charges.
    """
    predicted: dict[str, Any] = {}
    if charges != "stored":
        phonon.nac_params = None
    if charges == "predicted":
        predicted = _set_predicted(phonon)
    found = phonon.nac_params
    if found is None:
        return {}
    return {"born_charges": found["born"], "dielectric_tensor": found["dielectric"]} | predicted


def _set_predicted(phonon: Phonopy) -> dict[str, Any]:
    """Predict charges; leave them out where the tensor is not that of an insulator."""
    atoms, model = make_atoms(phonon.primitive), load_charge_model()
    found = model.predict(atoms)
    response = DielectricResponse(found.born, found.dielectric)
    if not is_insulating(response):
        return {}
    phonon.nac_params = format_nac_params(symmetrize_response(response, phonon.primitive, AS_MADE))
    return {
        "charge_model": model.card.digest,
        "charge_uncertainty": found.uncertainty,
        "dielectric_uncertainty": found.dielectric_uncertainty,
        "charge_crystals": model.card.count_rarest(frozenset(atoms.numbers.tolist())),
    }


def restore_charges(constants: Mapping[str, Any], analysed: Mapping[str, Any]) -> dict[str, Any]:
    """Give force constants the Born charges with which they were analysed.

    Parameters
    ----------
    constants : mapping
        Row of ``force_constants``.
    analysed : mapping
        Row of ``chirality``, of its parts or of the catalogue; without a result, or from an older
        program, the charges stay as they are stored.

    Returns
    -------
    dict
        The row with other charges, or without any.
    """
    row = dict(constants)
    if analysed.get("nac") is None:
        return row
    if not analysed["nac"]:
        return row | {"born": None, "dielectric": None}
    if not isinstance(analysed.get("charge_model"), str):
        return row
    response = read_response(analysed)
    assert response is not None
    params = format_nac_params(response)
    told = {"nac_factor": params["factor"], "nac_method": None}
    return row | {"born": params["born"], "dielectric": params["dielectric"]} | told
