"""A sequence model is made: crystals described, epochs, losses of the test, the model's file.

Seed and number of the epoch decide all that is random in it, so that a training that was killed
takes the steps it would have taken.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls
from torch import Tensor, nn

from potentials.tensor_file import load_tensors
from tasks.failures import RemediableError
from tasks.generation.learning import (
    SequenceData,
    ask_questions,
    compute_losses,
    measure_losses,
)
from tasks.generation.model import (
    CellStatistics,
    SequenceCard,
    SequenceModel,
    save_sequence_model,
)
from tasks.generation.network import (
    COMPLETE,
    N_GROUPS,
    IndependentSites,
    SequenceNetwork,
    Tables,
    make_tables,
)
from tasks.generation.sequences import MAX_ATOMS, N_ELEMENTS, Occupation, WyckoffSequence
from tasks.storage.durable import write_durably
from tasks.training.sequence_data import PARTS, divide_formulas, read_sequences
from tasks.training.sequence_settings import SequenceTrainingSettings
from tasks.training.settings import has_settings, record_settings

CHECKPOINT, CRYSTALS, METRICS, MODEL = (
    "checkpoint.pt",
    "crystals.parquet",
    "metrics.parquet",
    "model.pt",
)
_CHECKPOINT_FORMAT: Final = "sequence-training-1"
_LARGEST_GRADIENT = 1.0
_WARMUP = 0.03  # of all steps


@dataclass(frozen=True)
class SequenceEpoch:
    """One pass over the crystals; a row of the metrics.

    Attributes
    ----------
    epoch : int
        Number from 1.
    training_loss : float
        Mean over the steps, of the weights then (nats per question).
    position_loss, element_loss : float
        Of the averaged weights on the validation crystals.
    seconds : float
        Wall time.
    """

    epoch: int
    training_loss: float
    position_loss: float
    element_loss: float
    seconds: float


def prepare_sequences(
    settings: SequenceTrainingSettings, folder: Path, report: Callable[[int], None] = lambda _: None
) -> None:
    """Describe the crystals and divide them, once for a folder.

    Parameters
    ----------
    settings : SequenceTrainingSettings
        All settings.
    folder : pathlib.Path
        Of the training; made where it is missing.
    report : callable
        Told how many crystals are described.

    Raises
    ------
    RemediableError
        When the data cannot be used, or the folder holds a training with other settings.
    """
    if not has_settings(folder, settings):
        record_settings(folder, settings)
    if not (folder / CRYSTALS).exists():
        table = read_sequences(settings.file, settings.most_of_group, settings.seed, report)
        table["part"] = divide_formulas(table["formula"], settings.held_out, settings.seed)
        if missing := set(PARTS) - set(table["part"]):
            message = f"{settings.file} has too few formulas for {', '.join(sorted(missing))}"
            raise RemediableError(message, "give more crystals, or another held_out")
        write_durably(folder / CRYSTALS, lambda path: table.to_parquet(path, index=False))


def fit_sequences(
    settings: SequenceTrainingSettings,
    folder: Path,
    on_epoch: Callable[[SequenceEpoch], None] = lambda _: None,
) -> None:
    """Train the network, from where an earlier attempt was stopped.

    Parameters
    ----------
    settings : SequenceTrainingSettings
        All settings.
    folder : pathlib.Path
        Filled by `prepare_sequences`.
    on_epoch : callable
        Called after each epoch, when all of it is on the disk.

    Raises
    ------
    RemediableError
        When the checkpoint is none.
    """
    table = pd.read_parquet(folder / CRYSTALS)
    training, validation = (make_data(table[table["part"] == part]) for part in PARTS[:2])
    learner = _Learner.begin(settings, len(training.groups))
    history = learner.resume(folder)
    for epoch in range(len(history) + 1, settings.training.epochs + 1):
        start = time.perf_counter()
        loss = learner.run_epoch(training, epoch)
        found = measure_losses(learner.average, validation)
        result = SequenceEpoch(
            epoch, loss, found["position"], found["element"], time.perf_counter() - start
        )
        history.append(asdict(result))
        learner.save(folder, history)
        on_epoch(result)


def write_sequence_model(settings: SequenceTrainingSettings, folder: Path) -> Path:
    """Measure the trained network on the test, and write it with its statistics.

    Parameters
    ----------
    settings : SequenceTrainingSettings
        All settings.
    folder : pathlib.Path
        Filled by `fit_sequences`.

    Returns
    -------
    pathlib.Path
        The model.
    """
    table = pd.read_parquet(folder / CRYSTALS)
    parts = {part: table[table["part"] == part] for part in PARTS}
    learner = _Learner.begin(settings, len(parts["training"]))
    learner.resume(folder)
    known = set(parts["training"]["prototype"])
    measured = {
        "validation": parts["validation"],
        "test": parts["test"],
        "new prototypes": parts["test"][~parts["test"]["prototype"].isin(known)],
    }
    losses = {
        name: measure_losses(learner.average, make_data(rows))
        for name, rows in measured.items()
        if len(rows)
    }
    cells = fit_cells(parts["training"])
    card = SequenceCard(
        name="",
        digest="",
        licence=settings.licence,
        citation=settings.citation,
        crystals={part: len(rows) for part, rows in parts.items()},
        losses=losses,
        volume_error=measure_volumes(cells, parts["test"]),
        limits=settings.limits,
    )
    independent = count_choices(learner.average.tables, make_data(parts["training"]))
    model = SequenceModel(card, learner.average, cells, independent)
    write_durably(folder / MODEL, lambda path: save_sequence_model(path, model))
    return folder / MODEL


def make_data(table: pd.DataFrame) -> SequenceData:
    """Put crystals into tensors.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `read_sequences`.

    Returns
    -------
    SequenceData
        In their order.
    """
    size = (len(table), MAX_ATOMS)
    positions, elements = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for target, column in ((positions, "positions"), (elements, "elements")):
        for row, values in enumerate(table[column]):
            target[row, : len(values)] = values
    counts = torch.tensor([len(values) for values in table["positions"]])
    groups = torch.tensor(table["number"].tolist()) - 1
    return SequenceData(groups, torch.from_numpy(positions), torch.from_numpy(elements), counts)


def fit_cells(table: pd.DataFrame) -> CellStatistics:
    """Fit volumes of atoms, none of them negative, and gather the shapes of cells.

    Relative errors are fitted, so that neither large cells nor hollow ones outweigh the others.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `read_sequences`.

    Returns
    -------
    CellStatistics
        Of these crystals.
    """
    amounts, cells = _count_elements(table), _read_cells(table)
    volumes = np.abs(np.linalg.det(cells))
    fitted, _ = nnls(amounts / volumes[:, None], np.ones(len(volumes)))
    metrics = cells @ cells.transpose(0, 2, 1) / np.cbrt(volumes)[:, None, None] ** 2
    return CellStatistics(fitted, np.array(table["number"], dtype=np.int64), metrics)


def count_choices(tables: Tables, data: SequenceData) -> IndependentSites:
    """Count positions and elements, for the baseline in which no site knows of another.

    Parameters
    ----------
    tables : Tables
        Of the space groups.
    data : SequenceData
        Complete crystals.

    Returns
    -------
    IndependentSites
        Of these crystals.
    """
    present = torch.arange(data.positions.shape[1]) < data.counts[:, None]
    groups = data.groups[:, None].expand_as(present)
    positions = torch.zeros(N_GROUPS, COMPLETE + 1)
    one = torch.ones(int(present.sum()))
    positions.index_put_((groups[present], data.positions[present]), one, accumulate=True)
    positions[:, COMPLETE] = torch.bincount(data.groups, minlength=N_GROUPS)
    elements = torch.bincount(data.elements[present], minlength=N_ELEMENTS + 1).float()
    return IndependentSites(tables, positions, elements)


def measure_volumes(cells: CellStatistics, table: pd.DataFrame) -> float:
    """Median error of predicted volumes, as a fraction."""
    volumes = np.abs(np.linalg.det(_read_cells(table)))
    return float(np.median(np.abs(_count_elements(table) @ cells.volumes / volumes - 1)))


def _count_elements(table: pd.DataFrame) -> NDArray[np.float64]:
    """Atoms of each element in the primitive cells, shape (n, 104)."""
    amounts = np.zeros((len(table), N_ELEMENTS + 1))
    columns = (table[name] for name in ("number", "positions", "elements"))
    for row, (number, positions, elements) in enumerate(zip(*columns, strict=True)):
        sites = map(Occupation, positions, elements)
        for element, count in WyckoffSequence(int(number), tuple(sites)).composition.items():
            amounts[row, element] = count
    return amounts


def _read_cells(table: pd.DataFrame) -> NDArray[np.float64]:
    return np.stack([np.reshape(cell, (3, 3)) for cell in table["cell"]])


@dataclass(frozen=True, eq=False)
class _Learner:
    """A network on its way, the average over its last steps, and what the next step depends on."""

    settings: SequenceTrainingSettings
    network: SequenceNetwork
    average: SequenceNetwork
    optimizer: torch.optim.Optimizer
    n_batches: int

    @classmethod
    def begin(cls, settings: SequenceTrainingSettings, n_crystals: int) -> "_Learner":
        """Learner before the first step."""
        torch.manual_seed(settings.seed)
        tables, how = make_tables(), settings.training
        network, average = (SequenceNetwork(settings.network, tables) for _ in range(2))
        average.load_state_dict(network.state_dict())
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=how.learning_rate, weight_decay=how.weight_decay
        )
        return cls(
            settings, network, average, optimizer, math.ceil(n_crystals / how.batch_crystals)
        )

    def run_epoch(self, data: SequenceData, epoch: int) -> float:
        """Take the steps of an epoch, and return the mean loss."""
        torch.manual_seed(self.settings.seed + epoch)  # of the features that are left out
        generator = np.random.default_rng((self.settings.seed, epoch))
        how, losses = self.settings.training, []
        questions = ask_questions(data, how.batch_crystals, generator)
        for step, question in enumerate(questions):
            self._set_rate((epoch - 1 + step / self.n_batches) / how.epochs)
            losses.append(self._take_step(compute_losses(self.network.train(), question).total))
        return float(np.mean(losses))

    def save(self, folder: Path, history: list[dict[str, Any]]) -> None:
        """Write the metrics, and last the checkpoint."""
        frame = pd.DataFrame(history)
        write_durably(folder / METRICS, lambda path: frame.to_parquet(path, index=False))
        content = {
            "format": _CHECKPOINT_FORMAT,
            "history": json.dumps(history),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        write_durably(folder / CHECKPOINT, lambda path: torch.save(content, path))

    def resume(self, folder: Path) -> list[dict[str, Any]]:
        """Return to the checkpoint, and tell the epochs that are done."""
        path = folder / CHECKPOINT
        if not path.exists():
            return []
        try:
            content = load_tensors(path, _CHECKPOINT_FORMAT)
            for name in ("network", "average", "optimizer"):
                getattr(self, name).load_state_dict(content[name])
        except (ValueError, KeyError, RuntimeError) as error:
            remedy = "remove the folder, or choose another --output"
            raise RemediableError(str(error), remedy) from error
        history: list[dict[str, Any]] = json.loads(content["history"])
        return history

    def _set_rate(self, progress: float) -> None:
        """Set the size of steps: a linear rise, then half a cosine."""
        rate = min(progress / _WARMUP, 1.0) * (1 + math.cos(math.pi * progress)) / 2
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.training.learning_rate * max(rate, 1e-3)

    def _take_step(self, loss: Tensor) -> float:
        """Go downhill once."""
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        step = self.settings.training.average_step
        with torch.no_grad():
            pairs = zip(self.average.parameters(), self.network.parameters(), strict=True)
            for mean, value in pairs:
                mean.lerp_(value, step)
        return float(loss.detach())
