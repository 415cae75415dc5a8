"""One screening on several machines: shares of the work as flow runs of a Prefect work pool."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import arun_deployment
from pydantic import BaseModel

from flows.engines import WorkerOptions
from flows.labels import complete_with_message, name_run
from flows.planning import exclusive_run, make_run_context, plan_run
from flows.result import ScreenResult
from flows.runs import record_run
from flows.workers import count_workers
from tasks.failures import RemediableError
from tasks.results.building import build_catalog
from tasks.screening.settings import ScreenSettings
from tasks.storage.object_store import pull, push

SHARD = "screen/shard"


class ShardedResult(BaseModel):
    """What became of the shares.

    Attributes
    ----------
    run_id : str
        The run that planned.
    open : int
        Structures that were to be computed.
    states : list of str
        Final state of each share's flow run.
    """

    run_id: str
    open: int
    states: list[str]


@flow(name="screen-in-shards", flow_run_name=name_run)
def screen_in_shards(
    source: Path,
    output: Path,
    shards: int,
    settings: ScreenSettings | None = None,
    limit: int | None = None,
    device: str = "auto",
    retry_failures: bool = False,
    *,
    deployment: str = SHARD,
    store: str | None = None,
) -> ShardedResult:
    """Screen a source in shares that any worker of a work pool may take.

    Source and dataset lie on a file system that all workers share, under the same path; with a
    store, the dataset may be a folder of each machine's own.

    Parameters
    ----------
    source, output : pathlib.Path
        Structures, and the folder of the dataset.
    shards : int
        Number of shares.
    settings : ScreenSettings, optional
        All settings.
    limit : int, optional
        Compute at most so many structures, in all shares.
    device : str
        Device of the potential.
    retry_failures : bool
        Try again what failed for good in an earlier run.
    deployment : str
        Deployment of `flows.screening.screen` that runs a share.
    store : str, optional
        URL of an object store through which machines without a common file system work together.

    Returns
    -------
    ShardedResult
        A share that failed leaves its structures to the next run.

    Raises
    ------
    RemediableError
        When a second opinion is wanted, which has a plan of its own.
    """
    settings = settings or ScreenSettings()
    if settings.second_opinion:
        message = "a screening in shards takes no second opinion"
        remedy = "screen with the other potential into another folder, then `chiralscreen compare`"
        raise RemediableError(message, remedy)
    context = make_run_context(source, output, settings, device)
    worker_options = WorkerOptions(count_workers(None, device), device)
    with exclusive_run(context, store):
        plan = plan_run(
            context, worker_options.workers, limit=limit, hours=None, retry_failures=retry_failures
        )
        get_run_logger().info("%d to compute in %d shares", plan.n_open, shards)
        common = {
            "source": str(source),
            "output": str(output),
            "settings": settings.model_dump(mode="json"),
            "device": device,
            "retry_failures": retry_failures,
            "planned_by": context.run_id,
            "store": store,
        }
        if store:
            push(output, store, catalog=False)
        shares = [{**common, "shard": (index, shards)} for index in range(shards)]
        runs = asyncio.run(_run_shares(deployment, context.run_id, shares)) if plan.n_open else []
        if store:
            pull(store, output)
        # The shares record what they computed; the decisions, and so the settings, are of this run.
        record_run(context, ScreenResult(context.run_id, plan))
        build_catalog(context.dataset)
        if store:
            push(output, store)
    states = [run.state.type.value if run.state else "UNKNOWN" for run in runs]
    ends = ", ".join(f"{count} {state.lower()}" for state, count in Counter(states).items())
    text = f"{plan.n_open} to compute; shares: {ends or 'none'}"
    return complete_with_message(
        ShardedResult(run_id=context.run_id, open=plan.n_open, states=states), text
    )


async def _run_shares(deployment: str, run_id: str, shares: list[dict[str, Any]]) -> list[FlowRun]:
    """Start all shares at once and wait for them; a share is never started twice."""
    started = (
        arun_deployment(deployment, parameters=share, idempotency_key=f"{run_id}-{index}")
        for index, share in enumerate(shares)
    )
    return await asyncio.gather(*started)
