"""An Inspect log as an experiment: samples are items, epochs are trials, scorers are evaluators."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from zirkel.app.inspect_log import InspectLog
from zirkel.core import (
    DatasetItem,
    EvaluatorSpec,
    ExperimentRecord,
    ExperimentState,
    Json,
    Score,
    Scored,
    TrialRecord,
    TrialState,
    Unscored,
    score_to_json,
)
from zirkel.evaluate.local import LocalRun

_GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Source: Inspect's ``value_to_float``: correct, incorrect, partial, no answer."""
_ATTACHED = "attachment://"
_INPUTS = ("input_tokens", "input_tokens_cache_read", "input_tokens_cache_write")


@dataclass(frozen=True, slots=True)
class ImportedLog:
    """What came of a log."""

    run: LocalRun
    version: str
    """The model, and the task's version."""
    identity: str
    """Of the evaluation, so that a log that is imported twice is one experiment."""
    not_taken: tuple[tuple[str, str], ...]
    """Place and reason of what could not be taken over."""


def translate_inspect(log: InspectLog, name: str = "") -> ImportedLog:
    """Return the experiment that a log tells of.

    Args:
        log: The log.
        name: What the system is called; the task's name if empty.
    """
    about = _mapping(log.header.get("eval"))
    lost: list[tuple[str, str]] = []
    items: dict[str, DatasetItem] = {}
    trials: dict[tuple[str, int], TrialRecord] = {}
    for sample in log.samples:
        item = _item(sample)
        items.setdefault(item.id, item)
        trial = _trial(sample, item.id, lost)
        trials[item.id, trial.trial] = trial
    epochs = max(trial for _, trial in trials) + 1
    every = [trials.get((item_id, trial), _missing(item_id, trial)) for item_id in items for trial in range(epochs)]
    service = name or str(about.get("task", "inspect"))
    record = ExperimentRecord(
        "", "", service, "", "", "", epochs, len(items), ExperimentState.FINISHED, 0, origin="imported"
    )
    version = f"{about.get('model', '')} task {about.get('task_version', '')}".strip()
    run = LocalRun(record, tuple(items.values()), tuple(_evaluators(every)), tuple(every))
    return ImportedLog(run, version, str(about.get("eval_id") or about.get("run_id") or ""), tuple(lost))


def _item(sample: Mapping[str, Json]) -> DatasetItem:
    given, target = _resolved(sample.get("input"), sample), sample.get("target")
    variables: dict[str, object] = {"input": given} if isinstance(given, str) else {"messages": given}
    if sample.get("choices"):
        variables["choices"] = sample["choices"]
    targets = target if isinstance(target, list) else [target]
    metadata: dict[str, object] = dict(_mapping(sample.get("metadata")))
    if len(targets) > 1:
        metadata["targets"] = targets
    expected = str(targets[0]) if targets and targets[0] not in (None, "") else None
    return DatasetItem(id=str(sample.get("id")), input=variables, expected=expected, metadata=metadata)


def _trial(sample: Mapping[str, Json], item_id: str, lost: list[tuple[str, str]]) -> TrialRecord:
    epoch = sample.get("epoch", 1)
    output, failure = _mapping(sample.get("output")), _mapping(sample.get("error"))
    usage = [_mapping(one) for one in _mapping(sample.get("model_usage")).values()]
    seconds = sample.get("total_time")
    where = f"sample {item_id!r}, epoch {epoch}"
    scores = {} if failure else dict(_scores(_mapping(sample.get("scores")), where, lost))
    return TrialRecord(
        project_id="",
        experiment_id="",
        item_id=item_id,
        trial=epoch - 1 if isinstance(epoch, int) else 0,
        state=TrialState.ERRORED if failure else TrialState.ANSWERED,
        claimed_ns=0,
        trace_id="",
        output=str(_resolved(output.get("completion") or "", sample)),
        error=str(failure.get("message") or "the sample failed")[:2000] if failure else "",
        scores={scorer: score_to_json(score) for scorer, score in scores.items()} or None,
        duration_ms=1000 * seconds if isinstance(seconds, int | float) else 0.0,
        tool_calls=tuple(_tool_calls(output)),
        input_tokens=_sum(usage, _INPUTS),
        output_tokens=_sum(usage, ("output_tokens",)),
    )


def _scores(scores: Mapping[str, Json], where: str, lost: list[tuple[str, str]]) -> Iterator[tuple[str, Score]]:
    for name, found in scores.items():
        score = _mapping(found)
        reason, value = str(score.get("explanation") or ""), score.get("value")
        parts = {f"{name}.{key}": part for key, part in value.items()} if isinstance(value, dict) else {name: value}
        for part_name, part in parts.items():
            number = to_number(part)
            if number is None:
                if isinstance(part, list):
                    lost.append((f"{where}, {part_name}", "a list of values is no score"))
                yield part_name, Unscored(f"Inspect says {json.dumps(part)[:100]}, which is no number")
            else:
                label = part if isinstance(part, str) else ""
                yield part_name, Scored(number, label, reason)


def to_number(value: Json) -> float | None:
    """Return a scorer's value as a number, ``None`` if it is none."""
    if isinstance(value, bool | int | float):
        return float(value) if math.isfinite(value) else None
    if not isinstance(value, str):
        return None
    if value in _GRADES or value.lower() in _GRADES:
        return _GRADES.get(value, _GRADES.get(value.lower()))
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _evaluators(trials: Sequence[TrialRecord]) -> Iterator[EvaluatorSpec]:
    values: dict[str, list[float]] = {}
    for trial in trials:
        for name, score in (trial.scores or {}).items():
            value = score.get("value")
            values.setdefault(name, []).extend([value] if isinstance(value, int | float) else [])
    for name, found in values.items():
        share = all(0 <= value <= 1 for value in found)
        options: dict[str, object] = {"source": f"inspect:{name}", **({} if share else {"share": False})}
        yield EvaluatorSpec(name=name, kind="reported", options=options)


def _missing(item_id: str, trial: int) -> TrialRecord:
    return TrialRecord("", "", item_id, trial, TrialState.ERRORED, 0, "", error="the log has no such sample")


def _tool_calls(output: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    choices = output.get("choices")
    message = _mapping(_mapping(choices[0]).get("message")) if isinstance(choices, list) and choices else {}
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else []:
        found = _mapping(call)
        arguments = json.dumps(found.get("arguments", {}), ensure_ascii=False)
        yield {"name": str(found.get("function", "")), "arguments": arguments, "call_id": str(found.get("id", ""))}


def _resolved(value: Json, sample: Mapping[str, Json]) -> Json:
    """Return a value with its attachments in place: Inspect keeps long texts once."""
    attachments = _mapping(sample.get("attachments"))
    if isinstance(value, str):
        return attachments.get(value.removeprefix(_ATTACHED), value) if value.startswith(_ATTACHED) else value
    if isinstance(value, list):
        return [_resolved(one, sample) for one in value]
    if isinstance(value, dict):
        return {key: _resolved(one, sample) for key, one in value.items()}
    return value


def _mapping(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _sum(usage: Sequence[Mapping[str, Json]], names: Sequence[str]) -> int | None:
    counts = [count for one in usage for name in names if isinstance(count := one.get(name), int)]
    return sum(counts) if counts else None
