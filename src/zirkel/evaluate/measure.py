"""An experiment's answers as numbers: one column a metric, made for arrays of many thousands. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

import numpy as np
from numpy.typing import NDArray

from zirkel.core import DatasetItem, ExperimentRecord, TrialRecord, TrialState, digest
from zirkel.evaluate.metrics import COST, ERROR_RATE, LATENCY
from zirkel.evaluate.segments import segment_rows

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class ItemFrame:
    """The items of a data set, as far as statistics need them."""

    ids: tuple[str, ...]
    sources: IntArray
    """One code an item: items of one cluster share theirs, an item without a cluster has its own."""
    segments: Mapping[str, IntArray]
    """Rows of items by segment."""

    def rows(self, segment: str = "") -> IntArray:
        """Return the rows of a segment, of all items if it is empty; none if no item is in it."""
        if not segment:
            return np.arange(len(self.ids), dtype=np.intp)
        return self.segments.get(segment, np.empty(0, dtype=np.intp))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One metric's values in one experiment, an entry for each answer that has one."""

    rows: IntArray
    """Which item each value belongs to."""
    values: FloatArray
    errored: int = 0
    """Answers whose evaluator failed, or whose cost is unknown."""
    unscored: int = 0
    """Answers that there was nothing to judge by."""

    def counts(self, n_items: int) -> IntArray:
        """Return the number of values of each item."""
        return np.bincount(self.rows, minlength=n_items)

    def means(self, n_items: int) -> FloatArray:
        """Return each item's mean over its answers; 0 where ``counts`` is 0."""
        sums = np.bincount(self.rows, weights=self.values, minlength=n_items)
        return sums / np.maximum(self.counts(n_items), 1)

    def only(self, rows: IntArray, n_items: int) -> "Column":
        """Return the values of some items."""
        wanted = np.zeros(n_items, dtype=bool)
        wanted[rows] = True
        kept = wanted[self.rows]
        return Column(self.rows[kept], self.values[kept], self.errored, self.unscored)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """What one experiment measured."""

    experiment: ExperimentRecord
    answered: int
    errored: int
    recovered: int
    """Answers found in the telemetry after a crash, not paid for twice."""
    cost_usd: Decimal | None
    """Of the answers; None if the price of any is unknown."""
    judging_usd: Decimal | None
    """Of the evaluators; None if the price of any is unknown."""
    median_duration_ms: float | None
    results_digest: str
    """Digest over every answer and score, in order."""
    columns: Mapping[str, Column]

    @property
    def missing(self) -> int:
        """Answers that were planned and are not there yet, errored ones not counted."""
        return max(self.experiment.planned - self.answered - self.errored, 0)


def frame_items(items: Sequence[DatasetItem], segments: Iterable[str] | None = None) -> ItemFrame:
    """Return the frame of a data set's items.

    Args:
        items: In the order of the data set.
        segments: Segments to keep; None for those that ``segment_rows`` takes then.
    """
    codes: dict[str, int] = {}
    # An item without a cluster stands alone, and is never of the cluster that is named like it.
    sources = [codes.setdefault(f"c:{i.cluster}" if i.cluster else f"i:{i.id}", len(codes)) for i in items]
    found = segment_rows(items, segments)
    rows = {name: np.asarray(members, dtype=np.intp) for name, members in found.items()}
    return ItemFrame(tuple(item.id for item in items), np.asarray(sources, dtype=np.intp), rows)


def measure(
    experiment: ExperimentRecord, trials: Sequence[TrialRecord], frame: ItemFrame, evaluators: Sequence[str]
) -> Measured:
    """Return what an experiment measured so far; answers that are not yet there or not yet judged are not looked at."""
    done = [trial for trial in trials if trial.state in (TrialState.ANSWERED, TrialState.ERRORED)]
    answered = [trial for trial in done if trial.state == TrialState.ANSWERED]
    row_of = {item_id: row for row, item_id in enumerate(frame.ids)}
    columns = {name: _score_column(name, answered, row_of) for name in evaluators}
    columns.update(_system_columns(done, answered, row_of))
    durations = sorted(trial.duration_ms for trial in answered)
    return Measured(
        experiment=experiment,
        answered=len(answered),
        errored=len(done) - len(answered),
        recovered=sum(trial.is_recovered for trial in answered),
        cost_usd=_total(trial.cost_usd for trial in answered),
        judging_usd=_total(trial.judges_usd for trial in answered),
        median_duration_ms=durations[len(durations) // 2] if durations else None,
        results_digest=results_digest(done),
        columns=columns,
    )


def results_digest(trials: Sequence[TrialRecord]) -> str:
    """Return the digest over item, trial, state, output and scores of each answer, ordered by item and trial."""
    rows = sorted(trials, key=lambda trial: (trial.item_id, trial.trial))
    return digest([[row.item_id, row.trial, row.state.value, row.output, row.scores or {}] for row in rows])


def _score_column(name: str, answered: Sequence[TrialRecord], row_of: Mapping[str, int]) -> Column:
    rows, values, errored, unscored = [], [], 0, 0
    for trial in answered:
        stored = (trial.scores or {}).get(name)
        row = row_of.get(trial.item_id)
        if stored is None or row is None:
            continue
        # Read without ``score_from_json``: there may be a million of them.
        match stored.get("state"):
            case "scored":
                rows.append(row)
                values.append(float(cast(float, stored["value"])))
            case "errored":
                errored += 1
            case _:
                unscored += 1
    return _column(rows, values, errored, unscored)


def _system_columns(
    done: Sequence[TrialRecord], answered: Sequence[TrialRecord], row_of: Mapping[str, int]
) -> dict[str, Column]:
    known = [trial for trial in answered if trial.item_id in row_of]
    priced = [trial for trial in known if trial.cost_usd is not None]
    tried = [trial for trial in done if trial.item_id in row_of]
    return {
        COST.name: _column(
            [row_of[trial.item_id] for trial in priced],
            [float(cast(Decimal, trial.cost_usd)) for trial in priced],
            len(known) - len(priced),
        ),
        LATENCY.name: _column([row_of[trial.item_id] for trial in known], [trial.duration_ms for trial in known]),
        ERROR_RATE.name: _column(
            [row_of[trial.item_id] for trial in tried], [float(t.state == TrialState.ERRORED) for t in tried]
        ),
    }


def _column(rows: Sequence[int], values: Sequence[float], errored: int = 0, unscored: int = 0) -> Column:
    return Column(np.asarray(rows, dtype=np.intp), np.asarray(values, dtype=np.float64), errored, unscored)


def _total(costs: Iterable[Decimal | None]) -> Decimal | None:
    total = Decimal(0)
    for cost in costs:
        if cost is None:
            return None
        total += cost
    return total
