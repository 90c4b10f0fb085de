"""Stopping before the last item, by a bound that holds however often one looks at it. Pure."""

from collections.abc import Mapping, Sequence

from zirkel.core import (
    DatasetItem,
    EvaluatorsSpec,
    GatePolicy,
    Invalid,
    MetricPolicy,
    Scored,
    TrialRecord,
    score_from_json,
)
from zirkel.evaluate.metrics import Metric, metrics_of
from zirkel.stats import early_stop


def check_stoppable(policy: GatePolicy, evaluators: EvaluatorsSpec, items: Sequence[DatasetItem]) -> None:
    """Check that a gate can be decided early: by margins of scores from 0 to 1, over independent items.

    Raises:
        Invalid: Naming the metric of which nobody knows how far it reaches, or that is asked for something else; or
            the items that share a source.
    """
    known = metrics_of(evaluators)
    clusters = [item.cluster for item in items if item.cluster]
    if len(set(clusters)) < len(clusters):
        said = f"{len(clusters)} items are of {len(set(clusters))} clusters, so that they are not independent"
        raise Invalid(f"the data set: {said}; run without stopping early", path="early_stop")
    for wanted in policy.metric:
        metric = known.get(wanted.evaluator)
        if metric is None or not metric.evaluator_digest or metric.unit != "share":
            said = "is no score from 0 to 1"
        elif wanted.margin is None or wanted.floor is not None or wanted.segment:
            said = "is not asked for a margin alone, over all items"
        else:
            continue
        raise Invalid(f"gate.toml: {wanted.name!r} {said}; run without stopping early", path="early_stop")


def is_decided(
    policy: GatePolicy,
    evaluators: EvaluatorsSpec,
    items: Sequence[DatasetItem],
    candidate: Sequence[TrialRecord],
    baseline: Sequence[TrialRecord],
) -> bool:
    """Return whether these items decide the gate: one metric fails, or all have what is asked of them.

    The tests are run anew from the first item on, so that nothing has to be kept between looks.

    Args:
        policy: What is asked.
        evaluators: What measures.
        items: In the order they were asked, each answered by both releases as often as planned.
        candidate: Answers of the candidate.
        baseline: Answers of the baseline.
    """
    known = metrics_of(evaluators)
    verdicts = []
    for wanted in policy.metric:
        ours, theirs = (_means(trials, wanted.evaluator) for trials in (candidate, baseline))
        shared = [item.id for item in items if item.id in ours and item.id in theirs]
        verdicts.append(_verdict(policy, wanted, known[wanted.evaluator], [ours[i] - theirs[i] for i in shared]))
    return "FAIL" in verdicts or "INCONCLUSIVE" not in verdicts


def _verdict(policy: GatePolicy, wanted: MetricPolicy, metric: Metric, differences: Sequence[float]) -> str:
    if wanted.margin is None or not differences:
        return "INCONCLUSIVE"
    direction = wanted.direction or metric.direction
    test = early_stop(margin=wanted.margin, direction=direction, alpha=policy.alpha).update(differences)
    # What must be superior is not decided by being no worse.
    return "INCONCLUSIVE" if wanted.must_be_superior and test.verdict == "PASS" else test.verdict


def _means(trials: Sequence[TrialRecord], name: str) -> Mapping[str, float]:
    values: dict[str, list[float]] = {}
    for trial in trials:
        stored = (trial.scores or {}).get(name)
        score = score_from_json(stored) if stored else None
        if isinstance(score, Scored):
            values.setdefault(trial.item_id, []).append(score.value)
    return {item_id: sum(found) / len(found) for item_id, found in values.items()}
