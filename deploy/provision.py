# ruff: noqa: INP001 - a script, not a module
"""What a Prefect server needs to know before the first night: limits, automations, the work pool.

Run it again after a change; nothing is made twice::

    CHIRALSCREEN_NOTIFY_URL=https://... python deploy/provision.py --gpus 1
"""

import argparse
import os
from datetime import timedelta

from prefect import get_client
from prefect.automations import AutomationCore
from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import StateType
from prefect.events import EventTrigger, Posture
from prefect.events.actions import Action, ChangeFlowRunState, SendNotification

# The limit that the deployments name as `slot`: chunks that use a GPU, over all runs.
GPU_LIMIT = "chiralscreen-gpu"
POOL = "chiralscreen"
NOTIFICATION = "chiralscreen-notification"
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDS = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
FLOW_RUNS = {"prefect.resource.id": "prefect.flow-run.*"}
# Three times PREFECT_FLOWS_HEARTBEAT_FREQUENCY of the environment file (seconds).
SILENCE = 180.0


def zombies(silence: float) -> AutomationCore:
    """Runs that fell silent, as after `kill -9` or a power cut, count as crashed."""
    return AutomationCore(
        name="chiralscreen: silent runs are crashed",
        description=f"A flow run without a heartbeat for {silence:g} s has lost its process.",
        trigger=EventTrigger(
            match=FLOW_RUNS,
            for_each={"prefect.resource.id"},
            after={HEARTBEAT},
            expect={HEARTBEAT, *ENDS},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silence),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message="no heartbeat: its process is gone; the next run continues",
            )
        ],
    )


def told(actions: list[Action]) -> AutomationCore:
    """Somebody is told of every run that failed or crashed."""
    return AutomationCore(
        name="chiralscreen: tell of failed runs",
        trigger=EventTrigger(
            match=FLOW_RUNS,
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Failed", "prefect.flow-run.Crashed"},
            posture=Posture.Reactive,
            threshold=1,
        ),
        actions=actions,
    )


def provide(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Make an automation, or bring the one of its name up to date."""
    found = client.read_automations_by_name(automation.name)
    if found:
        client.update_automation(found[0].id, automation)
    else:
        client.create_automation(automation)


def provision(gpus: int, notify: str | None, silence: float = SILENCE) -> None:
    """Make or update everything."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"), overwrite=True)
        client.upsert_global_concurrency_limit_by_name(GPU_LIMIT, gpus)
        provide(client, zombies(silence))
        if notify:
            block = CustomWebhookNotificationBlock(
                name="chiralscreen", url=notify, json_data={"text": "{{subject}}: {{body}}"}
            )
            block_id = block.save(NOTIFICATION, overwrite=True)
            body = "{{ flow_run.name }}: {{ flow_run.state.name }}. {{ flow_run.state.message }}"
            action = SendNotification(block_document_id=block_id, subject="chiralscreen", body=body)
            provide(client, told([action]))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=1, help="chunks on GPUs at a time")
    hook = "web hook told of failed runs, as of Slack or Mattermost: takes {text: ...}"
    url = os.environ.get("CHIRALSCREEN_NOTIFY_URL")
    parser.add_argument("--notify", default=url, help=f"{hook}; by default CHIRALSCREEN_NOTIFY_URL")
    about = "seconds without a heartbeat that make a run crashed"
    parser.add_argument("--silence", type=float, default=SILENCE, help=about)
    options = parser.parse_args()
    provision(options.gpus, options.notify or None, options.silence)


if __name__ == "__main__":
    main()
