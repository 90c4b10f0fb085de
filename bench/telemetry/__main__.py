"""``python -m bench.telemetry``: measure, print the tables, say what holds."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx

from bench.machine import this_machine
from bench.processes import Unavailable
from bench.telemetry.measure import Asked, Ingested, Kept, PeakMemory, ask, ingest, kept, load, stay_off
from bench.telemetry.report import Found, figures, markdown, to_json
from bench.telemetry.service import ship_service
from bench.telemetry.spans import MODELS, RARE_WORD, SERVICES, Sent, exported
from bench.telemetry.systems import STARTS, System, find_peers, other_cores, start_zirkel
from zirkel.core import SystemClock

NAMES = ("zirkel", "phoenix", "mlflow")
BATCH = 500
INGEST_SPAN_BYTES = 2_000
STORED_SPAN_BYTES = 4_000
DAYS = 7
_TIMES = 40
_PEER_TIMES = 20


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    spans: int
    ingest_spans: int
    peer_spans: int
    only: Sequence[str]
    peers_python: Path | None
    output: Path | None


@dataclass(slots=True)
class _Run:
    ingested: list[Ingested] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    peak_mib: float = 0.0
    missing: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


def main() -> int:
    """Run the benchmark; return 1 if a figure misses its target, or Zirkel does not run."""
    options = _options()
    machine = this_machine()
    stay_off(other_cores())
    run = _Run()
    with tempfile.TemporaryDirectory(prefix="bench-telemetry-") as name:
        for system in options.only:
            try:
                _measure(system, Path(name), options, run)
            except Unavailable as error:
                run.missing[system] = str(error)
                say(f"{system}: {error}")
    found = Found(machine, run.versions, run.missing, run.ingested, run.asked, run.kept, run.peak_mib)
    print(markdown(found))
    if options.output is not None:
        options.output.write_bytes(to_json(found))
    return int("zirkel" in run.missing or any(figure.verdict == "FAIL" for figure in figures(found)))


def say(text: str) -> None:
    """Print progress where it does not mix with the tables."""
    print(text, file=sys.stderr, flush=True)


def _measure(name: str, folder: Path, options: Options, run: _Run) -> None:
    is_ours = name == "zirkel"
    python = Path(sys.executable) if is_ours else find_peers(options.peers_python)
    with ExitStack() as stack:
        system = STARTS[name](folder / name, python)
        stack.callback(system.stop)
        run.versions[name] = system.version
        count = options.ingest_spans if is_ours else options.peer_spans
        say(f"{name} {system.version}: {count:,} spans of {INGEST_SPAN_BYTES} bytes, {BATCH} a batch")
        batches = list(exported(count, BATCH, INGEST_SPAN_BYTES, SystemClock().now_ns() - count * 1_000_000, seed=3))
        if is_ours:
            # The same number as the others, for comparison; then the long run.
            same = exported(options.peer_spans, BATCH, INGEST_SPAN_BYTES, SystemClock().now_ns(), seed=5)
            _ingest_and_ask(system, list(same), run)
            run.ingested.append(ingest(system, batches))
        else:
            _ingest_and_ask(system, batches, run)

    if is_ours and options.spans:
        system = start_zirkel(folder / "stored", on_one_core=False)
        try:
            _ask_much(system, options, run)
        finally:
            system.stop()


def _ingest_and_ask(system: System, batches: Sequence[Sent], run: _Run) -> None:
    run.ingested.append(ingest(system, batches))
    traces = [trace_id for batch in batches for trace_id in batch.trace_ids]
    Random(1).shuffle(traces)
    spans = run.ingested[-1].spans
    run.asked.append(ask(system, "newest traces", spans, _PEER_TIMES, lambda client, _: system.list_newest(client)))
    run.asked.append(
        ask(
            system,
            "trace by id",
            spans,
            _PEER_TIMES,
            lambda client, number: system.read_trace(client, traces[number]),
        )
    )


def _ask_much(system: System, options: Options, run: _Run) -> None:
    """Ask a system that has nothing but these spans, and all cores; what one core does was shown by taking spans in."""
    ship_service(system)
    say(f"zirkel: {options.spans:,} spans of {STORED_SPAN_BYTES} bytes over {DAYS} days")
    peak = PeakMemory(system.storing_pid())
    taken_s = load(system, options.spans, STORED_SPAN_BYTES, DAYS, say=say)
    say(f"zirkel: stored after {taken_s:.0f} s; asking")
    trace_ids = _some_traces(system)
    for name, question in _questions(trace_ids).items():
        run.asked.append(ask(system, name, options.spans, _TIMES, question))
        say(f"  {run.asked[-1].name}: p50 {run.asked[-1].p50_ms:.0f} ms, p95 {run.asked[-1].p95_ms:.0f} ms")
    run.peak_mib = peak.stop()
    run.kept.append(kept(system, options.spans))


def _questions(trace_ids: Sequence[str]) -> Mapping[str, Callable[[httpx.Client, int], httpx.Response]]:
    def traces(text: Callable[[int], str], since: str = "-7d") -> Callable[[httpx.Client, int], httpx.Response]:
        def question(client: httpx.Client, number: int) -> httpx.Response:
            return client.get("/api/v1/traces", params={"filter": text(number), "since": since, "limit": 50})

        return question

    def aggregates(number: int, *measures: str, by: Sequence[str], over: str, since: str) -> dict[str, object]:
        service = SERVICES[number % len(SERVICES)]
        return {"measure": measures, "by": by, "over": over, "since": since, "filter": f'service != "{service}"'}

    return {
        "traces: newest 50": traces(lambda _: ""),
        "traces: one service in error": traces(
            lambda number: f'service = "{SERVICES[number % len(SERVICES)]}" and status = "error"'
        ),
        "traces: dear ones of a model": traces(
            lambda number: f'model = "{MODELS[number % len(MODELS)]}" and cost_usd > 0.00{number % 9 + 1}'
        ),
        "traces: slow ones of a user": traces(lambda number: f'user = "user-{number * 37}" and latency > 1s'),
        "traces: text over a day": traces(lambda number: f'text ~ "{RARE_WORD[: 10 - number % 3]}"', since="-24h"),
        "trace by id": lambda client, number: client.get(f"/api/v1/traces/{trace_ids[number % len(trace_ids)]}"),
        "status of a service": lambda client, _: client.get(f"/api/v1/services/{SERVICES[0]}/status"),
        "dashboard: latency by model and hour": lambda client, number: client.get(
            "/api/v1/aggregates",
            params=aggregates(number, "p50(latency)", "p95(latency)", by=["model"], over="1h", since="-7d"),
        ),
        "dashboard: cost by service and day": lambda client, number: client.get(
            "/api/v1/aggregates",
            params=aggregates(number, "sum(cost_usd)", "count", by=["service"], over="1d", since="-7d"),
        ),
        "dashboard: top users by cost": lambda client, number: client.get(
            "/api/v1/aggregates", params=aggregates(number, "sum(cost_usd)", by=["user"], over="", since="-7d")
        ),
    }


def _some_traces(system: System) -> list[str]:
    """Return traces from all of the time."""
    found: list[str] = []
    with system.client() as client:
        for day in range(DAYS):
            params: dict[str, str | int] = {"since": f"-{day + 1}d", "until": f"-{day}d", "limit": 20}
            answer = client.get("/api/v1/traces", params=params)
            if answer.status_code != 200:
                raise Unavailable(f"the traces cannot be listed: {answer.status_code} {answer.text[:300]}")
            found += [str(trace["trace_id"]) for trace in answer.json()["traces"]]
    Random(2).shuffle(found)
    return found


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.telemetry", description=__doc__)
    parser.add_argument("--spans", type=int, default=1_000_000, help="spans to store before asking; 0 to ask nothing")
    parser.add_argument("--ingest-spans", type=int, default=150_000, help="spans that Zirkel takes in over OTLP")
    parser.add_argument("--peer-spans", type=int, default=10_000, help="spans that each system takes in over OTLP")
    parser.add_argument("--quick", action="store_true", help="100,000 spans stored, 50,000 taken in, 5,000 by peers")
    parser.add_argument("--only", default=",".join(NAMES), help="systems, separated by commas")
    parser.add_argument("--peers-python", type=Path, help="interpreter of an environment with Phoenix and MLflow")
    parser.add_argument("--output", type=Path, help="write the run as JSON to this file")
    given = parser.parse_args()
    only = tuple(_known(parser, given.only))
    return Options(
        100_000 if given.quick else given.spans,
        50_000 if given.quick else given.ingest_spans,
        5_000 if given.quick else given.peer_spans,
        only,
        given.peers_python,
        given.output,
    )


def _known(parser: argparse.ArgumentParser, names: str) -> Iterator[str]:
    for name in names.split(","):
        if name not in NAMES:
            parser.error(f"{name!r} is none of {', '.join(NAMES)}")
        yield name


if __name__ == "__main__":
    sys.exit(main())
