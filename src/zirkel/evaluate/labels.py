"""Labels: given, corrected, taken back, and settled where raters differ."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from zirkel.core import Clock, Conflict, Json, Principal, Role
from zirkel.core.labels import Label, LabelHold, LabelSample, LabelTask
from zirkel.evaluate.label_queue import LEASE_S, find_task
from zirkel.evaluate.labels_ports import LabelMetadata, LabelTransaction
from zirkel.evaluate.labels_question import Judgement, LabelQuestion, judgement_of, kept_of, read_question
from zirkel.evaluate.labels_resolve import newest, resolve

Outcome = Literal["accepted", "unchanged", "corrected", "withdrawn", "settled"]


@dataclass(frozen=True, slots=True)
class Given:
    """What became of a label."""

    task_id: str
    outcome: Outcome
    version: int
    """Of the label that stands now; of the one taken back, if it was."""


class Labels:
    """What raters say. Saying the same again changes nothing; saying something else is a further version."""

    def __init__(self, metadata: LabelMetadata, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock

    def give(self, actor: Principal, task_id: str, given: Judgement) -> Given:
        """Label an answer, or correct the actor's own label of it.

        Raises:
            Forbidden: If the actor may not label.
            NotFound: If there is no such task.
            Invalid: If the judgement does not answer the question.
            Conflict: If the actor has settled this answer.
        """
        actor.require(Role.LABEL)
        with self._metadata.transaction() as tx:
            task, question, labels = self._open(tx, actor, task_id)
            last = _last(labels, actor)
            if last is not None and last.is_adjudication and not last.is_withdrawn:
                raise Conflict("you have settled this answer, and cannot rate it, too")
            label = _label(task, actor, question, given, last, self._clock.now_ns())
            tx.labels.drop_hold(actor.project_id, task_id, actor.principal_id)
            if last is not None and _says_the_same(last, label):
                return Given(task_id, "unchanged", last.version)
            tx.labels.add(label)
        is_first = last is None or last.is_withdrawn
        return Given(task_id, "accepted" if is_first else "corrected", label.version)

    def withdraw(self, actor: Principal, task_id: str) -> Given:
        """Take the actor's own label back, or their wish not to be asked; the answer comes next in their queue.

        Raises:
            Forbidden: If the actor may not label.
            NotFound: If there is no such task.
        """
        actor.require(Role.LABEL)
        with self._metadata.transaction() as tx:
            task, _, labels = self._open(tx, actor, task_id)
            last = _last(labels, actor)
            # A moment longer than what they were shown meanwhile, which comes after it.
            until_ns = self._clock.now_ns() + (LEASE_S + 1) * 10**9
            tx.labels.put_hold(LabelHold(actor.project_id, task_id, actor.principal_id, until_ns))
            if last is None or last.is_withdrawn:
                return Given(task_id, "unchanged", last.version if last else 0)
            taken_back = dataclasses.replace(
                last, version=last.version + 1, is_withdrawn=True, labelled_ns=self._clock.now_ns()
            )
            tx.labels.add(taken_back)
            if last.is_adjudication:
                tx.ledger.append(actor.project_id, actor.label, "label.unsettled", _named(task))
        return Given(task_id, "withdrawn", taken_back.version)

    def settle(self, actor: Principal, task_id: str, given: Judgement) -> Given:
        """Decide what counts for an answer of which raters differ; the decision goes into the ledger.

        Raises:
            Forbidden: If the actor may not label.
            NotFound: If there is no such task.
            Invalid: If the judgement does not answer the question.
            Conflict: If the actor rated the answer, or nobody differs.
        """
        actor.require(Role.LABEL)
        with self._metadata.transaction() as tx:
            task, question, labels = self._open(tx, actor, task_id)
            last = _last(labels, actor)
            if last is not None and not last.is_withdrawn and not last.is_adjudication:
                raise Conflict("you rated this answer yourself: somebody else has to settle it")
            label = _label(task, actor, question, given, last, self._clock.now_ns(), is_adjudication=True)
            if last is not None and _says_the_same(last, label):
                return Given(task_id, "unchanged", last.version)
            rated = [found for found in labels if not found.is_adjudication]
            if not resolve(question, rated).is_disputed:
                raise Conflict("raters do not differ about this answer: there is nothing to settle")
            tx.labels.drop_hold(actor.project_id, task_id, actor.principal_id)
            tx.labels.add(label)
            payload: dict[str, Json] = {
                **_named(task),
                "value": label.value,
                "category": label.category,
                "items": dict(label.items),
                "rated": [{"value": r.value, "category": r.category} for r in newest(rated)],
            }
            tx.ledger.append(actor.project_id, actor.label, "label.settled", payload)
        return Given(task_id, "settled", label.version)

    def mine(self, actor: Principal, task_id: str) -> Judgement | None:
        """Return what the actor said of an answer, or None.

        Raises:
            Forbidden: If the actor may not label.
            NotFound: If there is no such task.
        """
        actor.require(Role.LABEL)
        with self._metadata.transaction() as tx:
            _, question, labels = self._open(tx, actor, task_id)
        last = _last(labels, actor)
        return None if last is None or last.is_withdrawn else judgement_of(question, last)

    def _open(
        self, tx: LabelTransaction, actor: Principal, task_id: str
    ) -> tuple[LabelTask, LabelQuestion, Sequence[Label]]:
        tx.labels.lock(actor.project_id)
        task = find_task(tx, actor.project_id, task_id)
        sample = sample_of(tx, task)
        return task, read_question(sample.question), tx.labels.of_task(actor.project_id, task_id)


def sample_of(tx: LabelTransaction, task: LabelTask) -> LabelSample:
    """Return the sample that a task belongs to."""
    sample = tx.labels.sample(task.project_id, task.experiment_id, task.evaluator)
    assert sample is not None, "a task is never kept without its sample"
    return sample


def _last(labels: Sequence[Label], actor: Principal) -> Label | None:
    mine = [label for label in labels if label.rater_id == actor.principal_id]
    return max(mine, key=lambda label: label.version, default=None)


def _label(
    task: LabelTask,
    actor: Principal,
    question: LabelQuestion,
    given: Judgement,
    last: Label | None,
    now_ns: int,
    *,
    is_adjudication: bool = False,
) -> Label:
    value, category = kept_of(question, task.task_id, given)
    return Label(
        project_id=task.project_id,
        task_id=task.task_id,
        rater_id=actor.principal_id,
        version=last.version + 1 if last else 1,
        rater=actor.label,
        value=value,
        category=category,
        items=given.items if question.kind == "rubric" else {},
        comment=given.comment.strip(),
        is_adjudication=is_adjudication,
        labelled_ns=now_ns,
    )


def _says_the_same(last: Label, label: Label) -> bool:
    return dataclasses.replace(label, version=last.version, labelled_ns=last.labelled_ns) == last


def _named(task: LabelTask) -> dict[str, Json]:
    return {
        "task_id": task.task_id,
        "experiment_id": task.experiment_id,
        "evaluator": task.evaluator,
        "item_id": task.item_id,
        "trial": task.trial,
        "answer_digest": task.answer_digest,
    }
