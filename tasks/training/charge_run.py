"""A charge model is made: features, one ensemble for each fold, errors, the whole ensemble.

Each step leaves a file in the folder of the training, and is skipped where it exists.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from potentials.charges import (
    Calibration,
    ChargeCard,
    ChargeModel,
    CompressionSizes,
    Ensemble,
    KernelSizes,
    Labelled,
    Members,
    NetworkSizes,
    fit_compression,
    fit_kernel,
    read_charge_model,
    save_charge_model,
    tensor_basis,
    train_network,
)
from tasks.storage.durable import write_durably
from tasks.training.charge_data import ChargedCrystals, describe_all, join_labels, read_table
from tasks.training.charge_settings import ChargeTrainingSettings
from tasks.training.settings import has_settings, record_settings

MODEL, ERRORS = "model.pt", "errors.parquet"
_FEATURES = "features.npz"
SURE: Final = 0.8
"""Share of the crystals that are called the surest."""
_COVERED = 0.68  # of the errors shall be below the bars
_UNCALIBRATED = Calibration(scale=1.0, power=1.0, sure=0.0)
WHOLE: Final = -1
"""Number of the fold in which nothing is left out."""


def prepare_charges(
    settings: ChargeTrainingSettings, folder: Path, report: Callable[[int], None] = lambda _: None
) -> None:
    """Compute the features of all crystals, once for a folder.

    Parameters
    ----------
    settings : ChargeTrainingSettings
        All settings.
    folder : pathlib.Path
        Of the training; made where it is missing.
    report : callable
        Told of each crystal that is done.

    Raises
    ------
    RemediableError
        When the data cannot be used, or the folder holds a training with other settings.
    """
    if not has_settings(folder, settings):
        record_settings(folder, settings)
    if not (folder / _FEATURES).exists():
        arrays = describe_all(read_table(settings), report)
        write_durably(folder / _FEATURES, lambda path: _save_arrays(path, arrays))


def fit_fold(settings: ChargeTrainingSettings, folder: Path, number: int) -> None:
    """Train the ensemble of a fold.

    Parameters
    ----------
    settings : ChargeTrainingSettings
        All settings.
    folder : pathlib.Path
        Filled by `prepare_charges`.
    number : int
        The fold from 0, or `WHOLE`.
    """
    path = get_fold_path(folder, number)
    if path.exists():
        return
    data = _load_crystals(settings, folder).select_fold(number, left_out=False)
    model = ChargeModel(
        _make_card(settings, data, _UNCALIBRATED, _UNCALIBRATED), _fit_ensemble(settings, data)
    )
    write_durably(path, lambda p: save_charge_model(p, model))


def measure_errors(settings: ChargeTrainingSettings, folder: Path) -> pd.DataFrame:
    """Compare each crystal with what the ensemble predicts that did not see its formula.

    Parameters
    ----------
    settings : ChargeTrainingSettings
        All settings.
    folder : pathlib.Path
        Filled by `fit_fold` for all folds.

    Returns
    -------
    pandas.DataFrame
        One row per inequivalent atom; also written as `ERRORS`. Errors of the charges are means
        of absolute values over the nine components in e (``error``, ``symmetric``,
        ``antisymmetric``, and ``element_error`` of the mean charge of each element), of a third of
        the trace (``mean_charge``), and root mean squares over all atoms of the crystal
        (``crystal_error``); those of the dielectric tensor are relative.
    """
    crystals = _load_crystals(settings, folder)
    frame = pd.concat(
        [
            _measure_fold(
                crystals, read_charge_model(get_fold_path(folder, number)).ensemble, number
            )
            for number in range(settings.folds)
        ]
    )
    write_durably(folder / ERRORS, lambda path: frame.to_parquet(path, index=False))
    return frame


def write_model(settings: ChargeTrainingSettings, folder: Path, errors: pd.DataFrame) -> Path:
    """Write the model that learned from all crystals, its bars calibrated on those left out.

    Parameters
    ----------
    settings : ChargeTrainingSettings
        All settings.
    folder : pathlib.Path
        Filled by `fit_fold` for `WHOLE`.
    errors : pandas.DataFrame
        From `measure_errors`.

    Returns
    -------
    pathlib.Path
        The model.
    """
    data = _load_crystals(settings, folder).select_fold(WHOLE, left_out=False)
    of_crystals = errors.drop_duplicates("crystal")
    card = _make_card(
        settings,
        data,
        calibrate(of_crystals["charge_spread"], of_crystals["crystal_error"]),
        calibrate(of_crystals["dielectric_spread"], of_crystals["dielectric_error"]),
    )
    model = ChargeModel(card, read_charge_model(get_fold_path(folder, WHOLE)).ensemble)
    write_durably(folder / MODEL, lambda path: save_charge_model(path, model))
    return folder / MODEL


def get_fold_path(folder: Path, number: int) -> Path:
    """File of the ensemble of a fold."""
    return folder / ("whole.pt" if number == WHOLE else f"fold-{number}.pt")


def calibrate(spread: "pd.Series[float]", error: "pd.Series[float]") -> Calibration:
    """Fit bars to errors: a power of the spread, scaled so that 68 % err less.

    Parameters
    ----------
    spread, error : pandas.Series
        Of crystals that were left out.

    Returns
    -------
    Calibration
        Of these.
    """
    spreads, errors = spread.to_numpy(), error.to_numpy()
    usable = (spreads > 0) & (errors > 0)
    power, _ = np.polyfit(np.log(spreads[usable]), np.log(errors[usable]), 1)
    scale = np.quantile(errors[usable] / spreads[usable] ** power, _COVERED)
    sure = np.quantile(scale * spreads**power, SURE)
    return Calibration(scale=float(scale), power=float(power), sure=float(sure))


def _fit_ensemble(settings: ChargeTrainingSettings, data: Labelled) -> Ensemble:
    """Train all members of an ensemble."""
    chosen = settings.ensemble
    n_vectors, n_tensors, n_octupoles = (x.shape[2] for x in data.batch.others)
    n_inputs = (data.batch.scalars.shape[1], n_vectors, n_tensors, n_octupoles)
    compressed = CompressionSizes(n_inputs, chosen.components)
    sizes = NetworkSizes(chosen.components, width=chosen.width)
    n_centres = min(chosen.centres, len(data.charges))
    kernel = KernelSizes(chosen.components[0], n_centres)
    ensemble = Ensemble(compressed, sizes, kernel, chosen.networks)
    ensemble.compression = fit_compression(compressed, data.batch)
    small = data._replace(batch=ensemble.compression(data.batch))
    for member in range(chosen.networks):
        seed = settings.seed + member
        ensemble.networks[member] = train_network(small, sizes, settings.training, seed)
    ensemble.kernel = fit_kernel(
        kernel,
        small.batch._replace(scalars=small.batch.scalars.double()),
        small.mean_charges.double(),
        small.atom_weights.double(),
        width=chosen.kernel_width,
        noise=chosen.kernel_noise,
        seed=settings.seed,
    )
    return ensemble


def _measure_fold(crystals: ChargedCrystals, ensemble: Ensemble, number: int) -> pd.DataFrame:
    """Errors of the inequivalent atoms that were left out in a fold."""
    left_out = crystals.select_fold(number, left_out=True)
    batch = left_out.batch
    exact = batch._replace(
        scalars=batch.scalars.double(),
        others=tuple(x.double() for x in batch.others),  # type: ignore[arg-type]
        counts=batch.counts.double(),
        projectors=batch.projectors.double(),
    )
    prior = torch.zeros_like(left_out.charges, dtype=torch.float64)
    prior[:, 0] = 3**0.5 * ensemble.kernel.element_charges[batch.numbers]
    with torch.no_grad():
        members = ensemble(exact)
    atoms = _compute_atom_errors(members.mean_charges - left_out.charges)
    of_elements = _compute_atom_errors(exact.neutralize(prior) - left_out.charges)["error"]
    whole = _compute_crystal_errors(members, left_out)
    table = crystals.table[crystals.table["fold"] == number].reset_index()
    places = batch.crystals.numpy()
    named = table[["index", "material_id", "formula", "functional", "symmetry_class"]]
    rows = pd.concat([named, pd.DataFrame(whole)], axis=1).iloc[places].reset_index(drop=True)
    rows = rows.rename(columns={"index": "crystal"}).assign(fold=number)
    numbers, counts = batch.numbers.numpy(), batch.counts.numpy()
    return rows.assign(number=numbers, count=counts, element_error=of_elements, **atoms)


def _compute_atom_errors(errors: Tensor) -> dict[str, NDArray[np.float64]]:
    """Errors of the charges of each atom, whole and by part."""
    basis = tensor_basis(errors.dtype).flatten(0, 1)
    antisymmetric, symmetric = slice(1, 4), slice(4, 9)

    def mean(part: slice) -> NDArray[np.float64]:
        return (errors[:, part] @ basis[:, part].T).abs().mean(dim=1).numpy()

    return {
        "error": mean(slice(None)),
        "mean_charge": (errors[:, 0].abs() / 3**0.5).numpy(),
        "antisymmetric": mean(antisymmetric),
        "symmetric": mean(symmetric),
    }


def _compute_crystal_errors(members: Members, data: Labelled) -> dict[str, NDArray[np.float64]]:
    """Errors and spreads of each crystal."""
    squares = (members.mean_charges - data.charges).square().sum(dim=1) / 9
    deviation = (members.mean_dielectric - data.dielectric).norm(dim=1)
    mean = members.mean_dielectric[:, 0] / data.dielectric[:, 0] - 1
    found = {
        "crystal_error": members.batch.mean(squares).sqrt(),
        "charge_spread": members.charge_spread,
        "dielectric_error": deviation / data.dielectric.norm(dim=1),
        "mean_dielectric_error": mean.abs(),
        "dielectric_spread": members.dielectric_spread,
    }
    return {name: values.numpy() for name, values in found.items()}


def _make_card(
    settings: ChargeTrainingSettings,
    data: Labelled,
    charges: Calibration,
    dielectric: Calibration,
) -> ChargeCard:
    """Card of a model that learned from some crystals."""
    pairs = {
        (int(crystal), int(number))
        for crystal, number in zip(data.batch.crystals, data.batch.numbers, strict=True)
    }
    numbers, counts = np.unique([number for _, number in pairs], return_counts=True)
    return ChargeCard(
        name="",
        digest="",
        functionals=settings.functionals,
        elements=dict(zip(numbers.tolist(), counts.tolist(), strict=True)),
        charges=charges,
        dielectric=dielectric,
        licence=settings.licence,
        citation=settings.citation,
        limits=settings.limits,
    )


def _load_crystals(settings: ChargeTrainingSettings, folder: Path) -> ChargedCrystals:
    """Crystals of a training that was prepared."""
    with np.load(folder / _FEATURES) as arrays:
        return join_labels(read_table(settings), dict(arrays), settings)


def _save_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Write arrays to a path as it is, without another ending."""
    with path.open("wb") as stream:
        np.savez(stream, **arrays)
