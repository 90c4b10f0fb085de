"""Experiments over a real database and registry; only the system under test is a script."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from tests.unit.evaluate.live_release import put_live
from tests.unit.evaluate.measured import NoJudges
from zirkel.core import ManualClock, Principal, Role
from zirkel.evaluate import (
    Answer,
    Evaluation,
    Experiments,
    NoTools,
    Question,
    Runner,
    RunnerPorts,
    RunnerSettings,
    Turns,
)
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

Script = Callable[[Question], Answer]


class Crash(BaseException):
    """The process was killed here."""


class ScriptedSystem:
    """Answers from a script; good answers are in the telemetry from then on, as the gateway's are."""

    def __init__(self) -> None:
        self.script: Script = lambda question: Answer(str(question.variables["review"]), cost_usd=Decimal("0.001"))
        self.asked: Counter[tuple[str, str, int]] = Counter()
        self.telemetry: dict[str, Answer] = {}
        self.before_ask: Callable[[Question], None] = lambda _question: None
        self.after_ask: Callable[[Question], None] = lambda _question: None
        self.closed = 0

    async def ask(self, question: Question) -> Answer:
        self.before_ask(question)
        self.asked[question.release, question.item_id, question.trial] += 1
        answer = self.script(question)
        if not answer.error:
            self.telemetry[question.trace_id] = answer
        self.after_ask(question)
        return answer

    async def close(self) -> None:
        self.closed += 1

    def recorded(self, project_id: str, experiment_id: str) -> Mapping[str, Answer]:
        return dict(self.telemetry)


class InlineJobs:
    """Runs an experiment to its end at once."""

    def __init__(self, run_slice: Callable[[str, str], bool]) -> None:
        self._run_slice = run_slice
        self.started: list[str] = []

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        self.started.append(experiment_id)
        while self._run_slice(project_id, experiment_id):
            pass


class CountingPublisher:
    """Counts how often the gateway was told."""

    def __init__(self) -> None:
        self.published = 0

    def publish(self) -> None:
        self.published += 1


def service_files(items: int, prompt: str = "{{ review }}", gate: str = "margin = 0.2\n") -> dict[str, bytes]:
    """Return a service whose expected outputs are its inputs."""
    lines = [
        json.dumps({"id": f"i{number:03d}", "input": {"review": f"r{number}"}, "expected": f"r{number}"})
        for number in range(items)
    ]
    return {
        "service.toml": b'name = "triage"\n[model]\nname = "openai/gpt-4o"\n',
        "prompt.jinja": prompt.encode(),
        "datasets/golden.jsonl": "\n".join(lines).encode(),
        "evaluators.toml": b'[[evaluator]]\nname = "match"\nkind = "exact"\n',
        "gate.toml": f'[[metric]]\nevaluator = "match"\n{gate}'.encode(),
    }


@pytest.fixture
def make_files() -> Callable[..., dict[str, bytes]]:
    return service_files


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metadata(tmp_path: Path, clock: ManualClock) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    yield opened
    opened.close()


@pytest.fixture
def registry(metadata: Metadata, tmp_path: Path, clock: ManualClock) -> Registry:
    return Registry(metadata, Blobs.open(f"memory://{tmp_path}"), clock)


@pytest.fixture
def system() -> ScriptedSystem:
    return ScriptedSystem()


@pytest.fixture
def runner_ports(metadata: Metadata, registry: Registry, system: ScriptedSystem, clock: ManualClock) -> RunnerPorts:
    async def sleep(seconds: float) -> None:
        clock.advance(seconds)

    return RunnerPorts(metadata, registry, system, system, clock, sleep, NoTools())


@pytest.fixture
def runner(runner_ports: RunnerPorts) -> Runner:
    return Runner(runner_ports, RunnerSettings(concurrency=2))


@pytest.fixture
def turns(runner_ports: RunnerPorts, runner: Runner) -> Turns:
    ports = runner_ports
    return Turns(ports.metadata, ports.releases, runner, ports.clock, block_items=8)


@pytest.fixture
def publisher() -> CountingPublisher:
    return CountingPublisher()


@pytest.fixture
def jobs(turns: Turns) -> InlineJobs:
    return InlineJobs(turns.run_slice)


@pytest.fixture
def experiments(
    metadata: Metadata, registry: Registry, publisher: CountingPublisher, jobs: InlineJobs, clock: ManualClock
) -> Experiments:
    return Experiments(metadata, registry, publisher, jobs, clock)


@pytest.fixture
def evaluation(metadata: Metadata, registry: Registry, tmp_path: Path, clock: ManualClock) -> Evaluation:
    return Evaluation(metadata, registry, Blobs.open(f"memory://{tmp_path}"), NoJudges(), clock)


@pytest.fixture
def admin() -> Principal:
    return Principal("p", "k1", "ann", frozenset({Role.ADMIN}))


@pytest.fixture
def live(metadata: Metadata, registry: Registry, admin: Principal) -> str:
    """A release that is live already; the candidate that is pushed after it differs in its prompt."""
    release = registry.push(admin, service_files(40, prompt="old {{ review }}")).release
    put_live(metadata, release)
    registry.push(admin, service_files(40))
    return release


@pytest.fixture
def crash() -> type[BaseException]:
    return Crash
