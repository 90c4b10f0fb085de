"""Experiments that were run elsewhere: by ``zirkel.evaluate`` in a program, or by another tool."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Protocol

import msgspec

from zirkel.core import (
    Clock,
    Conflict,
    DatasetItem,
    EvaluatorSpec,
    EvaluatorsSpec,
    ExperimentRecord,
    ExperimentState,
    Invalid,
    Json,
    NotFound,
    Principal,
    Role,
    TrialRecord,
    TrialState,
    derived_trace_id,
    digest,
    score_from_json,
)
from zirkel.evaluate.evaluators import check_evaluator
from zirkel.evaluate.experiments import check_trials
from zirkel.evaluate.identity import experiment_id
from zirkel.evaluate.ports import EvaluateMetadata, Releases

MOST_ANSWERS = 5000
"""In one part of an upload."""
_MOST_NAME = 256


class UploadPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was run."""

    name: str
    """What the system is called; a service's name, if it is one that was pushed."""
    version: str = ""
    """Of the system; another version is another release."""
    release: str = ""
    """In place of ``version``: a pushed release of the service, e.g. ``candidate``, that the answers are taken for."""
    origin: str = "local"
    """``local`` or ``imported``."""
    items: list[DatasetItem]
    evaluators: list[EvaluatorSpec]
    trials: int
    repetition: str = ""
    """What tells this run from others of the same plan."""


class UploadedAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One answer with its scores."""

    item_id: str
    trial: int = 0
    output: str = ""
    error: str = ""
    """Why there is no answer."""
    scores: dict[str, dict[str, object]] = {}
    """By evaluator: ``state`` (scored, unscored, errored) with ``value``, ``reason`` or ``error``."""
    cost_usd: str | None = None
    """Decimal text; ``null`` is unknown."""
    duration_ms: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    tool_calls: list[dict[str, str]] = []
    trace_id: str = ""
    """32 hex digits, if the answer was traced."""


class UploadParts(Protocol):
    """Keeps what experiments are about, by digest."""

    def keep_dataset(self, actor: Principal, name: str, items: Sequence[DatasetItem]) -> str: ...
    def keep_evaluators(self, actor: Principal, name: str, evaluators: EvaluatorsSpec) -> str: ...


class Uploads:
    """Takes experiments that were run elsewhere."""

    def __init__(self, metadata: EvaluateMetadata, releases: Releases, parts: UploadParts, clock: Clock) -> None:
        self._metadata = metadata
        self._releases = releases
        self._parts = parts
        self._clock = clock

    def begin(self, actor: Principal, plan: UploadPlan) -> ExperimentRecord:
        """Take what was run; the same plan is the same experiment.

        Raises:
            Invalid: If a field will not do.
            NotFound: If it names a release that is not there.
        """
        actor.require(Role.ADMIN)
        _check(plan)
        release, dataset, evaluators = self._digests(actor, plan)
        record = ExperimentRecord(
            project_id=actor.project_id,
            experiment_id=experiment_id(release, dataset, evaluators, plan.trials, repetition=plan.repetition),
            service=plan.name,
            release=release,
            dataset_digest=dataset,
            evaluators_digest=evaluators,
            trials=plan.trials,
            items=len(plan.items),
            state=ExperimentState.RUNNING,
            created_ns=self._clock.now_ns(),
            origin="imported" if plan.origin == "imported" else "local",
        )
        with self._metadata.transaction() as tx:
            known = tx.experiments.get(actor.project_id, record.experiment_id)
            if known is not None:
                if known.origin == "gateway":
                    raise Conflict("the gateway has run this experiment itself; it needs no upload")
                return known
            tx.experiments.add(record)
            payload: Json = {
                "experiment_id": record.experiment_id,
                "origin": record.origin,
                "service": record.service,
                "release": record.release,
                "dataset": record.dataset_digest,
                "evaluators": record.evaluators_digest,
                "trials": record.trials,
                "items": record.items,
            }
            tx.ledger.append(actor.project_id, actor.label, "experiment_uploaded", payload)
        return record

    def add(self, actor: Principal, experiment_id: str, answers: Sequence[UploadedAnswer]) -> ExperimentRecord:
        """Take answers; those that are there already stay. With the last one the experiment is finished.

        Raises:
            Invalid: If an answer will not do; none is taken then.
            NotFound: If there is no such upload.
        """
        actor.require(Role.ADMIN)
        if len(answers) > MOST_ANSWERS:
            raise Invalid(f"{len(answers)} answers are more than {MOST_ANSWERS}; send them in parts")
        with self._metadata.transaction() as tx:
            record = tx.experiments.get(actor.project_id, experiment_id)
        if record is None or record.origin == "gateway":
            raise NotFound(f"experiment {experiment_id!r} is no upload")
        items = {item.id for item in self._releases.dataset(actor.project_id, record.dataset_digest)}
        trials = [_trial(record, answer, items, self._clock.now_ns()) for answer in answers]
        with self._metadata.transaction() as tx:
            known = tx.experiments.states(actor.project_id, experiment_id)
            tx.experiments.claim([trial for trial in trials if (trial.item_id, trial.trial) not in known])
            done = sum(tx.experiments.counts(actor.project_id, experiment_id).values())
            if done >= record.planned:
                tx.experiments.finish(actor.project_id, experiment_id, self._clock.now_ns())
            found = tx.experiments.get(actor.project_id, experiment_id)
        return found or record

    def _digests(self, actor: Principal, plan: UploadPlan) -> tuple[str, str, str]:
        """Return the digests of release, data set and evaluators: a pushed release's own, where they are the same."""
        spec = EvaluatorsSpec(evaluator=plan.evaluators)
        if not plan.release:
            release = digest({"system": plan.name, "version": plan.version})
            return release, *self._keep(actor, plan, spec)
        release = self._releases.resolve(actor.project_id, plan.name, plan.release)
        bundle = self._releases.open(actor.project_id, release)
        if tuple(plan.items) == bundle.dataset and bundle.evaluators == spec:
            return release, bundle.artefacts["dataset"], bundle.artefacts["evaluators"]
        return release, *self._keep(actor, plan, spec)

    def _keep(self, actor: Principal, plan: UploadPlan, spec: EvaluatorsSpec) -> tuple[str, str]:
        dataset = self._parts.keep_dataset(actor, plan.name, plan.items)
        return dataset, self._parts.keep_evaluators(actor, plan.name, spec)


