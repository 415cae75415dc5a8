"""What all commands share: the terminal, common options, exit codes, errors told plainly."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tasks.failures import RemediableError
from tasks.storage import DatasetError

DONE, DONE_WITH_FAILURES, UNUSABLE = 0, 1, 2

# Tables that go to a file or a pager have no terminal to take their width from.
_WIDTH = None if sys.stdout.isatty() else 120
console = Console(width=_WIDTH)
if sys.stderr.isatty():
    # The progress bar tells what the log lines would.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
errors = Console(stderr=True, width=_WIDTH)

Source = Annotated[
    Path,
    typer.Argument(
        help="Structures of any kind: CIF, POSCAR, XYZ, JSON, CSV, Parquet, a database, an "
        "archive, a folder of these, or `demo`."
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="Folder of the dataset.")]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a dataset.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes; one per CPU by default.")
]
QSpacing = Annotated[float | None, typer.Option(help="Spacing of the q-mesh (1/Å).")]
PotentialName = Annotated[
    str | None,
    typer.Option(
        help="nequix-mp-1-pft (default), 7net-l3i5, 7net-0, facet-tetrahedra, facet-aln, chgnet, "
        "facet:model.pt, nequix:checkpoint.nqx or ase:package.module:callable."
    ),
]


@contextmanager
def errors_told() -> Iterator[None]:
    """Print an expected error without a traceback and exit with the code for unusable input.

    Yields
    ------
    None
        Control, to the body of a command.

    Raises
    ------
    typer.Exit
        In place of an expected error.
    """
    try:
        yield
    except (RemediableError, DatasetError, OSError, ValueError) as error:
        errors.print(f"[bold red]error:[/] {error}", highlight=False)
        if remedy := getattr(error, "remedy", ""):
            errors.print(f"what to do: {remedy}", highlight=False)
        raise typer.Exit(UNUSABLE) from error


def located(source: Path) -> Path:
    """Path of a source; the word ``demo`` stands for the crystals of the package.

    Parameters
    ----------
    source : pathlib.Path
        As given by the user.

    Returns
    -------
    pathlib.Path
        A path that exists, or the given one.
    """
    if str(source) == "demo" and not source.exists():
        return Path(str(files("chiralscreen_data") / "demo"))
    return source


def existing_dataset(folder: Path) -> Path:
    """Refuse a folder that holds no dataset.

    Parameters
    ----------
    folder : pathlib.Path
        As given by the user.

    Returns
    -------
    pathlib.Path
        The same.

    Raises
    ------
    RemediableError
        When there is nothing to read.
    """
    if not (folder / "receipts").is_dir():
        message = f"{folder} holds no dataset"
        raise RemediableError(message, "give the folder that `chiralscreen screen` wrote")
    return folder
