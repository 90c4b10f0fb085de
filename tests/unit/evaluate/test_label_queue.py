"""The queue: what is drawn, who is asked what, and that nobody sees what would sway them."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.unit.evaluate.label_world import (
    ADMIN,
    ANN,
    BASELINE,
    BEN,
    CLEO,
    READER,
    SERVICE,
    LabelWorld,
    coin,
    helpful,
    rater,
    yes,
)
from zirkel.core import Conflict, Forbidden, Invalid, ManualClock, NotFound
from zirkel.evaluate.label_queue import LEASE_S, QueueOptions
from zirkel.evaluate.labels_question import Judgement
from zirkel.store.metadata import Metadata


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LabelWorld]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    made = LabelWorld(metadata, clock)
    made.evaluator()
    made.dataset(40)
    made.experiment("base", lambda item, _: helpful(coin(f"b{item}", 0.5)), release=BASELINE)
    made.experiment("cand", lambda item, _: helpful(coin(f"c{item}", 0.7)), output=lambda i, _: f"better {i}")
    yield made
    metadata.close()


def drawn(world: LabelWorld, experiment_id: str) -> dict[str, float]:
    with world.metadata.transaction() as tx:
        return {task.item_id: task.probability or 0 for task in tx.labels.tasks("p", experiment_id, "quality")}


def label_all(world: LabelWorld) -> list[tuple[str, str]]:
    """Return item and answer of all that a rater is asked, in order."""
    seen: list[tuple[str, str]] = []

    def say(item_id: str, output: str) -> Judgement:
        seen.append((item_id, output))
        return yes(True)

    world.label_all(ANN, say)
    return seen


def test_a_draw_takes_the_answers_of_candidate_and_baseline_to_the_same_items(world: LabelWorld) -> None:
    world.draw(20)
    assert drawn(world, "cand") == drawn(world, "base")
    assert len(drawn(world, "cand")) == 10
    assert set(drawn(world, "cand").values()) == {0.25}


def test_drawing_again_adds_to_the_sample_and_raises_every_probability(world: LabelWorld) -> None:
    world.draw(20)
    before = drawn(world, "cand")
    world.draw(20)
    after = drawn(world, "cand")
    assert before.keys() < after.keys()
    assert (len(after), set(after.values())) == (20, {0.5})


def test_a_draw_beyond_all_answers_takes_them_all_with_certainty(world: LabelWorld) -> None:
    world.draw(1000)
    assert len(drawn(world, "cand")) == 40
    assert set(drawn(world, "base").values()) == {1.0}


def test_what_was_drawn_for_the_baseline_is_used_for_a_new_candidate(world: LabelWorld) -> None:
    world.draw(20)
    world.experiment("next", lambda item, _: helpful(coin(f"n{item}", 0.7)), output=lambda i, _: f"newer {i}")
    world.draw(10)
    assert drawn(world, "cand").keys() < drawn(world, "next").keys() == drawn(world, "base").keys()
    assert len(drawn(world, "next")) == 15


def test_a_draw_is_in_the_ledger(world: LabelWorld) -> None:
    world.draw(20)
    (payload,) = world.ledger("label.drawn")
    assert msgspec.json.decode(payload)["drawn"] == {"base": 10, "cand": 10}


def test_a_rater_sees_item_and_answer_and_neither_score_nor_release(world: LabelWorld) -> None:
    world.draw(20)
    task = world.queue.next(ANN, SERVICE).task
    assert task is not None
    number = int(task.item_id[1:])
    assert (task.input, task.expected) == ({"text": f"question {number}"}, f"right {number}")
    assert task.question.items[0].ask == "It helps."
    said = msgspec.json.encode(task).decode()
    for hidden in ("cand", "base", "c" * 64, "b" * 64, "score"):
        assert hidden not in said
    assert task.others == ()


def test_both_releases_are_mixed_in_the_queue(world: LabelWorld) -> None:
    world.draw(40)
    seen = [output.split()[0] for _, output in label_all(world)]
    assert Counter(seen) == {"better": 20, "answer": 20}
    assert len(set(seen[:10])) == 2


def test_the_same_task_comes_again_until_it_is_labelled(world: LabelWorld) -> None:
    world.draw(20)
    first, again = world.queue.next(ANN, SERVICE).task, world.queue.next(ANN, SERVICE).task
    assert first is not None
    assert again is not None
    assert first.task_id == again.task_id


def test_two_raters_are_never_given_the_same_task_at_once(world: LabelWorld) -> None:
    world.draw(4)
    held = [world.queue.next(who, SERVICE).task for who in (ANN, BEN, CLEO, ADMIN)]
    assert len({task.task_id for task in held if task}) == 4
    assert world.queue.next(rater("eve"), SERVICE).task is None


def test_a_task_that_was_let_lie_is_given_to_others(world: LabelWorld) -> None:
    world.draw(2)
    assert all(world.queue.next(who, SERVICE).task for who in (ANN, BEN))
    assert world.queue.next(CLEO, SERVICE).task is None
    world.clock.advance(LEASE_S + 1)
    assert world.queue.next(CLEO, SERVICE).task is not None


def test_a_task_for_two_is_given_to_two_people_and_to_no_third(world: LabelWorld) -> None:
    world.draw(6, second_share=1.0)
    assert world.label_all(ANN, lambda *_: yes(True)) == 6
    assert world.label_all(BEN, lambda *_: yes(True)) == 6
    assert world.label_all(CLEO, lambda *_: yes(True)) == 0


def test_the_share_that_two_people_label_is_what_was_asked_for(world: LabelWorld) -> None:
    world.draw(80, second_share=0.25)
    world.label_all(ANN, lambda *_: yes(True))
    assert 8 <= world.label_all(BEN, lambda *_: yes(True)) <= 34


def test_what_was_skipped_is_not_asked_again_but_others_are(world: LabelWorld) -> None:
    world.draw(2)
    first = world.queue.next(ANN, SERVICE).task
    assert first is not None
    world.queue.skip(ANN, first.task_id)
    second = world.queue.next(ANN, SERVICE).task
    assert second is not None
    assert second.task_id != first.task_id
    theirs = world.queue.next(BEN, SERVICE).task
    assert theirs is not None
    assert theirs.task_id == first.task_id


def test_undoing_a_skip_brings_the_task_back(world: LabelWorld) -> None:
    world.draw(1)
    tasks = []
    for _ in range(2):
        task = world.queue.next(ANN, SERVICE).task
        assert task is not None
        tasks.append(task.task_id)
        world.queue.skip(ANN, task.task_id)
    assert world.queue.next(ANN, SERVICE).task is None
    world.labels.withdraw(ANN, tasks[0])
    back = world.queue.next(ANN, SERVICE).task
    assert back is not None
    assert back.task_id == tasks[0]


def test_what_was_labelled_cannot_be_skipped(world: LabelWorld) -> None:
    world.draw(2)
    task = world.queue.next(ANN, SERVICE).task
    assert task is not None
    world.labels.give(ANN, task.task_id, yes(True))
    with pytest.raises(Conflict, match="take the label back"):
        world.queue.skip(ANN, task.task_id)


def test_an_erased_answer_is_passed_over(world: LabelWorld) -> None:
    world.draw(4)
    with world.metadata.transaction() as tx:
        gone = tx.labels.tasks("p", "cand", "quality")[0].item_id
    world.releases.items["d" * 64] = [item for item in world.releases.items["d" * 64] if item.id != gone]
    seen = [item for item, _ in label_all(world)]
    assert gone not in seen
    assert len(seen) == 2


def test_progress_counts_what_is_drawn_resolved_disputed_mine_and_left(world: LabelWorld) -> None:
    world.draw(4, second_share=1.0)
    for who, is_so in ((ANN, True), (BEN, False)):
        task = world.queue.next(who, SERVICE).task
        assert task is not None
        world.labels.give(who, task.task_id, yes(is_so))
    progress = world.queue.next(ANN, SERVICE).progress
    assert (progress.drawn, progress.resolved, progress.disputed, progress.mine, progress.left) == (4, 0, 1, 1, 3)


def test_of_a_pair_half_of_the_tasks_show_the_answer_under_test_first(world: LabelWorld) -> None:
    world.evaluator(kind="pairwise", options={"model": "openai/gpt-4o"})
    world.experiment("pair", lambda *_: helpful(True), output=lambda i, _: f"ours {i}", other="base")
    world.draw(40)
    firsts: list[str] = []
    for _ in range(40):
        task = world.queue.next(ANN, SERVICE, "quality").task
        assert task is not None
        assert task.second_output is not None
        assert {task.output.split()[0], task.second_output.split()[0]} == {"ours", "answer"}
        firsts.append(task.output.split()[0])
        world.queue.skip(ANN, task.task_id)
    assert 8 <= Counter(firsts)["ours"] <= 32


@pytest.mark.parametrize(
    "options", [QueueOptions(answers=0), QueueOptions(answers=10**6), QueueOptions(second_share=2)]
)
def test_a_draw_out_of_range_is_refused(world: LabelWorld, options: QueueOptions) -> None:
    with pytest.raises(Invalid):
        world.queue.draw(ADMIN, SERVICE, options)


def test_a_draw_needs_a_finished_experiment(world: LabelWorld) -> None:
    world.releases.models["f" * 64] = "local/qwen3"
    with pytest.raises(NotFound, match="zirkel eval triage"):
        world.queue.draw(ADMIN, SERVICE, QueueOptions(release="f" * 64))


def test_only_those_who_may_label_can_look_into_the_queue(world: LabelWorld) -> None:
    world.draw(2)
    for attempt in (
        lambda: world.queue.next(READER, SERVICE),
        lambda: world.queue.draw(READER, SERVICE, QueueOptions()),
        lambda: world.queue.skip(READER, "x"),
        lambda: world.queue.services(READER),
        lambda: world.labels.give(READER, "x", yes(True)),
        lambda: world.labels.withdraw(READER, "x"),
        lambda: world.labels.settle(READER, "x", yes(True)),
        lambda: world.labels.mine(READER, "x"),
    ):
        with pytest.raises(Forbidden):
            attempt()
