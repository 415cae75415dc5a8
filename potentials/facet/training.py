"""Losses, steps, averages of weights, and the state that a training resumes from."""

import copy
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from potentials.facet.attention import AttentionNetwork, compute_equivariance_error, draw_isometries
from potentials.facet.config import FacetConfig
from potentials.facet.frames import FrameBatch
from potentials.facet.model import (
    Model,
    compute_derivatives,
    compute_derivatives_and_products,
    make_network,
)
from potentials.tensor_file import load_tensors

_FORMAT = "facet-training-1"
LABELS = ("energy", "force", "stress", "hessian")


class LossWeights(BaseModel):
    """Weights of the mean absolute errors in the loss; without one a label is not looked at."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    energy: float = Field(5.0, ge=0, description="of |dE| per atom (1 / (eV per atom))")
    force: float = Field(1.0, ge=0, description="of |dF| (1 / (eV/Å))")
    stress: float = Field(20.0, ge=0, description="of |dstress| (1 / (eV/Å^3))")
    hessian: float = Field(0.0, ge=0, description="of |dH| of a column's atoms (1 / (eV/Å^2))")
    equivariance: float = Field(0.0, ge=0, description="of the latent error of turned crystals")


class OptimizerSettings(BaseModel):
    """AdamW with a warm-up, a cosine, clipped gradients, and an average of the weights."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    learning_rate: float = Field(5e-3, gt=0, description="at its highest")
    final_learning_rate: float = Field(5e-5, ge=0, description="at the end of the cosine")
    warmup: float = Field(0.02, ge=0, lt=1, description="share of the steps with a linear rise")
    weight_decay: float = Field(0.0, ge=0, description="decoupled decay per step and rate")
    max_gradient: float = Field(10.0, gt=0, description="norm beyond which gradients are scaled")
    average_decay: float = Field(0.995, ge=0, lt=1, description="of the average of the weights")


@dataclass
class TrainingState:
    """A network on its way.

    Attributes
    ----------
    model : Facet or AttentionNetwork
        The network that steps change.
    average : Facet or AttentionNetwork
        Exponential moving average of its weights; the one that is validated and kept.
    optimizer : torch.optim.AdamW
        With its moments.
    weights : LossWeights
        Of the loss.
    settings : OptimizerSettings
        Of the steps.
    n_steps : int
        Steps done.
    """

    model: Model
    average: Model
    optimizer: torch.optim.AdamW
    weights: LossWeights
    settings: OptimizerSettings
    n_steps: int = 0


