"""Giving, correcting, withdrawing and reading scores, over a spool and a store in memory."""

import json
import threading
from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.observe.score_world import MemoryScores
from zirkel.core import (
    Conflict,
    Forbidden,
    Invalid,
    Json,
    ManualClock,
    NotFound,
    Overloaded,
    Principal,
    Role,
    ScoreKind,
    ScoreOrigin,
    TooLarge,
    ZirkelError,
)
from zirkel.core.privacy import MaskRule
from zirkel.lib.recognisers import Masker, compile_masker
from zirkel.observe.scores import MOST_SCORES, ScoreFilter, Scores, Taken

ANN = Principal("p", "k1", "ann", frozenset({Role.INGEST, Role.READ}))
ADMIN = Principal("p", "k2", "root", frozenset({Role.ADMIN}))
PAGE = Principal("p", "k3", "web page", frozenset({Role.FEEDBACK}))
TRACE = "ab" * 16


class World:
    """The service, its stores and its clock."""

    def __init__(self, *, is_slow: bool = False) -> None:
        self.clock = ManualClock()
        self.disk = MemoryScores(is_slow=is_slow)
        self.scores = Scores(self.disk, self.disk, self.disk, self.clock)

    def give(self, *bodies: Mapping[str, Json], actor: Principal = ANN) -> list[tuple[str, str]]:
        """Give scores on the trace; return outcome and id, or code and path, of each."""
        self.clock.advance(1)
        return [described(answer) for answer in self.scores.add(actor, [text(body) for body in bodies])]

    def feedback(self, body: Mapping[str, Json], actor: Principal = PAGE) -> Taken:
        self.clock.advance(1)
        return self.scores.give_feedback(actor, text(body))


def text(fields: Mapping[str, Json]) -> bytes:
    return json.dumps({"name": "helpful", "trace_id": TRACE, **fields}).encode()


def described(answer: Taken | ZirkelError) -> tuple[str, str]:
    if isinstance(answer, ZirkelError):
        return answer.code, answer.path or ""
    return answer.outcome, answer.score_id


@pytest.fixture(params=[False, True], ids=["readable at once", "not readable yet"])
def world(request: pytest.FixtureRequest) -> World:
    return World(is_slow=request.param)


def test_each_score_of_a_list_is_answered_for_itself_and_only_new_ones_are_written(world: World) -> None:
    assert world.give({"score_id": "a", "value": 1}, {"score_id": "b", "value": 1}) == [
        ("accepted", "a"),
        ("accepted", "b"),
    ]
    assert world.give(
        {"score_id": "a", "value": 1},
        {"score_id": "b", "value": 2},
        {"score_id": "c", "value": 3},
        {"score_id": "d"},
        {"score_id": "a", "name": "polite", "value": 1},
        {"score_id": "c", "value": 3},
        {"score_id": "c", "value": 4},
    ) == [
        ("unchanged", "a"),
        ("corrected", "b"),
        ("accepted", "c"),
        ("invalid", "label"),
        ("conflict", "score_id"),
        ("unchanged", "c"),
        ("corrected", "c"),
    ]
    assert [(version.score_id, version.value) for version in world.disk.spooled] == [
        ("a", 1.0),
        ("b", 1.0),
        ("b", 2.0),
        ("c", 3.0),
        ("c", 4.0),
    ]


def test_a_correction_keeps_the_earlier_version_with_when_and_who(world: World) -> None:
    world.give({"score_id": "a", "value": 1, "origin": "judge", "author": "gpt-4o"})
    world.give({"score_id": "a", "value": 0, "origin": "person"})
    world.disk.store()
    history = world.scores.history(ANN, "a")
    assert [(version.value, version.origin, version.author) for version in history] == [
        (1.0, ScoreOrigin.JUDGE, "gpt-4o"),
        (0.0, ScoreOrigin.PERSON, "ann"),
    ]
    assert history[1].time_ns - history[0].time_ns == 10**9
    (current,) = world.scores.page(ANN, ScoreFilter(trace_id=TRACE.upper())).scores
    assert current == history[1]


