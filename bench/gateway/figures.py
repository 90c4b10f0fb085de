"""What is to be proved: each figure with its target, from the points of one run."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Literal

from bench.gateway.measure import Measured

CORES_FOR_TWO_WORKERS = 4
"""Two workers, the load generator and the upstream."""
FLAT_SHARE = 0.05
"""Growth of the resident memory over the memory run that still counts as flat."""

Verdict = Literal["PASS", "FAIL", "not measured", "cores do not allow"]
Rounds = Sequence[Mapping[tuple[str, str], Measured]]
"""Per round, what was measured by system and point."""
Pick = Callable[[Mapping[tuple[str, str], Measured]], float]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its median over the rounds, and whether that meets the target."""

    name: str
    target: str
    median: float
    lowest: float
    highest: float
    verdict: Verdict
    note: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of one worker in MiB, after so many requests."""

    requests: int
    rss_mib: float


def figures(rounds: Rounds, memory: Sequence[Memory]) -> list[Figure]:
    """Return all figures; those whose systems were not measured say so."""
    return [
        _plain_cpu(rounds),
        _figure(
            rounds,
            "LiteLLM's CPU per plain request over Zirkel's",
            "≥ 40",
            _at_least(40),
            _ratio(_cpu("litellm", "plain 16"), _cpu("zirkel", "plain 16")),
        ),
        _figure(
            rounds,
            "paced streams: share of the upstream's own rate",
            "≥ 0.99",
            _at_least(0.99),
            _ratio(_rate("zirkel", "paced 32"), _rate("direct", "paced 32")),
        ),
        _figure(rounds, "CPU per paced stream, ms", "≤ 4", _at_most(4), _cpu("zirkel", "paced 32")),
        _figure(
            rounds,
            "paced streams: time to first token added, ms",
            "≤ 5",
            _at_most(5),
            _added_first("zirkel", "paced 32"),
        ),
        _figure(rounds, "latency added at concurrency 1, ms", "≤ 1", _at_most(1), _added("zirkel", "plain 1")),
        _figure(rounds, "RSS per worker, MiB", "≤ 150", _at_most(150), _rss("zirkel", "paced 32")),
        _flatness(memory),
        _two_workers(rounds),
        _figure(
            rounds,
            "CPU per plain request with 10,000 keys and 500 routes, of without",
            "≤ 1.10",
            _at_most(1.10),
            _ratio(_cpu("zirkel-large", "plain 16"), _cpu("zirkel", "plain 16")),
        ),
        _figure(
            rounds,
            "CPU per paced stream with 10,000 keys and 500 routes, of without",
            "≤ 1.10",
            _at_most(1.10),
            _ratio(_cpu("zirkel-large", "paced 32"), _cpu("zirkel", "paced 32")),
        ),
    ]


def _plain_cpu(rounds: Rounds) -> Figure:
    found = _figure(rounds, "CPU per plain request, ms", "≤ 0.30", _at_most(0.30), _cpu("zirkel", "plain 16"))
    if found.verdict == "not measured":
        return found
    storing = median(measured["zirkel", "plain 16"].storing_cpu_ms for measured in rounds)
    return replace(found, note=f"of the worker; the core, which stores the record, takes {storing:.3f} ms more")


def _figure(rounds: Rounds, name: str, target: str, meets: Callable[[float], bool], pick: Pick) -> Figure:
    try:
        values = [pick(measured) for measured in rounds]
    except KeyError:
        return Figure(name, target, 0.0, 0.0, 0.0, "not measured")
    middle = median(values)
    return Figure(name, target, middle, min(values), max(values), "PASS" if meets(middle) else "FAIL")


def _flatness(memory: Sequence[Memory]) -> Figure:
    name, target = "RSS growth over the memory run, share", f"≤ {FLAT_SHARE}"
    if len(memory) < 2:
        return Figure(name, target, 0.0, 0.0, 0.0, "not measured")
    first, last = memory[0], memory[-1]
    growth = last.rss_mib / first.rss_mib - 1
    slope_kib = (last.rss_mib - first.rss_mib) * 1024 / ((last.requests - first.requests) / 1000)
    steps = ", ".join(f"{step.rss_mib:.1f} MiB after {step.requests:,}" for step in memory)
    note = f"{steps} requests; {slope_kib:+.2f} KiB per 1,000 requests"
    return Figure(name, target, growth, growth, growth, "PASS" if growth <= FLAT_SHARE else "FAIL", note)


def _two_workers(rounds: Rounds) -> Figure:
    name, target, point = "requests/s of two workers over one's", "≥ 1.7", "plain 64"
    found = _figure(rounds, name, target, _at_least(1.7), _ratio(_rate("zirkel-2", point), _rate("zirkel", point)))
    cores = len(os.sched_getaffinity(0))
    if found.verdict == "not measured" or cores >= CORES_FOR_TWO_WORKERS:
        return found
    one, two = (_figure(rounds, "", "", _at_least(0), _cpu(system, point)).median for system in ("zirkel", "zirkel-2"))
    note = f"{cores} cores for two workers, load and upstream; CPU per request: one {one:.3f} ms, two {two:.3f} ms"
    return Figure(name, target, found.median, found.lowest, found.highest, "cores do not allow", note)


def _at_most(bound: float) -> Callable[[float], bool]:
    return lambda value: value <= bound


def _at_least(bound: float) -> Callable[[float], bool]:
    return lambda value: value >= bound


def _cpu(system: str, point: str) -> Pick:
    return lambda measured: measured[system, point].cpu_ms


def _rate(system: str, point: str) -> Pick:
    return lambda measured: measured[system, point].per_s


def _rss(system: str, point: str) -> Pick:
    return lambda measured: measured[system, point].rss_mib


def _added(system: str, point: str) -> Pick:
    return lambda measured: measured[system, point].p50_ms - measured["direct", point].p50_ms


def _added_first(system: str, point: str) -> Pick:
    return lambda measured: measured[system, point].first_p50_ms - measured["direct", point].first_p50_ms


def _ratio(above: Pick, below: Pick) -> Pick:
    return lambda measured: above(measured) / below(measured)
