"""Commands that bring new structures."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    Config,
    Source,
    Workers,
    console,
    errors,
    locate_source,
    print_errors,
    require_file,
    require_folder,
    validate_with,
)
from tasks.tolerances import AS_GIVEN, LOOSE

if TYPE_CHECKING:
    from tasks.sources import SourceSettings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
# Quartz takes 3 s; a crystal of more elements, or a lower threshold, many times that.
_EXCHANGES_PER_READING = 30.0


@app.command()
def fetch(
    url: Annotated[
        str, typer.Argument(help="Base URL of an OPTIMADE provider, or `mp`: Materials Project.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="Folder to save pages into.",
            callback=validate_with(require_folder),
        ),
    ],
    query: Annotated[
        str,
        typer.Option(
            "--filter",
            help="In the filter language of OPTIMADE; of the Materials Project conditions such as "
            "`elements=Te,O energy_above_hull_max=0.05`.",
        ),
    ] = "",
    page_limit: Annotated[int, typer.Option(min=1, max=1000, help="Structures per page.")] = 100,
    max_pages: Annotated[
        int | None, typer.Option(min=1, help="Save at most this many structures.")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            help="Further field of OPTIMADE, such as `_mp_energy_above_hull`; may be repeated."
        ),
    ] = None,
    charges: Annotated[
        bool, typer.Option(help="Ask the Materials Project for Born charges as well.")
    ] = True,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Another host to which the provider may link, as name[:port]; may be repeated."
        ),
    ] = None,
    hours: Annotated[
        float,
        typer.Option(min=0.001, help="Stop after this many hours; the same command continues."),
    ] = 12.0,
) -> None:
    """Save the structures of a database on the web.

    Calling it again continues where it stopped. The folder is a source for `classify` and
    `screen`. The Materials Project needs a key in the environment variable MP_API_KEY. Examples:

        chiralscreen fetch https://optimade.materialsproject.org --filter 'elements HAS "Te"' -o te

        chiralscreen fetch mp --filter 'elements=Te energy_above_hull_max=0.05' -o te
    """
    from tasks.sources.fetching import fetch_pages

    with print_errors():
        counts = fetch_pages(
            url,
            output,
            query,
            fields=field or (),
            page_limit=page_limit,
            max_pages=max_pages,
            charges=charges,
            hosts=allow_host or (),
            seconds=hours * 3600,
        )
        n_structures = 0
        try:
            for count in counts:
                n_structures += count
                if console.is_terminal:
                    console.print(f"{n_structures} structures", end="\r")
        finally:
            found = f"{n_structures} new structures in {output}"
            console.print(found if n_structures else "no new structures")


@app.command()
def assess(
    source: Source,
    reference: Annotated[
        Path | None, typer.Option(help="Known crystals, such as the training set: for novelty.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="JSON file to write; failures go into a CSV file beside it.",
            callback=validate_with(require_file),
        ),
    ] = None,
    tight: Annotated[
        float, typer.Option(help="Tolerance of the symmetry as given (Å).")
    ] = AS_GIVEN,
    loose: Annotated[float, typer.Option(help="Tolerance of the parent symmetry (Å).")] = LOOSE,
    stability: Annotated[
        bool,
        typer.Option(help="Relax the unique (and new) ones, and place them above the hull."),
    ] = False,
    workers: Workers = None,
) -> None:
    """Assess generated crystals: validity, uniqueness, novelty, symmetry, chirality, stability.

    Example:

        chiralscreen assess generated.pt --reference mp_20.csv -o rates.json
    """
    import json

    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from flows.parallel_map import map_records
    from flows.reading import read_records
    from flows.summary import print_failures
    from flows.summary_of_assessment import print_assessment
    from flows.tables import write_failures
    from flows.workers import choose_n_processes
    from potentials import load_potential
    from tasks.generation.assessment import AssessmentSettings, assess_source
    from tasks.sources import SourceSettings
    from tasks.thermodynamics.evidence import load_hull

    columns = TextColumn("records"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with print_errors():
        settings = AssessmentSettings(tight=tight, loose=loose)
        with Progress(*columns, console=errors, disable=not errors.is_terminal) as bar:
            task = bar.add_task("records", total=None)
            found = assess_source(
                locate_source(source),
                reference and locate_source(reference),
                settings,
                read=read_records,
                parallel_map=partial(
                    map_records, workers=choose_n_processes(workers), limits=SourceSettings()
                ),
                on_read=lambda n: bar.update(task, completed=n),
                potential=load_potential(load_hull().potential) if stability else None,
            )
        print_assessment(console, found)
        if output:
            output.write_text(f"{json.dumps(found.report, indent=1)}\n", encoding="utf-8")
            console.print(f"written: {output}")
        print_failures(console, found.failures, output and write_failures(found.failures, output))
    raise typer.Exit(DONE_WITH_FAILURES if found.failures else DONE)


@app.command()
def substitute(
    source: Source,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="File of JSON lines to write; failures go into a CSV file beside it.",
            callback=validate_with(partial(require_file, endings=(".jsonl", ".ndjson"))),
        ),
    ],
    threshold: Annotated[
        float,
        typer.Option(
            min=1e-6,
            max=1.0,
            help="Smallest probability of the exchanges of one candidate together.",
        ),
    ] = 0.001,
    limit: Annotated[int, typer.Option(min=1, help="Most candidates made from one crystal.")] = 20,
    config: Config = None,
    symprec: Annotated[float | None, typer.Option(help="Symmetry tolerance (Å).")] = None,
    workers: Workers = None,
) -> None:
    """Put other elements into known chiral crystals: new candidates to screen.

    Charges stay balanced, and exchanges are those that are probable in known compounds. The file
    is a source for `classify` and `screen`. Example:

        chiralscreen substitute demo -o candidates.jsonl
    """
    import json

    from flows.isolation import READERS, start_server

    start_server(READERS, "tasks.crystals.substitution")
    from flows.parallel_map import map_records
    from flows.reading import read_records
    from flows.summary import print_failures
    from flows.tables import write_failures
    from flows.workers import choose_n_processes
    from tasks.failures import Failure
    from tasks.generation.substitution import generate_candidates
    from tasks.screening.settings import read_settings

    failures: list[Failure] = []
    # Hidden, so that it is no source where it lies among the structures.
    unfinished = output.with_name(f".{output.name}.part")
    with print_errors():
        settings, n_written = read_settings(config, {"symmetry.symprec": symprec}), 0
        n_workers, limits = choose_n_processes(workers), _read_exchange_limits(settings.source)
        found = generate_candidates(
            locate_source(source),
            settings.symmetry.symprec,
            threshold,
            limit,
            settings=settings.source,
            read=read_records,
            parallel_map=partial(map_records, workers=n_workers, limits=settings.source),
            exchange=partial(map_records, workers=n_workers, limits=limits),
        )
        try:
            with unfinished.open("w", encoding="utf-8") as stream:
                for item in found:
                    if isinstance(item, Failure):
                        failures.append(item)
                        continue
                    stream.write(f"{json.dumps(item.entry)}\n")
                    n_written += 1
            unfinished.replace(output)
        finally:
            unfinished.unlink(missing_ok=True)
        console.print(f"written: {output}, {n_written} candidates")
        print_failures(console, failures, write_failures(failures, output))
    raise typer.Exit(DONE_WITH_FAILURES if failures else DONE)


def _read_exchange_limits(settings: "SourceSettings") -> "SourceSettings":
    """Limits of the exchanges in one crystal, of which there may be thousands."""
    return settings.model_copy(
        update={"record_seconds": _EXCHANGES_PER_READING * settings.record_seconds}
    )


if __name__ == "__main__":
    app()
