"""Labels: given, corrected, taken back, settled, exported and imported."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.label_world import (
    ADMIN,
    ANN,
    BEN,
    CLEO,
    HELPFUL,
    READER,
    SERVICE,
    LabelWorld,
    coin,
    helpful,
    rater,
    yes,
)
from zirkel.core import Conflict, EvaluatorSpec, Forbidden, Invalid, JsonObject, ManualClock
from zirkel.core.labels import Label
from zirkel.evaluate.labels_question import (
    Judgement,
    LabelQuestion,
    judgement_of,
    kept_of,
    question_digest,
    question_of,
    read_question,
    shows_own_first,
    value_of,
    write_question,
)
from zirkel.evaluate.labels_resolve import newest, resolve
from zirkel.store.metadata import Metadata

BINARY = LabelQuestion(kind="binary", text="Is it good?")
SCALE = LabelQuestion(kind="score", text="How good?", low=1, high=5)
PAIR = LabelQuestion(kind="pair", text="Which is better?")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LabelWorld]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    made = LabelWorld(metadata, clock)
    made.evaluator()
    made.dataset(12)
    made.experiment("cand", lambda item, _: helpful(coin(item, 0.5)))
    yield made
    metadata.close()


def task_for(world: LabelWorld, *, second_share: float = 1.0) -> str:
    """Draw one answer; return its task."""
    world.draw(1, second_share=second_share)
    task = world.queue.next(ANN, SERVICE).task
    assert task is not None
    return task.task_id


def of_task(world: LabelWorld, task_id: str) -> list[Label]:
    with world.metadata.transaction() as tx:
        return list(tx.labels.of_task("p", task_id))


# Giving


def test_saying_the_same_again_changes_nothing(world: LabelWorld) -> None:
    task_id = task_for(world)
    outcomes = [world.labels.give(ANN, task_id, yes(True)).outcome for _ in range(3)]
    assert outcomes == ["accepted", "unchanged", "unchanged"]
    assert len(of_task(world, task_id)) == 1


def test_a_correction_is_a_further_version_and_the_earlier_one_stays(world: LabelWorld) -> None:
    task_id = task_for(world)
    world.labels.give(ANN, task_id, yes(True))
    done = world.labels.give(ANN, task_id, yes(False))
    assert (done.outcome, done.version) == ("corrected", 2)
    assert [label.value for label in of_task(world, task_id)] == [1.0, 0.0]
    assert [label.value for label in newest(of_task(world, task_id))] == [0.0]


def test_a_label_that_was_taken_back_counts_no_more_and_stays(world: LabelWorld) -> None:
    task_id = task_for(world)
    world.labels.give(ANN, task_id, yes(True))
    assert world.labels.withdraw(ANN, task_id).outcome == "withdrawn"
    assert world.labels.withdraw(ANN, task_id).outcome == "unchanged"
    assert newest(of_task(world, task_id)) == []
    assert [label.is_withdrawn for label in of_task(world, task_id)] == [False, True]
    again = world.queue.next(ANN, SERVICE).task
    assert again is not None
    assert again.task_id == task_id
    assert world.labels.give(ANN, task_id, yes(True)).outcome == "accepted"


def test_a_rater_sees_their_own_label_only(world: LabelWorld) -> None:
    task_id = task_for(world)
    said = Judgement(items={"helpful": True}, comment="short, but right")
    world.labels.give(ANN, task_id, said)
    assert world.labels.mine(ANN, task_id) == said
    assert world.labels.mine(BEN, task_id) is None


@pytest.mark.parametrize(
    "said", [Judgement(), Judgement(value=1), Judgement(items={"helpful": True, "kind": True}), yes(True)]
)
def test_a_judgement_that_does_not_answer_the_question_is_refused(world: LabelWorld, said: Judgement) -> None:
    said = said if said != yes(True) else Judgement(items={"helpful": True}, comment="x" * 5000)
    with pytest.raises(Invalid):
        world.labels.give(ANN, task_for(world), said)


# Settling


def test_a_third_person_settles_what_raters_differ_about_and_the_ledger_says_so(world: LabelWorld) -> None:
    task_id = task_for(world)
    world.labels.give(ANN, task_id, yes(True))
    world.labels.give(BEN, task_id, yes(False))
    for one_of_them in (ANN, BEN):
        assert world.queue.next(one_of_them, SERVICE, disputed=True).task is None
        with pytest.raises(Conflict, match="somebody else"):
            world.labels.settle(one_of_them, task_id, yes(True))
    shown = world.queue.next(CLEO, SERVICE, disputed=True).task
    assert shown is not None
    assert sorted(judgement.items["helpful"] for judgement in shown.others) == [False, True]
    assert world.labels.settle(CLEO, task_id, yes(True)).outcome == "settled"
    assert world.labels.settle(CLEO, task_id, yes(True)).outcome == "unchanged"
    assert world.queue.next(rater("dan"), SERVICE, disputed=True).task is None
    (payload,) = world.ledger("label.settled")
    found = json.loads(payload)
    assert (found["value"], sorted(one["value"] for one in found["rated"])) == (1.0, [0.0, 1.0])


def test_a_decision_can_be_taken_back_and_the_ledger_says_so(world: LabelWorld) -> None:
    task_id = task_for(world)
    world.labels.give(ANN, task_id, yes(True))
    world.labels.give(BEN, task_id, yes(False))
    world.labels.settle(CLEO, task_id, yes(True))
    world.labels.withdraw(CLEO, task_id)
    assert len(world.ledger("label.unsettled")) == 1
    again = world.queue.next(CLEO, SERVICE, disputed=True).task
    assert again is not None
    assert again.task_id == task_id


def test_there_is_nothing_to_settle_where_raters_agree(world: LabelWorld) -> None:
    task_id = task_for(world)
    world.labels.give(ANN, task_id, yes(True))
    world.labels.give(BEN, task_id, yes(True))
    with pytest.raises(Conflict, match="nothing to settle"):
        world.labels.settle(CLEO, task_id, yes(True))


# Resolving


def label(
    name: str,
    value: float,
    *,
    version: int = 1,
    at: int = 1,
    is_adjudication: bool = False,
    is_withdrawn: bool = False,
) -> Label:
    flags = (is_adjudication, is_withdrawn)
    return Label("p", "t", name, version, name, value, "", {}, "", *flags, at)


def test_nobody_resolves_nothing() -> None:
    found = resolve(BINARY, [])
    assert (found.is_resolved, found.is_disputed, found.value) == (False, False, None)


def test_one_label_or_several_alike_resolve() -> None:
    assert resolve(BINARY, [label("a", 1.0)]).value == 1.0
    assert resolve(BINARY, [label("a", 0.0), label("b", 0.0)]).value == 0.0


def test_raters_who_differ_leave_it_open() -> None:
    found = resolve(BINARY, [label("a", 1.0), label("b", 0.0)])
    assert (found.is_resolved, found.is_disputed) == (False, True)


def test_a_decision_counts_before_all_else() -> None:
    found = resolve(BINARY, [label("a", 1.0), label("b", 0.0), label("c", 0.0, is_adjudication=True, at=9)])
    assert (found.value, found.settled_by, found.raters, found.at_ns) == (0.0, "c", 2, 9)


def test_neighbours_on_a_scale_agree_and_their_mean_counts() -> None:
    assert resolve(SCALE, [label("a", 0.5), label("b", 0.75)]).value == 0.625
    assert resolve(SCALE, [label("a", 0.5), label("b", 1.0)]).is_disputed


labels = st.lists(
    st.builds(
        label,
        st.sampled_from("abc"),
        st.sampled_from([0.0, 1.0]),
        version=st.integers(1, 3),
        at=st.integers(1, 9),
        is_withdrawn=st.booleans(),
        is_adjudication=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda found: (found.rater_id, found.version),
)


@given(labels.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_labels_does_not_matter(orders: tuple[list[Label], list[Label]]) -> None:
    first, second = orders
    assert resolve(BINARY, first) == resolve(BINARY, second)


@given(labels)
def test_nothing_is_both_resolved_and_disputed(found: list[Label]) -> None:
    came_to = resolve(BINARY, found)
    assert not (came_to.is_resolved and came_to.is_disputed)
    assert came_to.is_resolved == (came_to.value is not None)


# Questions


def spec(kind: str, options: JsonObject) -> EvaluatorSpec:
    return EvaluatorSpec(name="quality", kind=kind, options=options)


ASKED: JsonObject = {"model": "m/x"}
QUESTIONS = [
    question_of(spec("judge", HELPFUL)),
    question_of(spec("judge", {**ASKED, "scale": {"min": 1, "max": 5, "meanings": {"1": "useless"}}})),
    question_of(spec("judge", {**ASKED, "categories": [{"label": "good", "value": 1.0}, {"label": "spam"}]})),
    question_of(spec("pairwise", ASKED)),
    question_of(spec("human", {"question": "Is it polite?"})),
    question_of(spec("exact", {})),
]


def test_people_are_asked_what_the_evaluator_is_asked() -> None:
    assert [question.kind for question in QUESTIONS] == ["rubric", "score", "category", "pair", "binary", "binary"]
    assert QUESTIONS[4].text == "Is it polite?"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_read_as_it_was_written(question: LabelQuestion) -> None:
    assert read_question(write_question(question)) == question


def test_another_model_is_the_same_question_and_another_rubric_is_not() -> None:
    other_model = question_of(spec("judge", {**HELPFUL, "model": "m/y", "temperature": 0.5}))
    other_rubric = question_of(spec("judge", {**HELPFUL, "rubric": [{"name": "helpful", "ask": "It is kind."}]}))
    assert question_digest(other_model) == question_digest(QUESTIONS[0])
    assert question_digest(other_rubric) != question_digest(QUESTIONS[0])


def test_a_rubric_is_worth_its_share_by_weight_and_nothing_without_what_must_be() -> None:
    rubric = [
        {"name": "a", "ask": "A", "weight": 3},
        {"name": "b", "ask": "B"},
        {"name": "c", "ask": "C", "must": True},
    ]
    question = question_of(spec("judge", {**ASKED, "rubric": rubric}))
    assert value_of(question, Judgement(items={"a": True, "b": False, "c": True})) == 0.8
    assert value_of(question, Judgement(items={"a": True, "b": True, "c": False})) == 0.0


def test_a_category_without_a_value_is_not_scored() -> None:
    assert value_of(QUESTIONS[2], Judgement(category="good")) == 1.0
    assert value_of(QUESTIONS[2], Judgement(category="spam")) is None
    with pytest.raises(Invalid, match="good, spam"):
        value_of(QUESTIONS[2], Judgement(category="other"))


@given(st.sampled_from(["first", "second", "tie"]), st.text("0123456789abcdef", min_size=32, max_size=32))
def test_a_pair_is_kept_as_what_it_says_of_the_answer_under_test(said: str, task_id: str) -> None:
    value, category = kept_of(PAIR, task_id, Judgement(category=said))
    own = {"first": 1.0, "second": 0.0, "tie": 0.5}[said]
    assert value == (own if shows_own_first(task_id) else 1 - own)
    kept = Label("p", task_id, "r", 1, "r", value, category)
    assert judgement_of(PAIR, kept) == Judgement(category=said)


@given(st.integers(-5, 10))
def test_a_score_is_its_place_on_the_scale_and_comes_back_as_it_was(number: int) -> None:
    said = Judgement(value=float(number))
    if not 1 <= number <= 5:
        with pytest.raises(Invalid, match="from 1 to 5"):
            value_of(SCALE, said)
        return
    value, category = kept_of(SCALE, "0" * 32, said)
    assert value == (number - 1) / 4
    assert judgement_of(SCALE, Label("p", "0" * 32, "r", 1, "r", value, category)) == said


# Export and import


def exported(world: LabelWorld) -> bytes:
    return b"".join(world.transfer.lines(ADMIN, SERVICE))


def test_an_export_imports_to_the_same_labels_and_twice_changes_nothing(world: LabelWorld, tmp_path: Path) -> None:
    world.draw(6, second_share=1.0)
    world.label_all(ANN, lambda item, _: yes(coin(item, 0.5)))
    world.label_all(BEN, lambda item, _: Judgement(items={"helpful": coin(f"b{item}", 0.5)}, comment=f"so: {item}"))
    corrected = world.queue.next(CLEO, SERVICE, disputed=True).task
    assert corrected is not None
    world.labels.settle(CLEO, corrected.task_id, yes(True))
    world.labels.withdraw(ANN, corrected.task_id)
    data = exported(world)
    metadata = Metadata.open(f"sqlite:///{tmp_path}/other.sqlite", world.clock)
    other = LabelWorld(metadata, world.clock, world.releases)
    other.experiment("cand", lambda item, _: helpful(coin(item, 0.5)))
    count = data.count(b"\n")
    first = other.transfer.import_lines(ADMIN, SERVICE, data)
    assert (first.added, first.unchanged, first.refused) == (count, 0, ())
    again = other.transfer.import_lines(ADMIN, SERVICE, data)
    assert (again.added, again.unchanged, again.refused) == (0, count, ())
    assert _judgements(exported(other)) == _judgements(data)
    metadata.close()


def _judgements(data: bytes) -> list[dict[str, object]]:
    lines = [msgspec.json.decode(line, type=dict[str, object]) for line in data.splitlines()]
    return [{name: value for name, value in line.items() if name != "probability"} for line in lines]


def test_a_faulty_line_is_named_and_costs_no_other(world: LabelWorld) -> None:
    good = {
        "experiment_id": "cand",
        "evaluator": "quality",
        "item_id": "i0001",
        "rater": "ann",
        "items": {"helpful": True},
    }
    lines = [
        json.dumps(good),
        "{",
        json.dumps({**good, "item_id": "unknown"}),
        json.dumps({**good, "experiment_id": "unknown"}),
        json.dumps({**good, "raters": 1}),
        json.dumps({**good, "version": 3}),
        json.dumps(good),
    ]
    found = world.transfer.import_lines(ADMIN, SERVICE, "\n".join(lines).encode())
    assert (found.added, found.unchanged) == (1, 1)
    assert [refused.line for refused in found.refused] == [2, 3, 4, 5, 6]


def test_a_version_that_says_something_else_is_refused(world: LabelWorld) -> None:
    line = {"experiment_id": "cand", "evaluator": "quality", "item_id": "i0001", "rater": "ann", "version": 1}
    first = json.dumps({**line, "items": {"helpful": True}}).encode()
    other = json.dumps({**line, "items": {"helpful": False}}).encode()
    assert world.transfer.import_lines(ADMIN, SERVICE, first).added == 1
    (refused,) = world.transfer.import_lines(ADMIN, SERVICE, other).refused
    assert "says something else" in refused.message


def test_labels_are_exported_to_readers_and_imported_by_admins_only(world: LabelWorld) -> None:
    with pytest.raises(Forbidden):
        list(world.transfer.lines(ANN, SERVICE))
    with pytest.raises(Forbidden):
        world.transfer.import_lines(READER, SERVICE, b"")
    assert list(world.transfer.lines(READER, SERVICE)) == []
