"""Names, tags and final messages that distinguish runs in the Prefect UI."""

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from prefect import get_client
from prefect.runtime import flow_run
from prefect.states import Completed

from flows.server import UNREACHABLE
from tasks.screening.settings import ScreenSettings

R = TypeVar("R")
_LONGEST_NAME = 40


def name_run() -> str:
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


def name_analysis() -> str:
    """Name a flow run after the files that it analyses.

    Returns
    -------
    str
        Such as ``analyze te.yaml and 2 more into dft``.
    """
    given = flow_run.parameters
    first, *others = (Path(path).name for path in given["paths"])
    more = f" and {len(others)} more" if others else ""
    return f"analyze {first}{more} into {Path(given['output']).name}"


def make_artifact_key(kind: str, folder: Path) -> str:
    """Key under which the versions of an artifact gather, run after run.

    Parameters
    ----------
    kind : str
        What it shows, such as ``progress``.
    folder : pathlib.Path
        What it shows it of.

    Returns
    -------
    str
        The kind, the name of the folder, and a mark of its whole path.
    """
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower())[:_LONGEST_NAME].strip("-")
    mark = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:6]
    return "-".join(filter(None, (kind, name, mark)))


def complete_with_message(result: R, message: str) -> R:
    """End a flow, or a task in another process, with a message beside its state.

    Parameters
    ----------
    result : object
        What it returns.
    message : str
        What a person reads, such as "6 screened, 1 skipped".

    Returns
    -------
    object
        A state, of which Prefect gives the caller the result.
    """
    return cast("R", Completed(message=message, data=result))


def label_run(*labels: str) -> None:
    """Tag this flow run, and not its task runs, for each of which a server would look up limits."""
    wanted = {*labels, *flow_run.tags}
    # A server that cannot be reached for a moment costs the tags, not the run.
    with suppress(*UNREACHABLE), get_client(sync_client=True) as client:
        client.update_flow_run(flow_run.id, tags=wanted)
