"""What the gateway's metrics are called, and their text form. Pure but for ``render_metrics``, which reads a folder."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

import msgspec

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "zirkel_gateway_"
STATE_FORMAT = 1
STALE_S = 15.0
"""A worker that wrote nothing for so long is gone: its counters still count, its gauges do not."""

_DURATION_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN_BOUNDS = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
)  # fmt: skip
_PER_TOKEN_BOUNDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
_log = logging.getLogger("zirkel.gateway")

Kind = Literal["counter", "gauge", "histogram"]
Join = Literal["sum", "max", "worker"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One family of time series."""

    name: str
    """Without ``PREFIX``."""
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets, without infinity."""
    join: Join = "sum"
    """How the workers' values become one; ``worker`` keeps them apart by a label of that name."""


# Bounds of the histograms: OpenTelemetry semantic conventions for generative AI metrics.
METRICS = (
    Metric("calls_total", "counter", "Calls that ended.",
           ("project", "service_or_model", "status_class", "error_type")),
    Metric("call_duration_seconds", "histogram", "From the request's head to the answer's last byte.",
           ("service_or_model",), _DURATION_BOUNDS),
    Metric("time_to_first_token_seconds", "histogram", "Until the first token of a stream.",
           ("service_or_model",), _FIRST_TOKEN_BOUNDS),
    Metric("time_per_output_token_seconds", "histogram", "Between the tokens of a stream, its mean, after the first.",
           ("service_or_model",), _PER_TOKEN_BOUNDS),
    Metric("cost_usd_total", "counter", "What calls cost, where their price is known.",
           ("project", "service_or_model")),
    Metric("attempts_total", "counter", "Tries at upstreams.", ("upstream", "model", "reason", "outcome")),
    Metric("tokens_total", "counter", "Tokens by usage bucket; the buckets are disjoint.", ("model", "bucket")),
    Metric("unpriced_attempts_total", "counter", "Attempts whose cost is unknown.", ("model",)),
    Metric("limit_refusals_total", "counter", "Calls that a limit or hard budget refused.", ("limit",)),
    Metric("budget_soft_passed_total", "counter", "Soft budgets that were passed."),
    Metric("retries_total", "counter", "Tries after a failure, at the same link."),
    Metric("hedges_total", "counter", "Second requests because the first was late.", ("won",)),
    Metric("fallbacks_total", "counter", "Steps to the next link of a chain.", ("reason",)),
    Metric("cooldowns_total", "counter", "Times that an upstream's model was put to rest.", ("upstream", "model")),
    Metric("cache_total", "counter", "Look-ups in the answer cache.", ("result",)),
    Metric("guardrail_verdicts_total", "counter", "What guardrails decided.", ("guardrail", "action")),
    Metric("records_lost_total", "counter", "Calls that were answered though their record could not be written."),
    Metric("spool_refusals_total", "counter", "Lost records: the spool is full; part of `records_lost_total`."),
    Metric("in_flight", "gauge", "Calls being answered now."),
    Metric("resting", "gauge", "1 while an upstream's model rests, 0 after.", ("upstream", "model"), join="max"),
    Metric("snapshot_version", "gauge", "Version of the configuration being served.", join="worker"),
    Metric("snapshot_age_seconds", "gauge", "Since that configuration was published.", join="worker"),
    Metric("worker_rss_bytes", "gauge", "Resident memory.", join="worker"),
    Metric("worker_cpu_seconds_total", "counter", "CPU time, user and system, of the worker's process.", join="worker"),
    Metric("worker_start_time_seconds", "gauge", "When the worker's process started, since 1970.", join="worker"),
)  # fmt: skip


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One counter or gauge."""

    labels: list[str]
    value: float


class HistogramSample(msgspec.Struct, frozen=True, array_like=True):
    """One histogram. Counts are per bucket, not cumulated; the last one is of what is above all bounds."""

    labels: list[str]
    counts: list[int]
    sum: float


class WorkerState(msgspec.Struct, frozen=True):
    """What one worker has counted, over all its restarts; the form of its file."""

    worker: str
    written_ns: int
    values: dict[str, list[Sample]] = {}
    histograms: dict[str, list[HistogramSample]] = {}
    format: int = STATE_FORMAT


_states = msgspec.json.Decoder(WorkerState)


def decode_state(data: bytes) -> WorkerState:
    """Return the state in a worker's file, without what this program does not know or counts otherwise.

    Raises:
        msgspec.DecodeError: If the file is damaged or of another format.
    """
    state = _states.decode(data)
    if state.format != STATE_FORMAT:
        raise msgspec.ValidationError(f"metrics format {state.format}, this program reads {STATE_FORMAT}")
    values, histograms = {}, {}
    for metric in METRICS:
        width = len(metric.labels)
        values[metric.name] = [one for one in state.values.get(metric.name, []) if len(one.labels) == width]
        histograms[metric.name] = [
            one
            for one in state.histograms.get(metric.name, [])
            if len(one.labels) == width and len(one.counts) == len(metric.bounds) + 1
        ]
    return msgspec.structs.replace(state, values=values, histograms=histograms)


def read_state(file: Path) -> WorkerState | None:
    """Return the state in a worker's file; ``None`` if there is none or it cannot be read, which is logged."""
    try:
        return decode_state(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("the metrics in %s cannot be read and are left out: %s", file, error)
        return None


def render_metrics(folder: Path, now_ns: int) -> str:
    """Return the metrics of all workers that have a file in ``folder``, as ``render_states``."""
    states = [read_state(file) for file in sorted(folder.glob("*.json"))]
    return render_states([state for state in states if state is not None], now_ns)


def render_states(states: Sequence[WorkerState], now_ns: int) -> str:
    """Return the workers' states as one text.

    Counters and histograms are summed over all workers, also those that are gone, so that they never fall. Gauges, and
    what is kept apart by worker, come only from workers that wrote within ``STALE_S`` seconds.

    Source: Prometheus text exposition format 0.0.4.
    """
    fresh = [state for state in states if now_ns - state.written_ns <= STALE_S * 1e9]
    return "".join(_family(metric, states, fresh) for metric in METRICS)


def _family(metric: Metric, states: Sequence[WorkerState], fresh: Sequence[WorkerState]) -> str:
    name = PREFIX + metric.name
    if metric.join == "worker":
        lines = list(_by_worker(metric, name, fresh))
    elif metric.kind == "histogram":
        lines = list(_histogram_lines(metric, name, states))
    else:
        lines = list(_value_lines(metric, name, states if metric.kind == "counter" else fresh))
    return "\n".join([f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}", *lines, ""])


def _by_worker(metric: Metric, name: str, states: Sequence[WorkerState]) -> Iterator[str]:
    for state in states:
        for sample in state.values.get(metric.name, []):
            yield f"{name}{_labels(['worker', *metric.labels], [state.worker, *sample.labels])} {_number(sample.value)}"


def _value_lines(metric: Metric, name: str, states: Sequence[WorkerState]) -> Iterator[str]:
    joined: dict[tuple[str, ...], float] = {}
    for state in states:
        for sample in state.values.get(metric.name, []):
            key = tuple(sample.labels)
            known = joined.get(key, 0)
            joined[key] = max(known, sample.value) if metric.join == "max" else known + sample.value
    if not metric.labels:
        joined.setdefault((), 0)
    for key, value in sorted(joined.items()):
        yield f"{name}{_labels(metric.labels, key)} {_number(value)}"


def _histogram_lines(metric: Metric, name: str, states: Sequence[WorkerState]) -> Iterator[str]:
    names = [*metric.labels, "le"]
    bounds = [*map(_number, metric.bounds), "+Inf"]
    for key, (counts, total) in sorted(_sum_histograms(metric, states).items()):
        cumulated = list(accumulate(counts))
        for bound, count in zip(bounds, cumulated, strict=True):
            yield f"{name}_bucket{_labels(names, [*key, bound])} {count}"
        yield f"{name}_sum{_labels(metric.labels, key)} {_number(total)}"
        yield f"{name}_count{_labels(metric.labels, key)} {cumulated[-1]}"


def _sum_histograms(
    metric: Metric, states: Sequence[WorkerState]
) -> Mapping[tuple[str, ...], tuple[Sequence[int], float]]:
    summed: dict[tuple[str, ...], tuple[Sequence[int], float]] = {}
    for state in states:
        for sample in state.histograms.get(metric.name, []):
            counts, total = summed.get(tuple(sample.labels), ([0] * len(sample.counts), 0.0))
            together = [a + b for a, b in zip(counts, sample.counts, strict=True)]
            summed[tuple(sample.labels)] = (together, total + sample.sum)
    return summed


def _labels(names: Iterable[str], values: Iterable[str]) -> str:
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(float(value))
