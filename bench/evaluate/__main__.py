"""``python -m bench.evaluate``: measure, print the table, say what holds."""

import argparse
import json
import socket
import subprocess
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from bench.evaluate.report import Found, Ran, figures, markdown, to_json
from bench.evaluate.statistics import compute
from bench.machine import this_machine
from bench.processes import answers, start, stop, wait_for

METRICS = 5
LONGEST_S = 3600


def main() -> int:
    """Run the benchmark; return 1 if a figure misses its target."""
    given = _options()
    machine = this_machine()
    items = 1000 if given.quick else given.items
    with tempfile.TemporaryDirectory(prefix="bench-evaluate-") as name:
        ran = _run(Path(name), items, given.trials, given.concurrency, given.latency_ms)
    found = Found(machine, ran, compute(given.items, given.trials, METRICS))
    print(markdown(found))
    if given.output is not None:
        given.output.write_bytes(to_json(found))
    return int(any(figure.verdict == "FAIL" for figure in figures(found)))


def _run(folder: Path, items: int, trials: int, concurrency: int, latency_ms: float) -> Ran:
    port = _free_port()
    url, log = f"http://127.0.0.1:{port}", folder / "upstream.log"
    with ExitStack() as stack:
        command = [sys.executable, "-m", "bench.evaluate.upstream", "--port", str(port), "--latency-ms"]
        upstream = start([*command, str(latency_ms)], log)
        stack.callback(stop, upstream)
        wait_for(lambda: answers(f"{url}/stats"), upstream, log, 20)
        engine = [sys.executable, "-m", "bench.evaluate.engine", "--folder", str(folder), "--url", url]
        sizes = ["--items", str(items), "--trials", str(trials), "--concurrency", str(concurrency)]
        done = subprocess.run([*engine, *sizes], capture_output=True, text=True, check=True, timeout=LONGEST_S)
        took = json.loads(done.stdout)
        with urllib.request.urlopen(f"{url}/stats") as answer:
            stats = json.load(answer)
    return Ran(
        items=items,
        trials=trials,
        concurrency=concurrency,
        latency_ms=latency_ms,
        answered=took["answered"],
        errored=took["errored"],
        elapsed_s=took["elapsed_s"],
        cpu_s=took["cpu_s"],
        peak_mib=took["peak_mib"],
        busy_s=stats["busy_s"],
        upstream_s=stats["elapsed_s"],
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.evaluate", description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=32, help="calls at once")
    parser.add_argument("--latency-ms", type=float, default=100, help="after which the upstream answers")
    parser.add_argument("--quick", action="store_true", help="1,000 items")
    parser.add_argument("--output", type=Path, help="write the run as JSON to this file")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
