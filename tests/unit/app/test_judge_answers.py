"""Judges' answers on disk: found again, bounded, kept from masked projects, and gone after an erasure."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from zirkel.app.judge_answers import KEPT_NS, JudgeAnswers
from zirkel.core import ManualClock
from zirkel.core.erasure import Findings, Subject
from zirkel.core.privacy import MaskRule
from zirkel.evaluate.tools_cache import KeptAnswer
from zirkel.lib.recognisers import Masker, compile_masker
from zirkel.lib.recognisers.masker import RuleFault

ANSWER = KeptAnswer("It quotes whisper-4711.", Decimal("0.0012"), "ab" * 16)
FINDINGS = Findings(Subject("p", "user", "u1"))


class Rules:
    """Rules by project; ``broken`` has one that cannot be used."""

    def masker(self, project_id: str) -> Masker | None:
        if project_id == "broken":
            raise RuleFault(0, "pattern", "no pattern")
        return compile_masker([MaskRule(pattern="whisper-[0-9]+")]) if project_id == "masked" else None


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def answers(tmp_path: Path, clock: ManualClock) -> Iterator[JudgeAnswers]:
    opened = JudgeAnswers(tmp_path / "judge-answers", clock, Rules())
    yield opened
    opened.close()


@pytest.mark.parametrize("cost", [Decimal("0.0012"), Decimal(0), None])
def test_an_answer_is_found_again_also_by_the_next_process(
    answers: JudgeAnswers, tmp_path: Path, clock: ManualClock, cost: Decimal | None
) -> None:
    kept = KeptAnswer("text ü", cost, "t")
    answers.put("p", "k" * 64, kept)
    assert answers.get("k" * 64) == kept
    assert answers.get("j" * 64) is None
    answers.close()
    again = JudgeAnswers(tmp_path / "judge-answers", clock, Rules())
    assert again.get("k" * 64) == kept
    again.close()


def test_an_answer_is_not_kept_for_longer_than_it_says(answers: JudgeAnswers, clock: ManualClock) -> None:
    answers.put("p", "k", ANSWER)
    clock.advance(KEPT_NS / 1e9 - 1)
    assert answers.get("k") == ANSWER
    clock.advance(1)
    assert answers.get("k") is None


def test_what_the_projects_rules_mask_is_not_kept(answers: JudgeAnswers) -> None:
    answers.put("masked", "k1", ANSWER)
    answers.put("masked", "k2", KeptAnswer("harmless", None, ""))
    answers.put("broken", "k3", ANSWER)
    assert answers.get("k1") is None
    assert answers.get("k2") is not None
    assert answers.get("k3") is None
    assert answers.failures == 1


def test_the_first_answers_go_when_there_is_no_room(tmp_path: Path, clock: ManualClock) -> None:
    answers = JudgeAnswers(tmp_path / "small", clock, Rules(), max_bytes=4096)
    for number in range(100):
        answers.put("p", str(number), KeptAnswer("x" * 100, None, ""))
        clock.advance(1)
    kept = [number for number in range(100) if answers.get(str(number)) is not None]
    answers.close()
    assert kept
    assert kept == list(range(100 - len(kept), 100))
    assert len(kept) * 100 < 4096


def test_an_erasure_removes_every_answer_from_the_files(answers: JudgeAnswers, tmp_path: Path) -> None:
    answers.put("p", "k1", ANSWER)
    answers.put("q", "k2", ANSWER)
    assert answers.erase(FINDINGS, dry_run=True).removed == {"entries": 2}
    assert answers.get("k1") == ANSWER
    report = answers.erase(FINDINGS, dry_run=False)
    assert (report.place, report.removed) == ("judges_answers", {"entries": 2})
    assert answers.get("k1") is None
    data = (tmp_path / "judge-answers" / "data.mdb").read_bytes()
    assert b"whisper" not in data
    answers.put("p", "k1", ANSWER)
    assert answers.get("k1") == ANSWER


def test_an_erasure_before_anything_was_kept_makes_no_files(answers: JudgeAnswers, tmp_path: Path) -> None:
    assert answers.erase(FINDINGS, dry_run=False).removed == {"entries": 0}
    assert not (tmp_path / "judge-answers").exists()


def test_a_map_that_cannot_be_opened_holds_nothing_and_stops_nobody(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("no folder")
    answers = JudgeAnswers(tmp_path / "file", clock, Rules())
    answers.put("p", "k", ANSWER)
    assert answers.get("k") is None
    assert answers.failures == 2
