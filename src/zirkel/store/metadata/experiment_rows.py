"""Experiments and trials as rows, and back."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Row

from zirkel.core import ExperimentOptions, ExperimentRecord, ExperimentState, TrialRecord, TrialState

Values = dict[str, object]
"""By column."""

_scores = msgspec.json.Decoder(dict[str, dict[str, Any]])
_calls = msgspec.json.Decoder(tuple[dict[str, Any], ...])


def experiment_values(record: ExperimentRecord) -> Values:
    """Return an experiment's row."""
    return {**asdict(record), "state": record.state.value, "options": _json(record.options)}


def experiment_record(row: Row[tuple[object, ...]]) -> ExperimentRecord:
    """Return the experiment of a row."""
    fields = dict(row._mapping)  # noqa: SLF001 (SQLAlchemy's documented way to read a row by name)
    options = msgspec.json.decode(str(fields["options"]), type=ExperimentOptions)
    return ExperimentRecord(**{**fields, "state": ExperimentState(fields["state"]), "options": options})


def trial_values(record: TrialRecord) -> Values:
    """Return a trial's row. Written out field by field: there are tens of thousands of them."""
    return {
        "project_id": record.project_id,
        "experiment_id": record.experiment_id,
        "item_id": record.item_id,
        "trial": record.trial,
        "state": record.state.value,
        "claimed_ns": record.claimed_ns,
        "trace_id": record.trace_id,
        "output": record.output,
        "error": record.error,
        "scores": _json(record.scores or {}),
        "cost_usd": _text(record.cost_usd),
        "duration_ms": record.duration_ms,
        "is_recovered": record.is_recovered,
        "is_cached": record.is_cached,
        "answer_key": record.answer_key,
        "tool_calls": _json(record.tool_calls),
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "judges_usd": _text(record.judges_usd),
        "errored_scores": record.errored_scores,
    }


def trial_record(row: Row[tuple[object, ...]]) -> TrialRecord:
    """Return the trial of a row."""
    fields = dict(row._mapping)  # noqa: SLF001 (as above)
    converted: Values = {
        "state": TrialState(fields["state"]),
        "scores": _scores.decode(fields["scores"]) or None,
        "tool_calls": _calls.decode(fields["tool_calls"]),
        "cost_usd": known_usd(fields["cost_usd"]),
        "judges_usd": known_usd(fields["judges_usd"]),
    }
    return TrialRecord(**{**fields, **converted})


def known_usd(stored: str | None) -> Decimal | None:
    """Return a stored amount, ``None`` if it is unknown."""
    return None if stored is None else Decimal(stored)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _json(value: object) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
