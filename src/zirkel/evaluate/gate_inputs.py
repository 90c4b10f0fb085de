"""Everything that a verdict rests on, as plain numbers: enough to reach it again without a server. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

import msgspec
import numpy as np

from zirkel.core import ExperimentRecord, GatePolicy, Invalid, Json, digest
from zirkel.evaluate.calibration_ports import Corrected
from zirkel.evaluate.measure import Column, IntArray, ItemFrame, Measured
from zirkel.evaluate.metrics import Metric

INPUTS_FORMAT = "zirkel-gate-inputs-1"
STATISTICS_VERSION = "1.0"
"""Of the rules from inputs to verdict: another major number means that the same inputs may get another verdict."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What computed a verdict."""

    program: str
    statistics: str
    libraries: Mapping[str, str]
    """numpy and scipy."""


@dataclass(frozen=True, slots=True)
class JudgeEvidence:
    """What people's labels say of a metric that a model or people judge."""

    mean: Corrected
    """Of the candidate."""
    difference: Corrected | None
    """None if there is nothing to compare with."""


@dataclass(frozen=True, slots=True, eq=False)
class GateInputs:
    """What a gate decides from."""

    service: str
    policy: GatePolicy
    policy_digest: str
    metrics: Mapping[str, Metric]
    """Every metric that was measured, by name."""
    frame: ItemFrame
    """With the segments that the policy names."""
    candidate: Measured
    baseline: Measured | None
    judges: Mapping[str, JudgeEvidence]
    """By metric, for those that a model or people judge."""
    asked: IntArray
    """Rows of the items in the order they were asked, if an experiment could stop early; else empty."""
    versions: Versions
    seeds: Mapping[str, int]
    """Of random numbers, by what they are for: ``item_order`` if it could stop early. The statistics draw none."""

    @property
    def could_stop_early(self) -> bool:
        """Whether an experiment was to end when its numbers look decisive: only anytime-valid bounds hold then.

        That it did not end does not matter: it was looked at all the same.
        """
        both = [self.candidate, *([self.baseline] if self.baseline else [])]
        return any(measured.experiment.could_stop_early for measured in both)


class _ColumnForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    values: list[list[float]]
    errored: int
    unscored: int


class _MeasuredForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    experiment: ExperimentRecord
    answered: int
    errored: int
    recovered: int
    cost_usd: Decimal | None
    judging_usd: Decimal | None
    median_duration_ms: float | None
    results_digest: str
    columns: dict[str, _ColumnForm]


class _FrameForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ids: list[str]
    sources: list[int]
    segments: dict[str, list[int]]


class _InputsForm(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    service: str
    policy: GatePolicy
    policy_digest: str
    metrics: list[Metric]
    items: _FrameForm
    candidate: _MeasuredForm
    baseline: _MeasuredForm | None
    judges: dict[str, JudgeEvidence]
    asked: list[int]
    versions: Versions
    seeds: dict[str, int]


def encode_inputs(inputs: GateInputs) -> dict[str, Json]:
    """Return the inputs as plain JSON values; their digest names them."""
    n = len(inputs.frame.ids)
    form = _InputsForm(
        format=INPUTS_FORMAT,
        service=inputs.service,
        policy=inputs.policy,
        policy_digest=inputs.policy_digest,
        metrics=list(inputs.metrics.values()),
        items=_FrameForm(
            list(inputs.frame.ids),
            inputs.frame.sources.tolist(),
            {name: rows.tolist() for name, rows in inputs.frame.segments.items()},
        ),
        candidate=_encode_measured(inputs.candidate, n),
        baseline=_encode_measured(inputs.baseline, n) if inputs.baseline else None,
        judges=dict(inputs.judges),
        asked=inputs.asked.tolist(),
        versions=inputs.versions,
        seeds=dict(inputs.seeds),
    )
    return cast(dict[str, Json], msgspec.to_builtins(form))


def decode_inputs(fields: Mapping[str, Json]) -> GateInputs:
    """Return the inputs of their JSON values.

    Raises:
        Invalid: If they are not such inputs, with the field that is wrong.
    """
    if fields.get("format") != INPUTS_FORMAT:
        raise Invalid(f"these inputs have the format {fields.get('format')!r}, not {INPUTS_FORMAT!r}")
    try:
        # Not strict: decimals were written as text.
        form = msgspec.convert(fields, _InputsForm, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"the inputs of the verdict cannot be read: {error}") from error
    rows = {name: np.asarray(members, dtype=np.intp) for name, members in form.items.segments.items()}
    return GateInputs(
        service=form.service,
        policy=form.policy,
        policy_digest=form.policy_digest,
        metrics={metric.name: metric for metric in form.metrics},
        frame=ItemFrame(tuple(form.items.ids), np.asarray(form.items.sources, dtype=np.intp), rows),
        candidate=_decode_measured(form.candidate),
        baseline=_decode_measured(form.baseline) if form.baseline else None,
        judges=form.judges,
        asked=np.asarray(form.asked, dtype=np.intp),
        versions=form.versions,
        seeds=form.seeds,
    )


def inputs_digest(inputs: GateInputs) -> str:
    """Return the digest of the inputs: policy, item values, clusters, judges, versions and seeds."""
    return digest(encode_inputs(inputs))


def _encode_measured(measured: Measured, n: int) -> _MeasuredForm:
    return _MeasuredForm(
        experiment=measured.experiment,
        answered=measured.answered,
        errored=measured.errored,
        recovered=measured.recovered,
        cost_usd=measured.cost_usd,
        judging_usd=measured.judging_usd,
        median_duration_ms=measured.median_duration_ms,
        results_digest=measured.results_digest,
        columns={name: _encode_column(column, n) for name, column in measured.columns.items()},
    )


def _encode_column(column: Column, n: int) -> _ColumnForm:
    values = column.values[np.argsort(column.rows, kind="stable")].tolist()
    ends = np.cumsum(column.counts(n)).tolist()
    starts = [0, *ends[:-1]]
    parts = [values[start:end] for start, end in zip(starts, ends, strict=True)]
    return _ColumnForm(parts, column.errored, column.unscored)


def _decode_measured(form: _MeasuredForm) -> Measured:
    return Measured(
        experiment=form.experiment,
        answered=form.answered,
        errored=form.errored,
        recovered=form.recovered,
        cost_usd=form.cost_usd,
        judging_usd=form.judging_usd,
        median_duration_ms=form.median_duration_ms,
        results_digest=form.results_digest,
        columns={name: _decode_column(column) for name, column in form.columns.items()},
    )


def _decode_column(form: _ColumnForm) -> Column:
    sizes: Sequence[int] = [len(values) for values in form.values]
    rows = np.repeat(np.arange(len(sizes), dtype=np.intp), sizes)
    values = np.asarray([value for values in form.values for value in values], dtype=np.float64)
    return Column(rows, values, form.errored, form.unscored)