def _check(plan: UploadPlan) -> None:
    check_trials(plan.trials)
    if not 0 < len(plan.name) <= _MOST_NAME:
        raise Invalid(f"the name has {len(plan.name)} characters; it needs 1 to {_MOST_NAME}", path="name")
    if plan.origin not in ("local", "imported"):
        raise Invalid(f"origin {plan.origin!r} is neither local nor imported", path="origin")
    if not plan.items:
        raise Invalid("there are no items", path="items")
    names = [spec.name for spec in plan.evaluators]
    if not names or len(set(names)) < len(names):
        raise Invalid("evaluators need names, each another one", path="evaluators")
    for spec in plan.evaluators:
        check_evaluator(spec)


def _trial(record: ExperimentRecord, answer: UploadedAnswer, items: set[str], now_ns: int) -> TrialRecord:
    where = f"answer to {answer.item_id!r}, trial {answer.trial}"
    if answer.item_id not in items or not 0 <= answer.trial < record.trials:
        raise Invalid(f"{where}: there is no such item or trial in the experiment", path="item_id")
    scores: dict[str, dict[str, Json]] = {}
    for name, stored in answer.scores.items():
        scores[name] = dict(stored)  # type: ignore[arg-type]  # JSON was decoded
        try:
            score_from_json(scores[name])
        except ValueError as error:
            raise Invalid(f"{where}: {error}", path=f"scores.{name}") from error
    return TrialRecord(
        project_id=record.project_id,
        experiment_id=record.experiment_id,
        item_id=answer.item_id,
        trial=answer.trial,
        state=TrialState.ERRORED if answer.error else TrialState.ANSWERED,
        claimed_ns=now_ns,
        trace_id=answer.trace_id or derived_trace_id(record.experiment_id, answer.item_id, str(answer.trial)),
        output=answer.output,
        error=answer.error,
        scores=None if answer.error else scores,
        cost_usd=_usd(answer.cost_usd, where),
        duration_ms=answer.duration_ms,
        tool_calls=tuple(dict(call) for call in answer.tool_calls),
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        errored_scores=sum(score.get("state") == "errored" for score in scores.values()),
    )


def _usd(text: str | None, where: str) -> Decimal | None:
    if text is None:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or value < 0:
        raise Invalid(f"{where}: cost {text[:40]!r} is no amount", path="cost_usd")
    return value
