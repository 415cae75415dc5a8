"""Commands that bring new structures."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import DONE, DONE_WITH_FAILURES, Source, console, errors_told, located

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def sources() -> None:
    """Bring new structures."""


@app.command()
def fetch(
    url: Annotated[str, typer.Argument(help="Base URL of an OPTIMADE provider.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to save pages into.")],
    query: Annotated[
        str, typer.Option("--filter", help="In the filter language of OPTIMADE.")
    ] = "",
    page_limit: Annotated[int, typer.Option(min=1, help="Structures per page.")] = 100,
    max_pages: Annotated[int | None, typer.Option(min=1, help="Save at most so many.")] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="Further field, such as `_mp_energy_above_hull`; may be repeated."),
    ] = None,
) -> None:
    """Save the structures of a database that speaks OPTIMADE.

    Calling it again continues where it stopped. The folder is a source for `classify` and
    `screen`. Example:

        chiralscreen fetch https://optimade.materialsproject.org --filter 'elements HAS "Te"' -o te
    """
    from tasks.sources.optimade import Query, fetch

    with errors_told():
        n_structures = 0
        asked = Query(url, query, page_limit, tuple(field or ()))
        for count in fetch(asked, output, max_pages=max_pages):
            n_structures += count
            console.print(f"{n_structures} structures", end="\r")
        console.print(f"{n_structures} new structures in {output}")


@app.command()
def substitute(
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="File of JSON lines to write.")],
    threshold: Annotated[
        float, typer.Option(min=1e-6, max=1.0, help="Smallest probability of all exchanges.")
    ] = 0.001,
    limit: Annotated[int, typer.Option(min=1, help="Most candidates made from one crystal.")] = 20,
    symprec: Annotated[float, typer.Option(help="Symmetry tolerance (Å).")] = 0.01,
) -> None:
    """Put other elements into known chiral crystals: new candidates to screen.

    Charges stay balanced, and exchanges are those that known compounds make probable. The file is
    a source for `classify` and `screen`. Example:

        chiralscreen substitute demo -o candidates.jsonl
    """
    import json

    from tasks.failures import Failure
    from tasks.substitution import candidates

    with errors_told():
        n_written = n_failed = 0
        with output.open("w", encoding="utf-8") as stream:
            for item in candidates(located(source), symprec, threshold, limit):
                if isinstance(item, Failure):
                    n_failed += 1
                    continue
                stream.write(f"{json.dumps(item.entry)}\n")
                n_written += 1
        console.print(f"written: {output}, {n_written} candidates; {n_failed} records unusable")
    raise typer.Exit(DONE_WITH_FAILURES if n_failed else DONE)


if __name__ == "__main__":
    app()
