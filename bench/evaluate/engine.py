"""One experiment in a process of its own: ``python -m bench.evaluate.engine …`` prints what it took, as JSON.

Metadata, blobs and evaluators are real; the system under test is the mock upstream in the gateway's place.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from zirkel.core import ExperimentOptions, Principal, Role, SystemClock
from zirkel.evaluate import (
    Answer,
    Experiments,
    GatewaySystem,
    NoTools,
    Runner,
    RunnerPorts,
    RunnerSettings,
    Turns,
)
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

SERVICE = "bench"
EVALUATORS = (
    '[[evaluator]]\nname = "exact"\nkind = "exact"\n'
    '[[evaluator]]\nname = "contains"\nkind = "contains"\nany_of = ["42"]\n'
    '[[evaluator]]\nname = "regex"\nkind = "regex"\npattern = "answer is [0-9]+"\n'
    '[[evaluator]]\nname = "length"\nkind = "length"\nmaximum = 1000\n'
    '[[evaluator]]\nname = "edit"\nkind = "edit_similarity"\n'
)
TEXT = "Somebody asks a question of about this length, as people do, and wants to have a short answer to it. "


class _NothingRecorded:
    """No telemetry: nothing was cut off before."""

    def recorded(self, _project_id: str, _experiment_id: str) -> Mapping[str, Answer]:
        return {}


class _Nobody:
    """Nobody to tell."""

    def publish(self) -> None:
        return


class _Inline:
    """Runs slices until nothing is left, and times them."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.elapsed_s = 0.0
        self.cpu_s = 0.0

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        while self._turns.run_slice(project_id, experiment_id):
            pass
        self.elapsed_s, self.cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s


def service_files(items: int) -> dict[str, bytes]:
    """Return a service with so many items, four to a cluster."""
    lines = (
        json.dumps(
            {
                "id": f"item-{number:06d}",
                "input": {"question": f"{number}: {TEXT * 4}"},
                "expected": "The answer is 42.",
                "cluster": f"source-{number // 4}",
            }
        )
        for number in range(items)
    )
    return {
        "service.toml": f'name = "{SERVICE}"\n[model]\nname = "mock/mock-1"\n'.encode(),
        "prompt.jinja": b"{{ question }}",
        "datasets/golden.jsonl": "\n".join(lines).encode(),
        "evaluators.toml": EVALUATORS.encode(),
        "gate.toml": b'[[metric]]\nevaluator = "contains"\nfloor = 0.5\n',
    }


def main() -> int:
    """Run it twice: asked, and from what is known then."""
    parser = argparse.ArgumentParser(prog="bench.evaluate.engine")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--url", required=True)
    parser.add_argument("--items", type=int, required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    given = parser.parse_args()
    clock = SystemClock()
    metadata = Metadata.open(f"sqlite:///{given.folder}/metadata.sqlite", clock)
    registry = Registry(metadata, Blobs.open(f"file://{given.folder}/blobs"), clock)
    system = GatewaySystem(given.url, lambda _project: "key", clock)
    ports = RunnerPorts(metadata, registry, system, _NothingRecorded(), clock, asyncio.sleep, NoTools())
    turns = Turns(metadata, registry, Runner(ports, RunnerSettings()), clock)
    jobs = _Inline(turns)
    experiments = Experiments(metadata, registry, _Nobody(), jobs, clock)
    actor = Principal("default", "bench", "bench", frozenset({Role.ADMIN}))
    registry.push(actor, service_files(given.items))
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (record,) = experiments.start(actor, SERVICE, trials=given.trials, options=ExperimentOptions(given.concurrency))
    progress = experiments.progress(actor, record.experiment_id)
    found = {
        "answered": progress.answered,
        "errored": progress.errored,
        "elapsed_s": jobs.elapsed_s,
        "cpu_s": jobs.cpu_s,
        "start_mib": before_kib / 1024,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "experiment_id": record.experiment_id,
    }
    metadata.close()
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
