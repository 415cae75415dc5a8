"""Epochs, the best model of each stage, and the checkpoint from which a killed training continues.

The seed, the stage and the number of the epoch decide all that is random in an epoch, so that a
training that was killed and resumed takes the steps it would have taken.
"""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ase.data import chemical_symbols

from potentials.facet import (
    FacetConfig,
    Frame,
    LossWeights,
    Model,
    TrainingState,
    begin_training,
    count_mean_neighbours,
    draw_isometries,
    load_learner,
    make_batch,
    make_model,
    read_facet,
    read_notes,
    save_facet,
    save_learner,
    take_step,
    turn_batch,
    validate,
)
from tasks.failures import RemediableError
from tasks.storage.durable import write_durably
from tasks.training.datasets import read_frames, split_frames, write_frames
from tasks.training.reference_energies import fit_reference_energies
from tasks.training.settings import (
    SETTINGS_FILE,
    StageSettings,
    TrainingSettings,
    has_settings,
    record_settings,
)

CHECKPOINT, METRICS, MODEL = "checkpoint.pt", "metrics.parquet", "model.pt"
_TRAINING, _VALIDATION = "training.parquet", "validation.parquet"
_VALIDATION_ATOMS = 256
# Neighbours are counted in a sample of this size.
_COUNTED_FRAMES = 200


@dataclass(frozen=True)
class Epoch:
    """One pass over the training frames; a row of the metrics.

    Attributes
    ----------
    stage, epoch : int
        Numbers from 1.
    n_steps : int
        Steps of this stage so far.
    training_loss, validation_loss : float
        Mean over the steps, of the weights then; of the averaged weights after the epoch.
    errors : dict of str to float
        Of the averaged weights on the validation frames, as `potentials.facet.validate` names them.
    is_best : bool
        Whether the validation loss is the lowest of the stage so far.
    seconds : float
        Wall time.
    """

    stage: int
    epoch: int
    n_steps: int
    training_loss: float
    validation_loss: float
    errors: dict[str, float]
    is_best: bool
    seconds: float


def prepare_training(settings: TrainingSettings, folder: Path) -> None:
    """Read and divide the frames, once for a folder.

    Parameters
    ----------
    settings : TrainingSettings
        All settings.
    folder : pathlib.Path
        Of the training; made where it is missing.

    Raises
    ------
    RemediableError
        When the data cannot be used, or the folder holds a training with other settings.
    """
    if has_settings(folder, settings):
        return
    data = settings.data
    frames = [frame for path in data.files for frame in read_frames(path)]
    if data.elements:
        allowed = set(data.elements)
        frames = [f for f in frames if allowed.issuperset(f.atoms.get_chemical_symbols())]
    if not frames:
        raise RemediableError("there are no frames to learn from", "name data.files and elements")
    training, validation = split_frames(frames, data.validation_share, data.split_by, settings.seed)
    write_frames(folder / _TRAINING, training)
    write_frames(folder / _VALIDATION, validation)
    record_settings(folder, settings)


