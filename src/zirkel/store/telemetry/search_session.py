"""A session as a conversation."""

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from zirkel.core.search import Conversation, Totals, TraceRow
from zirkel.store.telemetry.engine import Engine, Parameter
from zirkel.store.telemetry.search_scores import scores_of_session
from zirkel.store.telemetry.search_traces import trace_rows

MAX_TURNS = 200
"""Most turns that are returned, the first ones."""
_TEXT_LENGTH = 20_000

_TURNS = """
SELECT trace_id AS value
FROM spans
WHERE project_id = {project_id:String} AND session_id = {session_id:String}
GROUP BY trace_id
ORDER BY min(start_ns), trace_id
LIMIT {limit:UInt32}
"""


class _Value(msgspec.Struct, frozen=True):
    value: str


def conversation(engine: Engine, project_id: str, session_id: str) -> Conversation | None:
    """Return a session's turns in order, or ``None`` if no span names it."""
    parameters: dict[str, Parameter] = {"project_id": project_id, "session_id": session_id, "limit": MAX_TURNS + 1}
    trace_ids = [row.value for row in engine.rows(_TURNS, parameters, _Value)] if session_id else []
    if not trace_ids:
        return None
    rows = trace_rows(engine, project_id, trace_ids[:MAX_TURNS], _TEXT_LENGTH)
    turns = sorted(rows, key=lambda row: (row.start_ns, row.trace_id))
    return Conversation(
        session_id=session_id,
        turns=turns,
        is_cut=len(trace_ids) > MAX_TURNS,
        start_ns=min(turn.start_ns for turn in turns),
        end_ns=max(turn.start_ns + turn.duration_ns for turn in turns),
        users=sorted({turn.user_id for turn in turns if turn.user_id}),
        models=sorted({model for turn in turns for model in turn.models}),
        totals=_totals(turns),
        scores=scores_of_session(engine, project_id, session_id),
    )


def _totals(turns: Sequence[TraceRow]) -> Totals:
    costs = [turn.totals.cost_usd for turn in turns if turn.totals.cost_usd is not None]
    return Totals(
        spans=sum(turn.totals.spans for turn in turns),
        errors=sum(turn.totals.errors for turn in turns),
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        unknown_costs=sum(turn.totals.unknown_costs for turn in turns),
        input_tokens=_known_sum(turns, lambda totals: totals.input_tokens),
        output_tokens=_known_sum(turns, lambda totals: totals.output_tokens),
    )


def _known_sum(turns: Sequence[TraceRow], of: Callable[[Totals], int | None]) -> int | None:
    known = [value for turn in turns if (value := of(turn.totals)) is not None]
    return sum(known) if known else None
