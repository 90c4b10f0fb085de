"""Gates asked many times about releases whose truth is known."""

from collections.abc import Callable, Mapping
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from tests.unit.evaluate.measured import score_metric
from zirkel.core import ExperimentRecord, ExperimentState, GatePolicy
from zirkel.evaluate import decide
from zirkel.evaluate.gate_inputs import GateInputs, Versions
from zirkel.evaluate.measure import Column, ItemFrame, Measured
from zirkel.evaluate.metrics import Metric

Values = NDArray[np.float64]
"""Shape (items, trials)."""
World = Callable[[np.random.Generator], tuple[Values, Values]]
"""Draws what candidate and baseline score."""


def measured_of(values: Mapping[str, Values]) -> Measured:
    """Return an experiment that measured these values."""
    items, trials = next(iter(values.values())).shape
    rows = np.repeat(np.arange(items), trials)
    record = ExperimentRecord("p", "e", "s", "r", "d", "v", trials, items, ExperimentState.FINISHED, 1)
    columns = {name: Column(rows, array.ravel()) for name, array in values.items()}
    return Measured(record, items * trials, 0, 0, Decimal(1), Decimal(0), 1.0, "", columns)


def inputs_of(
    policy: GatePolicy, candidate: Values, baseline: Values, metric: Metric, cluster_size: int = 1
) -> GateInputs:
    """Return what a gate decides from, of one metric."""
    items = len(candidate)
    ids = tuple(f"i{n}" for n in range(items))
    frame = ItemFrame(ids, np.arange(items) // cluster_size, {})
    return GateInputs(
        service="s",
        policy=policy,
        policy_digest="",
        metrics={metric.name: metric},
        frame=frame,
        candidate=measured_of({metric.name: candidate}),
        baseline=measured_of({metric.name: baseline}),
        judges={},
        asked=np.empty(0, dtype=np.intp),
        versions=Versions("", "1.0", {}),
        seeds={},
    )


def pass_rate(
    policy: GatePolicy, world: World, runs: int, seed: int, *, cluster_size: int = 1, metric: Metric | None = None
) -> float:
    """Return how often the gate passes what the world draws."""
    random = np.random.default_rng(seed)
    known = metric or score_metric("m")
    found = 0
    for _ in range(runs):
        candidate, baseline = world(random)
        decision = decide(inputs_of(policy, candidate, baseline, known, cluster_size))
        found += decision.verdict in ("PASS", "SUPERIOR")
    return found / runs


def four_standard_errors(rate: float, runs: int) -> float:
    """Return how far an observed rate may be from a true one by chance."""
    return 4 * float(np.sqrt(rate * (1 - rate) / runs))


def changing_items(items: int, margin: float, gained: float) -> World:
    """Independent pass/fail items: the candidate is worse by just the margin, and gains a share of them."""

    def draw(random: np.random.Generator) -> tuple[Values, Values]:
        fate = random.random(items)
        base = (random.random(items) < 0.5).astype(np.float64)
        candidate = np.where(fate < gained, 1.0, np.where(fate < 2 * gained + margin, 0.0, base))
        baseline = np.where(fate < gained, 0.0, np.where(fate < 2 * gained + margin, 1.0, base))
        return candidate[:, None], baseline[:, None]

    return draw


def clustered_items(
    clusters: int, size: int, difference: float, *, icc: float = 0.5, spread: float = 0.3, trials: int = 1
) -> World:
    """Scores from 0 to 1 whose differences have the mean ``difference`` and are alike within clusters."""

    def draw(random: np.random.Generator) -> tuple[Values, Values]:
        of_cluster = np.repeat(random.normal(0, spread * np.sqrt(icc), clusters), size)
        of_item = random.normal(0, spread * np.sqrt(1 - icc), clusters * size)
        noise = random.normal(0, 0.05, (2, clusters * size, trials))
        true = difference + of_cluster + of_item
        return 0.5 + (true / 2)[:, None] + noise[0], 0.5 - (true / 2)[:, None] + noise[1]

    return draw


def clustered_passes(clusters: int, size: int, margin: float, changed_share: float) -> World:
    """Pass/fail items: in a share of the clusters the candidate fails items that the baseline passes."""
    loss = margin / changed_share

    def draw(random: np.random.Generator) -> tuple[Values, Values]:
        is_bad = np.repeat(random.random(clusters) < changed_share, size)
        lost = is_bad & (random.random(clusters * size) < loss)
        return 1.0 - lost.astype(np.float64)[:, None], np.ones((clusters * size, 1))

    return draw


def repeated_passes(items: int, trials: int, margin: float, hard_share: float) -> World:
    """Pass/fail trials: on a share of the items the candidate fails more often than the baseline."""
    loss = margin / hard_share

    def draw(random: np.random.Generator) -> tuple[Values, Values]:
        is_hard = (random.random(items) < hard_share)[:, None]
        candidate = random.random((items, trials)) < np.where(is_hard, 1 - loss, 1.0)
        return candidate.astype(np.float64), np.ones((items, trials))

    return draw


def skewed_costs(items: int, ratio: float, sigma: float) -> World:
    """Costs or latencies: lognormal over items, and the candidate's are ``ratio`` times as high on average."""

    def draw(random: np.random.Generator) -> tuple[Values, Values]:
        size = random.lognormal(0, sigma, items)
        noise = random.lognormal(-0.045, 0.3, (2, items))
        return (ratio * size * noise[0])[:, None], (size * noise[1])[:, None]

    return draw
