"""What the provider servers say, whatever wire format they say it in: a fixed answer to each kind of request. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

Json = dict[str, object]

TEXT = "Guten Tag, wörld! Nice to meet you."
THOUGHT = "Hm, a greeting."
BEFORE_CALLS = "Let me see."
CITIES = ("Ulm", "Jena")
LOGPROB = -0.25
VECTOR = (0.25, -0.5, 1.0)

INPUT_TOKENS = 30
"""All input, of which ``CACHED_TOKENS`` came from the provider's cache."""
CACHED_TOKENS = 12
OUTPUT_TOKENS = 9
"""All output, of which ``THOUGHT_TOKENS`` if the model thought."""
THOUGHT_TOKENS = 4
RETRY_AFTER_S = 7
"""Longer than the gateway waits for by itself."""
SLOW_PIECES = 400
SLOW_PAUSE_S = 0.05

KEYS: Mapping[str, str] = {
    "openai": "sk-openai-1",
    "anthropic": "sk-ant-1",
    "gemini": "AIza-1",
    "bedrock": "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:token/1",
}
"""The credential that each provider wants."""


class NotValidError(Exception):
    """The request is not one that the provider takes. ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came. Header names are in lower case."""

    method: str
    path: str
    """Below the provider's own prefix, as on the wire."""
    full_path: str
    """As on the wire, with the query."""
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: one part, or the parts of a stream, each sent by itself."""

    status: int
    media_type: str
    parts: Sequence[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    is_stream: bool = False
    pause_s: float = 0.0
    """Before each part but the first."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request comes to."""

    model: str
    is_stream: bool = False
    tools: tuple[str, ...] = ()
    """Names of those that may be called now."""
    results: tuple[str, ...] = ()
    """What the tools brought, if that is what comes last."""
    images: tuple[str, ...] = ()
    schema: Json | None = None
    thinks: bool = False

    @property
    def fault(self) -> str:
        """How the model fails: what comes after ``fails-`` in its name."""
        return self.model.partition("fails-")[2]

    @property
    def is_slow(self) -> bool:
        """It streams for a very long time."""
        return "slow" in self.model


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A call that the model makes."""

    call_id: str
    name: str
    arguments: Json

    @property
    def text(self) -> str:
        """The arguments as JSON."""
        return json.dumps(self.arguments)


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says."""

    text: str
    thought: str = ""
    calls: tuple[ToolUse, ...] = ()

    @property
    def thought_tokens(self) -> int:
        """How many of the output tokens are thought."""
        return THOUGHT_TOKENS if self.thought else 0


def say(asked: Asked) -> Said:
    """Return the answer: two calls of the first tool, the tools' results, an instance of the schema, or a greeting."""
    thought = THOUGHT if asked.thinks else ""
    if asked.is_slow and asked.is_stream:
        return Said(" ".join(f"word{number}" for number in range(SLOW_PIECES)))
    if asked.results:
        return Said("The tools say: " + "; ".join(asked.results), thought)
    if asked.tools:
        calls = [ToolUse(f"call_{n}", asked.tools[0], {"city": city}) for n, city in enumerate(CITIES, 1)]
        return Said(BEFORE_CALLS, thought, tuple(calls))
    if asked.schema is not None:
        return Said(json.dumps(example_of(asked.schema, asked.schema)), thought)
    if asked.images:
        return Said("I see " + " and ".join(asked.images), thought)
    return Said(TEXT, thought)


def example_of(schema: Json, root: Json) -> object:
    """Return a value that has the form of a JSON schema (objects, lists, references, plain types)."""
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return example_of(cast("dict[str, Json]", root["$defs"])[name], root)
    if "enum" in schema:
        return cast("list[object]", schema["enum"])[0]
    match schema.get("type"):
        case "object":
            members = cast("dict[str, Json]", schema.get("properties") or {})
            return {name: example_of(member, root) for name, member in members.items()}
        case "array":
            return [example_of(cast(Json, schema["items"]), root)] * 2
        case "integer" | "number":
            return 3
        case "boolean":
            return True
    return "Ulm"


def pieces(text: str, asked: Asked) -> list[str]:
    """Return a text as the pieces of its stream."""
    if asked.is_slow:
        return [f"{word} " for word in text.split()]
    third = len(text) // 3 or 1
    return [part for part in (text[:third], text[third : 2 * third], text[2 * third :]) if part]


def image_seen(media_type: str, data: bytes) -> str:
    """Return how an image is described: by what only one that arrived whole has."""
    return f"{media_type} of {len(data)} bytes"


def as_json(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, ensure_ascii=False).encode()


def whole(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer of one JSON value."""
    return Reply(status, "application/json", [as_json(value)], headers or {})


def server_sent(parts: Sequence[bytes], asked: Asked) -> Reply:
    """Return a stream of server-sent events."""
    pause_s = SLOW_PAUSE_S if asked.is_slow else 0.002
    return Reply(200, "text/event-stream", parts, is_stream=True, pause_s=pause_s)
