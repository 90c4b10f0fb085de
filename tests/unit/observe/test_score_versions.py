"""A score's versions: what is new, the same, a correction; none is ever lost."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from zirkel.core import Conflict, ScoreKind, ScoreOrigin, ScoreRecord
from zirkel.observe.score_versions import RecentScores, newest_versions, next_version, withdrawal

NOW_NS = 1_790_000_000_000_000_000
SCORE = ScoreRecord(
    project_id="p",
    score_id="s1",
    name="helpful",
    kind=ScoreKind.NUMERIC,
    value=0.5,
    trace_id="ab" * 16,
    origin=ScoreOrigin.PERSON,
    author="ann",
    time_ns=0,
)


def test_the_first_version_has_the_time_it_was_given_at_or_now() -> None:
    assert next_version(SCORE, None, NOW_NS) == (replace(SCORE, time_ns=NOW_NS), "accepted")
    assert next_version(replace(SCORE, time_ns=7), None, NOW_NS) == (replace(SCORE, time_ns=7), "accepted")


@pytest.mark.parametrize(
    "changes",
    [
        {"value": 0.6},
        {"kind": ScoreKind.CATEGORICAL, "value": None, "label": "good"},
        {"comment": "because"},
        {"author": "bob"},
        {"origin": ScoreOrigin.JUDGE},
        {"evaluator": "tone@4"},
        {"user_id": "u"},
        {"metadata": {"a": "1"}},
    ],
)
def test_any_other_content_is_a_correction(changes: dict[str, object]) -> None:
    current = replace(SCORE, time_ns=NOW_NS)
    wanted = replace(SCORE, **changes)
    assert next_version(wanted, current, NOW_NS + 5) == (replace(wanted, time_ns=NOW_NS + 5), "corrected")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "polite"},
        {"trace_id": "cd" * 16},
        {"span_id": "cd" * 8},
        {"trace_id": "", "session_id": "s"},
        {"trace_id": "", "experiment_id": "e"},
    ],
)
def test_a_score_stays_on_what_it_was_given_on_and_keeps_its_name(changes: dict[str, object]) -> None:
    with pytest.raises(Conflict) as refused:
        next_version(replace(SCORE, **changes), replace(SCORE, time_ns=1), NOW_NS)
    assert refused.value.path == "score_id"


@dataclass
class Journal:
    """What a score went through."""

    versions: list[ScoreRecord] = field(default_factory=list)

    @property
    def current(self) -> ScoreRecord | None:
        return self.versions[-1] if self.versions else None


Step = st.tuples(st.sampled_from(["give", "again", "withdraw"]), st.integers(0, 3), st.sampled_from([0, 1, 50, 10**6]))


@given(st.lists(Step, max_size=30), st.lists(st.integers(-5, 5), min_size=30, max_size=30))
def test_versions_grow_in_time_each_differs_from_the_one_before_and_the_last_one_is_what_was_said(
    steps: list[tuple[str, int, int]], clock_steps: list[int]
) -> None:
    journal, now_ns = Journal(), 100
    for (action, value, given_ns), clock_step in zip(steps, clock_steps, strict=False):
        now_ns = max(1, now_ns + clock_step)
        before = list(journal.versions)
        current = journal.current
        if action == "withdraw":
            version = withdrawal(current, "bob", now_ns) if current else None
            assert (version is None) == (current is None or current.is_withdrawn)
        else:
            wanted = replace(SCORE, value=float(value), time_ns=given_ns)
            if action == "again" and current:
                wanted = replace(current, time_ns=given_ns, is_withdrawn=False, author="ann")
            version, outcome = next_version(wanted, current, now_ns)
            assert (version is None) == (outcome == "unchanged")
            said = version or current
            assert said is not None
            assert replace(said, time_ns=0) == replace(wanted, time_ns=0)
        if version is not None:
            journal.versions.append(version)
        assert journal.versions[: len(before)] == before
    times = [version.time_ns for version in journal.versions]
    assert times == sorted(set(times))
    for earlier, later in zip(journal.versions, journal.versions[1:], strict=False):
        assert replace(earlier, time_ns=0) != replace(later, time_ns=0)
    assert newest_versions(reversed(journal.versions)) == ({"s1": journal.versions[-1]} if journal.versions else {})


def test_a_withdrawal_keeps_what_was_said_and_says_who_took_it_back() -> None:
    withdrawn = withdrawal(replace(SCORE, time_ns=NOW_NS), "bob", NOW_NS)
    assert withdrawn == replace(SCORE, is_withdrawn=True, author="bob", time_ns=NOW_NS + 1)
    assert withdrawal(withdrawn, "bob", NOW_NS + 9) is None


def test_recent_scores_are_found_by_project_and_id_and_the_newest_counts() -> None:
    recent = RecentScores()
    second = replace(SCORE, value=0.7, time_ns=2)
    recent.note([SCORE, second, replace(SCORE, score_id="s2")])
    assert recent.find("p", ["s1", "unknown"]) == [second]
    assert recent.find("q", ["s1"]) == []


def test_recent_scores_hold_a_bounded_number_of_bytes_and_forget_the_oldest() -> None:
    recent = RecentScores(most_bytes=10_000)
    records = [replace(SCORE, score_id=f"s{number}", comment="x" * 1000) for number in range(30)]
    recent.note(records)
    recent.note(records[21:24])
    kept = recent.find("p", [record.score_id for record in records])
    assert 5 <= len(kept) < 10
    assert {"s29", "s21", "s22", "s23"} <= {record.score_id for record in kept}
    recent.note([replace(SCORE, score_id="large", comment="x" * 20_000)])
    assert recent.find("p", ["large", "s23"]) == []
