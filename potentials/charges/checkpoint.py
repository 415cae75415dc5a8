"""A charge model in one file: card and sizes as JSON, weights as tensors, no code."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from potentials.charges.card import Calibration, ChargeCard
from potentials.charges.compression import CompressionSizes
from potentials.charges.kernel import KernelSizes
from potentials.charges.model import ChargeModel, Ensemble
from potentials.charges.network import NetworkSizes
from potentials.checkpoint import compute_file_digest
from potentials.tensor_file import load_tensors

_FORMAT = "charges-1"
# Kept in float32: sums of many kernels hang on their small differences.
_EXACT = ("kernel.weights", "functional_distance", "element_charges", "scale", "mean")


def save_charge_model(path: Path, model: ChargeModel) -> None:
    """Write a model, most of its weights in float16.

    Parameters
    ----------
    path : pathlib.Path
        The file, replaced if it exists.
    model : ChargeModel
        Its card's name and digest are not kept: they are those of the file.
    """
    card = asdict(model.card)
    for name in ("name", "digest"):
        del card[name]
    ensemble = model.ensemble
    sizes = {
        "compression": asdict(ensemble.compression.sizes),
        "network": asdict(ensemble.network_sizes),
        "kernel": asdict(ensemble.kernel.sizes),
        "n_networks": len(ensemble.networks),
    }
    content = {
        "format": _FORMAT,
        "sizes": json.dumps(sizes),
        "card": json.dumps(card),
        "weights": {name: _short(name, x) for name, x in ensemble.state_dict().items()},
    }
    torch.save(content, path)


def read_charge_model(path: Path) -> ChargeModel:
    """Read a model without running any code from the file.

    Parameters
    ----------
    path : pathlib.Path
        Written by `save_charge_model`.

    Returns
    -------
    ChargeModel
        In float64.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    content = load_tensors(path, _FORMAT)
    try:
        ensemble = _ensemble(json.loads(content["sizes"])).double()
        ensemble.load_state_dict(content["weights"])
        card = _card(path, json.loads(content["card"]))
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} is no sound {_FORMAT} file: {error}") from error
    return ChargeModel(card, ensemble.eval())


def _short(name: str, values: Tensor) -> Tensor:
    """Values as they are stored."""
    exact = any(part in name for part in _EXACT)
    return values.float() if exact else values.half()


def _ensemble(sizes: dict[str, Any]) -> Ensemble:
    """Untrained ensemble of given sizes."""
    return Ensemble(
        CompressionSizes(**_tuples(sizes["compression"])),
        NetworkSizes(**_tuples(sizes["network"])),
        KernelSizes(**sizes["kernel"]),
        sizes["n_networks"],
    )


def _card(path: Path, told: dict[str, Any]) -> ChargeCard:
    """Card of a file."""
    given = _tuples(told) | {
        "elements": {int(number): count for number, count in told["elements"].items()},
        "charges": Calibration(**told["charges"]),
        "dielectric": Calibration(**told["dielectric"]),
    }
    return ChargeCard(name=path.stem, digest=compute_file_digest(path), **given)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as tuples."""
    return {name: tuple(x) if isinstance(x, list) else x for name, x in values.items()}
