"""A trained sequence model: network, statistics of volumes and cells, and its card."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from potentials.checkpoint import compute_file_digest
from potentials.tensor_file import load_tensors
from tasks.generation.network import IndependentSites, NetworkSizes, SequenceNetwork, Tables

FloatArray = NDArray[np.float64]

_FORMAT: Final = "sequences-1"
_WEIGHTS: Final = Path(__file__).parent / "weights"
SHIPPED: Final = "default"
"""Name of the model that travels with the package."""
_FILE: Final = "sequences:"


@dataclass(frozen=True)
class SequenceCard:
    """What a sequence model is.

    Attributes
    ----------
    name, digest : str
        As `load_sequence_model` takes it, and the SHA-256 (hex) of its file.
    licence, citation : str
        Terms of the weights, and the works to cite.
    crystals : mapping from str to int
        How many it learned from, was chosen by and was tested on (``training``, ``validation``,
        ``test``); no two of these share a formula.
    losses : mapping from str to mapping from str to float
        Cross entropies in nats per question, ``position`` and ``element``, by the crystals of which
        they are; ``new prototypes`` are those of the test that training lacks.
    volume_error : float
        Median error of predicted volumes of the test, as a fraction.
    limits : tuple of str
        What to keep in mind, one sentence each.
    """

    name: str
    digest: str
    licence: str
    citation: str
    crystals: Mapping[str, int]
    losses: Mapping[str, Mapping[str, float]]
    volume_error: float
    limits: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class CellStatistics:
    """Volumes and shapes of known cells.

    Attributes
    ----------
    volumes : ndarray, shape (104,)
        Volume of an atom by atomic number in Å^3, of which that of a crystal is the sum; zero for
        elements that were not learned from.
    groups : ndarray of int, shape (n,)
        Space-group number of each known cell.
    metrics : ndarray, shape (n, 3, 3)
        Products of the vectors of the primitive cell, scaled to unit volume.
    """

    volumes: FloatArray
    groups: NDArray[np.int64]
    metrics: FloatArray

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers of the elements that were learned from."""
        return frozenset(np.flatnonzero(self.volumes).tolist())

    def count_groups(self) -> FloatArray:
        """Known cells of each space group, shape (230,)."""
        return np.bincount(self.groups, minlength=231)[1:].astype(float)


@dataclass(frozen=True, eq=False)
class SequenceModel:
    """A model of crystals.

    Attributes
    ----------
    card : SequenceCard
        What it is.
    network : SequenceNetwork
        In evaluation mode, float32.
    cells : CellStatistics
        Volumes and shapes.
    independent : IndependentSites
        The baseline of the same crystals.
    """

    card: SequenceCard
    network: SequenceNetwork
    cells: CellStatistics
    independent: IndependentSites


def save_sequence_model(path: Path, model: SequenceModel) -> None:
    """Write a model, its weights in float16.

    Parameters
    ----------
    path : pathlib.Path
        The file, replaced if it exists.
    model : SequenceModel
        Name and digest of its card are not kept: they are those of the file.
    """
    card = {name: x for name, x in asdict(model.card).items() if name not in {"name", "digest"}}
    network, cells = model.network, model.cells
    content = {
        "format": _FORMAT,
        "sizes": network.sizes.model_dump_json(),
        "card": json.dumps(card),
        "tables": {name: table.to(torch.uint8) for name, table in network.tables._asdict().items()},
        "weights": {name: values.half() for name, values in network.named_parameters()},
        "volumes": torch.from_numpy(cells.volumes).float(),
        "groups": torch.from_numpy(cells.groups).to(torch.uint8),
        "metrics": torch.from_numpy(cells.metrics).float(),
        "position_counts": model.independent.positions,
        "element_counts": model.independent.elements,
    }
    torch.save(content, path)


def read_sequence_model(path: Path) -> SequenceModel:
    """Read a model without running any code from the file.

    Parameters
    ----------
    path : pathlib.Path
        Written by `save_sequence_model`.

    Returns
    -------
    SequenceModel
        In float32.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    content = load_tensors(path, _FORMAT)
    try:
        tables = {name: table.long() for name, table in content["tables"].items()}
        tables["known"] = tables["known"].bool()
        sizes = NetworkSizes.model_validate_json(content["sizes"])
        network = SequenceNetwork(sizes, Tables(**tables))
        weights = {name: values.float() for name, values in content["weights"].items()}
        network.load_state_dict(weights)
        cells = CellStatistics(
            content["volumes"].double().numpy(),
            content["groups"].long().numpy(),
            content["metrics"].double().numpy(),
        )
        counts = content["position_counts"], content["element_counts"]
        independent = IndependentSites(network.tables, *counts)
        card = _make_card(path, json.loads(content["card"]))
    except (KeyError, TypeError, RuntimeError, ValueError, AttributeError) as error:
        raise ValueError(f"{path} is no sound {_FORMAT} file: {error}") from error
    return SequenceModel(card, network.eval(), cells, independent)


def load_sequence_model(name: str = SHIPPED) -> SequenceModel:
    """Load a sequence model, once per process.

    Parameters
    ----------
    name : str
        ``default``, or ``sequences:path`` for a model of one's own training.

    Returns
    -------
    SequenceModel
        With its card.

    Raises
    ------
    ValueError
        For an unknown name, or a file that is no such model.
    """
    shipped = sorted(path.stem for path in _WEIGHTS.glob("*.pt"))
    own = name.startswith(_FILE)
    path = Path(name.removeprefix(_FILE)) if own else _WEIGHTS / f"{name}.pt"
    if not path.is_file() or not (own or name in shipped):
        choices = ", ".join([*shipped, f"{_FILE}model.pt"])
        raise ValueError(f"unknown sequence model {name!r}; choose one of {choices}")
    return _read(path)


@cache
def _read(path: Path) -> SequenceModel:
    return read_sequence_model(path)


def _make_card(path: Path, told: Mapping[str, Any]) -> SequenceCard:
    """Card of a file; JSON has lists for tuples."""
    given: dict[str, Any] = {
        name: tuple(x) if isinstance(x, list) else x for name, x in told.items()
    }
    return SequenceCard(name=path.stem, digest=compute_file_digest(path), **given)