def make_model(config: FacetConfig, energies: Mapping[int, float], seed: int) -> Model:
    """Make an untrained network.

    Parameters
    ----------
    config : FacetConfig
        Architecture.
    energies : mapping of int to float
        Reference energy of each atomic number in eV; elements without one get zero.
    seed : int
        Of the random weights.

    Returns
    -------
    Facet
        In float64.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make_network(config)
    for position, number in enumerate(config.elements):
        model.reference_energies[position] = energies.get(number, 0.0)
    return model


def begin_training(
    model: Model,
    weights: LossWeights,
    settings: OptimizerSettings,
    device: str,
    dtype: str,
) -> TrainingState:
    """Make a network ready to learn.

    Parameters
    ----------
    model : Facet or AttentionNetwork
        Where to start.
    weights : LossWeights
        Of the loss.
    settings : OptimizerSettings
        Of the steps.
    device : str
        Where to train, as torch names it.
    dtype : str
        ``float32`` or ``float64``.

    Returns
    -------
    TrainingState
        With fresh moments; the average begins at the weights.

    Raises
    ------
    ValueError
        For the loss `equivariance` and a network that has its symmetry built in.
    """
    if weights.equivariance and model.config.network != "attention":
        raise ValueError("the loss equivariance needs the network attention; set it to zero")
    model = model.to(device=torch.device(device), dtype=getattr(torch, dtype))
    model.requires_grad_(requires_grad=True)
    average = copy.deepcopy(model).requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=settings.weight_decay)
    return TrainingState(model, average, optimizer, weights, settings)


def compute_errors(
    model: Model, batch: FrameBatch, weights: LossWeights, *, create_graph: bool
) -> dict[str, Tensor]:
    """Compare a network with the labels that are there and have a weight.

    Parameters
    ----------
    model : Facet or AttentionNetwork
        The network.
    batch : FrameBatch
        Structures and labels.
    weights : LossWeights
        Labels of weight zero are left out; second derivatives are computed for "hessian" only, and
        only where a frame has columns.
    create_graph : bool
        Whether the errors are to be differentiated.

    Returns
    -------
    dict of str to Tensor, shape (n, k)
        Differences by label: energy per atom (n, 1) in eV, force (n, 3) in eV/Å, stress (n, 9) in
        eV/Å^3, rows of Hessian columns (n, 3) in eV/Å^2.
    """
    # Few frames of a batch have columns, often none: the second derivative would be for nothing.
    twice = bool(weights.hessian) and bool(_select_known(batch, "hessian").any())
    found: tuple[Tensor, ...] = (
        compute_derivatives_and_products(
            model, batch.graph, batch.directions, create_graph=create_graph
        )
        if twice
        else (*compute_derivatives(model, batch.graph, create_graph=create_graph), batch.columns)
    )
    energies, forces, stresses, products = found
    differences = {
        "energy": ((energies - batch.energies) / batch.sizes)[:, None],
        "force": forces - batch.forces,
        "stress": (stresses - batch.stresses).flatten(1),
        "hessian": products - batch.columns,
    }
    return {
        label: rows[_select_known(batch, label)]
        for label, rows in differences.items()
        if getattr(weights, label)
    }


def compute_loss(errors: Mapping[str, Tensor], weights: LossWeights) -> Tensor:
    """Sum the mean norms of errors, weighted.

    Parameters
    ----------
    errors : mapping of str to Tensor
        From `compute_errors`.
    weights : LossWeights
        One for each label.

    Returns
    -------
    Tensor, shape ()
        The loss, of unit one.
    """
    terms = [
        getattr(weights, label) * torch.linalg.vector_norm(rows, dim=1).mean()
        for label, rows in errors.items()
        if len(rows)
    ]
    return torch.stack([term.double() for term in terms]).sum()


def take_step(learner: TrainingState, batch: FrameBatch, progress: float) -> float:
    """Change the weights once.

    Parameters
    ----------
    learner : TrainingState
        Changed in place.
    batch : FrameBatch
        What to learn from.
    progress : float
        Share of the training that is done, from 0 to 1.

    Returns
    -------
    float
        Loss before the step.

    Raises
    ------
    ValueError
        When the loss is not finite.
    """
    settings, parameters = learner.settings, list(learner.model.parameters())
    loss = compute_loss(
        compute_errors(learner.model, batch, learner.weights, create_graph=True), learner.weights
    )
    if learner.weights.equivariance and isinstance(learner.model, AttentionNetwork):
        # Seeded by the step, so that a resumed training draws what it would have drawn.
        isometries = draw_isometries(len(batch.sizes), learner.n_steps).to(batch.sizes)
        error = compute_equivariance_error(learner.model, batch.graph, isometries)
        loss = loss + learner.weights.equivariance * error
    if not math.isfinite(value := loss.item()):
        raise ValueError(f"the loss became {value}; lower the learning rate, or look at the labels")
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient
    torch.nn.utils.clip_grad_norm_(parameters, settings.max_gradient)
    for group in learner.optimizer.param_groups:
        group["lr"] = compute_learning_rate(settings, progress)
    learner.optimizer.step()
    learner.n_steps += 1
    _update_average(learner)
    return value


def compute_learning_rate(settings: OptimizerSettings, progress: float) -> float:
    """Return the learning rate: a linear rise, then half a cosine.

    Parameters
    ----------
    settings : OptimizerSettings
        Rates and warm-up.
    progress : float
        Share of the training that is done, from 0 to 1.

    Returns
    -------
    float
        For the next step.
    """
    highest, final = settings.learning_rate, settings.final_learning_rate
    if progress < settings.warmup:
        return highest * (0.01 + 0.99 * progress / settings.warmup)
    phase = (progress - settings.warmup) / (1 - settings.warmup)
    return final + (highest - final) * (1 + math.cos(math.pi * phase)) / 2


def validate(
    model: Model, batches: Iterable[FrameBatch], weights: LossWeights
) -> tuple[float, dict[str, float]]:
    """Measure a network on labels it has not learned from.

    Parameters
    ----------
    model : Facet or AttentionNetwork
        The network.
    batches : iterable of FrameBatch
        Validation frames.
    weights : LossWeights
        Of the loss.

    Returns
    -------
    loss : float
        Of all batches as one.
    errors : dict of str to float
        ``<label>_mae`` and ``<label>_rmse`` of all components, in the units of `compute_errors`;
        labels that no frame has are left out.
    """
    parts = [compute_errors(model, batch, weights, create_graph=False) for batch in batches]
    rows = {
        label: torch.cat([part[label].detach().double().cpu() for part in parts])
        for label in parts[0]
    }
    known = {label: values for label, values in rows.items() if len(values)}
    measured = {}
    for label, values in known.items():
        measured[f"{label}_mae"] = values.abs().mean().item()
        measured[f"{label}_rmse"] = values.square().mean().sqrt().item()
    return compute_loss(known, weights).item(), measured


def save_learner(path: Path, learner: TrainingState, notes: Mapping[str, Any]) -> None:
    """Write all that the next step depends on.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    learner : TrainingState
        On its way.
    notes : mapping
        What JSON can hold, to be found again by `load_learner`.
    """
    content = {
        "format": _FORMAT,
        "config": json.dumps(asdict(learner.model.config)),
        "notes": json.dumps(dict(notes)),
        "n_steps": learner.n_steps,
        "model": learner.model.state_dict(),
        "average": learner.average.state_dict(),
        "optimizer": learner.optimizer.state_dict(),
    }
    torch.save(content, path)


def read_notes(path: Path) -> dict[str, Any]:
    """Read what was noted beside a learner.

    Parameters
    ----------
    path : pathlib.Path
        Written by `save_learner`.

    Returns
    -------
    dict
        The notes.

    Raises
    ------
    ValueError
        When the file is something else.
    """
    notes: dict[str, Any] = json.loads(load_tensors(path, _FORMAT)["notes"])
    return notes


def load_learner(path: Path, learner: TrainingState) -> None:
    """Bring a learner to the state it was saved in, without running any code from the file.

    Parameters
    ----------
    path : pathlib.Path
        Written by `save_learner`.
    learner : TrainingState
        Of the same architecture; changed in place.

    Raises
    ------
    ValueError
        When the file is something else, or of another network.
    """
    content = load_tensors(path, _FORMAT)
    try:
        learner.model.load_state_dict(content["model"])
        learner.average.load_state_dict(content["average"])
        learner.optimizer.load_state_dict(content["optimizer"])
        learner.n_steps = int(content["n_steps"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not fit this training: {error}") from error


def _select_known(batch: FrameBatch, label: str) -> Tensor:
    """Rows whose labels are known."""
    rows = {
        "energy": batch.energies[:, None],
        "force": batch.forces,
        "stress": batch.stresses.flatten(1),
        "hessian": batch.columns,
    }[label]
    return rows.isfinite().all(1)


def _update_average(learner: TrainingState) -> None:
    """Move the average towards the weights, faster in the beginning."""
    decay = min(learner.settings.average_decay, (1 + learner.n_steps) / (10 + learner.n_steps))
    pairs = zip(learner.average.parameters(), learner.model.parameters(), strict=True)
    for average, current in pairs:
        average.lerp_(current.detach(), 1 - decay)
