"""The run as Markdown and as JSON, and which figures hold."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import msgspec

from bench.machine import Machine, warning
from bench.telemetry.measure import Asked, Ingested, Kept

LIMITS_MS = {
    "traces: text over a day": 1000.0,
    "trace by id": 100.0,
}
OTHERS_MS = 300.0
SPANS_PER_S = 5000.0
DISK_BYTES_PER_SPAN = 2 * 2**30 / 1_000_000
PEAK_MIB = 1536.0
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that a run found."""

    machine: Machine
    """Before the run."""
    versions: Mapping[str, str]
    missing: Mapping[str, str]
    ingested: Sequence[Ingested]
    asked: Sequence[Asked]
    kept: Sequence[Kept]
    peak_mib: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure."""

    name: str
    target: str
    measured: str
    verdict: Literal["PASS", "FAIL", "not measured"]


def figures(found: Found) -> list[Figure]:
    """Return all figures of Zirkel with their targets."""
    largest = max((asked.spans for asked in found.asked if asked.system == "zirkel"), default=0)
    return [
        *_ingest_figures(found),
        *(_asked_figure(asked) for asked in found.asked if asked.system == "zirkel" and asked.spans == largest),
        *_kept_figures(found),
    ]


def _ingest_figures(found: Found) -> Iterator[Figure]:
    ours = [one for one in found.ingested if one.system == "zirkel"]
    if ours:
        largest = max(ours, key=lambda one: one.spans)
        yield _figure(
            "durable OTLP ingest on one core, spans/s until readable", "≥ 5,000", f"{largest.per_s:,.0f}",
            is_met=largest.per_s >= SPANS_PER_S,
        )  # fmt: skip


def _asked_figure(asked: Asked) -> Figure:
    limit_ms = LIMITS_MS.get(asked.name, OTHERS_MS)
    name = f"{asked.name}, {asked.spans:,} spans, p95"
    return _figure(name, f"≤ {limit_ms:,.0f} ms", f"{asked.p95_ms:,.0f} ms", is_met=asked.p95_ms <= limit_ms)


def _kept_figures(found: Found) -> Iterator[Figure]:
    for kept in found.kept:
        per_million_gib = kept.disk_bytes / kept.spans * MILLION / 2**30
        yield _figure(
            "disk per million spans of 4 KB", "≤ 2 GiB", f"{per_million_gib:.2f} GiB",
            is_met=kept.disk_bytes / kept.spans <= DISK_BYTES_PER_SPAN,
        )  # fmt: skip
        yield _figure(
            "core's RSS while it was loaded and asked", "≤ 1.5 GiB", f"{found.peak_mib / 1024:.2f} GiB",
            is_met=found.peak_mib <= PEAK_MIB,
        )  # fmt: skip


def _figure(name: str, target: str, measured: str, *, is_met: bool) -> Figure:
    return Figure(name, target, measured, "PASS" if is_met else "FAIL")


def markdown(found: Found) -> str:
    """Return the run for people to read."""
    return "\n".join([*_heading(found), "", *_ingest_table(found), "", *_ask_table(found), "", *_proofs(found), ""])


def to_json(found: Found) -> bytes:
    """Return the run for programs to read."""
    value = {
        "machine": asdict(found.machine),
        "versions": dict(found.versions),
        "missing": dict(found.missing),
        "ingested": [asdict(one) for one in found.ingested],
        "asked": [asdict(one) for one in found.asked],
        "kept": [asdict(one) for one in found.kept],
        "peak_mib": found.peak_mib,
        "figures": [asdict(one) for one in figures(found)],
    }
    return msgspec.json.format(msgspec.json.encode(value), indent=1)


def _heading(found: Found) -> Iterator[str]:
    machine = found.machine
    yield f"{machine.cores} cores ({machine.processor}), Linux {machine.kernel}, Python {machine.python};"
    yield "each system takes spans in on one core, the generator is on the others; what is asked at size has all cores."
    yield "Versions: " + ", ".join(f"{name} {version}" for name, version in found.versions.items()) + "."
    for name, why in found.missing.items():
        yield f"Not measured: {name}: {why.splitlines()[0]}"
    if text := warning(machine):
        yield text


def _ingest_table(found: Found) -> Iterator[str]:
    yield "| system | spans | accepted/s | readable/s | CPU ms per span | newest traces p95 ms meanwhile | RSS MiB |"
    yield "|---|---|---|---|---|---|---|"
    for one in found.ingested:
        yield (
            f"| {one.system} | {one.spans:,} | {one.spans / one.accepted_s:,.0f} | {one.per_s:,.0f} | "
            f"{one.cpu_s / one.spans * 1e3:.3f} | {one.read_p95_ms:,.0f} | {one.rss_mib:,.0f} |"
        )


def _ask_table(found: Found) -> Iterator[str]:
    yield "| question | system | spans | p50 ms | p95 ms |"
    yield "|---|---|---|---|---|"
    for one in sorted(found.asked, key=lambda asked: (asked.spans, asked.name)):
        yield f"| {one.name} | {one.system} | {one.spans:,} | {one.p50_ms:,.1f} | {one.p95_ms:,.1f} |"


def _proofs(found: Found) -> Iterator[str]:
    yield "| figure | target | measured | |"
    yield "|---|---|---|---|"
    for one in figures(found):
        yield f"| {one.name} | {one.target} | {one.measured} | {one.verdict} |"
