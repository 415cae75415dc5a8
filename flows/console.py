"""What all commands share: the terminal, common options, exit codes, plain error messages.

Names of outputs are checked here, before a command loads the libraries it works with.
"""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from tasks.failures import DatasetError, RemediableError, explain_os_error
from tasks.folders import MATERIALS, get_receipts_folder, get_table_file
from tasks.units import UnitName
from tasks.untrusted_text import TRANSLITERATING, escape_control_characters, transliterate

DONE, DONE_WITH_FAILURES, UNUSABLE = 0, 1, 2


class Terminal(Console):
    """A console that prints all texts verbatim, those of strangers included.

    Brackets are no markup, control characters are spelled out, and what the encoding of the
    terminal lacks has a name in ASCII: "Ang." for Å.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of Console
        super().__init__(markup=False, emoji=False, highlight=False, soft_wrap=True, **options)

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - those of Console
        """Make a text that can be printed of one that may hold anything."""
        return super().render_str(
            transliterate(escape_control_characters(text), self.encoding), **options
        )


# Help and log are not printed by the consoles below.
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors=TRANSLITERATING)
# Tables that go to a file or a pager have no terminal to take their width from.
_WIDTH = None if sys.stdout.isatty() else 120
console = Terminal(width=_WIDTH)
if sys.stderr.isatty():
    # The progress bar tells what the log lines would.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
errors = Terminal(stderr=True, width=_WIDTH)

Source = Annotated[
    Path,
    typer.Argument(
        help="Structures of any kind: CIF, POSCAR, XYZ, JSON, CSV, Parquet, a database, an "
        "archive, a folder of these, or `demo`."
    ),
]
Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings.")]
Folder = Annotated[Path, typer.Argument(help="Folder of a dataset.")]
Results = Annotated[Path, typer.Argument(help="Folder of a dataset, or of its tables only.")]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Worker processes; one per CPU by default.")
]
Observed = Annotated[
    bool, typer.Option("--observed", help="List only crystals that are known to be observed.")
]
NearHull = Annotated[
    float | None,
    typer.Option("--near-hull", min=0, help="List only crystals so near the hull (eV/atom)."),
]
Unit = Annotated[UnitName, typer.Option("--unit", help="Unit in which frequencies are shown.")]
PotentialName = Annotated[
    str | None,
    typer.Option(
        help="nequix-mp-1-pft (default), nequix-oam-1-pft, 7net-l3i5, 7net-0, facet-tetrahedra, "
        "facet-aln, chgnet, facet:model.pt, nequix:checkpoint.nqx or ase:module:callable."
    ),
]


@contextmanager
def print_errors() -> Iterator[None]:
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
        message, remedy = str(error), getattr(error, "remedy", "")
        if isinstance(error, OSError):
            message, remedy = explain_os_error(error)
        # What others said may have lines, which the message has not.
        errors.print(Text("error:", "bold red"), " ".join(message.splitlines()))
        if remedy:
            errors.print(f"what to do: {remedy}")
        raise typer.Exit(UNUSABLE) from error


def require_folder(path: Path) -> None:
    """Refuse a place where no folder can be, or none that can be written into.

    Parameters
    ----------
    path : pathlib.Path
        Folder that shall be written into; it need not exist.

    Raises
    ------
    RemediableError
        When a part of it is a file, or the first folder that exists cannot be written into.
    """
    place = next(place for place in (path, *path.absolute().parents) if os.path.lexists(place))
    if not place.is_dir():
        raise RemediableError(f"cannot write into {path}: {place} is no folder", "name another one")
    if not os.access(place, os.W_OK | os.X_OK):
        message = f"cannot write into {path}: {place} may not be written into"
        raise RemediableError(message, "choose another folder, or change its owner or mode")


def require_file(
    path: Path, endings: tuple[str, ...] = (), *, folder_is_made: bool = False
) -> None:
    """Refuse the name of a file that cannot be written.

    Parameters
    ----------
    path : pathlib.Path
        File that shall be written.
    endings : tuple of str
        Endings that say its format; any name will do without them.
    folder_is_made : bool
        Whether the command makes its folder where it is missing.

    Raises
    ------
    RemediableError
        For another ending, a folder that does not exist or cannot be written into, or a name that
        a folder has.
    """
    if endings and path.suffix not in endings:
        raise RemediableError(f"cannot write {path}", f"end the name in {' or '.join(endings)}")
    if path.is_dir():
        raise RemediableError(f"cannot write {path}: it is a folder", "give the name of a file")
    if not (folder_is_made or path.parent.exists()):
        message = f"cannot write {path}: there is no folder {path.parent}"
        raise RemediableError(message, "make it first, or give another name")
    require_folder(path.parent)


def validate_with(require: Callable[[Path], None]) -> Callable[[Path | None], Path | None]:
    """Judge the name that an option gives before the command begins.

    Parameters
    ----------
    require : callable
        `require_folder`, or `require_file`.

    Returns
    -------
    callable
        Callback of the option; ends the program where the name will not do.
    """

    def judge(path: Path | None) -> Path | None:
        if path is not None:
            with print_errors():
                require(path)
        return path

    return judge


Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="Folder of the dataset.", callback=validate_with(require_folder)
    ),
]


def print_next(terminal: Console, *steps: tuple[str, str]) -> None:
    """Print commands that go on from here."""
    for start, (command, purpose) in zip(("next:", *[" " * 5] * len(steps)), steps, strict=False):
        terminal.print(f"{start} {command}    ({purpose})")


def parse_q_point(text: str) -> tuple[float, float, float]:
    """Read a wave vector.

    Parameters
    ----------
    text : str
        Three numbers or fractions, separated by commas or blanks, such as ``0,0,1/3``.

    Returns
    -------
    tuple of float

    Raises
    ------
    RemediableError
        When it is none.
    """
    try:
        x, y, z = (float(Fraction(part)) for part in text.replace(",", " ").split())
    except (ValueError, ZeroDivisionError) as error:
        message = f"{text!r} is no wave vector"
        raise RemediableError(message, "give three numbers, such as 0,0,1/3") from error
    return x, y, z


def locate_source(source: Path) -> Path:
    """Path of a source; the word ``demo`` stands for the crystals of the package."""
    if str(source) == "demo" and not source.exists():
        return Path(str(files("chiralscreen_data") / "demo"))
    return source


def require_existing(path: Path) -> None:
    """Refuse a name under which nothing is.

    Parameters
    ----------
    path : pathlib.Path
        File or folder, as given by the user.

    Raises
    ------
    FileNotFoundError
        With the name.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")


def require_dataset(folder: Path) -> Path:
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
    if get_receipts_folder(folder).is_dir():
        return folder
    if _has_tables(folder):
        message = f"{folder} holds only tables, without the parts and receipts of a dataset"
        remedy = "give a whole dataset; status, plot, report, catalogue and export need only tables"
        raise RemediableError(message, remedy)
    message = f"{folder} holds no dataset"
    raise RemediableError(message, "give the folder that `chiralscreen screen` wrote")


def require_results(folder: Path) -> Path:
    """Refuse a folder that holds neither a dataset nor its tables.

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
    return folder if _has_tables(folder) else require_dataset(folder)


def _has_tables(folder: Path) -> bool:
    """Whether there is a table of materials, in a catalogue or by itself."""
    return get_table_file(folder, MATERIALS).is_file()
