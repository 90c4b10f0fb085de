"""The machine that a benchmark runs on."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

BUSY_LOAD = 0.5
"""Load average per core before a run from which on its figures are doubtful."""


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a run took place."""

    cores: int
    processor: str
    kernel: str
    python: str
    load_before: float
    """Load average of the last minute."""


def this_machine() -> Machine:
    """Return the machine as it is now."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        processor=names[0] if names else platform.machine(),
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
    )


def warning(machine: Machine) -> str:
    """Return what to say about a machine that is busy with something else; empty if it is not."""
    if machine.load_before <= BUSY_LOAD * machine.cores:
        return ""
    return f"WARNING: load average {machine.load_before:.1f} on {machine.cores} cores: something else runs here"
