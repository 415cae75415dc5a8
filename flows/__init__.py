"""When and where: Prefect flows and the command line.

Importing this package sets defaults in the environment, which libraries read once when they are
imported. Variables that the user has set keep their values.
"""

import os

_DEFAULTS = {
    # Worker processes scale with the cores; threads of small matrices only slow each other down.
    "OMP_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    # A Prefect server takes up to half a minute to start on a small machine.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # Requests are tried again for two minutes: a server that restarts is back by then.
    "PREFECT_CLIENT_MAX_RETRIES": "6",
    # deploy/provision.py counts a run as crashed that is silent for three of these (seconds).
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "60",
    # What no symmetry is found for becomes a row with its reason; spglib prints no name beside.
    "SPGLIB_WARNING": "OFF",
    # Worker processes warn that logs outside of a run go nowhere; they go to the terminal.
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    # Nothing is sent to anybody.
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}

for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
