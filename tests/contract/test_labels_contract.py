"""What the store of labels promises, on SQLite and on PostgreSQL alike."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from zirkel.core import ManualClock, TrialRecord, TrialState, new_id
from zirkel.core.erasure import ERASED_TEXT, TrialKey
from zirkel.core.labels import Label, LabelHold, LabelSample, LabelTask
from zirkel.store.metadata import Metadata

CLOCK = ManualClock()


@pytest.fixture(scope="module")
def store(database_url: str) -> Iterator[Metadata]:
    opened = Metadata.open(database_url, CLOCK)
    yield opened
    opened.close()


@pytest.fixture
def project() -> str:
    """A project of its own for each test: they share one database."""
    return new_id(CLOCK)


def sample(project: str, experiment_id: str = "e1", evaluator: str = "quality", service: str = "triage") -> LabelSample:
    chances = (("ï1", 0, 0.25), ("i2", 1, 1.0))
    question = '{"kind":"binary"}'
    return LabelSample(
        project, experiment_id, evaluator, service, question, "q" * 64, chances, "label_chances", 2, 7, "ann"
    )


def task(project: str, task_id: str = "t1", experiment_id: str = "e1", place: float = 0.5) -> LabelTask:
    return LabelTask(
        project, task_id, experiment_id, "quality", f"item of {task_id}", 0, "a" * 64, "q" * 64, 0.25, place, 2
    )


def label(project: str, task_id: str = "t1", rater_id: str = "r1", version: int = 1, comment: str = "") -> Label:
    return Label(
        project, task_id, rater_id, version, "Änn", 0.5, "good", {"b": True, "a": False}, comment, True, False, 9
    )


def test_a_sample_comes_back_as_it_was_and_the_newest_replaces_it(store: Metadata, project: str) -> None:
    first, second = sample(project), replace(sample(project), drawn=3, drawn_ns=8, probabilities=(("i3", 0, 0.5),))
    with store.transaction() as tx:
        tx.labels.put_sample(first)
        assert tx.labels.sample(project, "e1", "quality") == first
        tx.labels.put_sample(second)
    with store.transaction() as tx:
        assert tx.labels.sample(project, "e1", "quality") == second
        assert tx.labels.sample(project, "e1", "other") is None


def test_samples_are_listed_by_service_drawn_last_first(store: Metadata, project: str) -> None:
    older, newer = sample(project), replace(sample(project, "e2"), drawn_ns=9)
    elsewhere = sample(project, "e3", service="other")
    with store.transaction() as tx:
        for one in (older, newer, elsewhere):
            tx.labels.put_sample(one)
    with store.transaction() as tx:
        assert tx.labels.samples(project, "triage") == [newer, older]
        assert set(tx.labels.samples(project)) == {newer, older, elsewhere}


def test_tasks_come_in_the_order_of_the_queue_and_are_replaced(store: Metadata, project: str) -> None:
    late, early = task(project, "t1", place=0.9), task(project, "t2", place=0.1)
    with store.transaction() as tx:
        tx.labels.put_tasks([late, early, task(project, "t3", "e2")])
        tx.labels.put_tasks([replace(late, probability=None)])
    with store.transaction() as tx:
        assert tx.labels.tasks(project, "e1", "quality") == [early, replace(late, probability=None)]
        assert tx.labels.task(project, "t2") == early
        assert tx.labels.task(project, "unknown") is None


def test_a_hold_is_replaced_and_dropped(store: Metadata, project: str) -> None:
    hold = LabelHold(project, "t1", "r1", 10)
    with store.transaction() as tx:
        tx.labels.put_tasks([task(project)])
        tx.labels.put_hold(hold)
        tx.labels.put_hold(replace(hold, until_ns=20, is_skipped=True))
        tx.labels.put_hold(replace(hold, rater_id="r2"))
    with store.transaction() as tx:
        held = tx.labels.holds(project, "e1", "quality")
        assert held == [replace(hold, until_ns=20, is_skipped=True), replace(hold, rater_id="r2")]
        assert tx.labels.drop_hold(project, "t1", "r1")
        assert not tx.labels.drop_hold(project, "t1", "r1")


def test_every_version_of_a_label_stays(store: Metadata, project: str) -> None:
    first, second = label(project), replace(label(project, version=2), value=None, items={}, is_withdrawn=True)
    with store.transaction() as tx:
        tx.labels.put_tasks([task(project)])
        tx.labels.add(second)
        tx.labels.add(first)
    with store.transaction() as tx:
        assert tx.labels.of_task(project, "t1") == [first, second]
        assert tx.labels.list(project, "e1", "quality") == [first, second]


def test_a_version_cannot_be_written_twice(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.labels.add(label(project))
    with pytest.raises(IntegrityError), store.transaction() as tx:
        tx.labels.add(replace(label(project), value=1.0))


def test_an_answers_text_is_found_until_it_is_erased(store: Metadata, project: str) -> None:
    trial = TrialRecord(project, "e1", "i1", 2, TrialState.ANSWERED, 1, "t" * 32, output="yes")
    with store.transaction() as tx:
        tx.experiments.claim([trial])
    with store.transaction() as tx:
        assert tx.labels.answer(project, "e1", "i1", 2) == "yes"
        assert tx.labels.answer(project, "e1", "i1", 1) is None
        tx.erasures.empty_trials(project, [TrialKey("e1", "i1", 2, "t" * 32)])
        assert tx.labels.answer(project, "e1", "i1", 2) is None


def test_erasing_takes_comments_and_leaves_what_was_said(store: Metadata, project: str) -> None:
    kept, erased = task(project, "t1"), task(project, "t2")
    with store.transaction() as tx:
        tx.labels.put_tasks([kept, erased])
        for found in (kept, erased):
            tx.labels.add(label(project, found.task_id, comment="she said so"))
        tx.labels.add(label(project, "t2", "r2"))
    keys = [
        TrialKey("e1", erased.item_id, 0, ""),
        TrialKey("e2", kept.item_id, 0, ""),
        TrialKey("e1", "unknown", 0, ""),
    ]
    with store.transaction() as tx:
        assert tx.labels.erase_comments(project, keys, dry_run=True) == 1
        assert tx.labels.of_task(project, "t2")[0].comment == "she said so"
        assert tx.labels.erase_comments(project, keys) == 1
        assert tx.labels.erase_comments(project, keys) == 0
    with store.transaction() as tx:
        assert tx.labels.of_task(project, "t1") == [label(project, "t1", comment="she said so")]
        assert [said.comment for said in tx.labels.of_task(project, "t2")] == [ERASED_TEXT, ""]
        assert tx.labels.of_task(project, "t2")[0] == label(project, "t2", comment=ERASED_TEXT)


def test_erasing_takes_as_many_answers_as_there_are(store: Metadata, project: str) -> None:
    tasks = [task(project, f"t{number}") for number in range(450)]
    with store.transaction() as tx:
        tx.labels.put_tasks(tasks)
        for one in tasks:
            tx.labels.add(label(project, one.task_id, comment="so"))
        keys = [TrialKey("e1", one.item_id, 0, "") for one in tasks]
        assert tx.labels.erase_comments(project, keys) == 450


def test_who_locks_labels_first_is_waited_for(store: Metadata, project: str) -> None:
    ready, order = threading.Barrier(2), []

    def take(name: str) -> None:
        ready.wait()
        with store.transaction() as tx:
            tx.labels.lock(project)
            taken = len(tx.labels.of_task(project, "t1"))
            tx.labels.add(label(project, rater_id="r", version=taken + 1))
            order.append(name)

    threads = [threading.Thread(target=take, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.transaction() as tx:
        assert [said.version for said in tx.labels.of_task(project, "t1")] == [1, 2]


def test_the_labels_of_one_project_are_not_those_of_another(store: Metadata, project: str) -> None:
    with store.transaction() as tx:
        tx.labels.put_sample(sample(project))
        tx.labels.put_tasks([task(project)])
        tx.labels.add(label(project))
    with store.transaction() as tx:
        assert tx.labels.samples("elsewhere") == []
        assert tx.labels.task("elsewhere", "t1") is None
        assert tx.labels.list("elsewhere", "e1", "quality") == []
