"""Training and distillation as Prefect flows.

A killed flow continues when it is started again: it reads the frames once, keeps labels chunk by
chunk, and continues a stage from the checkpoint of its last epoch.
"""

from collections.abc import Callable
from functools import partial
from logging import Logger, LoggerAdapter
from pathlib import Path
from typing import Any

import pandas as pd
from prefect import flow, get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE

from flows.interruption import SHUTDOWN_STATE
from flows.labels import complete_with_message, make_artifact_key
from flows.parallel_map import map_records
from flows.progress import ProgressReporter, report_progress
from flows.reading import read_records
from flows.tables import Column, format_markdown_table
from flows.workers import choose_n_processes
from potentials import Potential, load_potential
from tasks.generation.model import read_sequence_model
from tasks.screening.settings import PotentialSettings
from tasks.training import Epoch, TrainingSettings, prepare_training, train_stage
from tasks.training.charge_errors import format_errors, group_errors, summarize_errors
from tasks.training.charge_run import (
    ERRORS,
    WHOLE,
    fit_fold,
    measure_errors,
    prepare_charges,
    write_model,
)
from tasks.training.charge_settings import ChargeTrainingSettings
from tasks.training.curves import draw_curves
from tasks.training.labelling import (
    DistillationSettings,
    SourceCrystal,
    label_chunk,
    merge_labels,
    read_usable_crystals,
)
from tasks.training.run import MODEL, read_metrics
from tasks.training.sequence_run import (
    SequenceEpoch,
    fit_sequences,
    prepare_sequences,
    write_sequence_model,
)
from tasks.training.sequence_settings import SequenceTrainingSettings
from tasks.training.settings import has_settings, record_settings

LABELS, FRAMES, STUDENT = "labels", "labels.parquet", "student"
Log = Logger | LoggerAdapter[Any]


@flow(name="train", flow_run_name="train {output}")
def train(settings: TrainingSettings, output: Path) -> Path:
    """Train a potential.

    Parameters
    ----------
    settings : TrainingSettings
        All settings.
    output : pathlib.Path
        Folder of the training; made where it is missing, continued where it exists.

    Returns
    -------
    pathlib.Path
        The best model of the last stage.

    Raises
    ------
    RemediableError
        When data or settings cannot be used.
    """
    _make_task(prepare_training, "prepare")(settings, output)
    n_epochs = sum(stage.epochs for stage in settings.stages)
    with report_progress(n_epochs, make_artifact_key("training", output), "preparing") as progress:
        report = partial(_report_epoch, progress, get_run_logger())
        for number in range(1, len(settings.stages) + 1):
            _make_task(train_stage, f"stage-{number}")(settings, output, number, report)
        progress.finish("trained")
    figure, best = _make_task(draw_curves, "learning-curves")(output), _read_best_epoch(output)
    text = f"best: stage {best['stage']:.0f}, epoch {best['epoch']:.0f}"
    markdown = (
        f"{text}\n\n{_tabulate_errors(best)}\n\nModel: `{output / MODEL}`, figure: `{figure}`"
    )
    create_markdown_artifact(key=make_artifact_key("metrics", output), markdown=markdown)
    return complete_with_message(output / MODEL, f"{text}, loss {best['validation_loss']:.4g}")


@flow(name="train charges", flow_run_name="train charges {output}")
def train_charges(settings: ChargeTrainingSettings, output: Path) -> Path:
    """Train a model of Born charges, and measure its errors on crystals left out.

    Parameters
    ----------
    settings : ChargeTrainingSettings
        All settings.
    output : pathlib.Path
        Folder of the training; made where it is missing, continued where it exists.

    Returns
    -------
    pathlib.Path
        The model that learned from all crystals.

    Raises
    ------
    RemediableError
        When data or settings cannot be used.
    """
    parts = [*range(settings.folds), WHOLE]
    with report_progress(
        len(parts), make_artifact_key("training", output), "describing crystals"
    ) as progress:
        _make_task(prepare_charges, "prepare")(settings, output)
        for number in parts:
            name = "all crystals" if number == WHOLE else f"fold {number + 1}"
            _make_task(fit_fold, name.replace(" ", "-"))(settings, output, number)
            progress.advance(1, f"{name} learned")
            SHUTDOWN_STATE.progress = f"{name} kept"
        progress.finish("trained")
    errors = _make_task(measure_errors, "errors")(settings, output)
    model: Path = _make_task(write_model, "model")(settings, output, errors)
    cells = format_errors(group_errors(errors))
    table = format_markdown_table([Column(head, texts) for head, texts in cells.items()])
    markdown = f"{table}\n\nModel: `{model}`, errors of all atoms: `{output / ERRORS}`"
    create_markdown_artifact(key=make_artifact_key("metrics", output), markdown=markdown)
    found = summarize_errors(errors)
    text = f"{found['error']:.3f} e, dielectric tensor {found['dielectric']:.1%}"
    return complete_with_message(model, f"errors on crystals left out: {text}")


