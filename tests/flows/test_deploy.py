"""The deployment: files that Prefect takes, and a server on Postgres started from them."""

import base64
import importlib.util
import json
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prefect.cli.deploy._models import PrefectYamlModel
from prefect.client.orchestration import get_client
from prefect.concurrency.sync import concurrency
from prefect.flows import load_flow_from_entrypoint
from prefect.settings import Settings

from tasks.results import read_catalog
from tasks.storage import Dataset
from tests.flows.conftest import eventually
from tests.flows.faulty import end, write_crystals
from tests.flows.test_faults import require_sound, settings_of
from tests.tasks.alloys import SETTINGS as ALLOYS
from tests.tasks.alloys import write_alloys

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
        assert service["image"].partition(":")[2][:1].isdigit()
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:")


def test_prefect_is_the_same_version_everywhere():
    import prefect

    assert f"prefect=={prefect.__version__}\n" in (ROOT / "requirements.lock").read_text()
    assert f"prefect-version: {prefect.__version__}\n" in (DEPLOY / "prefect.yaml").read_text()


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
    scheduled, asked_for = (
        {"evening", "nightly", "morning", "weekly"},
        {"sharded", "training", "charges", "generation", "sequences", "distillation"},
    )
    assert {config["name"] for config in configs} == scheduled | asked_for | {"shard"}
    for config in configs:
        flow = load_flow_from_entrypoint(str(ROOT / config["entrypoint"]))
        given = config.get("parameters") or {}
        assert given.keys() <= flow.parameters.properties.keys()
        if config["name"] in scheduled:
            assert set(flow.parameters.required) <= given.keys()
        if config["name"] != "shard":
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


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd on this machine")
def test_systemd_finds_no_fault_with_the_units(tmp_path):
    """With the programs of the repository where the units expect it: below the user's home."""
    home = tmp_path / "home"
    for name in ("python", "prefect"):
        program = home / "chiralscreen" / ".venv" / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.symlink_to(shutil.which("true") or "")
    units = sorted(str(path) for path in (DEPLOY / "systemd").iterdir())
    result = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--man=no", *units],
        env=os.environ | {"HOME": str(home), "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_pods_start_what_the_other_deployments_start_and_have_no_rights():
    pod = yaml.safe_load((DEPLOY / "kubernetes.yaml").read_text())["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert " ".join(container["command"]).startswith("prefect worker start --pool chiralscreen")
    assert pod["securityContext"]["runAsNonRoot"]
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_folder_of_the_site_belongs_to_the_user_of_the_worker(tmp_path):
    """The command of the container, for a folder and a user of this machine."""
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("worker", "catalogue"):
        waited_for = services[name]["depends_on"]["folders"]
        assert waited_for == {"condition": "service_completed_successfully"}
    shell, option, command = services["folders"]["command"]
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    there = command.replace("/app/results", str(tmp_path / "results")).replace("chiralscreen", user)
    for _ in range(2):
        subprocess.run([shell, option, there], check=True, timeout=60)
        assert (tmp_path / "results" / "site").owner() == user
        assert (tmp_path / "results").owner() == user


def test_a_slurm_job_screens_by_a_scheduler_that_asks_for_a_certificate(tmp_path, request):
    """The script as it stands; SLURM's `srun` starts one process on this machine."""
    source = tmp_path / "source"
    source.mkdir()
    write_alloys(source, "zincblende")
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump(ALLOYS.model_dump(mode="json", exclude_defaults=True)))
    srun = tmp_path / "bin" / "srun"
    srun.parent.mkdir()
    srun.write_text('#!/bin/sh\nexec "$@"\n')
    srun.chmod(0o755)
    places = f"{srun.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    job = start(
        request,
        ["sh", str(DEPLOY / "slurm.sh"), "source", "out", "--config", "settings.yaml"],
        clean | {"PATH": places, "SLURM_NTASKS": "1", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
    )
    eventually(lambda: [p for p in tmp_path.glob("out/.job-*/dask.json") if p.stat().st_size])
    [told] = tmp_path.glob("out/.job-*/dask.json")
    address = json.loads(told.read_text())["address"]
    assert address.startswith("tls://")
    assert (told.parent.stat().st_mode & 0o077) == 0
    require_refusal_without_certificate(address, told.with_name("certificate.pem"))
    assert job.wait(timeout=400) == 0
    outcomes = read_catalog(tmp_path / "out", "chirality")["outcome"]
    assert outcomes.tolist() == ["screened"]
    assert not told.with_name("key.pem").exists()


def require_refusal_without_certificate(address: str, authority: Path) -> None:
    """A stranger who knows the scheduler's certificate, but has no key, is sent away."""
    host, _, port = address.removeprefix("tls://").rpartition(":")
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|handshake"),
        context.wrap_socket(plain) as secured,
    ):
        secured.recv(1)


