"""What is wrong in the results of a crystal whose Born charges are left out.

    python benchmarks/missing_charges.py --reference DIR
    python -m benchmarks.missing_charges --reference DIR --training results/charges

DIR holds phonopy files (``*.yaml.xz``) of force constants with Born charges. Each is analysed with
and without them, and modes of both are compared as two potentials are. With the folder of a
training of a charge model, a second table compares predicted charges: each crystal is predicted by
the ensemble of the fold in which its formula was left out.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from phonopy import Phonopy
from pymatgen.core import Composition

from potentials.charges import ChargePrediction, read_charge_model
from tasks.chirality import (
    ChiralityRecord,
    ChiralitySettings,
    ScoreSettings,
    analyze_force_constants,
)
from tasks.chirality.modes import compute_modes
from tasks.chirality.thermal import ROOM_TEMPERATURE
from tasks.crystals.cells import make_atoms
from tasks.phonons.phonopy_files import read_phonopy
from tasks.phonons.sum_rules import impose_sum_rules
from tasks.results.agreement import compare_modes
from tasks.results.ranking import compute_raw_score, compute_response_norm
from tasks.training.charge_data import read_table
from tasks.training.charge_run import WHOLE, get_fold_path
from tasks.training.charge_settings import ChargeTrainingSettings


def compared(path: Path, settings: ChiralitySettings) -> dict[str, Any] | None:
    """Numbers of one crystal; None for one without Born charges."""
    phonon = read_phonopy(path).phonon
    if phonon.nac_params is None:
        return None
    charged = impose_sum_rules(phonon).phonon
    first = analyze_force_constants(charged, settings).record
    neutral = _without_charges(phonon)
    second = analyze_force_constants(neutral, settings).record
    found = compare_modes(charged, neutral)
    return {
        "crystal": path.name.removesuffix(".yaml.xz"),
        "frequency (THz)": found.frequency_difference,
        "l (ħ)": found.momentum_difference,
        "same side": found.sign_agreement,
        "leading sign": found.leading_sign_agrees,
        "wave": f"{first.helicity_wave_found} {second.helicity_wave_found}",
        "mean |l|": _change(first, second, "mean_optical_angular_momentum"),
        "mean |h|": _change(first, second, "mean_optical_helicity"),
        "tensor": _tensor_change(first, second),
        "score": _score(first),
        "score without": _score(second),
        "forbidden": max(map(abs, first.tensor_violation), default=0.0),
    }


def predicted(path: Path, settings: ChiralitySettings, training: Path) -> dict[str, Any] | None:
    """Numbers of one crystal with predicted charges and with none; None for one without charges."""
    phonon = read_phonopy(path).phonon
    if phonon.nac_params is None:
        return None
    told = phonon.nac_params
    charged = impose_sum_rules(phonon).phonon
    first = analyze_force_constants(charged, settings).record
    found = _predict(phonon, training)
    phonon.nac_params = told | {"born": found.born, "dielectric": found.dielectric}
    guessed = impose_sum_rules(phonon).phonon
    second = analyze_force_constants(guessed, settings).record
    neutral = _without_charges(phonon)
    third = analyze_force_constants(neutral, settings).record
    dielectric = np.trace(found.dielectric) / np.trace(told["dielectric"]) - 1
    return {
        "crystal": path.name.removesuffix(".yaml.xz"),
        "Z* error (e)": float(np.abs(found.born - told["born"]).mean()),
        "bar (e)": found.uncertainty,
        "ε error": float(dielectric),
        "ω² LO - TO": _strength(guessed, neutral) / _strength(charged, neutral) - 1,
        "frequency (THz)": compare_modes(charged, guessed).frequency_difference,
        "without": compare_modes(charged, neutral).frequency_difference,
        "mean l": _change(first, second, "mean_optical_angular_momentum"),
        "l without": _change(first, third, "mean_optical_angular_momentum"),
        "tensor": _tensor_change(first, second),
        "tensor without": _tensor_change(first, third),
        "splitting": _splitting_change(first, second),
        "splitting without": _splitting_change(first, third),
    }


def _predict(phonon: Phonopy, training: Path) -> ChargePrediction:
    """Charges of the primitive cell, by an ensemble that did not see its formula."""
    atoms = make_atoms(phonon.primitive)
    settings = ChargeTrainingSettings.model_validate_json((training / "settings.json").read_text())
    table = read_table(settings)
    same = table["formula"].map(_reduced) == _reduced(atoms.get_chemical_formula())
    fold = int(table[same]["fold"].iloc[0]) if same.any() else WHOLE
    return read_charge_model(get_fold_path(training, fold)).predict(atoms)


def _reduced(formula: str) -> str:
    """Formula that all cells of a composition share."""
    return Composition(formula).reduced_formula


def _strength(charged: Phonopy, neutral: Phonopy) -> float:
    """What charges add to the squared frequencies at Γ, summed over modes and three directions."""
    gamma, lattice = np.zeros(3), charged.primitive.cell
    limits = [compute_modes(charged, gamma, nac_direction=lattice @ axis) for axis in np.eye(3)]
    before = _squares(compute_modes(neutral, gamma).frequencies)
    return sum(_squares(modes.frequencies) - before for modes in limits)


def _squares(frequencies: NDArray[np.float64]) -> float:
    """Sum of squares, those of imaginary frequencies negative."""
    return float((np.abs(frequencies) * frequencies).sum())


def _without_charges(phonon: Phonopy) -> Phonopy:
    """The same force constants, fit for all q-points, without the dipole term."""
    phonon.nac_params = None
    return impose_sum_rules(phonon).phonon


def _score(record: ChiralityRecord) -> float | None:
    """Raw score, were the crystal stable."""
    return compute_raw_score(vars(record) | {"stable": True, "significant": True}, ScoreSettings())


def _change(first: ChiralityRecord, second: ChiralityRecord, name: str) -> float:
    """Relative change of a mean."""
    return float(getattr(second, name) / getattr(first, name) - 1)


def _tensor_change(first: ChiralityRecord, second: ChiralityRecord) -> float | None:
    """Norm of the difference of the tensors, relative to the first; None where they vanish."""
    size = compute_response_norm(vars(first), ROOM_TEMPERATURE)
    if not size or not np.isfinite(first.tensor_violation).all():
        return None
    index = first.temperatures.index(ROOM_TEMPERATURE)
    tensors = [np.reshape(record.tensor, (-1, 9))[index] for record in (first, second)]
    return float(np.linalg.norm(tensors[1] - tensors[0]) / size)


def _splitting_change(first: ChiralityRecord, second: ChiralityRecord) -> float | None:
    """Largest change of a linear splitting by the largest of them; None without chiral axes."""
    before, after = (np.array(record.splitting_linear) for record in (first, second))
    if not len(before) or not np.isfinite(before).all():
        return None
    return float(np.abs(after - before).max() / np.abs(before).max())


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="folder of phonopy files")
    parser.add_argument("--only", default="", help="crystals whose name holds this text")
    parser.add_argument(
        "--mesh-spacing", type=float, default=0.02, help="of the q-mesh (1/Å, without 2π)"
    )
    parser.add_argument("--training", type=Path, help="folder of a training of a charge model")
    options = parser.parse_args()
    found = options.reference.glob("*.yaml.xz")
    paths = sorted((path for path in found if options.only in path.name), key=_size)
    settings = ChiralitySettings(
        mesh_spacing=options.mesh_spacing, temperatures=(ROOM_TEMPERATURE,)
    )
    rows = []
    for path in paths:
        training = options.training
        row = predicted(path, settings, training) if training else compared(path, settings)
        if row:
            rows.append(row)
            print(row, file=sys.stderr, flush=True)
    print(pd.DataFrame(rows).round(3).to_markdown(index=False))


def _size(path: Path) -> int:
    return path.stat().st_size


if __name__ == "__main__":
    main()