@flow(name="train sequences", flow_run_name="train sequences {output}")
def train_sequences(settings: SequenceTrainingSettings, output: Path) -> Path:
    """Train a model of Wyckoff sequences, and measure its losses on formulas left out.

    Parameters
    ----------
    settings : SequenceTrainingSettings
        All settings.
    output : pathlib.Path
        Folder of the training; made where it is missing, continued where it exists.

    Returns
    -------
    pathlib.Path
        The model.

    Raises
    ------
    RemediableError
        When data or settings cannot be used.
    """
    with report_progress(
        settings.training.epochs, make_artifact_key("training", output), "describing crystals"
    ) as progress:
        _make_task(prepare_sequences, "prepare")(settings, output)
        report = partial(_report_sequence_epoch, progress, get_run_logger())
        _make_task(fit_sequences, "epochs")(settings, output, report)
        progress.finish("trained")
    model: Path = _make_task(write_sequence_model, "model")(settings, output)
    losses = read_sequence_model(model).card.losses
    rows = [f"{name}, {kind}" for name, found in losses.items() for kind in found]
    values = [f"{value:.3f}" for found in losses.values() for value in found.values()]
    table = format_markdown_table(
        [Column("loss (nats per question)", rows), Column("value", values)]
    )
    markdown = f"{table}\n\nModel: `{model}`"
    create_markdown_artifact(key=make_artifact_key("metrics", output), markdown=markdown)
    text = ", ".join(f"{kind} {value:.3f}" for kind, value in losses["test"].items())
    return complete_with_message(model, f"losses on formulas left out: {text}")


@flow(name="distill", flow_run_name="distill {source}")
def distill(source: Path, settings: DistillationSettings, output: Path) -> Path:
    """Label cells around the crystals of a source by a teacher, and train a student on them.

    Parameters
    ----------
    source : pathlib.Path
        File or folder of structures.
    settings : DistillationSettings
        All settings.
    output : pathlib.Path
        Folder of labels and student; made where it is missing, continued where it exists.

    Returns
    -------
    pathlib.Path
        The student's best model.

    Raises
    ------
    FileNotFoundError, RemediableError
        When source or settings cannot be used.
    """
    if not has_settings(output, settings):
        record_settings(output, settings)
    _make_task(label_source, "label")(source, settings, output)
    data = settings.training.data.model_copy(
        update={"files": (output / FRAMES,), "split_by": "group"}
    )
    return train(settings.training.model_copy(update={"data": data}), output / STUDENT)


def label_source(source: Path, settings: DistillationSettings, output: Path) -> None:
    """Label all crystals of a source, chunk by chunk, and gather the frames."""
    if (output / FRAMES).exists():
        return
    device = settings.training.device
    teacher = _load_teacher(settings.teacher, device)
    referees = _load_referees(settings, device)
    spreading = partial(map_records, workers=choose_n_processes(None), limits=settings.source)
    elements = teacher.card.elements
    crystals = list(
        read_usable_crystals(source, settings, elements, read=read_records, parallel_map=spreading)
    )
    chunks = [
        crystals[start : start + settings.chunk_size]
        for start in range(0, len(crystals), settings.chunk_size)
    ]
    with report_progress(
        len(crystals), make_artifact_key("labels", output), "labelling"
    ) as progress:
        for chunk in chunks:
            count = label_chunk(output / LABELS, chunk, teacher, settings, referees)
            progress.advance(len(chunk), _describe_labels(chunk, count))
            get_run_logger().info("%s", _describe_labels(chunk, count))
        progress.finish("labelled")
    merge_labels(output / LABELS, output / FRAMES)


def _make_task(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Run a function as a task of the flow, in this process, each time anew."""
    made: Callable[..., Any] = task(name=name, cache_policy=NO_CACHE)(function)
    return made


def _load_teacher(settings: PotentialSettings, device: str) -> Potential:
    """Load a potential, averaged over the inversion where it needs to be."""
    return load_potential(settings.name, device, settings.dtype, options=settings.options)


def _load_referees(
    settings: DistillationSettings, device: str
) -> tuple[Potential, Potential] | None:
    """Load the two potentials whose disagreement chooses."""
    if settings.referees is None:
        return None
    first, second = settings.referees.potentials
    return _load_teacher(first, device), _load_teacher(second, device)


def _describe_labels(chunk: list[SourceCrystal], count: int) -> str:
    return f"{chunk[0].name} to {chunk[-1].name}: {count} frames labelled"


def _report_epoch(progress: ProgressReporter, log: Log, epoch: Epoch) -> None:
    """Show an epoch in terminal, log and artifact."""
    errors = ", ".join(f"{name} {1e3 * value:.3g}" for name, value in epoch.errors.items())
    note = f"stage {epoch.stage}, epoch {epoch.epoch}: loss {epoch.validation_loss:.4g}"
    log.info("%s; 1000 times: %s; %.0f s", note, errors, epoch.seconds)
    progress.advance(1, note)
    SHUTDOWN_STATE.progress = f"stage {epoch.stage}, epoch {epoch.epoch} kept"


def _report_sequence_epoch(progress: ProgressReporter, log: Log, epoch: SequenceEpoch) -> None:
    """Show an epoch in terminal, log and artifact."""
    losses = f"position {epoch.position_loss:.3f}, element {epoch.element_loss:.3f}"
    log.info("epoch %d: %s; %.0f s", epoch.epoch, losses, epoch.seconds)
    progress.advance(1, f"epoch {epoch.epoch}: {losses}")
    SHUTDOWN_STATE.progress = f"epoch {epoch.epoch} kept"


def _read_best_epoch(output: Path) -> "pd.Series[Any]":
    """Metrics of the best epoch of the last stage."""
    metrics = read_metrics(output)
    last = metrics[metrics["stage"] == metrics["stage"].max()]
    best: pd.Series[Any] = last.sort_values("validation_loss").iloc[0]
    return best


def _tabulate_errors(best: "pd.Series[Any]") -> str:
    """Table of the errors of an epoch."""
    names = [name for name in best.index if name.endswith(("_mae", "_rmse"))]
    values = [f"{best[name]:.5g}" for name in names]
    return format_markdown_table([Column("error (eV, Å)", names), Column("value", values)])