POSTGRES = shutil.which("initdb") or next(
    iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below the folder of pytest, which it closes to other accounts whenever it starts."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def on_postgres(tmp_path_factory, request, folder) -> dict[str, str]:
    """The Procfile's database and server, for real, on free ports: settings of their clients."""
    if not POSTGRES:
        pytest.skip("no Postgres on this machine")
    database_port, port = free_port(), free_port()
    environment = own_environment(tmp_path_factory.mktemp("home"), database_port, port)
    environment["POSTGRES_FOLDER"] = str(folder / "database")
    start(request, ["sh", "deploy/database.sh"], environment, **unprivileged(folder))
    wait_for(lambda: socket.create_connection(("127.0.0.1", database_port), 1).close())
    start(request, [sys.executable, "-m", "prefect", "server", "start"], environment)
    url = environment["PREFECT_API_URL"]
    wait_for(lambda: asked(f"{url}/health", environment["PREFECT_API_AUTH_STRING"]))
    command = [sys.executable, "deploy/provision.py", "--silence", "40"]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=300)
    return environment


def test_server_on_postgres_asks_for_a_password_and_has_what_was_provided(on_postgres):
    url = on_postgres["PREFECT_API_URL"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        asked(f"{url}/flow_runs/count", None, data=b"{}")
    limits = f"{url}/v2/concurrency_limits/filter"
    auth = on_postgres["PREFECT_API_AUTH_STRING"]
    assert "chiralscreen-gpu" in asked(limits, auth, data=b"{}")
    assert "# HELP prefect" in asked(f"{url}/metrics", auth)


def test_a_night_on_postgres_outlives_its_worker(on_postgres, tmp_path, request):
    """Deployed, started by schedule, killed with its worker; a later night ends with all done."""
    write_crystals(tmp_path / "source", "ZnS", "GaAs")
    deploy_nightly(tmp_path, on_postgres)
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "chiralscreen"]
    first = start(request, worker, on_postgres)
    eventually((tmp_path / "waiting").exists)
    end(first)
    (tmp_path / "go").touch()
    start(request, worker, on_postgres)
    catalogue = tmp_path / "out" / "catalog" / "chirality.parquet"
    eventually(catalogue.exists)
    outcomes = read_catalog(tmp_path / "out", "chirality").set_index("material_id")["outcome"]
    assert outcomes.to_dict() == {"ZnS": "screened", "GaAs": "screened"}
    require_sound(Dataset(tmp_path / "out"))
    url, auth = on_postgres["PREFECT_API_URL"], on_postgres["PREFECT_API_AUTH_STRING"]
    runs = f"{url}/flow_runs/filter"
    eventually(lambda: '"Completed"' in asked(runs, auth, data=b"{}"))
    states = {run["state_name"] for run in json.loads(asked(runs, auth, data=b"{}"))}
    assert {"Crashed", "Completed"} <= states
    assert "Failed" not in states


def deploy_nightly(folder: Path, environment: dict[str, str]) -> None:
    """Deploy the nightly screening as it stands, but every twenty seconds and of this folder."""
    file = yaml.safe_load((DEPLOY / "prefect.yaml").read_text())
    [nightly] = [d for d in file["deployments"] if d["name"] == "nightly"]
    settings = settings_of(folder, "Ga:wait")
    nightly["schedules"] = [{"interval": 20, "active": True}]
    nightly["parameters"] |= {
        "source": str(folder / "source"),
        "output": str(folder / "out"),
        "settings": settings.model_dump(mode="json"),
        "workers": 1,
    }
    path = folder / "prefect.yaml"
    path.write_text(yaml.safe_dump(file | {"deployments": [nightly]}))
    command = ["--no-prompt", "deploy", "--all", "--prefect-file", str(path)]
    subprocess.run(
        [sys.executable, "-m", "prefect", *command],
        env=environment | {"PWD": str(ROOT)},
        cwd=ROOT,
        check=True,
        timeout=300,
    )


def own_environment(home: Path, database_port: int, port: int) -> dict[str, str]:
    """The example's settings, on ports and in folders of this test's own."""
    example = environment_example()
    url = example["PREFECT_SERVER_DATABASE_CONNECTION_URL"].replace("5432", str(database_port))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return (
        clean
        | example
        | {
            "PATH": f"{Path(POSTGRES or '').parent}:{os.environ['PATH']}",
            "POSTGRES_PORT": str(database_port),
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
            "PREFECT_SERVER_DATABASE_CONNECTION_URL": url,
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
            "PREFECT_WORKER_QUERY_SECONDS": "2",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }
    )


def unprivileged(folder: Path) -> dict[str, object]:
    """Postgres refuses to run as root; another account then needs the folder."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam("nobody")
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def start(
    request, command: list[str], environment: dict[str, str], **options: object
) -> subprocess.Popen[bytes]:
    """Start a program that ends with the test."""
    process = subprocess.Popen(command, env=environment, **{"cwd": ROOT, **options})
    request.addfinalizer(lambda: end(process))
    return process


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