def test_judged_again_without_an_id_is_a_correction_and_a_persons_second_score_is_another_one(world: World) -> None:
    judge: dict[str, Json] = {"origin": "judge", "evaluator": "tone@3"}
    (first,) = world.give({**judge, "value": 0.2})
    assert world.give({**judge, "value": 0.2}, {**judge, "value": 0.3}) == [
        ("unchanged", first[1]),
        ("corrected", first[1]),
    ]
    persons = world.give({"origin": "person", "value": 1}, {"origin": "person", "value": 1})
    assert [outcome for outcome, _ in persons] == ["accepted", "accepted"]
    assert len({score_id for _, score_id in persons}) == 2


def test_a_withdrawn_score_is_listed_no_more_keeps_its_history_and_can_be_given_again(world: World) -> None:
    world.give({"score_id": "a", "value": 1})
    assert world.scores.withdraw(ADMIN, "a") == Taken("a", "withdrawn")
    assert world.scores.withdraw(ADMIN, "a") == Taken("a", "unchanged")
    world.disk.store()
    assert world.scores.page(ANN, ScoreFilter()).scores == []
    assert [(v.value, v.is_withdrawn, v.author) for v in world.scores.history(ANN, "a")] == [
        (1.0, False, "k1"),
        (1.0, True, "root"),
    ]
    assert world.give({"score_id": "a", "value": 1}) == [("corrected", "a")]
    world.disk.store()
    assert [score.value for score in world.scores.page(ANN, ScoreFilter()).scores] == [1.0]


def test_what_is_not_there_is_not_found(world: World) -> None:
    other = Principal("q", "k9", "eve", ADMIN.roles)
    world.give({"score_id": "a", "value": 1})
    world.disk.store()
    for actor, score_id in ((ADMIN, "none"), (other, "a")):
        with pytest.raises(NotFound):
            world.scores.withdraw(actor, score_id)
        with pytest.raises(NotFound):
            world.scores.history(actor, score_id)
    assert world.scores.page(other, ScoreFilter()).scores == []
    assert world.give({"score_id": "a", "value": 2}, actor=other) == [("accepted", "a")]


@pytest.mark.parametrize("role", [Role.READ, Role.CALL, Role.FEEDBACK])
def test_only_who_may_write_telemetry_gives_and_withdraws_scores(role: Role) -> None:
    world, actor = World(), Principal("p", "k4", "bob", frozenset({role}))
    with pytest.raises(Forbidden, match="ingest"):
        world.scores.add(actor, [text({"value": 1})])
    with pytest.raises(Forbidden, match="ingest"):
        world.scores.withdraw(actor, "a")
    assert world.disk.spooled == []


@pytest.mark.parametrize("role", [Role.INGEST, Role.CALL, Role.FEEDBACK])
def test_only_who_may_read_sees_scores(role: Role) -> None:
    world, actor = World(), Principal("p", "k4", "bob", frozenset({role}))
    world.give({"score_id": "a", "value": 1})
    with pytest.raises(Forbidden, match="read"):
        world.scores.page(actor, ScoreFilter())
    with pytest.raises(Forbidden, match="read"):
        world.scores.history(actor, "a")


def test_when_the_spool_is_full_nothing_is_taken_and_the_same_is_accepted_later(world: World) -> None:
    world.disk.is_full = True
    with pytest.raises(Overloaded):
        world.give({"score_id": "a", "value": 1})
    with pytest.raises(Overloaded):
        world.feedback({"score_id": "f", "value": True})
    world.disk.is_full = False
    assert world.give({"score_id": "a", "value": 1}) == [("accepted", "a")]
    assert world.feedback({"score_id": "f", "value": True}) == Taken("f", "accepted")


