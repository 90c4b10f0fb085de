"""The items on which two releases differ, with what each of them said and why it was scored so. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from zirkel.core import DatasetItem, Json, JsonObject, Scored, TrialRecord, TrialState, score_from_json
from zirkel.evaluate.metrics import Metric

Change = Literal["worse", "better", "any"]


@dataclass(frozen=True, slots=True)
class TrialView:
    """One answer."""

    trial: int
    output: str
    error: str
    scores: Mapping[str, Mapping[str, Json]]
    """By evaluator: state, value, label, reason, details."""
    cost_usd: Decimal | None
    duration_ms: float
    trace_id: str


@dataclass(frozen=True, slots=True)
class ItemChange:
    """One item that both releases answered differently well."""

    item_id: str
    input: JsonObject
    expected: str | None
    tags: tuple[str, ...]
    cluster: str
    differences: Mapping[str, float]
    """Candidate minus baseline by metric, of the means over trials; metrics that do not differ are left out."""
    candidate: tuple[TrialView, ...]
    baseline: tuple[TrialView, ...]


@dataclass(frozen=True, slots=True)
class ChangeQuery:
    """Which changed items are wanted."""

    metric: str
    change: Change = "any"
    limit: int = 20


def changed_items(
    query: ChangeQuery,
    metrics: Mapping[str, Metric],
    items: Sequence[DatasetItem],
    candidate: Sequence[TrialRecord],
    baseline: Sequence[TrialRecord],
) -> list[ItemChange]:
    """Return the items whose mean in the asked metric changed, the largest change for the worse first.

    With ``change="better"`` the largest gain comes first, with ``"any"`` the losses come before the gains.
    """
    ours, theirs = _by_item(candidate), _by_item(baseline)
    sign = 1 if metrics[query.metric].direction == "higher" else -1
    found = []
    for item in items:
        first, second = ours.get(item.id, []), theirs.get(item.id, [])
        differences = _differences(metrics, first, second)
        gain = sign * differences.get(query.metric, 0.0)
        is_wanted = query.change != "better" if gain < 0 else query.change != "worse"
        if gain and is_wanted:
            found.append((gain, _item_change(item, differences, first, second)))
    found.sort(key=lambda pair: (-pair[0] if query.change == "better" else pair[0], pair[1].item_id))
    return [change for _, change in found[: query.limit]]


def _by_item(trials: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    found: dict[str, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda trial: trial.trial):
        if trial.state in (TrialState.ANSWERED, TrialState.ERRORED):
            found.setdefault(trial.item_id, []).append(trial)
    return found


def _differences(
    metrics: Mapping[str, Metric], first: Sequence[TrialRecord], second: Sequence[TrialRecord]
) -> dict[str, float]:
    found = {}
    for name in metrics:
        ours, theirs = _mean(first, name), _mean(second, name)
        if ours is not None and theirs is not None and ours != theirs:
            found[name] = ours - theirs
    return found


def _mean(trials: Sequence[TrialRecord], name: str) -> float | None:
    values = [value for trial in trials if (value := _value(trial, name)) is not None]
    return sum(values) / len(values) if values else None


def _value(trial: TrialRecord, name: str) -> float | None:
    is_answered = trial.state == TrialState.ANSWERED
    match name:
        case "error_rate":
            return float(not is_answered)
        case "latency_ms":
            return trial.duration_ms if is_answered else None
        case "cost_usd":
            return float(trial.cost_usd) if is_answered and trial.cost_usd is not None else None
    stored = (trial.scores or {}).get(name)
    score = score_from_json(stored) if stored else None
    return score.value if isinstance(score, Scored) else None


def _item_change(
    item: DatasetItem, differences: Mapping[str, float], first: Sequence[TrialRecord], second: Sequence[TrialRecord]
) -> ItemChange:
    return ItemChange(
        item_id=item.id,
        input=item.input,
        expected=item.expected,
        tags=tuple(item.tags),
        cluster=item.cluster,
        differences=differences,
        candidate=tuple(_view(trial) for trial in first),
        baseline=tuple(_view(trial) for trial in second),
    )


def _view(trial: TrialRecord) -> TrialView:
    return TrialView(
        trial=trial.trial,
        output=trial.output,
        error=trial.error,
        scores=trial.scores or {},
        cost_usd=trial.cost_usd,
        duration_ms=trial.duration_ms,
        trace_id=trial.trace_id,
    )
