"""What a worker counts: plain dictionaries, about a microsecond for each update, written to a file once a second."""

import asyncio
import logging
import re
import resource
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import msgspec

from zirkel.core import Clock, Usage
from zirkel.gateway.exposition import METRICS, HistogramSample, Metric, Sample, WorkerState, read_state

OTHER = "other"
"""Stands for label values beyond the bound."""
_OPEN_LABELS = frozenset(
    {"project", "service_or_model", "upstream", "model", "error_type", "outcome", "limit", "guardrail"}
)
_LONGEST_VALUE = 200
_log = logging.getLogger("zirkel.gateway")
_PAGE_BYTES = resource.getpagesize()
_BUCKETS = tuple(name.removesuffix("_tokens") for name in Usage.__struct_fields__ if name.endswith("_tokens"))
"""As ``Usage`` begins."""


class CallEnd(msgspec.Struct, frozen=True):
    """A call that ended, however it did."""

    project: str
    service_or_model: str
    """``service:NAME``, the model's name, or empty. Never what a caller made up: that would use up the label sets."""
    status: int
    """HTTP status of the answer; 499 if the caller left before it."""
    duration_s: float
    error_type: str = ""
    cost_usd: Decimal | None = None
    """``None`` is *unknown*."""
    first_token_s: float | None = None
    """From the request to the first token; ``None`` if it was no stream, or none came."""
    output_tokens: int | None = None
    """Output tokens of the answer, reasoning included; ``None`` is *not reported*."""


class AttemptEnd(msgspec.Struct, frozen=True):
    """A try at an upstream that ended."""

    upstream: str
    model: str
    reason: str
    """As ``core.Span.attempt_reason``."""
    error_type: str = ""
    usage: Usage = msgspec.field(default_factory=Usage)
    cost_usd: Decimal | None = None
    """``None`` is *unknown*."""