def test_a_disk_that_cannot_be_written_takes_nothing_and_the_same_is_accepted_later(world: World) -> None:
    world.disk.is_broken = True
    with pytest.raises(Overloaded, match="no space"):
        world.give({"score_id": "a", "value": 1})
    world.disk.is_broken = False
    assert world.give({"score_id": "a", "value": 1}) == [("accepted", "a")]


def test_too_many_scores_at_once_are_refused_and_the_most_are_taken() -> None:
    world = World()
    with pytest.raises(TooLarge):
        world.scores.add(ANN, [text({"value": 1})] * (MOST_SCORES + 1))
    bodies: list[Mapping[str, Json]] = [{"score_id": f"s{number}", "value": number} for number in range(MOST_SCORES)]
    answers = world.give(*bodies)
    assert [outcome for outcome, _ in answers] == ["accepted"] * MOST_SCORES
    assert len(world.disk.spooled) == MOST_SCORES


def test_a_refused_list_writes_nothing_and_an_empty_one_is_fine() -> None:
    world = World()
    assert world.give({}, {"value": "x"}) == [("invalid", "label"), ("invalid", "value")]
    assert world.give() == []
    assert world.disk.spooled == []


def test_feedback_is_corrected_by_the_same_key_for_the_same_user_only(world: World) -> None:
    assert world.feedback({"score_id": "f", "value": True, "user_id": "u"}) == Taken("f", "accepted")
    assert world.feedback({"score_id": "f", "value": True, "user_id": "u"}) == Taken("f", "unchanged")
    assert world.feedback({"score_id": "f", "value": False, "user_id": "u"}) == Taken("f", "corrected")
    another = Principal("p", "k5", "another page", PAGE.roles)
    world.give({"score_id": "person", "value": True, "origin": "person"})
    tries: list[tuple[Mapping[str, Json], Principal]] = [
        ({"score_id": "f", "value": True, "user_id": "v"}, PAGE),
        ({"score_id": "f", "value": True, "user_id": "u"}, another),
        ({"score_id": "f", "value": True, "user_id": "u", "name": "other"}, PAGE),
        ({"score_id": "person", "value": False}, PAGE),
    ]
    for body, actor in tries:
        with pytest.raises(Conflict) as refused:
            world.feedback(body, actor)
        assert refused.value.path == "score_id"
    assert [version.value for version in world.disk.spooled] == [1.0, 0.0, 1.0]


def test_feedback_takes_a_feedback_key_and_no_other() -> None:
    world = World()
    for actor in (ANN, ADMIN, Principal("p", "k6", "both", PAGE.roles | {Role.READ})):
        with pytest.raises(Forbidden, match="feedback key"):
            world.feedback({"value": True}, actor)
    assert world.disk.spooled == []


def test_the_team_may_correct_an_end_users_score() -> None:
    world = World()
    world.feedback({"score_id": "f", "value": True, "user_id": "u"})
    assert world.give({"score_id": "f", "value": False, "origin": "person"}) == [("corrected", "f")]


class Maskers:
    """One project masks the word 'secret'."""

    def masker(self, project_id: str) -> Masker | None:
        return compile_masker([MaskRule(pattern="secret", placeholder="***")]) if project_id == "p" else None


def test_what_a_project_masks_never_reaches_the_disk_and_is_the_same_when_sent_again() -> None:
    disk, clock = MemoryScores(), ManualClock()
    scores = Scores(disk, disk, disk, clock, Maskers())
    body = text(
        {"score_id": "a", "kind": "text", "label": "my secret", "comment": "a secret", "metadata": {"k": ["secret"]}}
    )
    assert [described(answer) for answer in scores.add(ANN, [body])] == [("accepted", "a")]
    assert [described(answer) for answer in scores.add(ANN, [body])] == [("unchanged", "a")]
    scores.give_feedback(PAGE, text({"value": True, "comment": "secret"}))
    (score, feedback) = disk.spooled
    assert (score.label, score.comment, score.metadata) == ("my ***", "a ***", {"k": '["***"]'})
    assert feedback.comment == "***"
    other = Principal("q", "k9", "eve", ANN.roles)
    scores.add(other, [body, text({"label": "secret"})])
    assert [(v.kind, v.label) for v in disk.spooled[2:]] == [
        (ScoreKind.TEXT, "my secret"),
        (ScoreKind.CATEGORICAL, "secret"),
    ]