def train_stage(
    settings: TrainingSettings,
    folder: Path,
    number: int,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> None:
    """Train one stage, from where an earlier attempt was stopped.

    Parameters
    ----------
    settings : TrainingSettings
        All settings.
    folder : pathlib.Path
        Filled by `prepare_training`, and by `train_stage` of the stages before.
    number : int
        The stage, from 1.
    on_epoch : callable
        Called after each epoch, when all of it is on the disk.

    Raises
    ------
    RemediableError
        When the checkpoint is no checkpoint of this training, or no label counts.
    """
    stage = settings.stages[number - 1]
    training, validation = (
        _select_labelled(read_frames(folder / name), stage.loss)
        for name in (_TRAINING, _VALIDATION)
    )
    start = _load_starting_model(settings, folder, number, training)
    learner = begin_training(start, stage.loss, stage.optimizer, settings.device, settings.dtype)
    history = _resume(folder, learner, number, _compute_identity(settings, folder))
    for epoch in range(1 + sum(row["stage"] == number for row in history), stage.epochs + 1):
        row = _run_epoch(learner, training, validation, stage, (settings.seed, number, epoch))
        best = min((r["validation_loss"] for r in history if r["stage"] == number), default=np.inf)
        result = Epoch(number, epoch, **row, is_best=row["validation_loss"] < best)
        history.append(_make_metrics_row(result))
        _commit(settings, folder, learner, result, history)
        on_epoch(result)


def read_metrics(folder: Path) -> pd.DataFrame:
    """Read the metrics of a training.

    Parameters
    ----------
    folder : pathlib.Path
        Of the training.

    Returns
    -------
    pandas.DataFrame
        One row per epoch; errors in eV per atom, eV/Å, eV/Å^3 and eV/Å^2.
    """
    return pd.read_parquet(folder / METRICS)


def fill_batches(
    frames: Sequence[Frame], batch_atoms: int, order: Sequence[int]
) -> list[list[Frame]]:
    """Fill batches with frames one after the other.

    Parameters
    ----------
    frames : sequence of Frame
        All frames.
    batch_atoms : int
        Most atoms of a batch; a frame that is larger has one of its own.
    order : sequence of int
        In which frames are taken.

    Returns
    -------
    list of list of Frame
        Every frame once.
    """
    batches: list[list[Frame]] = []
    room = 0
    for index in order:
        size = len(frames[index].atoms)
        if size > room:
            batches.append([])
            room = batch_atoms
        batches[-1].append(frames[index])
        room -= size
    return batches


def _load_starting_model(
    settings: TrainingSettings, folder: Path, number: int, training: Sequence[Frame]
) -> Model:
    """Best of the stage before, the given model, or an untrained one."""
    if number > 1:
        return read_facet(_get_stage_model(folder, number - 1))[0]
    if settings.start:
        return read_facet(settings.start)[0]
    energies = fit_reference_energies(training)
    elements = sorted({int(z) for frame in training for z in frame.atoms.numbers})
    sample = training[:: max(1, len(training) // _COUNTED_FRAMES)]
    neighbours = count_mean_neighbours(sample, settings.model.cutoff)
    config = FacetConfig(
        elements=tuple(elements),
        average_neighbours=round(max(neighbours, 1.0), 2),
        **settings.model.model_dump(),
    )
    return make_model(config, energies, settings.seed)


def _select_labelled(frames: Sequence[Frame], weights: LossWeights) -> list[Frame]:
    """Frames with a label that the loss looks at."""
    wanted = {label for label, weight in weights.model_dump().items() if weight}
    kept = [frame for frame in frames if wanted & frame.known]
    if not kept:
        message = f"no frame has any of the labels {', '.join(sorted(wanted))}"
        raise RemediableError(message, "give other frames, or other weights of the loss")
    return kept


def _resume(
    folder: Path, learner: TrainingState, number: int, identity: str
) -> list[dict[str, Any]]:
    """Bring the learner to its checkpoint, and return the epochs that are done."""
    path = folder / CHECKPOINT
    if not path.exists():
        return []
    remedy = "remove the folder, or choose another --output"
    try:
        notes = read_notes(path)
        if notes["identity"] != identity:
            raise RemediableError(f"{path} belongs to another training", remedy)
        if notes["history"][-1]["stage"] == number:
            load_learner(path, learner)
    except (ValueError, KeyError, IndexError) as error:
        raise RemediableError(str(error), getattr(error, "remedy", remedy)) from error
    history: list[dict[str, Any]] = notes["history"]
    return history


def _run_epoch(
    learner: TrainingState,
    training: Sequence[Frame],
    validation: Sequence[Frame],
    stage: StageSettings,
    seeds: tuple[int, int, int],
) -> dict[str, Any]:
    """Take the steps of one epoch and validate."""
    start = time.perf_counter()
    generator = np.random.default_rng(seeds)
    batches = fill_batches(
        training, stage.batch_atoms, generator.permutation(len(training)).tolist()
    )
    losses = []
    for position, frames in enumerate(batches):
        progress = (seeds[-1] - 1 + position / len(batches)) / stage.epochs
        batch = make_batch(frames, learner.model, generator)
        if stage.turned:
            isometries = draw_isometries(len(frames), int(generator.integers(2**31)))
            batch = turn_batch(batch, isometries.to(batch.sizes))
        losses.append(take_step(learner, batch, progress))
    held_out = fill_batches(validation, _VALIDATION_ATOMS, range(len(validation)))
    fixed = np.random.default_rng(0)
    prepared = (make_batch(frames, learner.model, fixed) for frames in held_out)
    loss, errors = validate(learner.average, prepared, stage.loss)
    return {
        "n_steps": learner.n_steps,
        "training_loss": float(np.mean(losses)),
        "validation_loss": loss,
        "errors": errors,
        "seconds": time.perf_counter() - start,
    }


def _commit(
    settings: TrainingSettings,
    folder: Path,
    learner: TrainingState,
    result: Epoch,
    history: list[dict[str, Any]],
) -> None:
    """Write the model if it is the best, the metrics, and last the checkpoint."""
    if result.is_best:
        metadata = _make_metadata(settings, learner.average, result)
        path = _get_stage_model(folder, result.stage)
        write_durably(path, lambda p: save_facet(p, learner.average, metadata))
        write_durably(folder / MODEL, lambda p: save_facet(p, learner.average, metadata))
    frame = pd.DataFrame(history)
    write_durably(folder / METRICS, lambda path: frame.to_parquet(path, index=False))
    notes = {"identity": _compute_identity(settings, folder), "history": history}
    write_durably(folder / CHECKPOINT, lambda path: save_learner(path, learner, notes))


def _make_metadata(settings: TrainingSettings, model: Model, result: Epoch) -> dict[str, Any]:
    """What a model file says about its training."""
    return {
        "name": settings.name,
        "licence": settings.licence,
        "citation": settings.citation,
        "milliseconds_per_atom": settings.milliseconds_per_atom,
        "training": {
            "elements": [chemical_symbols[number] for number in model.config.elements],
            "stage": result.stage,
            "epoch": result.epoch,
            "validation_errors": result.errors,
        },
    }


def _compute_identity(settings: TrainingSettings, folder: Path) -> str:
    """Digest of the data and of the settings as they were when the folder was begun."""
    has_settings(folder, settings)
    begun = json.loads((folder / SETTINGS_FILE).read_text("utf-8"))
    text = json.dumps(begun, separators=(",", ":"), ensure_ascii=False)
    content = hashlib.sha256(text.encode())
    for name in (_TRAINING, _VALIDATION):
        content.update((folder / name).read_bytes())
    return content.hexdigest()


def _make_metrics_row(epoch: Epoch) -> dict[str, Any]:
    """Row of the metrics table."""
    row = {name: value for name, value in vars(epoch).items() if name != "errors"}
    return row | epoch.errors


def _get_stage_model(folder: Path, number: int) -> Path:
    return folder / f"stage-{number}.pt"
