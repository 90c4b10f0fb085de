"""Where a gateway worker spends its time: sampled by processor time, in the worker's own process.

A sample is taken every millisecond of processor time, user and system. Time in compiled code (event loop, parsers,
database) counts for the Python module that called it; what the event loop itself does counts for ``uvloop``.
"""

import argparse
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import cast

import msgspec
import uvicorn
import uvloop
from starlette.types import ASGIApp

from bench.gateway.installation import Size, start_zirkel
from bench.gateway.measure import Kind, Point, measure
from bench.gateway.system import System
from bench.processes import answers, start, stop, wait_for
from zirkel.app.config import load_config
from zirkel.app.demo.processes import free_ports
from zirkel.app.gateway_wiring import build_gateway

_EVERY_S = 0.001
_SHOWN = 40


class Samples:
    """Counts where the process was found."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        """By the module of the innermost frame."""
        self.functions: Counter[str] = Counter()
        """By the innermost function."""
        self.below: Counter[str] = Counter()
        """By each function of Zirkel on the stack: its own time and that of all it called."""

    def take(self, _signal: int, frame: FrameType | None) -> None:
        """Count one sample."""
        if frame is None:
            return
        self.own[_module(frame)] += 1
        self.functions[_function(frame)] += 1
        seen = set()
        at: FrameType | None = frame
        while at is not None:
            if _module(at).startswith("zirkel."):
                seen.add(_function(at))
            at = at.f_back
        self.below.update(seen)


def print_profile(folder: Path, upstream: int) -> None:
    """Set up an installation, serve from its data directory under the profiler, and print the shares."""
    installed = start_zirkel(folder / "profile", upstream, Size("profile"))
    try:
        for kind, point in (
            ("plain", Point("plain 16", "plain", 16, 8.0)),
            ("paced", Point("paced 32", "paced", 32, per_connection=12)),
        ):
            _profile(folder, installed, cast(Kind, kind), point)
    finally:
        installed.stop()


def _profile(folder: Path, installed: System, kind: Kind, point: Point) -> None:
    (port,) = free_ports(1)
    data_dir, output, log = folder / "profile" / "data", folder / f"{kind}.json", folder / f"profile-{kind}.log"
    command = [sys.executable, "-m", "bench.gateway.profiling", "--data-dir", str(data_dir), "--port", str(port)]
    process = start([*command, "--output", str(output)], log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/healthz"), process, log, 30)
        system = System(
            "profile",
            "",
            port,
            lambda: None,
            keys=installed.keys,
            plain_models=installed.plain_models,
            paced_models=installed.paced_models,
            gateway_pids=(process.pid,),
        )
        measured = measure(system, point, folder)
    finally:
        stop(process)
    print(f"\n{point.name}: {measured.requests} requests, {measured.errors} errors, {measured.cpu_ms:.3f} ms CPU each")
    for title, counts in msgspec.json.decode(output.read_bytes(), type=dict[str, dict[str, int]]).items():
        whole = max(1, counts.pop("", 0))
        print(f"\n{title}")
        for name, count in sorted(counts.items(), key=lambda item: -item[1])[:_SHOWN]:
            print(f"  {count / whole:6.1%}  {name}")


async def _serve(app: ASGIApp, port: int) -> None:
    settings = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
    )
    await uvicorn.Server(settings).serve()


def main() -> None:
    """Serve one worker until SIGTERM and write the samples."""
    parser = argparse.ArgumentParser(prog="bench.gateway.profiling")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    worker = build_gateway(load_config(overrides={"data_dir": options.data_dir}), "gateway-profile")
    samples = Samples()
    # Uvicorn raises the signal that ended it once more when it is through; the samples are still to be written then.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        uvloop.run(_serve(cast(ASGIApp, worker.app), options.port))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        worker.stop()
        _write(samples, options.output)


def _write(samples: Samples, output: Path) -> None:
    whole = {"": sum(samples.own.values())}
    shares = {
        "own time by module": whole | samples.own,
        "own time by function": whole | samples.functions,
        "own and called, by function of Zirkel": whole | samples.below,
    }
    output.write_bytes(msgspec.json.encode(shares))


def _module(frame: FrameType) -> str:
    name = str(frame.f_globals.get("__name__", "?"))
    return name if name.startswith("zirkel.") else name.partition(".")[0]


def _function(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_qualname}"


if __name__ == "__main__":
    main()
