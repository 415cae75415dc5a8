"""A model in one file: configuration and metadata as JSON, weights as tensors, no code."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from potentials.facet.config import FacetConfig
from potentials.facet.model import Model, make_network
from potentials.tensor_file import load_tensors

_FORMAT = "facet-1"


def save_facet(path: Path, model: Model, metadata: Mapping[str, Any]) -> None:
    """Write a model.

    Parameters
    ----------
    path : pathlib.Path
        The file, replaced if it exists.
    model : Facet or AttentionNetwork
        Of any precision; save float64 models as float32 to halve the file.
    metadata : mapping
        What JSON can hold: ``name``, ``licence``, ``citation``, ``limits`` (a list of sentences),
        ``milliseconds_per_atom``, and whatever is to be told of the training.
    """
    content = {
        "format": _FORMAT,
        "config": json.dumps(asdict(model.config)),
        "metadata": json.dumps(dict(metadata)),
        "weights": model.state_dict(),
    }
    torch.save(content, path)


def read_facet(path: Path) -> tuple[Model, dict[str, Any]]:
    """Read a model, in float64, without running any code from the file.

    Parameters
    ----------
    path : pathlib.Path
        Written by `save_facet`.

    Returns
    -------
    model : Facet or AttentionNetwork
        In float64 on the CPU; constants are exact, weights as precise as they were saved.
    metadata : dict
        As it was saved.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    content = load_tensors(path, _FORMAT)
    try:
        config = json.loads(content["config"])
        model = make_network(FacetConfig(**{**config, "elements": tuple(config["elements"])}))
        model.load_state_dict(content["weights"])
        return model, json.loads(content["metadata"])
    except (KeyError, TypeError, RuntimeError, ValueError) as error:
        raise ValueError(f"{path} is no sound {_FORMAT} file: {error}") from error
