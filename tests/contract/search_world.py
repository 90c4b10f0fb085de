"""Spans and scores to search in, and a slow obvious reading of filters."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random

import msgspec
import pytest
from msgspec.structs import replace

from zirkel.core import ScoreKind, ScoreOrigin, ScoreRecord, Span, SpanKind, Usage, new_span_id, new_trace_id
from zirkel.core.filter_parser import parse_filter
from zirkel.core.filters import And, Compare, Exists, FieldRef, Filter, Not, OneOf, Or
from zirkel.core.search import SearchScope
from zirkel.store.telemetry import TelemetryStore

SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
MIDNIGHT_NS = 20_700 * DAY_NS
SERVER_URL = "ZIRKEL_TEST_CLICKHOUSE_URL"


NOW_NS = MIDNIGHT_NS + DAY_NS


@contextmanager
def opened_store(kind: str, folder: Path) -> Iterator[TelemetryStore]:
    """Open the store that the parameter of a fixture names: ``embedded`` or ``server``."""
    if kind == "embedded":
        opened = TelemetryStore.open(path=folder)
    else:
        url = os.environ.get(SERVER_URL)  # noqa: TID251 (a setting of the tests, not of the program)
        if not url:
            pytest.skip(f"{SERVER_URL} names no ClickHouse server")
        opened = TelemetryStore.open(url=url)
    yield opened
    opened.close()


class Arrival:
    """Inserts into one project, each time received a little later."""

    def __init__(self, store: TelemetryStore, project_id: str) -> None:
        self._store = store
        self.project_id = project_id
        self.received_ns = MIDNIGHT_NS

    def spans(self, *spans: Span) -> None:
        self.received_ns += SECOND_NS
        own = [replace(span, project_id=self.project_id) for span in spans]
        self._store.insert(own, received_ns=self.received_ns)

    def scores(self, *scores: ScoreRecord) -> None:
        self.received_ns += SECOND_NS
        own = [replace(score, project_id=self.project_id) for score in scores]
        self._store.insert_scores(own, received_ns=self.received_ns)


def span(**changes: object) -> Span:
    plain = Span(
        project_id="",
        trace_id=new_trace_id(),
        span_id=new_span_id(),
        name="work",
        source="otlp",
        start_ns=MIDNIGHT_NS,
        end_ns=MIDNIGHT_NS + SECOND_NS,
    )
    return replace(plain, **changes)


def model_span(parent: Span, **changes: object) -> Span:
    call = replace(parent, span_id=new_span_id(), parent_span_id=parent.span_id, kind=SpanKind.CHAT, name="chat")
    return replace(call, **{"cost_usd": Decimal("0.5"), "usage": Usage(input_tokens=10, output_tokens=5), **changes})


def score(**changes: object) -> ScoreRecord:
    plain = ScoreRecord(
        project_id="",
        score_id=new_trace_id(),
        name="helpfulness",
        kind=ScoreKind.NUMERIC,
        value=1.0,
        origin=ScoreOrigin.PERSON,
        time_ns=MIDNIGHT_NS,
    )
    return replace(plain, **changes)


def scope(project_id: str, line: str = "", since_ns: int = 0, until_ns: int = 2**62) -> SearchScope:
    return SearchScope(
        project_id=project_id,
        filter=parse_filter(line),
        since_ns=since_ns,
        until_ns=until_ns,
        now_ns=NOW_NS,
    )


class World:
    """Spans and scores that a filter is evaluated on by hand."""

    def __init__(self, spans: Sequence[Span], scores: Sequence[ScoreRecord]) -> None:
        self.spans = spans
        self.scores = scores

    def trace(self, one: Span) -> list[Span]:
        return [other for other in self.spans if other.trace_id == one.trace_id]

    def leaves(self, spans: Sequence[Span]) -> list[Span]:
        above = {other.parent_span_id for other in spans if other.kind in (SpanKind.CHAT, SpanKind.CALL)}
        return [other for other in spans if other.kind is SpanKind.CHAT and other.span_id not in above]

    def scores_of(self, one: Span, name: str) -> list[ScoreRecord]:
        def is_about(found: ScoreRecord) -> bool:
            if found.span_id:
                return (found.trace_id, found.span_id) == (one.trace_id, one.span_id)
            if found.trace_id:
                return found.trace_id == one.trace_id
            return bool(found.session_id) and found.session_id == one.session_id

        return [found for found in self.scores if found.name == name and is_about(found)]


def tokens(one: Span) -> int | None:
    known = [one.usage.input_tokens, one.usage.output_tokens]
    return None if known == [None, None] else sum(value or 0 for value in known)


def known_sum(values: Sequence[Decimal | int | None]) -> Decimal | int | None:
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None


def values(world: World, one: Span, field: FieldRef) -> list[object]:
    """What a field is in a span: of lists and scores several."""
    trace = world.trace(one)
    plain: Mapping[str, Callable[[], list[object]]] = {
        "service": lambda: [one.service],
        "kind": lambda: [one.kind.value],
        "root": lambda: [not one.parent_span_id],
        "tags": lambda: list(one.tags),
        "cost_usd": lambda: [one.cost_usd],
        "latency": lambda: [one.end_ns - one.start_ns],
        "start": lambda: [one.start_ns - NOW_NS],
        "tokens.total": lambda: [tokens(one)],
        "output": lambda: [one.output],
        "attributes": lambda: [json_value(one.attributes.get(field.key))],
        "model": lambda: [one.response_model, one.request_model],
        "trace.spans": lambda: [len(trace)],
        "trace.errors": lambda: [sum(other.status == "error" for other in trace)],
        "trace.latency": lambda: [max(o.end_ns for o in trace) - min(o.start_ns for o in trace)],
        "trace.cost_usd": lambda: [known_sum([other.cost_usd for other in world.leaves(trace)])],
        "trace.tokens": lambda: [known_sum([tokens(other) for other in world.leaves(trace)])],
        "score": lambda: [found.value if found.value is not None else found.label for found in scores()],
    }

    def scores() -> list[ScoreRecord]:
        return world.scores_of(one, field.key)

    return plain[field.name]()


def json_value(text: str | None) -> object:
    return None if text is None else msgspec.json.decode(text)


def holds(world: World, one: Span, part: Filter) -> bool:
    if isinstance(part, And):
        return all(holds(world, one, inner) for inner in part.parts)
    if isinstance(part, Or):
        return any(holds(world, one, inner) for inner in part.parts)
    if isinstance(part, Not):
        return not holds(world, one, part.part)
    found = values(world, one, part.field)
    if isinstance(part, Exists):
        return any(value not in (None, "") for value in found)
    if isinstance(part, OneOf):
        return any(compare(value, "=", literal(wanted)) for value in found for wanted in part.values)
    if part.operator.value in ("!=", "!~"):
        positive = Compare(part.field, type(part.operator)(part.operator.value[1:]), part.value)
        return not holds(world, one, positive)
    return any(compare(value, part.operator.value, literal(part.value)) for value in found)


def literal(value: object) -> object:
    inside = getattr(value, "ns", None)
    return inside if inside is not None else getattr(value, "value", None)


def compare(value: object, operator: str, wanted: object) -> bool:
    if operator == "~":
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return value is not None and str(wanted).lower() in text.lower()
    if isinstance(value, str) and isinstance(wanted, str):
        return value == wanted
    if isinstance(value, bool) != isinstance(wanted, bool):
        return False
    if not isinstance(value, int | float | Decimal) or not isinstance(wanted, int | float | Decimal):
        return False
    number, limit = Decimal(value), Decimal(wanted)
    return {
        "=": number == limit,
        "<": number < limit,
        "<=": number <= limit,
        ">": number > limit,
        ">=": number >= limit,
    }[operator]


def some_world() -> World:
    random = Random(7)
    spans: list[Span] = []
    for number in range(24):
        root = span(
            trace_id=f"{number:032x}",
            service=random.choice(["a", "b", ""]),
            session_id=random.choice(["s1", "s2", ""]),
            start_ns=MIDNIGHT_NS + number * HOUR_NS,
            end_ns=MIDNIGHT_NS + number * HOUR_NS + random.randrange(5) * SECOND_NS,
            status=random.choice(["ok", "error"]),
            kind=random.choice([SpanKind.WORKFLOW, SpanKind.CHAT]),
            tags=random.sample(["x", "y"], random.randrange(3)),
            attributes=random.choice([{}, {"n": "7"}, {"n": '"7"'}, {"n": "true"}, {"n": "8.5", "m": "1"}]),
            output=random.choice(["", '"say \\"Refund\\" now"', '[{"role":"assistant"}]']),
        )
        spans.append(root)
        for _ in range(random.randrange(4)):
            spans.append(
                model_span(
                    random.choice(spans[-2:]) if spans[-1].trace_id == root.trace_id and len(spans) > 1 else root,
                    trace_id=root.trace_id,
                    request_model=random.choice(["m1", "m2"]),
                    response_model=random.choice(["m1", ""]),
                    cost_usd=random.choice([None, Decimal("0.1"), Decimal("0.000000000001")]),
                    usage=random.choice([Usage(), Usage(input_tokens=3), Usage(input_tokens=3, output_tokens=4)]),
                )
            )
    scores = [
        score(trace_id=spans[3].trace_id, value=0.25),
        score(trace_id=spans[5].trace_id, span_id=spans[5].span_id, value=0.75),
        score(session_id="s1", value=0.5),
        score(trace_id=spans[8].trace_id, name="tone", kind=ScoreKind.CATEGORICAL, value=None, label="bad"),
    ]
    return World(spans, scores)
