"""Steps of the training of a sequence model, and its losses.

A crystal with n sites shows k of them, chosen at random, and asks for the rest: the position of the
next one, any of those left or none where all are shown, and its element. All orders of the sites
count alike, so that the loss is one of sets.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn.functional import log_softmax

from tasks.generation.network import (
    COMPLETE,
    Partial,
    Scorer,
    SequenceNetwork,
    find_allowed_positions,
)
from tasks.generation.sequences import N_ELEMENTS

_BUCKET = 16  # batches whose crystals are sorted by the sites that they show
_NEVER = -1e9  # logarithm of odds


class SequenceLearning(BaseModel):
    """How a sequence model learns."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(60, ge=1, description="passes over the crystals")
    batch_crystals: int = Field(256, ge=1, description="crystals of a step")
    learning_rate: float = Field(2e-3, gt=0, description="largest step")
    weight_decay: float = Field(1e-2, ge=0, description="decay of weights")
    average_step: float = Field(0.02, gt=0, le=1, description="share of a step in the average")


class SequenceData(NamedTuple):
    """Complete crystals.

    Attributes
    ----------
    groups : Tensor of int, shape (n,)
        Space-group numbers less one.
    positions, elements : Tensor of int, shape (n, n_sites)
        Of the sites, filled up with zeros.
    counts : Tensor of int, shape (n,)
        How many sites each has.
    """

    groups: Tensor
    positions: Tensor
    elements: Tensor
    counts: Tensor


class Question(NamedTuple):
    """Unfinished crystals and what comes next.

    Attributes
    ----------
    crystals : Partial
        What is shown.
    next_positions : Tensor, shape (n, 28)
        Probability of each choice.
    chosen : Tensor of int, shape (n,)
        One of the positions that come next; zero where none does.
    next_elements : Tensor, shape (n, 104)
        Probability of each element on the chosen position; zero where none comes.
    """

    crystals: Partial
    next_positions: Tensor
    chosen: Tensor
    next_elements: Tensor


class Losses(NamedTuple):
    """Cross entropies in nats, each a mean over questions."""

    position: Tensor
    element: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.position + self.element


def ask_questions(
    data: SequenceData, batch_crystals: int, generator: np.random.Generator
) -> Iterator[Question]:
    """Ask one question about each crystal.

    Parameters
    ----------
    data : SequenceData
        The crystals.
    batch_crystals : int
        How many questions come together.
    generator : numpy.random.Generator
        Chooses order, and the sites that are shown.

    Yields
    ------
    Question
        Of crystals that show about as many sites, so that little is padded.
    """
    order = generator.permutation(len(data.groups))
    counts = data.counts.numpy()
    shown = generator.integers(0, counts + 1)
    size = _BUCKET * batch_crystals
    batches: list[NDArray[np.int64]] = []
    for start in range(0, len(order), size):
        bucket = order[start : start + size]
        bucket = bucket[np.argsort(shown[bucket], kind="stable")]
        batches += np.array_split(bucket, math.ceil(len(bucket) / batch_crystals))
    for index in generator.permutation(len(batches)):
        yield _ask(data, torch.from_numpy(batches[index]), shown, generator)


def compute_losses(network: Scorer, question: Question) -> Losses:
    """Compute how surprised a network is by what comes next."""
    crystals = question.crystals
    features = network.encode(crystals)
    scores = network.score_positions(features, crystals.groups)
    allowed = find_allowed_positions(network.tables, crystals)
    scores[:, :COMPLETE] = scores[:, :COMPLETE].masked_fill(~allowed, _NEVER)
    elements = network.score_elements(features, crystals.groups, question.chosen)
    return Losses(
        _compute_cross_entropy(scores, question.next_positions),
        _compute_cross_entropy(elements, question.next_elements),
    )


def measure_losses(network: SequenceNetwork, data: SequenceData) -> dict[str, float]:
    """Mean losses of the same questions each time, in nats per question."""
    totals, count = np.zeros(2), 0
    network.eval()
    with torch.no_grad():
        for question in ask_questions(data, 512, np.random.default_rng(0)):
            size = len(question.chosen)
            totals += size * np.array([float(x) for x in compute_losses(network, question)])
            count += size
    position, element = totals / count
    return {"position": float(position), "element": float(element)}


def _ask(
    data: SequenceData,
    chosen: Tensor,
    shown: NDArray[np.int64],
    generator: np.random.Generator,
) -> Question:
    """Question about some crystals, which show given numbers of sites."""
    counts, groups = data.counts[chosen], data.groups[chosen]
    places = torch.arange(data.positions.shape[1])
    order = torch.from_numpy(generator.random((len(chosen), len(places))))
    order = order.masked_fill(places >= counts[:, None], np.inf).argsort(dim=1)
    positions, elements = (
        table[chosen].gather(1, order) for table in (data.positions, data.elements)
    )
    n_shown = torch.from_numpy(shown[chosen.numpy()])
    width = max(int(n_shown.max()), 1)
    present = places < n_shown[:, None]
    left = (places >= n_shown[:, None]) & (places < counts[:, None])
    crystals = Partial(groups, positions[:, :width], elements[:, :width], present[:, :width])
    first = n_shown.clamp(max=len(places) - 1)[:, None]
    following = positions.gather(1, first)[:, 0] * left.any(dim=1)
    same = left & (positions == following[:, None])
    next_positions = _count(positions, left, COMPLETE + 1)
    next_positions[:, COMPLETE] = (~left.any(dim=1)).float()
    return Question(
        crystals,
        next_positions / next_positions.sum(dim=1, keepdim=True),
        following,
        _normalize(_count(elements, same, N_ELEMENTS + 1)),
    )


def _count(values: Tensor, wanted: Tensor, size: int) -> Tensor:
    """How often each value occurs among those wanted, shape (n, size)."""
    return torch.zeros(len(values), size).scatter_add_(1, values, wanted.float())


def _normalize(weights: Tensor) -> Tensor:
    """Weights that add up to one, or zero where there are none."""
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=1)


def _compute_cross_entropy(scores: Tensor, wanted: Tensor) -> Tensor:
    return -(wanted * log_softmax(scores, dim=1)).sum(dim=1).mean()
