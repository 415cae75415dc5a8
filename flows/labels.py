"""Names and tags by which runs are told apart in the Prefect UI."""

from contextlib import suppress
from pathlib import Path

from prefect import get_client
from prefect.runtime import flow_run

from flows.server import UNREACHABLE
from tasks.settings import ScreenSettings


def run_name() -> str:
    """Name a flow run after its source, its potential and its share of the work.

    Returns
    -------
    str
        Such as ``screen demo with 7net-0``.
    """
    given = flow_run.parameters
    settings = ScreenSettings.model_validate(given.get("settings") or {})
    share = given.get("shard")
    part = f" ({share[0] + 1} of {share[1]})" if share else ""
    return f"screen {Path(given['source']).name} with {settings.potential.name}{part}"


def label_run(*labels: str) -> None:
    """Tag this flow run, and not its task runs, for each of which a server would look up limits.

    Parameters
    ----------
    *labels : str
        Tags.
    """
    wanted = {*labels, *flow_run.tags}
    # A server that cannot be reached for a moment costs the tags, not the run.
    with suppress(*UNREACHABLE), get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags=wanted)
