"""Commands that make potentials: train and distill."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import (
    Source,
    console,
    locate_source,
    print_errors,
    require_folder,
    validate_with,
)
from flows.interruption import RESUME_ADVICE, SHUTDOWN_STATE
from flows.prerequisites import require_prefect

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")
Settings = Annotated[Path, typer.Option("--config", help="YAML file of settings.")]
Output = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="Folder; continued if it exists.",
        callback=validate_with(require_folder),
    ),
]


@app.command()
def train(config: Settings, output: Output) -> None:
    """Train a potential, a model of Born charges, or one of Wyckoff sequences.

    Running it again continues from the last epoch, or fold. Use a potential with
    `--potential facet:results/elements/model.pt`. Settings with `kind: charges` train a model of
    Born charges and tell its errors on crystals left out; with `kind: sequences` the model of
    `generate`. Example:

        chiralscreen train --config data/training/elements.yaml --output results/elements
    """
    with print_errors():
        SHUTDOWN_STATE.advice = RESUME_ADVICE
        require_prefect()
        from flows.server import use_prefect_api
        from flows.training import train as train_potential
        from flows.training import train_charges, train_sequences
        from tasks.screening.settings import read_settings_by_kind
        from tasks.training.charge_settings import ChargeTrainingSettings
        from tasks.training.sequence_settings import SequenceTrainingSettings
        from tasks.training.settings import TrainingSettings

        kinds: dict[
            str, type[TrainingSettings | ChargeTrainingSettings | SequenceTrainingSettings]
        ] = {"charges": ChargeTrainingSettings, "sequences": SequenceTrainingSettings}
        settings = read_settings_by_kind(kinds, TrainingSettings, config)
        with use_prefect_api():
            if isinstance(settings, ChargeTrainingSettings):
                model = train_charges(settings, output)
            elif isinstance(settings, SequenceTrainingSettings):
                model = train_sequences(settings, output)
            else:
                model = train_potential(settings, output)
        console.print(f"written: {model}")


@app.command()
def distill(source: Source, config: Settings, output: Output) -> None:
    """Let a teacher label cells around crystals, and train a student on them.

    Running it again continues where it stopped. Example:

        chiralscreen distill demo --config data/training/distill.yaml --output results/student
    """
    with print_errors():
        SHUTDOWN_STATE.advice = RESUME_ADVICE
        require_prefect()
        from flows.server import use_prefect_api
        from flows.training import distill as flow
        from tasks.screening.settings import read_settings_of
        from tasks.training.labelling import DistillationSettings

        settings = read_settings_of(DistillationSettings, config)
        with use_prefect_api():
            model = flow(locate_source(source), settings, output)
        console.print(f"written: {model}")


if __name__ == "__main__":
    app()
