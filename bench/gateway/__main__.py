"""``python -m bench.gateway``: measure, print the tables, say what holds."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.gateway.figures import Memory, Rounds, figures
from bench.gateway.installation import Size, start_zirkel
from bench.gateway.measure import Measured, Point, largest_rss_mib, measure
from bench.gateway.peers import find_litellm, start_litellm, start_nginx
from bench.gateway.profiling import print_profile
from bench.gateway.report import Run, markdown, to_json, versions
from bench.gateway.system import System, start_direct
from bench.machine import this_machine, warning
from bench.processes import Unavailable
from zirkel.app.demo.processes import free_ports

SIZES = (Size("zirkel"), Size("zirkel-2", workers=2), Size("zirkel-large", keys=10_000, routes=250))
"""``zirkel-large``: 250 aliases of each of the two models are 500 routes."""
NAMES = ("nginx", "litellm", *(size.name for size in SIZES))
MEMORY_STEPS = (2_000, 10_000, 20_000)
LONG_MEMORY_STEPS = (20_000, 100_000, 200_000)
_MEMORY_CONNECTIONS = 20


@dataclass(frozen=True, slots=True)
class Options:
    """The command line."""

    quick: bool
    long: bool
    only: Sequence[str]
    rounds: int
    litellm_python: Path | None
    output: Path | None
    profile: bool


def main() -> int:
    """Run the benchmark; return 1 if a figure misses its target, or Zirkel does not run."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="bench-gateway-") as name, ExitStack() as running:
        folder = Path(name)
        (port,) = free_ports(1)
        direct = start_direct(folder, port)
        running.callback(direct.stop)
        if options.profile:
            print_profile(folder, port)
            return 0
        machine = this_machine()
        say(warning(machine))
        systems, missing = _start_systems(folder, port, options, running)
        systems = [direct, *systems]
        rounds = _measure_rounds(systems, options, folder)
        memory = _watch_memory(systems, options, folder)
        load_after = os.getloadavg()[0]
    run = Run(machine, versions(systems), missing, rounds, memory, figures(rounds, memory), load_after)
    print(markdown(run))
    if options.output is not None:
        options.output.write_bytes(to_json(run))
    is_ours_missing = any(size.name in missing for size in SIZES)
    return int(is_ours_missing or any(figure.verdict == "FAIL" for figure in run.figures))


def say(text: str) -> None:
    """Print progress where it does not mix with the tables."""
    if text:
        print(text, file=sys.stderr, flush=True)


def _start_systems(
    folder: Path, upstream: int, options: Options, running: ExitStack
) -> tuple[list[System], dict[str, str]]:
    """Return the systems that run, and why the others do not."""

    def litellm() -> System:
        return start_litellm(folder, free_ports(1)[0], upstream, find_litellm(options.litellm_python))

    starts: dict[str, Callable[[], System]] = {
        "nginx": lambda: start_nginx(folder, free_ports(1)[0], upstream),
        "litellm": litellm,
    }
    starts |= {size.name: partial(start_zirkel, folder / size.name, upstream, size) for size in SIZES}
    systems, missing = [], {}
    for name in options.only:
        say(f"starting {name} …")
        try:
            system = starts[name]()
        except Unavailable as reason:
            say(f"{name} is left out: {reason}")
            missing[name] = str(reason)
            continue
        running.callback(system.stop)
        systems.append(system)
    return systems, missing


def _points(quick: bool) -> list[Point]:
    window_s = 1.0 if quick else 3.0
    return [
        Point("plain 1", "plain", 1, window_s),
        Point("plain 16", "plain", 16, window_s),
        Point("plain 64", "plain", 64, window_s),
        Point("stream 16", "stream", 16, window_s),
        Point("paced 32", "paced", 32, per_connection=3 if quick else 6),
    ]


def _measure_rounds(systems: Sequence[System], options: Options, folder: Path) -> Rounds:
    """Return what each system did in each round; they take turns within each load of a round."""
    for system in systems:
        measure(system, Point("warm-up", "plain", 16, 2.0), folder)
        measure(system, Point("warm-up", "paced", 16, per_connection=1), folder)
    rounds: list[dict[tuple[str, str], Measured]] = []
    for number in range(options.rounds):
        found: dict[tuple[str, str], Measured] = {}
        for point in _points(options.quick):
            # Another one first each time, so that none is always behind the same neighbour.
            for system in [*systems[number % len(systems) :], *systems[: number % len(systems)]]:
                one = measure(system, point, folder)
                found[system.name, point.name] = one
                head = f"round {number + 1}  {point.name:<9}  {system.name:<12}"
                say(f"{head}  {one.per_s:9,.0f}/s  {one.cpu_ms:7.3f} ms CPU")
        rounds.append(found)
    return rounds


def _watch_memory(systems: Sequence[System], options: Options, folder: Path) -> list[Memory]:
    """Return the memory of the worker with one key and one route after growing numbers of requests."""
    system = next((system for system in systems if system.name == "zirkel"), None)
    if system is None:
        return []
    found, done = [], 0
    for step in LONG_MEMORY_STEPS if options.long else MEMORY_STEPS:
        each = (step - done) // _MEMORY_CONNECTIONS
        done += measure(system, Point("memory", "plain", _MEMORY_CONNECTIONS, per_connection=each), folder).requests
        found.append(Memory(done, largest_rss_mib(system)))
        say(f"memory after {done:,} requests: {found[-1].rss_mib:.1f} MiB")
    return found


def _options() -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="windows of one second instead of three, 3 rounds")
    parser.add_argument("--long", action="store_true", help="200,000 requests in the memory run instead of 20,000")
    parser.add_argument("--only", default=",".join(NAMES), help="systems, with commas between; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=0, help="rounds; default: 5, or 3 with --quick")
    parser.add_argument("--litellm-python", type=Path, help="interpreter of a virtual environment that has litellm")
    parser.add_argument("--output", type=Path, help="write everything as JSON here")
    parser.add_argument("--profile", action="store_true", help="only say where a worker spends its time")
    given = parser.parse_args()
    only = given.only.split(",")
    if unknown := set(only) - set(NAMES):
        parser.error(f"--only: {', '.join(sorted(unknown))} is none of {', '.join(NAMES)}")
    return Options(
        quick=given.quick,
        long=given.long,
        only=only,
        rounds=given.rounds or (3 if given.quick else 5),
        litellm_python=given.litellm_python,
        output=given.output,
        profile=given.profile,
    )


if __name__ == "__main__":
    sys.exit(main())