def test_pages_go_through_all_scores_once_whatever_is_written_meanwhile() -> None:
    world = World()
    for number in range(7):
        world.give({"score_id": f"s{number}", "value": number})
    seen, cursor = [], ""
    for turn in range(4):
        page = world.scores.page(ANN, ScoreFilter(), cursor, 2)
        seen += [score.score_id for score in page.scores]
        cursor = page.next_cursor
        world.give({"score_id": f"new{turn}", "value": 1}, {"score_id": f"s{turn}", "value": 99})
    assert seen == [f"s{number}" for number in reversed(range(7))]
    assert cursor == ""


@pytest.mark.parametrize("cursor", ["x", "%%", "MTIz", "MTIz!", "é", "LTEvYQ"])
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        World().scores.page(ANN, ScoreFilter(), cursor)
    assert refused.value.path == "cursor"


def test_a_page_has_at_least_one_and_at_most_a_thousand_scores() -> None:
    world = World()
    bodies: list[Mapping[str, Json]] = [{"score_id": f"a{number}", "value": 1} for number in range(1000)]
    world.give(*bodies)
    world.give({"score_id": "b", "value": 1})
    assert len(world.scores.page(ANN, ScoreFilter(), limit=10**6).scores) == 1000
    assert len(world.scores.page(ANN, ScoreFilter(), limit=0).scores) == 1


def test_filters_are_handed_on() -> None:
    world = World()
    world.give(
        {"score_id": "a", "value": 1, "span_id": "cd" * 8},
        {"score_id": "b", "value": 1, "trace_id": "", "session_id": "s"},
        {"score_id": "c", "value": 1, "trace_id": "", "experiment_id": "e", "item_id": "1"},
        {"score_id": "d", "value": 1, "name": "polite", "origin": "person"},
        {"score_id": "e", "value": 1, "time_ns": 50},
    )
    for wanted, found in (
        (ScoreFilter(trace_id=TRACE), "dae"),
        (ScoreFilter(span_id="CD" * 8), "a"),
        (ScoreFilter(session_id="s"), "b"),
        (ScoreFilter(experiment_id="e"), "c"),
        (ScoreFilter(name="polite"), "d"),
        (ScoreFilter(origin=ScoreOrigin.PERSON), "d"),
        (ScoreFilter(until_ns=51), "e"),
        (ScoreFilter(since_ns=51), "dcba"),
    ):
        assert "".join(score.score_id for score in world.scores.page(ANN, wanted).scores) == found


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=4), min_size=2, max_size=6))
def test_those_who_write_at_the_same_time_never_make_two_firsts_or_two_same_versions(
    requests: list[list[tuple[str, int]]],
) -> None:
    world = World()
    answers: list[Taken | ZirkelError] = []

    def send(request: list[tuple[str, int]]) -> None:
        answers.extend(world.scores.add(ANN, [text({"score_id": s, "value": v}) for s, v in request]))

    threads = [threading.Thread(target=send, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    named = {score_id for request in requests for score_id, _ in request}
    firsts = [described(answer) for answer in answers if described(answer)[0] == "accepted"]
    assert sorted(firsts) == [("accepted", score_id) for score_id in sorted(named)]
    for score_id in named:
        versions = [version for version in world.disk.spooled if version.score_id == score_id]
        assert all(a.value != b.value and a.time_ns < b.time_ns for a, b in pairwise(versions))
    assert len(world.disk.spooled) == sum(described(a)[0] in ("accepted", "corrected") for a in answers)
