"""A service that runs, so that its status can be asked for."""

import subprocess
import sys
from pathlib import Path

from bench.processes import Unavailable
from bench.telemetry.spans import SERVICES
from bench.telemetry.systems import System
from zirkel.app.config import clean_environment

_EXAMPLE = Path(__file__).parents[2] / "examples" / SERVICES[0]


def ship_service(system: System) -> None:
    """Push the example service and ship it without a gate.

    Raises:
        Unavailable: If that fails.
    """
    key = system.headers["authorization"].removeprefix("Bearer ")
    environment = clean_environment({"ZIRKEL_URL": system.url, "ZIRKEL_API_KEY": key})
    for command in (
        ["push", str(_EXAMPLE)],
        ["ship", SERVICES[0], "--break-glass", "for the benchmark"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "zirkel.app", *command], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise Unavailable(f"zirkel {command[0]} failed: {done.stderr[-800:]}")
