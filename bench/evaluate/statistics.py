"""How long the statistics of two large experiments take."""

import time
from dataclasses import dataclass
from random import Random

from zirkel.core import (
    DatasetItem,
    EvaluatorSpec,
    EvaluatorsSpec,
    ExperimentRecord,
    ExperimentState,
    Scored,
    TrialRecord,
    TrialState,
    score_to_json,
)
from zirkel.evaluate import compare_metric, frame_items, measure, metrics_of, summarise

CLUSTER = 4
"""Items that share a source."""


@dataclass(frozen=True, slots=True)
class Computed:
    """How long it took, in seconds."""

    items: int
    trials: int
    metrics: int
    summarise_s: float
    """One experiment: means with intervals, clusters, variance components, flips."""
    compare_s: float
    """Two experiments: every metric's paired difference."""


def compute(items: int, trials: int, metrics: int) -> Computed:
    """Return how long summaries and differences of made-up scores take; the best of three."""
    names = [f"metric-{number}" for number in range(metrics)]
    known = metrics_of(EvaluatorsSpec(evaluator=[EvaluatorSpec(name=name, kind="exact") for name in names]))
    dataset = [DatasetItem(id=f"i{n:06d}", input={}, cluster=f"c{n // CLUSTER}") for n in range(items)]
    record = ExperimentRecord("p", "e", "s", "r", "d", "v", trials, items, ExperimentState.FINISHED, 1)
    ours, theirs = (_trials(dataset, trials, names, seed) for seed in (1, 2))
    alone, both = [], []
    for _ in range(3):
        start_s = time.perf_counter()
        frame = frame_items(dataset)
        first = measure(record, ours, frame, names)
        summarise(first, frame, known)
        alone.append(time.perf_counter() - start_s)
        start_s = time.perf_counter()
        second = measure(record, theirs, frame, names)
        for name in names:
            compare_metric(known[name], first, second, frame)
        both.append(time.perf_counter() - start_s)
    return Computed(items, trials, metrics, min(alone), min(both))


def _trials(items: list[DatasetItem], trials: int, names: list[str], seed: int) -> list[TrialRecord]:
    random = Random(seed)
    return [
        TrialRecord(
            "p",
            "e",
            item.id,
            trial,
            TrialState.ANSWERED,
            1,
            "t" * 32,
            output="an answer",
            scores={name: score_to_json(Scored(float(random.randrange(2)))) for name in names},
        )
        for item in items
        for trial in range(trials)
    ]
