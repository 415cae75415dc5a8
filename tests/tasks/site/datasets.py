"""Two small datasets of the same alloys, by two versions of a potential that costs nothing."""

from pathlib import Path

from flows.result import ScreenResult
from flows.runs import record_run
from potentials import Potential, load_potential
from tasks.results.building import build_catalog
from tasks.screening.plan import plan_screening
from tests.tasks.alloys import EMT, carry_out, emt, intake_of, write_alloys


def other_emt() -> Potential:
    """The same potential with another cutoff."""
    return load_potential(EMT, options={"asap_cutoff": True})


def two_datasets(folder: Path) -> list[Path]:
    """Screen all alloys with one potential, and two of them with the other."""
    every, some = folder / "every", folder / "some"
    for source in (every, some):
        source.mkdir(parents=True)
    write_alloys(every)
    write_alloys(some, "helix", "copper")
    roots = [folder / "first", folder / "second"]
    for source, root, load in ((every, roots[0], emt), (some, roots[1], other_emt)):
        context = intake_of(source, root, card=lambda load=load: load().card)
        plan = plan_screening(context)
        reports = carry_out(plan, context, load)
        record_run(context, ScreenResult(context.run_id, plan, tuple(reports.values())))
        build_catalog(context.dataset)
    return roots
