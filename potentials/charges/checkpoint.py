"""A charge model in one file: card and sizes as JSON, weights as tensors, no code."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from potentials.charge_card import read_charge_card
from potentials.charges.compression import CompressionSizes
from potentials.charges.kernel import KernelSizes
from potentials.charges.model import ChargeModel, Ensemble
from potentials.charges.network import NetworkSizes
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
        "weights": {name: _shorten(name, x) for name, x in ensemble.state_dict().items()},
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
        ensemble = _make_ensemble(json.loads(content["sizes"])).double()
        ensemble.load_state_dict(content["weights"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} is no sound {_FORMAT} file: {error}") from error
    return ChargeModel(read_charge_card(path), ensemble.eval())


def _shorten(name: str, values: Tensor) -> Tensor:
    """Values as they are stored."""
    exact = any(part in name for part in _EXACT)
    return values.float() if exact else values.half()


def _make_ensemble(sizes: dict[str, Any]) -> Ensemble:
    """Untrained ensemble of given sizes."""
    return Ensemble(
        CompressionSizes(**_make_tuples(sizes["compression"])),
        NetworkSizes(**_make_tuples(sizes["network"])),
        KernelSizes(**sizes["kernel"]),
        sizes["n_networks"],
    )


def _make_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON's lists as tuples."""
    return {name: tuple(x) if isinstance(x, list) else x for name, x in values.items()}
