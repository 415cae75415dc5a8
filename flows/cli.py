"""The command line."""

import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.agreement_cli import app as agreement
from flows.console import (
    DONE,
    DONE_WITH_FAILURES,
    Config,
    Folder,
    NearHull,
    Observed,
    Output,
    PotentialName,
    Results,
    Source,
    Unit,
    Workers,
    console,
    locate_source,
    parse_q_point,
    print_errors,
    print_next,
    require_dataset,
    require_existing,
    require_file,
    require_folder,
    require_results,
    validate_with,
)
from flows.examine_cli import app as examining
from flows.figures_cli import app as figures
from flows.generation_cli import app as generating
from flows.interruption import RESUME_ADVICE, SHUTDOWN_STATE
from flows.observe_cli import app as observing
from flows.prerequisites import require_prefect
from flows.program import main
from flows.release_cli import app as releasing
from flows.setting_flags import FLAGS, Overrides, SettingsCommand, with_settings
from flows.show_cli import app as showing
from flows.site_cli import app as site
from flows.sources_cli import app as sources
from flows.status_line import show_status
from flows.training_cli import app as training
from tasks.units import UNITS, FrequencyUnit, UnitName

if TYPE_CHECKING:
    from tasks.results.export_modes import MovingMode

# Panels of the help.
_WHICH, _WHERE = "Which crystals are computed", "Where and how they are computed"

app = typer.Typer(
    name="chiralscreen",
    help="Find chiral-phonon materials: symmetry, machine-learned potentials, phonons.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.add_typer(agreement)
app.add_typer(examining)
app.add_typer(figures)
app.add_typer(generating)
app.add_typer(observing)
app.add_typer(releasing)
app.add_typer(showing)
app.add_typer(site)
app.add_typer(sources)
app.add_typer(training)


def _print_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version

        console.print(f"chiralscreen {version('chiralscreen')}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Find chiral-phonon materials: symmetry, machine-learned potentials, phonons."""


@app.command(cls=SettingsCommand)
@with_settings("symprec")
def classify(
    source: Source,
    overrides: Overrides,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="CSV or Parquet file to write; failures go into another one beside it.",
            callback=validate_with(partial(require_file, endings=(".csv", ".parquet"))),
        ),
    ] = None,
    config: Config = None,
    workers: Workers = None,
) -> None:
    """Find from symmetry alone which crystals may host chiral phonons.

    No potential is loaded. Example:

        chiralscreen classify structures/ --output classes.csv
    """
    from flows.isolation import READERS, start_server

    start_server(READERS)
    from flows.classification import classify_source
    from flows.summary import print_classification, print_failures
    from flows.tables import write_failures, write_table
    from flows.workers import choose_n_processes
    from tasks.screening.settings import read_settings

    with print_errors():
        settings = read_settings(config, overrides)
        rows, failures = classify_source(
            locate_source(source), settings.symmetry.symprec, choose_n_processes(workers), settings
        )
        print_classification(console, rows)
        if output:
            write_table(rows, output)
            console.print(f"written: {output}")
        print_failures(console, failures, output and write_failures(failures, output))
    if len(rows):
        command = f"chiralscreen screen {shlex.quote(str(source))} -o results/first --dry-run"
        print_next(console, (command, "the plan"))
    raise typer.Exit(DONE_WITH_FAILURES if failures else DONE)


