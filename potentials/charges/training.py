"""Steps of the training of a charge model."""

import math
from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.functional import huber_loss

from potentials.charges.kernel import average_by_element
from potentials.charges.network import MIN_SUSCEPTIBILITY, Batch, ChargeNetwork, NetworkSizes
from potentials.charges.tensors import tensor_basis

_SMALL = 0.1  # of the spread of all scalars is added to that of each, lest noise is enlarged
_LEAST = 0.1  # of features that symmetry forbids in all crystals, which are rounding errors
# Errors beyond these count linearly: in e per component, in units of the spread of log(eps - 1),
# and as a fraction of eps - 1.
_CHARGE_ERROR, _LOGARITHM_ERROR, _ANISOTROPY_ERROR = 0.05, 0.3, 0.1


class NetworkTraining(BaseModel):
    """How a network is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(40, ge=1, description="passes over the crystals")
    batch_crystals: int = Field(64, ge=1, description="crystals of a step")
    learning_rate: float = Field(4e-3, gt=0, description="largest step")
    weight_decay: float = Field(1e-2, ge=0, description="decay of weights")
    dropout: float = Field(0.1, ge=0, lt=1, description="share of inputs left out of a step")
    dielectric_weight: float = Field(0.15, ge=0, description="weight of the dielectric tensor")
    average_step: float = Field(0.02, gt=0, le=1, description="share of a step in the average")


class Labelled(NamedTuple):
    """Crystals and their calculated tensors.

    Attributes
    ----------
    batch : Batch
        Inequivalent atoms.
    charges : Tensor, shape (n_atoms, 9)
        Born charges in e, in components of `tensor_basis`.
    dielectric : Tensor, shape (n_crystals, 9)
        Dielectric tensors, likewise.
    weights : Tensor, shape (n_crystals,)
        How much the labels count.
    """

    batch: Batch
    charges: Tensor
    dielectric: Tensor
    weights: Tensor

    def select(self, crystals: Tensor) -> "Labelled":
        """Take some crystals.

        Parameters
        ----------
        crystals : Tensor of int
            Their indices, in the order in which they are wanted.

        Returns
        -------
        Labelled
            Of these.
        """
        batch = self.batch
        places = torch.full((len(self.weights),), -1)
        places[crystals] = torch.arange(len(crystals))
        atoms = torch.nonzero(places[batch.crystals] >= 0)[:, 0]
        chosen = Batch(
            scalars=batch.scalars[atoms],
            others=tuple(x[atoms] for x in batch.others),  # type: ignore[arg-type]
            numbers=batch.numbers[atoms],
            crystals=places[batch.crystals[atoms]],
            counts=batch.counts[atoms],
            functionals=batch.functionals[crystals],
            projectors=batch.projectors[crystals],
        )
        return Labelled(
            chosen, self.charges[atoms], self.dielectric[crystals], self.weights[crystals]
        )

    @property
    def atom_weights(self) -> Tensor:
        """How much each inequivalent atom counts, shape (n_atoms,)."""
        return self.batch.counts * self.weights[self.batch.crystals]

    @property
    def mean_charges(self) -> Tensor:
        """Third of the trace of the Born charges, shape (n_atoms,)."""
        return self.charges[:, 0] / 3**0.5

    @property
    def susceptibility(self) -> Tensor:
        """Mean of eps - 1, shape (n_crystals,)."""
        return self.dielectric[:, 0] / 3**0.5 - 1


def train_network(
    data: Labelled, sizes: NetworkSizes, settings: NetworkTraining, seed: int
) -> ChargeNetwork:
    """Train a network.

    Parameters
    ----------
    data : Labelled
        All crystals it learns from, in float32.
    sizes : NetworkSizes
        How large it is.
    settings : NetworkTraining
        How it is trained.
    seed : int
        Of weights and order.

    Returns
    -------
    ChargeNetwork
        The average over the last steps, in evaluation mode.
    """
    torch.manual_seed(seed)
    network = ChargeNetwork(sizes, settings.dropout)
    _set_scales(network, data)
    n_crystals = len(data.weights)
    n_steps = settings.epochs * math.ceil(n_crystals / settings.batch_crystals)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=n_steps, pct_start=0.1
    )
    average = {name: value.clone() for name, value in network.state_dict().items()}
    for _ in range(settings.epochs):
        for chosen in torch.split(torch.randperm(n_crystals), settings.batch_crystals):
            loss = _compute_loss(network, data.select(chosen), settings.dielectric_weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            for name, value in network.state_dict().items():
                average[name].lerp_(value, settings.average_step)
    network.load_state_dict(average)
    return network.eval()


def _set_scales(network: ChargeNetwork, data: Labelled) -> None:
    """Bring features and labels to the order of one."""
    scalars, others = data.batch.scalars, data.batch.others
    network.scalar_mean.copy_(scalars.mean(dim=0))
    network.scalar_scale.copy_(1 / (scalars.std(dim=0) + _SMALL * scalars.std()))
    for degree, x in enumerate(others, 1):
        usual = x.square().mean().sqrt().clamp(min=_LEAST)
        size = x.square().mean(dim=(0, 1)).sqrt() + _SMALL * usual
        getattr(network, f"scale_{degree}").copy_(1 / size)
    charges = average_by_element(data.mean_charges, data.batch.numbers, data.atom_weights)
    network.element_charges.copy_(charges)
    logarithms = torch.log(data.susceptibility + MIN_SUSCEPTIBILITY)
    network.dielectric_scale.copy_(torch.stack([logarithms.mean(), logarithms.std()]))


def _compute_loss(network: ChargeNetwork, data: Labelled, dielectric_weight: float) -> Tensor:
    """Mean error of Cartesian components of the charges, and of the dielectric tensor."""
    charges, logarithm, anisotropy = network(data.batch)
    basis = tensor_basis(charges.dtype).flatten(0, 1)
    weights = data.atom_weights / data.atom_weights.sum()
    errors = _compute_robust_loss((charges - data.charges) @ basis.T, _CHARGE_ERROR).sum(dim=1)
    mean, spread = network.dielectric_scale
    wanted = (torch.log(data.susceptibility + MIN_SUSCEPTIBILITY) - mean) / spread
    shape = data.dielectric[:, 4:] / (data.susceptibility + MIN_SUSCEPTIBILITY)[:, None]
    dielectric = _compute_robust_loss(logarithm - wanted, _LOGARITHM_ERROR)
    unlike = _compute_robust_loss(anisotropy[:, 4:] - shape, _ANISOTROPY_ERROR)
    dielectric = dielectric + unlike.mean(dim=1) / 2
    shares = data.weights / data.weights.sum()
    return weights @ errors + dielectric_weight * shares @ dielectric


def _compute_robust_loss(errors: Tensor, limit: float) -> Tensor:
    """Huber's loss by its limit: an absolute error where it is large."""
    return huber_loss(errors, torch.zeros_like(errors), reduction="none", delta=limit) / limit
