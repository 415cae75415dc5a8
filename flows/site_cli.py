"""Commands of the catalogue site."""

from pathlib import Path
from typing import Annotated

import typer

from flows.console import (
    DONE,
    Workers,
    console,
    print_errors,
    require_folder,
    require_results,
    validate_with,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@app.command()
def catalogue(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Folders of datasets, or of their tables only, one per potential."),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder of the site.", callback=validate_with(require_folder)
        ),
    ],
    title: Annotated[str, typer.Option(help="Heading of the site.")] = "Chiral phonons",
    full: Annotated[
        bool, typer.Option("--full/--light", help="Offer force constants and animations as files.")
    ] = True,
    workers: Workers = None,
) -> None:
    """Write a static web site of the results: a table, and a page per material.

    Any web server can serve it; its pages load nothing from elsewhere. Several datasets of the same
    crystals let readers switch between potentials. Examples:

        chiralscreen catalogue results/demo --output site

        chiralscreen catalogue results/small results/large --output site --light
    """
    from rich.progress import Progress

    from flows.publishing import write_pages_in_batches

    with print_errors(), Progress(console=console, transient=True) as progress:
        task = progress.add_task("pages", total=None)
        n_pages = 0
        chosen = [require_results(folder) for folder in folders]
        found = write_pages_in_batches(chosen, output, title=title, full=full, workers=workers)
        for n_pages, n_all in found:
            progress.update(task, completed=n_pages, total=n_all)
    console.print(f"written: {output} ({n_pages} pages)")
    console.print(f"look at it with: chiralscreen serve {output}")
    raise typer.Exit(DONE)


@app.command()
def serve(
    site: Annotated[Path, typer.Argument(help="Folder that `chiralscreen catalogue` wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
) -> None:
    """Serve a catalogue site to browsers on this machine, and to no others.

    Example:

        chiralscreen serve site
    """
    from flows.interruption import restore_signals
    from tasks.site.server import make_site_server

    restore_signals()
    with print_errors(), make_site_server(site, port) as server:
        console.print(f"http://127.0.0.1:{server.server_address[1]}/   (Ctrl-C ends)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("ended")
    raise typer.Exit(DONE)


if __name__ == "__main__":
    app()