@app.command(cls=SettingsCommand)
@with_settings(*FLAGS)
def screen(
    source: Source,
    output: Output,
    overrides: Overrides,
    config: Config = None,
    potential: PotentialName = None,
    second_opinion: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Compute every crystal with this potential as well, compare, and give error bars.",
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Compute at most this many structures.", rich_help_panel=_WHICH),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            help="Compute for this many hours, the most promising structures first.",
            rich_help_panel=_WHICH,
        ),
    ] = None,
    workers: Workers = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel=_WHERE)
    ] = "auto",
    include_centrosymmetric: Annotated[
        bool,
        typer.Option(
            "--all", help="Compute centrosymmetric crystals as well.", rich_help_panel=_WHICH
        ),
    ] = False,
    retry_failures: Annotated[
        bool,
        typer.Option(
            "--retry-failures",
            help="Compute again what failed in an earlier run.",
            rich_help_panel=_WHICH,
        ),
    ] = False,
    both_hands: Annotated[
        bool,
        typer.Option(
            "--both-hands",
            help="Compute both of two enantiomorphs, in place of mirroring the first.",
            rich_help_panel=_WHICH,
        ),
    ] = False,
    engine: Annotated[
        Literal["processes", "dask"],
        typer.Option(help="Processes of this machine, or Dask.", rich_help_panel=_WHERE),
    ] = "processes",
    address: Annotated[
        str | None,
        typer.Option(
            help="Scheduler of a Dask cluster; by default a cluster of this machine is started.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    time_limit: Annotated[
        float,
        typer.Option(
            min=1.0,
            help="Seconds that a stage of a structure may take beyond ten times the estimate.",
            rich_help_panel=_WHERE,
        ),
    ] = 3600.0,
    memory: Annotated[
        float | None,
        typer.Option(
            min=2.0,
            help="Memory of a worker process (GiB); a structure that needs more becomes a failure.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Object store to fetch the dataset from and to send it to, as s3://bucket/folder.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its cost; write nothing.")
    ] = False,
    unit: Unit = UnitName.THZ,
) -> None:
    """Screen crystals for chiral phonons: the main job.

    Running it again continues where it stopped. Examples:

        chiralscreen screen demo --output results/demo --second-opinion nequix-oam-1-pft

        chiralscreen screen structures/ --output results/first --limit 100 --dry-run
    """
    from flows.isolation import READERS, start_server

    start_server(READERS)
    if not dry_run:
        SHUTDOWN_STATE.advice = RESUME_ADVICE
    overrides |= {
        "potential.name": potential,
        "second_opinion": second_opinion,
        "include_centrosymmetric": include_centrosymmetric or None,
        "both_hands": both_hands or None,
    }
    with print_errors():
        require_existing(locate_source(source))
        with show_status("starting"):
            from potentials import require_known
            from tasks.screening.settings import read_settings

            settings = read_settings(config, overrides)
            # Errors are shown here: inside the flow they would end in its traceback.
            for name in filter(None, (settings.potential.name, settings.second_opinion)):
                require_known(name, device, settings.potential.dtype)
            if not dry_run:
                require_prefect()
            from flows.planning import make_run_contexts, plan_runs
            from flows.summary import print_plan, print_screening
            from flows.workers import count_workers
            from tasks.sources import list_source_files

            list_source_files(locate_source(source))
        n_workers = count_workers(workers, device)
        if dry_run:
            contexts = make_run_contexts(locate_source(source), output, settings, device)
            plan, *others = plan_runs(
                contexts,
                n_workers,
                limit=limit,
                hours=hours,
                retry_failures=retry_failures,
                commit=False,
            )
            print_plan(console, plan, n_workers)
            for other in others:
                console.print(f"second opinion, {settings.second_opinion}:")
                print_plan(console, other, n_workers)
            raise typer.Exit(DONE_WITH_FAILURES if plan.failures else DONE)
        # Prefect takes a second to import, and a plan needs none of it.
        with show_status("starting"):
            from flows.engines import WorkerOptions
            from flows.local_runs import screen_locally

        worker_options = WorkerOptions(
            n_workers, device, engine, address, time_limit, memory=memory
        )
        result = screen_locally(
            locate_source(source),
            output,
            settings,
            worker_options,
            limit=limit,
            hours=hours,
            retry_failures=retry_failures,
            store=store,
        )
        failed = print_screening(console, output, result, UNITS[unit])
    raise typer.Exit(DONE_WITH_FAILURES if failed or result.lost else DONE)


