"""The fields that filters, aggregates and facets know: name, type and meaning. The store knows their SQL."""

import difflib
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from zirkel.core.errors import Invalid
from zirkel.core.filters import FieldRef, Operator, format_field
from zirkel.core.spans import SpanKind

_MOST_NAMED = 3


class FieldType(StrEnum):
    """What a field holds, which says what it can be compared with."""

    TEXT = "text"
    CONTENT = "content"
    """What went in or came out; a search in it looks into the text, whatever its form."""
    CHOICE = "choice"
    FLAG = "flag"
    NUMBER = "number"
    DURATION = "duration"
    TIME = "time"
    LIST = "list"
    """Texts; a comparison holds if it holds for one of them."""
    JSON = "json"
    """A map of JSON values by key."""
    SCORE = "score"
    """Scores by name: numbers, categories, texts, yes or no."""


class FieldSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of the language."""

    name: str
    type: FieldType
    meaning: str
    choices: tuple[str, ...] = ()
    """Of a ``CHOICE``: the values that there are."""
    is_total: bool = False
    """Of the span's whole trace."""


_EQUALITY = frozenset({Operator.EQUAL, Operator.UNEQUAL})
_TEXTUAL = _EQUALITY | {Operator.CONTAINS, Operator.LACKS}
_ORDERED = _EQUALITY | {Operator.LESS, Operator.AT_MOST, Operator.MORE, Operator.AT_LEAST}

OPERATORS: Mapping[FieldType, frozenset[Operator]] = {
    FieldType.TEXT: _TEXTUAL,
    FieldType.CONTENT: _TEXTUAL,
    FieldType.CHOICE: _EQUALITY,
    FieldType.FLAG: _EQUALITY,
    FieldType.NUMBER: _ORDERED,
    FieldType.DURATION: _ORDERED,
    FieldType.TIME: _ORDERED,
    FieldType.LIST: _TEXTUAL,
    FieldType.JSON: _TEXTUAL | _ORDERED,
    FieldType.SCORE: _TEXTUAL | _ORDERED,
}
"""The operators that each type allows."""

KEYED = frozenset({FieldType.JSON, FieldType.SCORE})
"""Types whose fields are asked for with a key."""

_T, _N, _D = FieldType.TEXT, FieldType.NUMBER, FieldType.DURATION

