"""Judges beside people: agreement, states in plain words, corrected means."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.evaluate.label_world import (
    ADMIN,
    ANN,
    BASELINE,
    BEN,
    HELPFUL,
    READER,
    SERVICE,
    LabelWorld,
    coin,
    helpful,
    yes,
)
from zirkel.core import Forbidden, Json, ManualClock, Scored
from zirkel.evaluate.calibration_correction import FEWEST_LABELS, correct
from zirkel.evaluate.calibration_family import family_of
from zirkel.evaluate.calibration_ports import CalibrationState, LabelledScore
from zirkel.evaluate.calibration_verdict import DAY_NS, CalibrationSettings
from zirkel.evaluate.labels_question import Judgement
from zirkel.store.metadata import Metadata

ITEMS = 400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[LabelWorld]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    made = LabelWorld(metadata, clock)
    made.evaluator()
    made.dataset(ITEMS)
    yield made
    metadata.close()


def is_good(output: str) -> bool:
    """What people think of an answer: seven in ten are good, of the baseline's six."""
    return coin(f"truth {output}", 0.6 if output.startswith("old") else 0.7)


def judge(right: float, answer: Callable[[str, int], str]) -> Callable[[str, int], Scored]:
    """Return a judge that is right so often, whatever the answer is."""

    def score(item_id: str, trial: int) -> Scored:
        output = answer(item_id, trial)
        return helpful(is_good(output) == coin(f"judge {output}", right))

    return score


def ours(item_id: str, trial: int) -> str:
    return f"new answer to {item_id}, {trial}"


def theirs(item_id: str, trial: int) -> str:
    return f"old answer to {item_id}, {trial}"


def newer(item_id: str, trial: int) -> str:
    return f"newest answer to {item_id}, {trial}"


def run(world: LabelWorld, right: float) -> None:
    world.experiment("cand", judge(right, ours), output=ours)


def label(world: LabelWorld, answers: int, *, second_share: float = 0.0) -> None:
    world.draw(answers, second_share=second_share)
    world.label_at_once(ANN, lambda output: yes(is_good(output)))
    world.label_at_once(BEN, lambda output: yes(is_good(output)))


def truth(answer: Callable[[str, int], str]) -> float:
    return sum(is_good(answer(f"i{n:04d}", 0)) for n in range(ITEMS)) / ITEMS


# States


def test_without_labels_a_judge_is_not_calibrated_and_it_is_said_what_to_do(world: LabelWorld) -> None:
    run(world, 0.95)
    found = world.calibration.corrected("p", "cand", "quality")
    assert (found.state, found.interval, found.labels) == (CalibrationState.TOO_FEW, None, 0)
    assert "label 50 more with zirkel label triage --evaluator quality" in found.reason