@app.command(cls=SettingsCommand)
@with_settings("nac", "mesh_spacing", "path_spacing", "shortlist_score")
def analyze(
    files: Annotated[
        list[Path], typer.Argument(help="phonopy YAML files, plain or .xz, or folders of them.")
    ],
    output: Output,
    overrides: Overrides,
    config: Config = None,
    workers: Workers = None,
    time_limit: Annotated[
        float, typer.Option(min=1.0, help="Most seconds to read a file.")
    ] = 3600.0,
    memory: Annotated[float, typer.Option(min=2.0, help="Most memory to read a file (GiB).")] = 8.0,
    unit: Unit = UnitName.THZ,
) -> None:
    """Analyse force constants from anywhere, DFT included.

    Takes `phonopy_params.yaml`, or `phonopy.yaml` or `phonopy_disp.yaml` with `FORCE_SETS`,
    `FORCE_CONSTANTS` or `force_constants.hdf5`, and `BORN`, beside it; beside `<name>.yaml` these
    are `<name>.FORCE_SETS` and so on. Writes the tables that `screen` writes. Example:

        chiralscreen analyze quartz/phonopy_params.yaml --output results/dft
    """
    SHUTDOWN_STATE.advice = RESUME_ADVICE
    with print_errors():
        for path in files:
            require_existing(path)
        with show_status("starting"):
            from tasks.screening.settings import read_settings

            settings = read_settings(config, overrides)
            require_prefect()
            from flows.screening import analyze as flow
            from flows.server import use_prefect_api
            from flows.summary import print_screening

        with use_prefect_api():
            result = flow(files, output, settings, workers, time_limit=time_limit, memory=memory)
        failed = print_screening(console, output, result, UNITS[unit])
    raise typer.Exit(DONE_WITH_FAILURES if failed or result.lost else DONE)


@app.command("settings")
def print_settings(config: Config = None) -> None:
    """Print all settings of a screening with unit, meaning and default, as `--config` takes them.

    With `--config` print those of the file, completed by the defaults. Example:

        chiralscreen settings > settings.yaml
    """
    from tasks.screening.settings import format_settings, read_settings

    with print_errors():
        console.print(format_settings(read_settings(config, {})), end="")


@app.command()
def status(
    folder: Results,
    purpose: Annotated[
        Literal["raman", "scattering", "resonant", "thermal"] | None,
        typer.Option(help="Rank by the score for one kind of experiment."),
    ] = None,
    observed: Observed = False,
    near_hull: NearHull = None,
    unit: Unit = UnitName.THZ,
) -> None:
    """Show how far a dataset is, without a server. Chiral and achiral crystals are ranked apart.

    Examples
    --------
        chiralscreen status results/demo

        chiralscreen status results/demo --purpose raman

        chiralscreen status results/demo --observed --near-hull 0.05
    """
    from flows.summary import print_status
    from tasks.results.catalogue import Restriction

    with print_errors():
        column = f"score_{purpose}" if purpose else None
        restriction = Restriction(observed, near_hull)
        print_status(console, require_results(folder), UNITS[unit], column, restriction)


@app.command()
def verify(folder: Folder) -> None:
    """Check every committed file against its receipt.

    The next `screen` moves damaged chunks away and computes them again. Example:

        chiralscreen verify results/demo
    """
    from tasks.storage import Dataset

    with print_errors():
        problems = Dataset(require_dataset(folder)).verify()
    for problem in problems:
        console.print(str(problem))
    console.print(f"{len(problems)} problems")
    raise typer.Exit(DONE_WITH_FAILURES if problems else DONE)


@app.command()
def upgrade(folder: Folder) -> None:
    """Check and rewrite the receipts of a dataset that an older version wrote.

    The next `screen` computes damaged chunks again. Example:

        chiralscreen upgrade results/demo
    """
    from tasks.storage import upgrade_receipts

    with print_errors():
        upgraded, problems = upgrade_receipts(require_dataset(folder), console.print)
    for problem in problems:
        console.print(problem.message, markup=False)
    console.print(f"{upgraded} receipts upgraded, {len(problems)} problems")
    raise typer.Exit(DONE_WITH_FAILURES if problems else DONE)