_SPECS = (
    FieldSpec("service", _T, "the service"),
    FieldSpec("environment", _T, "the environment, e.g. production"),
    FieldSpec("release", _T, "digest of the release, 64 hex digits"),
    FieldSpec("arm", _T, "stable or candidate"),
    FieldSpec("prompt", _T, "name of the prompt"),
    FieldSpec("prompt_version", _T, "version of the prompt"),
    FieldSpec("unit", _T, "what traffic is split by"),
    FieldSpec("session", _T, "id of the session"),
    FieldSpec("user", _T, "id of the user"),
    FieldSpec("key", _T, "id of the key"),
    FieldSpec("tags", FieldType.LIST, "the tags"),
    FieldSpec("trace", _T, "id of the trace, 32 hex digits"),
    FieldSpec("span", _T, "id of the span, 16 hex digits"),
    FieldSpec("parent", _T, "id of the span that caused this one"),
    FieldSpec("root", FieldType.FLAG, "whether no span caused this one"),
    FieldSpec("name", _T, "name of the span"),
    FieldSpec("kind", FieldType.CHOICE, "what the span stands for", tuple(SpanKind)),
    FieldSpec("source", FieldType.CHOICE, "the way in", ("gateway", "otlp")),
    FieldSpec("dialect", _T, "whose attribute names were used, e.g. openinference"),
    FieldSpec("scope", _T, "name of the instrumentation"),
    FieldSpec("status", FieldType.CHOICE, "how it ended", ("unset", "ok", "error")),
    FieldSpec("error_type", _T, "class of the error"),
    FieldSpec("status_message", _T, "what the error said"),
    FieldSpec("operation", _T, "the GenAI operation, e.g. chat"),
    FieldSpec("provider", _T, "who runs the model"),
    FieldSpec("model", _T, "the model that answered or that was asked for"),
    FieldSpec("request_model", _T, "the model that was asked for"),
    FieldSpec("response_model", _T, "the model that answered"),
    FieldSpec("finish_reason", _T, "why the model stopped"),
    FieldSpec("stream", FieldType.FLAG, "whether the answer was streamed"),
    FieldSpec("attempt", _N, "link of the fallback chain, 0 for the primary"),
    FieldSpec("attempt_reason", _T, "why the attempt was made: first, retry, pool, fallback, …"),
    FieldSpec("cache", _T, "hit, semantic_hit, miss or bypass"),
    FieldSpec("settlement", _T, "how the cost was settled: reported, counted, free or reserved"),
    FieldSpec("input", FieldType.CONTENT, "what went in"),
    FieldSpec("output", FieldType.CONTENT, "what came out"),
    FieldSpec("text", FieldType.CONTENT, "what went in or came out"),
    FieldSpec("tools", FieldType.CONTENT, "the tools that were offered"),
    FieldSpec("input_length", _N, "characters of the input; unknown if it was not kept"),
    FieldSpec("output_length", _N, "characters of the output; unknown if there is none"),
    FieldSpec("start", FieldType.TIME, "when it began"),
    FieldSpec("end", FieldType.TIME, "when it ended"),
    FieldSpec("latency", _D, "from start to end"),
    FieldSpec("first_token", _D, "from start to the first token"),
    FieldSpec("cost_usd", _N, "cost in USD"),
    FieldSpec("tokens.input", _N, "all input tokens, those read from and written to caches included"),
    FieldSpec("tokens.cache_read", _N, "input tokens read from a cache"),
    FieldSpec("tokens.cache_write", _N, "input tokens written to a cache"),
    FieldSpec("tokens.output", _N, "all output tokens, reasoning included"),
    FieldSpec("tokens.reasoning", _N, "output tokens of reasoning"),
    FieldSpec("tokens.total", _N, "input and output tokens"),
    FieldSpec("experiment", _T, "id of the experiment"),
    FieldSpec("item", _T, "id of the dataset item"),
    FieldSpec("trial", _N, "number of the trial"),
    FieldSpec("attributes", FieldType.JSON, "an attribute as it was sent"),
    FieldSpec("resource", FieldType.JSON, "an attribute of the resource"),
    FieldSpec("parameters", FieldType.JSON, "a parameter of the request, e.g. temperature"),
    FieldSpec("unmapped", FieldType.LIST, "names of AI attributes that no field was read from"),
    FieldSpec("score", FieldType.SCORE, "a score of the span, its trace, its session or its experiment's item"),
    FieldSpec("trace.cost_usd", _N, "cost of the trace in USD", is_total=True),
    FieldSpec("trace.latency", _D, "from the trace's earliest start to its latest end", is_total=True),
    FieldSpec("trace.spans", _N, "number of the trace's spans", is_total=True),
    FieldSpec("trace.errors", _N, "number of the trace's spans in error", is_total=True),
    FieldSpec("trace.tokens", _N, "input and output tokens of the trace", is_total=True),
)

FIELDS: Mapping[str, FieldSpec] = {spec.name: spec for spec in _SPECS}
"""Every field by its name."""


def field_spec(field: FieldRef) -> FieldSpec:
    """Return what is known of a field.

    Raises:
        Invalid: If there is none of this name, or it has a key that it cannot have, or lacks the one it needs.
    """
    spec = FIELDS.get(field.name)
    if spec is None:
        raise Invalid(f"there is no field {field.name!r}{_meant(field.name)}")
    if field.key and spec.type not in KEYED:
        raise Invalid(f"{field.name!r} has no key, so it cannot be written as {format_field(field)}")
    if spec.type in KEYED and not field.key:
        example = "score.NAME" if spec.type is FieldType.SCORE else f'{field.name}["KEY"]'
        raise Invalid(f"{field.name!r} needs a key; write it as {example}")
    return spec


def _meant(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), FIELDS, n=_MOST_NAMED, cutoff=0.5)
    # What is below a name, e.g. all of tokens.*, is near too, however different in length.
    near += [known for known in FIELDS if known.partition(".")[0] == name.lower().partition(".")[0]]
    if not near:
        return '; attributes are written as attributes["NAME"]'
    return f"; did you mean {', '.join(list(dict.fromkeys(near))[: 2 * _MOST_NAMED])}?"
