"""The run as Markdown and as JSON, and which figures hold."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

import msgspec

from bench.evaluate.statistics import Computed
from bench.machine import Machine, warning

CPU_MS = 5.0
SATURATION = 0.9
PEAK_MIB = 500.0
STATISTICS_S = 1.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One experiment against the mock upstream."""

    items: int
    trials: int
    concurrency: int
    latency_ms: float
    answered: int
    errored: int
    elapsed_s: float
    cpu_s: float
    """Of the process that ran it: calls, evaluators and writing included."""
    peak_mib: float
    busy_s: float
    """At the upstream, summed over all calls."""
    upstream_s: float
    """From the first call to the last answer."""

    @property
    def cpu_ms(self) -> float:
        """Processor time for each answer."""
        return 1000 * self.cpu_s / max(self.answered, 1)

    @property
    def saturation(self) -> float:
        """Share of the allowed calls that were under way, on average."""
        return self.busy_s / (self.upstream_s * self.concurrency)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a run found."""

    machine: Machine
    ran: Ran
    computed: Computed


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure."""

    name: str
    target: str
    measured: str
    verdict: Literal["PASS", "FAIL"]


def figures(found: Found) -> Iterator[Figure]:
    """Yield the figures with their targets."""
    ran, computed = found.ran, found.computed
    size = f"{ran.items:,} items x {ran.trials} trials"
    statistics_s = max(computed.summarise_s, computed.compare_s)
    metrics = f"{computed.items:,} x {computed.trials} x {computed.metrics} metrics with clusters"
    planned = ran.items * ran.trials
    yield _figure(f"{size}: answered", f"{planned:,}", f"{ran.answered:,}", is_met=ran.answered == planned)
    yield _figure("CPU for each answer", "≤ 5 ms", f"{ran.cpu_ms:.2f} ms", is_met=ran.cpu_ms <= CPU_MS)
    yield _figure(
        f"{ran.concurrency} allowed calls under way", "≥ 90 %", f"{ran.saturation:.1%}",
        is_met=ran.saturation >= SATURATION,
    )  # fmt: skip
    yield _figure("RSS at its peak", "≤ 500 MiB", f"{ran.peak_mib:.0f} MiB", is_met=ran.peak_mib <= PEAK_MIB)
    yield _figure(f"statistics of {metrics}", "≤ 1 s", f"{statistics_s:.2f} s", is_met=statistics_s <= STATISTICS_S)


def _figure(name: str, target: str, measured: str, *, is_met: bool) -> Figure:
    return Figure(name, target, measured, "PASS" if is_met else "FAIL")


def markdown(found: Found) -> str:
    """Return the run for people to read."""
    machine, ran, computed = found.machine, found.ran, found.computed
    lines = [
        f"{machine.cores} cores ({machine.processor}), Linux {machine.kernel}, Python {machine.python}; "
        f"load before {machine.load_before:.2f}",
        *([warning(machine)] if warning(machine) else []),
        "",
        f"An upstream that answers after {ran.latency_ms:g} ms: {ran.answered / ran.elapsed_s:,.0f} answers/s over "
        f"{ran.elapsed_s:.1f} s. Summary {computed.summarise_s:.2f} s, comparison {computed.compare_s:.2f} s.",
        "",
        "| figure | target | measured | |",
        "|---|---|---|---|",
        *(f"| {one.name} | {one.target} | {one.measured} | {one.verdict} |" for one in figures(found)),
    ]
    return "\n".join(lines)


def to_json(found: Found) -> bytes:
    """Return the run for programs to read."""
    value = {**asdict(found), "figures": [asdict(one) for one in figures(found)]}
    return msgspec.json.format(msgspec.json.encode(value), indent=1)
