"""What a gate may ask for beside scores: cost, latency, errors, parts of the data set, judges that people checked."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from tests.unit.evaluate.measured import gate_inputs, plain_items, score_metric, trials_of
from zirkel.core import (
    DatasetItem,
    Errored,
    EvaluatorSpec,
    EvaluatorsSpec,
    ExperimentOptions,
    GatePolicy,
    Invalid,
    MetricPolicy,
    TrialRecord,
    TrialState,
    Unscored,
    canonical_json,
    score_to_json,
)
from zirkel.evaluate import GateDecision, check_policy, decide, recompute
from zirkel.evaluate.anytime import betting_bounds
from zirkel.evaluate.calibration_correction import correct
from zirkel.evaluate.calibration_ports import CalibrationState, Corrected, LabelledScore
from zirkel.evaluate.gate_inputs import JudgeEvidence
from zirkel.evaluate.metrics import Metric
from zirkel.evaluate.recompute import compute
from zirkel.stats import early_stop

ITEMS = 200


def policy(evaluator: str = "m", **changes: object) -> GatePolicy:
    return GatePolicy(metric=[MetricPolicy(evaluator=evaluator, **changes)])  # type: ignore[arg-type]


def good(count: int = ITEMS) -> list[TrialRecord]:
    return trials_of({"m": [1.0] * count})


def varied(values: Callable[[int], dict[str, object]], count: int = ITEMS) -> list[TrialRecord]:
    return [replace(trial, **values(n)) for n, trial in enumerate(good(count))]  # type: ignore[arg-type]


def with_latency(factor: float) -> list[TrialRecord]:
    return varied(lambda n: {"duration_ms": factor * (100 + 50 * np.sin(n)) + 5 * np.cos(3 * n * factor)})


def ask(wanted: GatePolicy, ours: Sequence[TrialRecord], theirs: Sequence[TrialRecord] | None) -> GateDecision:
    return decide(gate_inputs(wanted, ours, theirs, plain_items(ITEMS)))


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "PASS"), (0.8, "SUPERIOR"), (1.3, "FAIL"), (1.1, "INCONCLUSIVE")]
)
def test_latency_may_grow_by_a_share_of_the_baselines(factor: float, verdict: str) -> None:
    decision = ask(policy("latency_ms", relative_margin=0.1), with_latency(factor), with_latency(1.0))
    assert decision.verdict == verdict
    test = decision.metrics[0].difference
    assert test is not None
    assert test.is_relative
    assert test.bounds.estimate == pytest.approx(factor - 1, abs=0.01)


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "PASS"), (0.5, "SUPERIOR"), (1.5, "FAIL")])
def test_a_margin_may_be_in_milliseconds(factor: float, verdict: str) -> None:
    decision = ask(policy("latency_ms", margin=20.0), with_latency(factor), with_latency(1.0))
    assert decision.verdict == verdict
    assert " ms" in decision.reason


def test_costs_that_do_not_vary_pass_by_what_could_still_change() -> None:
    same = varied(lambda _: {"cost_usd": Decimal("0.01")})
    decision = ask(policy("cost_usd", margin=0.002), same, same)
    assert decision.verdict == "PASS"
    tight = ask(policy("cost_usd", margin=0.0001), same, same)
    assert (tight.verdict, tight.metrics[0].difference is not None) == ("INCONCLUSIVE", True)


def test_a_system_that_costs_nothing_may_go_on_doing_so() -> None:
    free = varied(lambda _: {"cost_usd": Decimal(0)})
    assert ask(policy("cost_usd", relative_margin=0.1), free, free).verdict == "PASS"


def test_a_baseline_that_cost_nothing_has_no_share() -> None:
    free, dear = varied(lambda _: {"cost_usd": Decimal(0)}), varied(lambda n: {"cost_usd": Decimal(n % 2)})
    decision = ask(policy("cost_usd", relative_margin=0.1), dear, free)
    assert (decision.verdict, "use margin" in decision.reason) == ("INCONCLUSIVE", True)


def test_an_unknown_price_decides_nothing() -> None:
    unknown = varied(lambda n: {"cost_usd": None if n == 3 else Decimal("0.01")})
    decision = ask(policy("cost_usd", margin=0.1), unknown, good())
    assert decision.verdict == "INCONCLUSIVE"
    assert "the price of 1 answers of the candidate is unknown" in decision.reason


def test_errors_are_answers_only_to_a_gate_that_asks_for_them() -> None:
    failing = varied(lambda n: {"state": TrialState.ERRORED, "scores": None} if n < 3 else {})
    assert "3 of 200 answers of the candidate are missing or errored" in ask(policy(margin=0.1), failing, good()).reason
    both = GatePolicy(metric=[MetricPolicy(evaluator="error_rate", floor=0.1), MetricPolicy(evaluator="m", floor=0.5)])
    decision = ask(both, failing, good())
    assert decision.verdict == "PASS"
    assert decision.notes == ("3 answers of the candidate errored and have no scores",)
    strict = GatePolicy(metric=[MetricPolicy(evaluator="error_rate", floor=0.02)])
    assert ask(strict, failing, good()).verdict == "INCONCLUSIVE"
    none = varied(lambda _: {"state": TrialState.ERRORED, "scores": None})
    assert ask(strict, none, good()).verdict == "FAIL"


def test_an_evaluator_that_failed_decides_nothing() -> None:
    failed = {"m": score_to_json(Errored("the judge did not answer"))}
    ours = varied(lambda n: {"scores": failed} if n == 7 else {})
    decision = ask(policy(margin=0.1), ours, good())
    assert (decision.verdict, "1 scores of the candidate are errored" in decision.reason) == ("INCONCLUSIVE", True)


def test_a_segment_is_decided_by_its_own_items() -> None:
    items = [DatasetItem(id=f"i{n:04d}", input={}, tags=["refund"] if n < 80 else []) for n in range(ITEMS)]
    ours = trials_of({"m": [0.0] * 40 + [1.0] * 160})
    whole = decide(gate_inputs(policy(margin=0.3), ours, good(), items))
    part = decide(gate_inputs(policy(margin=0.3, segment="tag:refund"), ours, good(), items))
    assert (whole.verdict, part.verdict) == ("PASS", "FAIL")
    assert part.reason.startswith("m [tag:refund]: difference -0.500")
    none = decide(gate_inputs(policy(margin=0.3, segment="tag:other"), ours, good(), items))
    assert "0 items in tag:other are scored" in none.reason


def test_a_kind_says_which_way_is_better_and_the_policy_may_say_otherwise() -> None:
    ours, theirs = trials_of({"m": [0.0] * ITEMS}), trials_of({"m": [1.0] * ITEMS})
    lower = [score_metric("m", direction="lower")]
    asked = policy(margin=0.1)
    assert decide(gate_inputs(asked, ours, theirs, plain_items(ITEMS), metrics=lower)).verdict == "SUPERIOR"
    turned = policy(margin=0.1, direction="higher")
    assert decide(gate_inputs(turned, ours, theirs, plain_items(ITEMS), metrics=lower)).verdict == "FAIL"


def test_what_is_missing_is_told_with_its_price() -> None:
    few = plain_items(20)
    decision = decide(gate_inputs(policy(margin=0.05), good(20), good(20), few))
    metric = decision.metrics[0]
    assert metric.items_needed is not None
    assert metric.items_more == metric.items_needed - 20
    # Two releases at a cent an answer.
    assert metric.price_usd == Decimal("0.02") * metric.items_more
    assert (decision.items_more, decision.price_usd) == (metric.items_more, metric.price_usd)
    assert f"{metric.items_more} more, for about" in decision.reason


def test_each_of_several_metrics_is_given_the_power_that_all_together_need() -> None:
    values = [float(n % 5 > 0) for n in range(60)]
    other = [float((n + 1) % 5 > 0) for n in range(60)]
    ours, theirs = trials_of({"a": values, "b": values}), trials_of({"a": other, "b": other})
    one = GatePolicy(metric=[MetricPolicy(evaluator="a", margin=0.1)])
    two = GatePolicy(metric=[MetricPolicy(evaluator=name, margin=0.1) for name in ("a", "b")])
    alone, both = (decide(gate_inputs(p, ours, theirs, plain_items(60))).metrics[0].items_needed for p in (one, two))
    assert alone is not None
    assert both is not None
    assert both > alone


JUDGE = Metric("m", "share", "higher", "digest", needs_labels=True)


def judged(state: CalibrationState, truth: float, labels: int = 0, bias: float = 0.0) -> Corrected:
    """What people say of a judge whose scores are all 1: that a share of them is right."""
    scores = tuple(
        LabelledScore(
            f"i{n:04d}",
            0,
            f"i{n:04d}",
            1.0 - bias,
            None,
            float(n % 10 < truth * 10) if n < labels else None,
            None,
            labels / ITEMS if labels else 1.0,
        )
        for n in range(ITEMS)
    )
    interval = correct(scores) if labels else None
    return Corrected("m", "digest", state, "because", interval, labels, "", scores)


def ask_judge(wanted: GatePolicy, evidence: Corrected | None) -> GateDecision:
    judges = {"m": JudgeEvidence(evidence, None)} if evidence else {}
    return decide(gate_inputs(wanted, good(), None, plain_items(ITEMS), metrics=[JUDGE], judges=judges))


@pytest.mark.parametrize("state", [CalibrationState.STALE, CalibrationState.WEAK, CalibrationState.TOO_FEW])
def test_a_judge_that_is_not_calibrated_is_refused_with_the_reason_and_what_to_do(state: CalibrationState) -> None:
    decision = ask_judge(policy(floor=0.5), judged(state, 1.0))
    assert decision.verdict == "INCONCLUSIVE"
    assert "the judge is not calibrated: because; run: zirkel label" in decision.reason
    assert "this needs people's labels, and there are none" in ask_judge(policy(floor=0.5), None).reason


def test_a_policy_may_take_an_uncalibrated_judges_word_and_the_verdict_says_so() -> None:
    accepting = GatePolicy(metric=[MetricPolicy(evaluator="m", floor=0.5)], uncalibrated="accept")
    decision = ask_judge(accepting, judged(CalibrationState.STALE, 1.0))
    assert decision.verdict == "PASS"
    assert any("is not calibrated (because)" in note for note in decision.notes)


def test_where_people_labelled_the_corrected_mean_decides() -> None:
    evidence = judged(CalibrationState.CALIBRATED, 0.6, labels=100)
    assert evidence.interval is not None
    decision = ask_judge(policy(floor=0.9), evidence)
    assert decision.verdict == "FAIL"
    assert "corrected by 100 labels" in decision.reason
    assert decision.metrics[0].mean is not None
    assert decision.metrics[0].mean.bounds.estimate == pytest.approx(evidence.interval.estimate)
    assert ask_judge(policy(floor=0.9), judged(CalibrationState.CALIBRATED, 1.0)).verdict == "PASS"


def test_what_people_alone_judge_is_decided_by_their_labels() -> None:
    waiting = {"m": score_to_json(Unscored("waits for people"))}
    ours = varied(lambda _: {"scores": waiting})
    evidence = judged(CalibrationState.CALIBRATED, 0.6, labels=100)
    judges = {"m": JudgeEvidence(evidence, None)}
    asked = gate_inputs(policy(floor=0.9), ours, None, plain_items(ITEMS), metrics=[JUDGE], judges=judges)
    assert decide(asked).verdict == "FAIL"
    few = {"m": JudgeEvidence(judged(CalibrationState.TOO_FEW, 0.6), None)}
    asked = gate_inputs(policy(floor=0.9), ours, None, plain_items(ITEMS), metrics=[JUDGE], judges=few)
    assert decide(asked).verdict == "INCONCLUSIVE"


def test_the_evidence_of_a_judge_survives_being_written_down() -> None:
    judges = {"m": JudgeEvidence(judged(CalibrationState.CALIBRATED, 0.6, labels=100), None)}
    inputs = gate_inputs(policy(floor=0.9), good(), None, plain_items(ITEMS), metrics=[JUDGE], judges=judges)
    found = compute(inputs)
    again = recompute(json.loads(canonical_json(found.inputs)), json.loads(canonical_json(found.report)))
    assert (again.verdict, again.difference) == ("FAIL", "")


@pytest.mark.parametrize("drop", [0.0, 0.3, 0.6])
def test_an_experiment_that_stopped_early_is_judged_by_the_bets_it_stopped_by(drop: float) -> None:
    random = np.random.default_rng(7)
    order = random.permutation(ITEMS)
    differences = -(random.random(ITEMS) < drop).astype(float)
    ours = trials_of({"m": (1.0 + differences).tolist()})
    stop = early_stop(margin=0.2).update(differences[order])
    inputs = gate_inputs(
        policy(margin=0.2), ours, good(), plain_items(ITEMS), stopped_items=ITEMS, asked=order.tolist()
    )
    decision = decide(inputs)
    assert decision.verdict == stop.verdict
    assert any("could stop early" in note for note in decision.notes)
    fixed = decide(gate_inputs(policy(margin=0.2), ours, good(), plain_items(ITEMS)))
    wide, narrow = decision.metrics[0].difference, fixed.metrics[0].difference
    assert wide is not None
    assert narrow is not None
    assert wide.bounds.high - wide.bounds.low > narrow.bounds.high - narrow.bounds.low


def test_an_experiment_that_could_stop_and_did_not_was_looked_at_all_the_same() -> None:
    inputs = gate_inputs(policy(margin=0.2), good(), good(), plain_items(ITEMS), asked=list(range(ITEMS)))
    experiment = replace(inputs.candidate.experiment, options=ExperimentOptions(early_stop=True))
    watched = replace(inputs, candidate=replace(inputs.candidate, experiment=experiment))
    assert (inputs.could_stop_early, watched.could_stop_early) == (False, True)
    assert any("could stop early" in note for note in decide(watched).notes)


def test_anytime_bounds_hold_the_mean_and_widen_with_less_alpha() -> None:
    values = np.sin(np.arange(300.0)) / 2
    wide, narrow = betting_bounds(values, 0.01), betting_bounds(values, 0.1)
    assert wide.low < narrow.low < float(np.mean(values)) < narrow.high < wide.high


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"margin": 5.0}, "margin 5.0"), ({"margin": 1.0}, "margin 1.0"), ({"floor": 80.0}, "floor 80.0")],
)
def test_percents_are_refused_where_a_share_is_meant(changes: dict[str, float], said: str) -> None:
    evaluators = EvaluatorsSpec(evaluator=[EvaluatorSpec(name="m", kind="exact")])
    with pytest.raises(Invalid, match=said):
        check_policy(policy("m", **changes), evaluators)
    check_policy(policy("latency_ms", margin=5.0, floor=80.0), evaluators)
    check_policy(policy(margin=0.05, floor=0.8), evaluators)