@app.command()
def compact(folder: Folder) -> None:
    """Merge small committed files into large ones, sorted by space group.

    Others may read and write meanwhile. Example:

        chiralscreen compact results/demo
    """
    from tasks.storage import Dataset
    from tasks.storage import compact as merge

    with print_errors():
        receipts = merge(Dataset(require_dataset(folder)))
    console.print(f"{len(receipts)} merged chunks")


@app.command()
def sync(
    folder: Annotated[Path, typer.Argument(help="Folder of a dataset; made where it is missing.")],
    url: Annotated[
        str, typer.Argument(help="Address of the copy in an object store, as s3://bucket/folder.")
    ],
) -> None:
    """Bring a dataset and its copy in an object store to the same state.

    Each gets the chunks it lacks, and the store gets the catalogue. Others may write meanwhile.

    Example:

        chiralscreen sync results/demo s3://bucket/demo
    """
    from tasks.results.building import build_catalog
    from tasks.storage import Dataset
    from tasks.storage.object_store import pull, push

    with print_errors():
        fetched = pull(url, folder)
        if fetched:
            build_catalog(Dataset(require_dataset(folder)))
        sent = push(folder, url)
    console.print(f"{fetched} chunks fetched, {sent} sent")


@app.command()
def export(
    folder: Results,
    material_id: Annotated[str, typer.Argument(help="Name of a material.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Folder to write into.", callback=validate_with(require_folder)
        ),
    ] = Path(),
    modes: Annotated[
        bool,
        typer.Option(
            "--modes",
            help="Write the most chiral optical mode as an animation (XYZ) and as a displaced "
            "crystal (POSCAR), and all bands for phononwebsite, as well.",
        ),
    ] = False,
    q_point: Annotated[
        str | None,
        typer.Option(
            "--q",
            metavar="X,Y,Z",
            help="Another q-point of --modes, such as 0,0,1/3.",
            show_default=False,
        ),
    ] = None,
    band: Annotated[
        int | None, typer.Option(min=0, help="Another band of --modes, counted from 0.")
    ] = None,
    euphonic: Annotated[
        bool, typer.Option("--euphonic", help="Write force constants as Euphonic reads them, too.")
    ] = False,
    unit: Unit = UnitName.THZ,
) -> None:
    """Write a relaxed crystal as CIF and its force constants as phonopy YAML.

    Of a released catalogue, which holds no force constants, only the crystal is written. Examples:

        chiralscreen export results/demo quartz-154 --output exported

        chiralscreen export results/demo te --modes --q 0,0,1/3 --band 4
    """
    from tasks.results.export import (
        ModeChoice,
        export_for_euphonic,
        export_material,
        export_modes,
    )
    from tasks.storage import open_tables

    with print_errors():
        tables = open_tables(require_results(folder))
        paths = export_material(tables, material_id, output)
        if modes or q_point or band is not None:
            choice = ModeChoice(parse_q_point(q_point) if q_point else None, band)
            mode, written = export_modes(tables, material_id, output, choice)
            paths += written
            _print_mode(mode, UNITS[unit])
        if euphonic:
            paths.append(export_for_euphonic(tables, material_id, output))
    for path in paths:
        console.print(f"written: {path}")
    if len(paths) == 1:
        console.print(f"not written: force constants, which are not stored in {folder}")
        console.print(f"to compute them: chiralscreen show {shlex.quote(str(paths[0]))}")
        return
    print_next(
        console,
        (f"chiralscreen analyze {shlex.quote(str(paths[1]))} -o results/again", "the same modes"),
    )


def _print_mode(mode: "MovingMode", unit: FrequencyUnit) -> None:
    """Print which mode was exported."""
    q_text, axis_text = (
        ", ".join(f"{x:.4g}" for x in vector.round(6) + 0.0) for vector in (mode.q_point, mode.axis)
    )
    frequency = f"{mode.frequency * unit.per_terahertz:.3f} {unit.text}"
    console.print(f"mode: band {mode.band} at q = ({q_text}), {frequency}")
    console.print(f"      l = {mode.circulation:+.3f} ħ along ({axis_text})")


if __name__ == "__main__":
    main()