class GatewayMetrics:
    """The metrics of one worker. Belongs to the event loop's thread."""

    def __init__(self, worker: str, folder: Path, start_ns: int, *, most_label_sets: int = 500) -> None:
        """Go on from the worker's file in ``folder``, which is made if needed.

        Args:
            worker: The worker's name, of letters, digits, ``-``, ``_`` and ``.``; the file has it.
            folder: Where all workers of the installation write.
            start_ns: When this process started.
            most_label_sets: Of one metric; what comes after is counted as ``other``.

        Raises:
            ValueError: If the worker's name is no file name.
            OSError: If the folder cannot be made.
        """
        if not re.fullmatch(r"[\w-][\w.-]*", worker, re.ASCII):
            raise ValueError(f"worker name {worker!r}; use letters, digits, '-', '_' and '.'")
        folder.mkdir(parents=True, exist_ok=True)
        self._worker = worker
        self._file = folder / f"{worker}.json"
        self._published_ns: int | None = None
        self._values = {one.name: _Values(one, most_label_sets) for one in METRICS if one.kind != "histogram"}
        self._histograms = {one.name: _Histograms(one, most_label_sets) for one in METRICS if one.kind == "histogram"}
        self._go_on()
        self.set("worker_start_time_seconds", start_ns / 1e9)

    def count(self, name: str, amount: float = 1, /, **labels: str) -> None:
        """Add to a counter (or a gauge).

        Raises:
            KeyError: If there is none of this name, or a label is missing.
        """
        self._values[name].add(labels, amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge. Raises as ``count``."""
        self._values[name].set(labels, value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Note a value in a histogram. Raises as ``count``."""
        self._histograms[name].observe(labels, value)

    def serve_snapshot(self, version: int, published_ns: int) -> None:
        """Note which configuration is served from now on."""
        self.set("snapshot_version", version)
        self._published_ns = published_ns

    def call_started(self) -> None:
        """Note a call that begins; ``call_ended`` must follow."""
        self._values["in_flight"].add_to((), 1)

    def call_ended(self, end: CallEnd) -> None:
        """Note a call that ended."""
        values, name = self._values, end.service_or_model
        values["in_flight"].add_to((), -1)
        values["calls_total"].add_to((end.project, name, f"{end.status // 100}xx", end.error_type), 1)
        self._histograms["call_duration_seconds"].observe_at((name,), end.duration_s)
        if end.cost_usd:
            values["cost_usd_total"].add_to((end.project, name), float(end.cost_usd))
        if end.first_token_s is None:
            return
        self._histograms["time_to_first_token_seconds"].observe_at((name,), end.first_token_s)
        if end.output_tokens is not None and end.output_tokens > 1 and not end.error_type:
            gaps = end.output_tokens - 1
            per_token_s = max(0.0, end.duration_s - end.first_token_s) / gaps
            self._histograms["time_per_output_token_seconds"].observe_at((name,), per_token_s)

    def attempt_ended(self, end: AttemptEnd) -> None:
        """Note a try that ended."""
        values, usage, model = self._values, end.usage, f"{end.upstream}/{end.model}"
        values["attempts_total"].add_to((end.upstream, end.model, end.reason, end.error_type or "ok"), 1)
        for bucket, tokens in zip(_BUCKETS, msgspec.structs.astuple(usage), strict=False):
            if tokens:
                values["tokens_total"].add_to((model, bucket), tokens)
        if end.cost_usd is None:
            values["unpriced_attempts_total"].add_to((model,), 1)

    def state(self, now_ns: int) -> WorkerState:
        """Return all that was counted."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        self.set("worker_cpu_seconds_total", usage.ru_utime + usage.ru_stime)
        self.set("worker_rss_bytes", _rss_bytes())
        if self._published_ns is not None:
            self.set("snapshot_age_seconds", max(0, now_ns - self._published_ns) / 1e9)
        return WorkerState(
            worker=self._worker,
            written_ns=now_ns,
            values={name: family.samples() for name, family in self._values.items()},
            histograms={name: family.samples() for name, family in self._histograms.items()},
        )

    def dump(self, now_ns: int) -> None:
        """Replace the worker's file. A crash of the machine may lose it, a kill of the process may not.

        Raises:
            OSError: If it could not be written.
        """
        temporary = self._file.with_suffix(".new")
        temporary.write_bytes(msgspec.json.encode(self.state(now_ns)))
        temporary.replace(self._file)

    async def keep_dumping(self, clock: Clock, *, interval_s: float = 1.0) -> None:
        """Dump again and again, until cancelled, and then once more. A full disk is logged once and no end."""
        is_failing = False
        try:
            while True:
                is_failing = self._try_to_dump(clock, is_failing)
                await asyncio.sleep(interval_s)
        finally:
            self._try_to_dump(clock, is_failing)

    def _try_to_dump(self, clock: Clock, is_failing: bool) -> bool:
        """Return whether it failed; log it unless it failed before."""
        try:
            self.dump(clock.now_ns())
        except OSError as error:
            if not is_failing:
                _log.warning("the metrics cannot be written to %s: %s", self._file, error)
            return True
        return False

    def _go_on(self) -> None:
        state = read_state(self._file)
        if state is None:
            return
        for metric in METRICS:
            if metric.kind == "histogram":
                self._histograms[metric.name].load(state.histograms[metric.name])
            elif metric.kind == "counter" and metric.join == "sum":
                self._values[metric.name].load(state.values[metric.name])


class _Keys:
    """Turns labels into a key and holds the number of keys down."""

    def __init__(self, metric: Metric, most: int) -> None:
        self._most = most
        self._others = tuple(OTHER if name in _OPEN_LABELS else "" for name in metric.labels)
        self._all_others = (OTHER,) * len(metric.labels)

    def bounded(self, key: tuple[str, ...], known: Mapping[tuple[str, ...], object]) -> tuple[str, ...]:
        """Return the key to count a new one under: at most twice the bound are ever returned."""
        key = tuple(value[:_LONGEST_VALUE] for value in key)
        if key in known or len(known) < self._most:
            return key
        key = tuple(other or value for other, value in zip(self._others, key, strict=True))
        if key in known or len(known) < 2 * self._most:
            return key
        return self._all_others


class _Values:
    def __init__(self, metric: Metric, most: int) -> None:
        self._names = metric.labels
        self._keys = _Keys(metric, most)
        self._known: dict[tuple[str, ...], float] = {}

    def add(self, labels: Mapping[str, str], amount: float) -> None:
        self.add_to(tuple([labels[name] for name in self._names]), amount)

    def add_to(self, key: tuple[str, ...], amount: float) -> None:
        """Add under the labels' values, in the order of their names."""
        known = self._known
        value = known.get(key)
        if value is None:
            key = self._keys.bounded(key, known)
            value = known.get(key, 0)
        known[key] = value + amount

    def set(self, labels: Mapping[str, str], value: float) -> None:
        self._known[self._key(labels)] = value

    def samples(self) -> list[Sample]:
        return [Sample(list(key), value) for key, value in self._known.items()]

    def load(self, samples: Iterable[Sample]) -> None:
        self._known = {tuple(sample.labels): sample.value for sample in samples}

    def _key(self, labels: Mapping[str, str]) -> tuple[str, ...]:
        key = tuple([labels[name] for name in self._names])
        return key if key in self._known else self._keys.bounded(key, self._known)


class _Histograms:
    def __init__(self, metric: Metric, most: int) -> None:
        self._names = metric.labels
        self._bounds: Sequence[float] = metric.bounds
        self._keys = _Keys(metric, most)
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, labels: Mapping[str, str], value: float) -> None:
        self.observe_at(tuple([labels[name] for name in self._names]), value)

    def observe_at(self, key: tuple[str, ...], value: float) -> None:
        """Note a value under the labels' values, in the order of their names."""
        counts = self._counts.get(key)
        if counts is None:
            key = self._keys.bounded(key, self._counts)
            counts = self._counts.setdefault(key, [0] * (len(self._bounds) + 1))
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[key] = self._sums.get(key, 0.0) + value

    def samples(self) -> list[HistogramSample]:
        return [HistogramSample(list(key), counts, self._sums[key]) for key, counts in self._counts.items()]

    def load(self, samples: Iterable[HistogramSample]) -> None:
        for sample in samples:
            key = tuple(sample.labels)
            self._counts[key], self._sums[key] = list(sample.counts), sample.sum


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * _PAGE_BYTES
