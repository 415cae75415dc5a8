"""What Prefect needs, checked before anything is loaded or computed."""

import os
import tempfile
from pathlib import Path

from tasks.failures import RemediableError

# A server that takes the connection and thinks is there (seconds).
_MAX_SECONDS_TO_CONNECT = 1.0


def require_prefect() -> None:
    """Refuse a server that is not there, and a folder that Prefect cannot write into.

    Raises
    ------
    RemediableError
        With the address or the folder, and what to do.
    """
    if given := os.environ.get("PREFECT_API_URL"):
        _require_server(given)
    _require_home(Path(os.environ.get("PREFECT_HOME") or "~/.prefect"))
    if not given:
        # Of a profile; Prefect's settings alone take a second to load.
        from prefect.settings import get_current_settings  # noqa: PLC0415 - slow to load

        if url := get_current_settings().api.url:
            _require_server(str(url))


def _require_server(url: str) -> None:
    import httpx  # noqa: PLC0415 - a run with a temporary server needs none here

    try:
        # Nothing is sent that a certificate would have to protect, and any answer will do.
        httpx.get(f"{url}/health", timeout=_MAX_SECONDS_TO_CONNECT, verify=False)  # noqa: S501
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        remedy = "start it, or unset PREFECT_API_URL (also in the Prefect profile)"
        raise RemediableError(f"no Prefect server at {url}", remedy) from error
    except httpx.InvalidURL as error:
        message = f"PREFECT_API_URL is no address: {url}"
        raise RemediableError(message, "http://127.0.0.1:4200/api is one") from error
    except httpx.HTTPError:
        pass


def _require_home(folder: Path) -> None:
    try:
        home = folder.expanduser()
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except (OSError, RuntimeError) as error:
        message = f"Prefect cannot write into its folder {folder}: {error}"
        raise RemediableError(message, "set PREFECT_HOME to a folder that you may write") from error
