"""The run as Markdown and as JSON."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import msgspec

from bench.gateway.figures import Figure, Memory, Rounds
from bench.gateway.measure import Measured
from bench.gateway.system import System
from bench.machine import Machine, warning


@dataclass(frozen=True, slots=True)
class Run:
    """Everything that a run found."""

    machine: Machine
    versions: dict[str, str]
    missing: dict[str, str]
    """Systems that could not be measured, and why."""
    rounds: Rounds
    memory: Sequence[Memory]
    figures: Sequence[Figure]
    load_after: float
    """Load average of the last minute of the run, its own load among it."""


def versions(systems: Sequence[System]) -> dict[str, str]:
    """Return the versions of the systems that have one."""
    return {system.name: system.version for system in systems if system.version}


def markdown(run: Run) -> str:
    """Return the run for people to read."""
    return "\n".join([*_heading(run), "", *_points(run.rounds), "", *_proofs(run.figures), ""])


def to_json(run: Run) -> bytes:
    """Return the run for programs to read."""
    rows = [[asdict(measured) for measured in found.values()] for found in run.rounds]
    value = {
        "machine": asdict(run.machine),
        "load_after": run.load_after,
        "versions": run.versions,
        "missing": run.missing,
        "rounds": rows,
        "memory": [asdict(step) for step in run.memory],
        "figures": [asdict(figure) for figure in run.figures],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=1)


def _heading(run: Run) -> Iterator[str]:
    machine = run.machine
    yield f"{machine.cores} cores ({machine.processor}), Linux {machine.kernel}, Python {machine.python}, load average"
    yield f"{machine.load_before:.2f} before and {run.load_after:.2f} at the end;"
    yield f"{len(run.rounds)} rounds: median [lowest–highest]."
    if run.versions:
        yield "Versions: " + ", ".join(f"{name} {version}" for name, version in run.versions.items()) + "."
    for name, why in run.missing.items():
        yield f"Not measured: {name}: {why.splitlines()[0]}"
    if text := warning(machine):
        yield text


def _points(rounds: Rounds) -> Iterator[str]:
    columns = ["load", "system", "answers/s", "× direct", "p50 ms", "added p50 ms", "first token ms", "CPU ms"]
    columns += ["storing CPU ms", "RSS MiB"]
    yield "| " + " | ".join(columns) + " |"
    yield "|---" * len(columns) + "|"
    order = sorted(rounds[0], key=lambda key: _rank(rounds, key))
    for system, point in order:
        found = [measured[system, point] for measured in rounds]
        direct = [measured["direct", point] for measured in rounds]
        faults = sum(one.errors + one.short for one in found)
        cells = [
            point,
            system + (f" ({faults} faults)" if faults else ""),
            _spread([one.per_s for one in found], "{:,.0f}"),
            _spread([one.per_s / base.per_s for one, base in zip(found, direct, strict=True)], "{:.3f}"),
            _spread([one.p50_ms for one in found], "{:.2f}"),
            _spread([one.p50_ms - base.p50_ms for one, base in zip(found, direct, strict=True)], "{:.2f}"),
            _spread_if(found, lambda one: one.first_p50_ms, "{:.1f}"),
            _spread_if(found, lambda one: one.cpu_ms, "{:.3f}"),
            _spread_if(found, lambda one: one.storing_cpu_ms, "{:.3f}"),
            _spread_if(found, lambda one: one.rss_mib, "{:.0f}"),
        ]
        yield "| " + " | ".join(cells) + " |"


def _proofs(figures: Sequence[Figure]) -> Iterator[str]:
    yield "| figure | target | measured | |"
    yield "|---|---|---|---|"
    for figure in figures:
        measured = _spread([figure.lowest, figure.median, figure.highest], "{:.3g}")
        shown = "–" if figure.verdict == "not measured" else measured
        note = f": {figure.note}" if figure.note else ""
        yield f"| {figure.name} | {figure.target} | {shown} | {figure.verdict}{note} |"


def _rank(rounds: Rounds, key: tuple[str, str]) -> tuple[int, int]:
    # The first round's order is that in which everything was started.
    points = list(dict.fromkeys(point for _, point in rounds[0]))
    systems = list(dict.fromkeys(system for system, _ in rounds[0]))
    return points.index(key[1]), systems.index(key[0])


def _spread(values: Sequence[float], shape: str) -> str:
    middle, low, high = (shape.format(value) for value in (median(values), min(values), max(values)))
    return middle if low == high else f"{middle} [{low}–{high}]"


def _spread_if(found: Sequence[Measured], pick: Callable[[Measured], float], shape: str) -> str:
    values = [pick(one) for one in found]
    return _spread(values, shape) if any(values) else ""
