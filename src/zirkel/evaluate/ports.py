"""What evaluation needs of other rooms."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from zirkel.core import (
    AnswerSample,
    DatasetItem,
    EnvironmentRecord,
    EvaluatorsSpec,
    ExperimentRecord,
    Json,
    ReleaseBundle,
    ServiceRecord,
    TrialRecord,
    TrialState,
    VerdictRecord,
)
from zirkel.evaluate.subject import Step, ToolCall


@dataclass(frozen=True, slots=True)
class Question:
    """One call to the system under test."""

    project_id: str
    experiment_id: str
    service: str
    release: str
    item_id: str
    trial: int
    variables: Mapping[str, object]
    trace_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the system under test said, or why it did not."""

    output: str
    error: str = ""
    cost_usd: Decimal | None = None
    duration_ms: float = 0.0
    tool_calls: tuple[ToolCall, ...] = ()
    """Calls of tools that it asks for."""
    contexts: tuple[str, ...] = ()
    """Texts that the system says it retrieved."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """``None`` if unknown."""
    is_retryable: bool = True
    """Of an error: whether asking the same again may help."""
    retry_after_s: float | None = None
    """Of an error: when the system wants to be asked again, if it said so."""


class SystemUnderTest(Protocol):
    """What an experiment asks."""

    async def ask(self, question: Question) -> Answer:
        """Return the answer; a failure is an answer with an error, never an exception."""
        ...

    async def close(self) -> None:
        """Close the connections; the next question opens new ones."""
        ...


@dataclass(frozen=True, slots=True)
class Activity:
    """What a system did on the way to an answer, as its trace tells."""

    steps: tuple[Step, ...] = ()
    """In order of time."""
    contexts: tuple[str, ...] = ()
    """Texts that it retrieved."""


class TraceReader(Protocol):
    """What systems did, found by trace id."""

    def activities(self, project_id: str, trace_ids: Sequence[str], /) -> Mapping[str, Activity]:
        """Return what was done in each trace that is known, after everything accepted has been stored."""
        ...


class NoTraces:
    """Where no telemetry is: nothing is known of what a system did."""

    def activities(self, _project_id: str, _trace_ids: Sequence[str], /) -> Mapping[str, Activity]:
        """Return nothing."""
        return {}


class RecordedAnswers(Protocol):
    """Answers that the telemetry holds, found by trace id."""

    def recorded(self, project_id: str, experiment_id: str) -> Mapping[str, Answer]:
        """Return the successful answers of an experiment by trace id, after everything accepted has been stored."""
        ...


class Releases(Protocol):
    """Opens releases and their parts."""

    def open(self, project_id: str, digest: str) -> ReleaseBundle: ...
    def dataset(self, project_id: str, digest: str) -> list[DatasetItem]: ...
    def evaluators(self, project_id: str, digest: str) -> EvaluatorsSpec: ...
    def resolve(self, project_id: str, service: str, reference: str) -> str: ...
    def service(self, project_id: str, service: str) -> ServiceRecord: ...


class ExperimentStore(Protocol):
    """Experiments and their answers."""

    def add(self, record: ExperimentRecord) -> bool: ...
    def get(self, project_id: str, experiment_id: str) -> ExperimentRecord | None: ...
    def list(self, project_id: str | None, service: str | None = None) -> Sequence[ExperimentRecord]: ...
    def replan(self, record: ExperimentRecord) -> None: ...
    def finish(self, project_id: str, experiment_id: str, finished_ns: int) -> bool: ...
    def reopen(self, project_id: str, experiment_id: str) -> None: ...
    def has_failures(self, project_id: str, experiment_id: str) -> bool: ...
    def claim(self, records: Iterable[TrialRecord]) -> None: ...
    def answer_all(self, records: Iterable[TrialRecord]) -> None: ...
    def judge_all(self, records: Iterable[TrialRecord]) -> None: ...
    def release(self, records: Iterable[TrialRecord]) -> None: ...
    def trials(
        self, project_id: str, experiment_id: str, state: TrialState | None = None, limit: int | None = None
    ) -> Sequence[TrialRecord]: ...
    def states(self, project_id: str, experiment_id: str) -> Mapping[tuple[str, int], TrialState]: ...
    def counts(self, project_id: str, experiment_id: str) -> dict[TrialState, int]: ...
    def known_keys(self, project_id: str, answer_keys: Iterable[str]) -> set[str]: ...
    def samples(self, project_id: str, service: str, limit: int) -> Sequence[AnswerSample]: ...
    def find_answers(self, project_id: str, answer_keys: Iterable[str]) -> Mapping[str, TrialRecord]: ...
    def costs(self, project_id: str, experiment_id: str) -> Iterator[tuple[Decimal | None, Decimal | None, bool]]: ...


class VerdictStore(Protocol):
    """What gates said."""

    def add(self, record: VerdictRecord) -> None: ...
    def get(self, project_id: str, verdict_id: str) -> VerdictRecord | None: ...
    def latest(self, project_id: str, release: str, environment: str) -> VerdictRecord | None: ...


class EnvironmentReader(Protocol):
    """What is live."""

    def get(self, project_id: str, service: str, environment: str) -> EnvironmentRecord | None: ...


class LedgerWriter(Protocol):
    """The append-only ledger."""

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str: ...


class EvaluateTransaction(Protocol):
    """What one transaction of evaluation reaches."""

    @property
    def experiments(self) -> ExperimentStore: ...
    @property
    def verdicts(self) -> VerdictStore: ...
    @property
    def environments(self) -> EnvironmentReader: ...
    @property
    def ledger(self) -> LedgerWriter: ...


class EvaluateMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[EvaluateTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...


class Publisher(Protocol):
    """Tells the gateway which releases an experiment calls."""

    def publish(self) -> None: ...


class JobQueue(Protocol):
    """Durable background work."""

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        """Make sure that the experiment is being run, now or after a restart; return at once."""
        ...
