"""The queue of answers to be labelled: drawn, handed out one by one, blind."""

from dataclasses import dataclass

from zirkel.core import Clock, Conflict, DatasetItem, ExperimentRecord, Invalid, Json, NotFound, Principal, Role
from zirkel.core.labels import LabelHold, LabelSample, LabelTask
from zirkel.evaluate.label_queue_draw import Order, choose_evaluator, draw_sample, find_experiments, wanted_experiments
from zirkel.evaluate.label_queue_view import (
    QueueProgress,
    Turn,
    held_until_ns,
    is_open,
    progress_of,
    read_lines,
    texts_of,
    view_of,
)
from zirkel.evaluate.labels_ports import LabelMetadata, LabelReleases, LabelTransaction
from zirkel.evaluate.labels_question import question_of
from zirkel.evaluate.labels_resolve import newest

LEASE_S = 900
"""How long a task is one rater's before it is given to others."""
MOST_DRAWN = 10_000


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """What is drawn."""

    evaluator: str = ""
    """The only one that asks a model, if empty."""
    release: str = "candidate"
    answers: int = 100
    """Over the experiments of the release and of its baseline together."""
    second_share: float = 0.2
    """Share of the answers that two people are asked about, so that people's own agreement is known."""


class LabelQueue:
    """Draws samples and hands out tasks."""

    def __init__(self, metadata: LabelMetadata, releases: LabelReleases, clock: Clock) -> None:
        self._metadata = metadata
        self._releases = releases
        self._clock = clock

    def draw(self, actor: Principal, service: str, options: QueueOptions) -> list[LabelSample]:
        """Draw answers of a release's newest experiment, and of its baseline's, in addition to those drawn before.

        Raises:
            Forbidden: If the actor may not label.
            Invalid: If an option is out of range, or the evaluator has to be named.
            NotFound: If service, release or evaluator are unknown, or there is no finished experiment.
        """
        actor.require(Role.LABEL)
        if not 1 <= options.answers <= MOST_DRAWN:
            raise Invalid(f"answers {options.answers} must be from 1 to {MOST_DRAWN}", path="answers")
        if not 0 <= options.second_share <= 1:
            raise Invalid(f"second_share {options.second_share} must be from 0 to 1", path="second_share")
        wanted = wanted_experiments(self._releases, actor.project_id, service, options.release)
        with self._metadata.transaction() as tx:
            experiments = find_experiments(tx, wanted)
        specs = self._releases.evaluators(actor.project_id, experiments[0].evaluators_digest).evaluator
        spec = choose_evaluator(specs, options.evaluator)
        if question_of(spec).kind == "pair":
            # It compares with the baseline already.
            experiments = experiments[:1]
        # All of one plan: they share the data set.
        items = {item.id: item for item in self._releases.dataset(actor.project_id, experiments[0].dataset_digest)}
        now_ns = self._clock.now_ns()
        with self._metadata.transaction() as tx:
            tx.labels.lock(actor.project_id)
            order = Order(spec, options.answers, options.second_share)
            samples = draw_sample(tx, experiments, items, order, now_ns, actor.label)
            payload: Json = {
                "service": service,
                "evaluator": spec.name,
                "question_digest": samples[0].question_digest,
                "drawn": {sample.experiment_id: sample.drawn for sample in samples},
            }
            tx.ledger.append(actor.project_id, actor.label, "label.drawn", payload)
        return samples

    def next(self, actor: Principal, service: str, evaluator: str = "", *, disputed: bool = False) -> Turn:
        """Return what the actor is asked next, and hold it for ``LEASE_S`` seconds; asked again, it is the same.

        Args:
            actor: The rater.
            service: Whose answers.
            evaluator: Only for this one.
            disputed: Give an answer of which others differ, to be settled, instead of one to be labelled.

        Raises:
            Forbidden: If the actor may not label.
            NotFound: If there is no such service.
        """
        actor.require(Role.LABEL)
        self._releases.service(actor.project_id, service)
        while True:
            with self._metadata.transaction() as tx:
                tx.labels.lock(actor.project_id)
                lines = read_lines(tx, actor.project_id, service, evaluator)
                now_ns = self._clock.now_ns()
                open_lines = [line for line in lines if is_open(line, actor, now_ns, disputed=disputed)]
                progress = progress_of(lines, open_lines, actor)
                # What is on the screen already comes first, the last one before all others.
                chosen = min(open_lines, key=lambda line: -held_until_ns(line, actor, now_ns), default=None)
                if chosen is None:
                    return Turn(None, progress)
                until_ns = max(now_ns + LEASE_S * 10**9, held_until_ns(chosen, actor, now_ns))
                tx.labels.put_hold(_hold(chosen.task, actor, until_ns, is_skipped=False))
                experiment = tx.experiments.get(actor.project_id, chosen.task.experiment_id)
                texts = texts_of(tx, chosen, experiment)
            item = self._item(experiment, chosen.task.item_id) if experiment and texts else None
            if item is not None and texts is not None:
                return Turn(view_of(chosen, item, texts, until_ns, with_others=disputed), progress)
            # The item was erased, or the answer: there is nothing to look at.
            self._skip(actor, chosen.task.task_id)

    def progress(self, actor: Principal, service: str, evaluator: str = "") -> QueueProgress:
        """Return how far the queue is, without taking anything out of it.

        Raises:
            Forbidden: If the actor may not label.
        """
        actor.require(Role.LABEL)
        with self._metadata.transaction() as tx:
            lines = read_lines(tx, actor.project_id, service, evaluator)
        now_ns = self._clock.now_ns()
        return progress_of(lines, [line for line in lines if is_open(line, actor, now_ns, disputed=False)], actor)

    def skip(self, actor: Principal, task_id: str) -> None:
        """Do not ask the actor about an answer again; others are asked.

        Raises:
            Forbidden: If the actor may not label.
            NotFound: If there is no such task.
        """
        actor.require(Role.LABEL)
        self._skip(actor, task_id)

    def services(self, actor: Principal) -> list[tuple[str, str]]:
        """Return each service and evaluator that answers were drawn for, by name.

        Raises:
            Forbidden: If the actor may not label.
        """
        actor.require(Role.LABEL)
        with self._metadata.transaction() as tx:
            return sorted({(s.service, s.evaluator) for s in tx.labels.samples(actor.project_id)})

    def _skip(self, actor: Principal, task_id: str) -> None:
        with self._metadata.transaction() as tx:
            tx.labels.lock(actor.project_id)
            task = find_task(tx, actor.project_id, task_id)
            standing = newest(tx.labels.of_task(actor.project_id, task_id))
            if any(label.rater_id == actor.principal_id for label in standing):
                raise Conflict("you have labelled this answer; take the label back first")
            tx.labels.put_hold(_hold(task, actor, 2**62, is_skipped=True))

    def _item(self, experiment: ExperimentRecord, item_id: str) -> DatasetItem | None:
        items = self._releases.dataset(experiment.project_id, experiment.dataset_digest)
        return next((item for item in items if item.id == item_id), None)


def find_task(tx: LabelTransaction, project_id: str, task_id: str) -> LabelTask:
    """Return a task.

    Raises:
        NotFound: If there is none of that id.
    """
    task = tx.labels.task(project_id, task_id)
    if task is None:
        raise NotFound(f"there is no answer {task_id!r} to be labelled; see: zirkel label SERVICE")
    return task


def _hold(task: LabelTask, actor: Principal, until_ns: int, *, is_skipped: bool) -> LabelHold:
    return LabelHold(task.project_id, task.task_id, actor.principal_id, until_ns, is_skipped)
