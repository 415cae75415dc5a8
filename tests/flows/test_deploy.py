"""The deployment: files that Prefect takes, and a server on Postgres started from them."""

import base64
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def environment_example() -> dict[str, str]:
    lines = (DEPLOY / "environment.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.fixture(scope="module")
def provision():
    spec = importlib.util.spec_from_file_location("provision", DEPLOY / "provision.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_containers_are_pinned_and_reached_from_this_machine_only():
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert {"database", "server", "worker", "catalogue"} <= services.keys()
    for service in services.values():
        if "image" in service:
            assert service["image"].partition(":")[2][:1].isdigit() or "3.8.8" in service["image"]
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_prefect_is_the_same_version_everywhere():
    import prefect

    for name in ("compose.yaml", "prefect.yaml"):
        assert prefect.__version__ in (DEPLOY / name).read_text()


def test_every_setting_of_the_environment_is_one_of_prefect(monkeypatch):
    given = {k: v for k, v in environment_example().items() if k.startswith("PREFECT_")}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    server = Settings().server
    assert server.api.host == "127.0.0.1"
    assert server.api.auth_string
    assert "postgresql" in server.database.connection_url.get_secret_value()
    assert server.services.db_vacuum.enabled_vacuum_types == {"events", "flow_runs", "orphans"}
    assert server.services.db_vacuum.retention_period.days == 90
    assert server.events.retention_period.days == 7
    known = Settings().to_environment_variables(exclude_unset=True)
    assert given.keys() <= known.keys()


def test_deployments_are_taken_by_prefect_and_fit_their_flows():
    file = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())
    model = PrefectYamlModel.model_validate(file)
    configs = [d.model_dump(exclude_unset=True, mode="json") for d in model.deployments]
    assert {config["name"] for config in configs} == {"nightly", "sharded", "shard", "weekly"}
    for config in configs:
        flow = load_flow_from_entrypoint(str(ROOT / config["entrypoint"]))
        given = config.get("parameters") or {}
        assert given.keys() <= flow.parameters.properties.keys()
        if config["name"] != "shard":
            assert set(flow.parameters.required) <= given.keys()
            assert config["concurrency_limit"]["collision_strategy"] == "CANCEL_NEW"
            assert config["concurrency_limit"]["limit"] == 1


def test_provisioning_twice_makes_everything_once(server, provision):
    for gpus in (1, 2):
        provision.provision(gpus, "http://127.0.0.1:9/hook")
    with get_client(sync_client=True) as client:
        names = [automation.name for automation in client.read_automations()]
        pool = client.read_work_pool(provision.POOL)
    assert sorted(name for name in names if name.startswith("chiralscreen")) == [
        "chiralscreen: silent runs are crashed",
        "chiralscreen: tell of failed runs",
    ]
    assert pool.type == "process"


def test_a_limit_that_does_not_exist_is_an_error(server, provision):
    provision.provision(1, None)
    with concurrency(provision.GPU_LIMIT, strict=True):
        pass
    with (
        pytest.raises(Exception, match="no-such-limit"),
        concurrency("no-such-limit", strict=True),
    ):
        pass


def test_systemd_units_and_procfile_start_the_same_programs():
    procfile = (DEPLOY / "Procfile").read_text()
    units = "".join(path.read_text() for path in (DEPLOY / "systemd").iterdir())
    for program in ("prefect server start", "prefect worker start --pool chiralscreen"):
        assert program in procfile
        assert program in units
    assert "--bind 127.0.0.1" in procfile
    assert "--bind 127.0.0.1" in units


POSTGRES = shutil.which("initdb") or next(
    iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
)


@pytest.mark.skipif(not POSTGRES, reason="no Postgres on this machine")
def test_server_on_postgres_asks_for_a_password_and_keeps_runs(tmp_path_factory, request):
    """The Procfile's database and server, for real, on free ports."""
    folder = tmp_path_factory.mktemp("served")
    database_port, port = free_port(), free_port()
    environment = own_environment(folder, database_port, port)
    start(request, ["sh", "deploy/database.sh"], environment, **unprivileged(folder))
    wait_for(lambda: socket.create_connection(("127.0.0.1", database_port), 1).close())
    start(request, [sys.executable, "-m", "prefect", "server", "start"], environment)
    url = environment["PREFECT_API_URL"]
    wait_for(lambda: asked(f"{url}/health", environment["PREFECT_API_AUTH_STRING"]))
    with pytest.raises(urllib.error.HTTPError, match="401"):
        asked(f"{url}/flow_runs/count", None, data=b"{}")
    subprocess.run(
        [sys.executable, "deploy/provision.py"], env=environment, cwd=ROOT, check=True, timeout=300
    )
    limits = asked(
        f"{url}/v2/concurrency_limits/filter", environment["PREFECT_API_AUTH_STRING"], data=b"{}"
    )
    assert "chiralscreen-gpu" in limits


def own_environment(folder: Path, database_port: int, port: int) -> dict[str, str]:
    """The example's settings, on ports and in folders of this test's own."""
    example = environment_example()
    url = example["PREFECT_SERVER_DATABASE_CONNECTION_URL"].replace("5432", str(database_port))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return (
        clean
        | example
        | {
            "PATH": f"{Path(POSTGRES or '').parent}:{os.environ['PATH']}",
            "POSTGRES_FOLDER": str(folder / "database"),
            "POSTGRES_PORT": str(database_port),
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
        }
    )


def unprivileged(folder: Path) -> dict[str, object]:
    """Postgres refuses to run as root; another account then needs the folder."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam("nobody")
    for path in (folder, *folder.parents):
        if path.name.startswith(("pytest-", "served")):
            path.chmod(0o755)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def start(request, command: list[str], environment: dict[str, str], **options: object) -> None:
    """Start a program that ends with the test."""
    process = subprocess.Popen(command, env=environment, cwd=ROOT, **options)
    request.addfinalizer(process.wait)
    request.addfinalizer(process.terminate)


def asked(url: str, auth: str | None, data: bytes | None = None) -> str:
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})  # noqa: S310
    if auth:
        token = base64.b64encode(auth.encode()).decode()
        request.add_header("Authorization", f"Basic {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return answer.read().decode()


def wait_for(attempt) -> None:
    for _ in range(600):
        try:
            attempt()
        except OSError:
            time.sleep(0.5)
        else:
            return
    raise AssertionError("not reached in five minutes")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