def test_a_judge_that_people_agree_with_is_calibrated(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    found = world.calibration.report(READER, SERVICE)
    assert found.state == CalibrationState.CALIBRATED
    assert found.labels == 100
    accuracy, agreed = found.measures.accuracy, found.measures.agreement
    assert accuracy is not None
    assert accuracy.youden is not None
    assert accuracy.youden.estimate > 0.7
    assert agreed is not None
    raw = agreed.find("raw")
    assert raw is not None
    assert raw.estimate > 0.85


@pytest.mark.parametrize("right", [0.5, 0.65])
def test_a_judge_that_is_hardly_better_than_a_coin_is_called_weak(world: LabelWorld, right: float) -> None:
    run(world, right)
    label(world, 200)
    found = world.calibration.corrected("p", "cand", "quality")
    assert found.state == CalibrationState.WEAK
    assert "this judge is weak: Youden's index is" in found.reason


def test_labels_of_one_kind_only_do_not_tell_how_a_judge_does_on_the_other(world: LabelWorld) -> None:
    run(world, 0.95)
    world.draw(100)
    world.label_at_once(ANN, lambda _: yes(True))
    found = world.calibration.corrected("p", "cand", "quality")
    assert found.state == CalibrationState.TOO_FEW
    assert "no label says no" in found.reason


def test_another_model_makes_a_calibration_stale_where_the_answers_are_others(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.evaluator("f" * 64, options={**HELPFUL, "model": "openai/gpt-5"})
    world.experiment("next", judge(0.95, newer), evaluators="f" * 64, output=newer)
    found = world.calibration.corrected("p", "next", "quality")
    assert found.state == CalibrationState.STALE
    assert "its model was openai/gpt-4o and is openai/gpt-5" in found.reason


def test_another_model_is_measured_at_once_on_answers_that_people_labelled(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.evaluator("f" * 64, options={**HELPFUL, "model": "openai/gpt-5"})
    world.experiment("next", judge(0.55, ours), evaluators="f" * 64, output=ours)
    found = world.calibration.corrected("p", "next", "quality")
    assert found.state == CalibrationState.WEAK
    assert (found.labels, found.interval is None) == (100, False)


def test_another_data_set_makes_a_calibration_stale(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.dataset(60, "9" * 64)
    world.experiment("next", judge(0.95, newer), dataset="9" * 64, output=newer)
    found = world.calibration.corrected("p", "next", "quality")
    assert found.state == CalibrationState.STALE
    assert "the data set is another one" in found.reason


def test_another_rubric_is_another_question_and_labels_do_not_count(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.evaluator("f" * 64, options={**HELPFUL, "rubric": [{"name": "helpful", "ask": "It is kind."}]})
    world.experiment("next", judge(0.95, ours), evaluators="f" * 64, output=ours)
    assert world.calibration.corrected("p", "next", "quality").state == CalibrationState.TOO_FEW


def test_old_labels_make_a_calibration_stale(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.clock.current_ns += (CalibrationSettings().label_age_days + 1) * DAY_NS
    found = world.calibration.corrected("p", "cand", "quality")
    assert found.state == CalibrationState.STALE
    assert "100 of 100 labels are older than 90 days" in found.reason


def test_the_same_judge_on_the_same_data_stays_calibrated_for_a_further_release(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.experiment("next", judge(0.95, newer), output=newer)
    found = world.calibration.corrected("p", "next", "quality")
    assert (found.state, found.interval) == (CalibrationState.CALIBRATED, None)


def test_scores_that_drifted_from_those_people_saw_make_a_calibration_stale(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 100)
    world.experiment("next", lambda *_: helpful(False), output=newer)
    found = world.calibration.corrected("p", "next", "quality")
    assert found.state == CalibrationState.STALE
    assert "distributed unlike" in found.reason


def test_answers_that_wait_to_be_settled_are_told(world: LabelWorld) -> None:
    run(world, 0.95)
    world.draw(100, second_share=0.3)
    world.label_at_once(ANN, lambda output: yes(is_good(output)))
    world.label_at_once(BEN, lambda output: yes(not is_good(output)))
    found = world.calibration.report(READER, SERVICE)
    assert found.disputed > 10
    assert f"{found.disputed} answers wait to be settled" in found.mean.reason


# People


def test_people_are_the_ceiling_where_several_labelled_the_same(world: LabelWorld) -> None:
    run(world, 0.8)
    world.draw(120, second_share=0.5)
    world.label_at_once(ANN, lambda output: yes(is_good(output)))
    world.label_at_once(BEN, lambda output: yes(is_good(output) == coin(output, 0.9)))
    measures = world.calibration.report(READER, SERVICE).measures
    assert measures.people is not None
    assert measures.ceiling is not None
    assert measures.ceiling.human.estimate > 0.8


def test_an_evaluator_that_is_people_is_calibrated_by_their_number(world: LabelWorld) -> None:
    world.evaluator(kind="human", options={"question": "Is it good?"})
    run(world, 0.5)
    world.draw(100)
    world.label_at_once(ANN, lambda output: Judgement(value=float(is_good(output))))
    found = world.calibration.corrected("p", "cand", "quality")
    assert found.state == CalibrationState.CALIBRATED
    assert found.interval is not None
    assert found.interval.weight == 0
    assert found.interval.low <= truth(ours) <= found.interval.high


# Corrected means


def test_a_biased_judges_mean_is_corrected_and_its_labels_count_for_more(world: LabelWorld) -> None:
    """It passes a third of the bad answers: its own mean is far from the truth."""

    def lax(item_id: str, trial: int) -> Scored:
        output = ours(item_id, trial)
        return helpful(is_good(output) or coin(f"lax {output}", 0.33))

    world.experiment("cand", lax, output=ours)
    label(world, 120)
    found = world.calibration.corrected("p", "cand", "quality")
    assert found.interval is not None
    assert found.interval.judge_estimate - truth(ours) > 0.05
    assert found.interval.low <= truth(ours) <= found.interval.high
    assert found.interval.effective_labels > 150
    assert correct(found.answers) == found.interval


def test_a_paired_difference_is_corrected_on_both_sides(world: LabelWorld) -> None:
    world.experiment("base", judge(0.95, theirs), release=BASELINE, output=theirs)
    run(world, 0.9)
    label(world, 240)
    found = world.calibration.corrected_difference("p", "cand", "base", "quality")
    assert found.state == CalibrationState.CALIBRATED
    assert found.labels == 120
    assert found.interval is not None
    assert found.interval.low <= truth(ours) - truth(theirs) <= found.interval.high
    back = world.calibration.corrected_difference("p", "base", "cand", "quality")
    assert back.interval is not None
    assert back.interval.estimate == pytest.approx(-found.interval.estimate)


def test_a_half_labelled_sample_is_corrected_with_the_probability_of_its_half(world: LabelWorld) -> None:
    run(world, 0.9)
    world.draw(200)
    world.label_at_once(ANN, lambda output: yes(is_good(output)), most=80)
    found = world.calibration.corrected("p", "cand", "quality")
    chances = {answer.chance for answer in found.answers if answer.has_label}
    assert list(chances) == [pytest.approx(0.2)]
    assert found.interval is not None
    assert found.interval.low <= truth(ours) <= found.interval.high


def test_trials_of_an_item_are_no_independent_answers(world: LabelWorld) -> None:
    world.experiment("cand", judge(0.9, ours), output=ours, trials=3)
    label(world, 150)
    found = world.calibration.corrected("p", "cand", "quality")
    assert found.interval is not None
    assert len(found.answers) == 3 * ITEMS
    assert found.interval.n_clusters == ITEMS


def test_labels_that_somebody_chose_measure_the_judge_and_correct_no_mean(world: LabelWorld) -> None:
    run(world, 0.95)
    lines = [
        f'{{"experiment_id":"cand","evaluator":"quality","item_id":"i{n:04d}","rater":"ann",'
        f'"items":{{"helpful":{str(is_good(ours(f"i{n:04d}", 0))).lower()}}}}}'
        for n in range(80)
    ]
    assert world.transfer.import_lines(ADMIN, SERVICE, "\n".join(lines).encode()).added == 80
    found = world.calibration.corrected("p", "cand", "quality")
    assert (found.state, found.interval, found.labels) == (CalibrationState.CALIBRATED, None, 0)


def test_the_labels_digest_changes_with_a_label(world: LabelWorld) -> None:
    run(world, 0.95)
    world.draw(60)
    digests = set()
    for _ in range(3):
        task = world.queue.next(ANN, SERVICE).task
        assert task is not None
        world.labels.give(ANN, task.task_id, yes(is_good(task.output)))
        digests.add(world.calibration.corrected("p", "cand", "quality").labels_digest)
    assert len(digests) == 3


def rows(labels: int, count: int = 100) -> list[LabelledScore]:
    return [
        LabelledScore(f"i{n}", 0, f"i:i{n}", float(n % 2), None, float(n % 3 > 0) if n < labels else None, None, 0.5)
        for n in range(count)
    ]


def test_too_few_labels_correct_nothing() -> None:
    assert correct(rows(FEWEST_LABELS - 1)) is None
    assert correct(rows(FEWEST_LABELS)) is not None


def test_a_label_that_is_likelier_than_others_weighs_less() -> None:
    even = rows(60)
    uneven = [dataclasses.replace(row, chance=0.9 if row.label else 0.1) for row in even]
    found, weighted = correct(even), correct(uneven)
    assert found is not None
    assert weighted is not None
    assert weighted.label_estimate < found.label_estimate


# What else a judge looks at


def test_a_judge_that_likes_long_answers_is_told(world: LabelWorld) -> None:
    def longer(item_id: str, trial: int) -> str:
        return f"new {item_id} {trial} " + "x" * (200 if coin(f"long {item_id}", 0.5) else 0)

    world.experiment("base", lambda item, _: helpful(coin(f"b {item}", 0.5)), release=BASELINE, output=theirs)
    world.experiment("cand", lambda item, trial: helpful(len(longer(item, trial)) > 100), output=longer)
    bias = world.calibration.report(READER, SERVICE).measures.bias
    assert bias is not None
    assert bias.length is not None
    assert bias.length.correlation.low > 0.3
    assert bias.position is None


def test_a_judge_of_the_candidates_family_is_looked_at_for_liking_its_own(world: LabelWorld) -> None:
    world.experiment("base", lambda *_: helpful(False), release=BASELINE, output=theirs)
    world.experiment("cand", lambda *_: helpful(True), output=ours)
    bias = world.calibration.report(READER, SERVICE).measures.bias
    assert bias is not None
    assert bias.self_preference is not None
    assert bias.self_preference.win_rate.estimate == 1.0


def test_a_pairwise_judge_that_likes_the_first_place_is_told(world: LabelWorld) -> None:
    world.evaluator(kind="pairwise", options={"model": "openai/gpt-4o"})
    orders: Json = [{"first": first, "said": "first", "winner": first, "reason": ""} for first in ("output", "other")]
    details: dict[str, Json] = {"orders": orders, "output_length": 20, "other_length": 20}
    world.experiment("base", lambda *_: helpful(True), release=BASELINE, output=theirs)
    world.experiment("cand", lambda *_: Scored(0.5, "tie", details=details), output=ours, other="base")
    bias = world.calibration.report(READER, SERVICE).measures.bias
    assert bias is not None
    assert bias.swap_consistency is not None
    assert bias.swap_consistency.estimate == 0
    assert bias.position is not None
    assert bias.position.rate == 1.0


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("openai/gpt-4o", "gpt"),
        ("azure/o3-mini", "gpt"),
        ("anthropic/claude-sonnet-4", "claude"),
        ("bedrock/anthropic.claude-3-haiku", "claude"),
        ("local/qwen3", "qwen"),
        ("mistral/mixtral-8x7b", "mistral"),
        ("together/meta-llama/Llama-3-8B", "llama"),
        ("x/123", ""),
    ],
)
def test_a_family_is_the_first_word_of_a_models_name(model: str, family: str) -> None:
    assert family_of(model) == family


def test_a_report_is_plain_json_and_for_readers_only(world: LabelWorld) -> None:
    run(world, 0.95)
    label(world, 60, second_share=0.5)
    report = json.loads(json.dumps(world.calibration.report(READER, SERVICE).to_dict()))
    assert report["state"] == "calibrated"
    assert report["models"] == ["openai/gpt-4o"]
    assert report["mean"]["interval"]["effective_labels"] > 60
    with pytest.raises(Forbidden):
        world.calibration.report(ANN, SERVICE)
