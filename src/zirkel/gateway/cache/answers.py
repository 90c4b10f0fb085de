"""Answers to exactly the same request."""

import hashlib
import logging
import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import cast

import msgspec

from zirkel.core import JsonObject, Usage, ZirkelError
from zirkel.gateway.cache.bounded import BoundedMap

TRANSPORT_MEMBERS = frozenset(
    {
        "model",
        "stream",
        "stream_options",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "service_tier",
        "prompt_cache_key",
        "prompt_cache_retention",
        "zirkel",
    }
)
"""Members of a hub request that say how it is carried, kept, billed or named, and not what is asked."""

_GOOD_ENDS = frozenset({"stop", "tool_calls", "function_call"})
_PREFIX = b"a"
_COMPRESS_FROM = 512
_log = logging.getLogger("zirkel.gateway")


class CachedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A good answer and what it took."""

    answer: bytes
    """The hub answer (``chat.completion``) as JSON."""
    usage: Usage
    """What it used when it was made."""
    cost_usd: Decimal | None
    """What it cost then, which is what a use of it saves; ``None`` is *unknown*."""
    created_ns: int
    upstream: str = ""
    """Who gave it, for the answer's headers and the record."""
    model: str = ""


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    answer: bytes
    is_compressed: bool
    usage: Usage
    cost_usd: str | None
    created_ns: int
    upstream: str
    model: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Stored)


class AnswerCache:
    """The answers of all workers. A cache that cannot be read or written has no answers; calls go on."""

    def __init__(self, entries: BoundedMap) -> None:
        self._entries = entries
        self.failures = 0
        """Look-ups and writes that failed since this object was made."""

    def get(self, key: bytes, now_ns: int) -> CachedAnswer | None:
        """Return the answer of a ``request_key``, or ``None``."""
        try:
            stored = self._entries.get(_PREFIX + key, now_ns)
            return None if stored is None else _unpack(stored)
        except (ZirkelError, OSError, msgspec.DecodeError, zlib.error) as error:
            self._fail("read", error)
            return None

    def put(self, key: bytes, answer: CachedAnswer, ttl_s: float, now_ns: int) -> bool:
        """Keep an answer for ``ttl_s`` seconds; return whether it is kept. Ask ``is_cacheable`` first.

        It may go sooner, to make room for one that expires later.
        """
        try:
            with self._entries.edit(now_ns) as edit:
                return edit.put(_PREFIX + key, _pack(answer), now_ns + int(ttl_s * 1e9))
        except (ZirkelError, OSError) as error:
            self._fail("written", error)
            return False

    def _fail(self, what: str, error: Exception) -> None:
        self.failures += 1
        if self.failures.bit_count() == 1:
            _log.warning("the answer cache could not be %s (%d times so far): %s", what, self.failures, error)


def request_key(project_id: str, target: str, request: JsonObject) -> bytes:
    """Return the key of a hub request, 32 bytes: SHA-256 of project, target and what is asked.

    Equal for requests that differ only in ``TRANSPORT_MEMBERS``, in the order of members, in members that are null, or
    in a text that is given as a single part. So a stream and a whole answer share an entry, and so do formats.

    Args:
        project_id: Projects never share an entry.
        target: The release's digest, or what was named as ``model``.
        request: The hub request, its messages rendered.
    """
    return hashlib.sha256(msgspec.json.encode([project_id, target, plain_request(request)], order="sorted")).digest()


def plain_request(request: JsonObject) -> JsonObject:
    """Return what a hub request asks, in the plainest of the forms that mean the same; see ``request_key``."""
    asked = {name: value for name, value in request.items() if name not in TRANSPORT_MEMBERS and value is not None}
    messages = asked.get("messages")
    if isinstance(messages, list):
        asked["messages"] = [_plain_message(message) for message in messages]
    return asked


def is_cacheable(answer: JsonObject) -> bool:
    """Return whether a hub answer may be used again: each choice ended by itself, says something and refuses nothing.

    What was cut off (``length``), filtered or refused by the model may come out better at the next try.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or answer.get("error") is not None:
        return False
    return all(isinstance(choice, dict) and _is_good_choice(choice) for choice in choices)


def _is_good_choice(choice: Mapping[str, object]) -> bool:
    message = choice.get("message")
    if choice.get("finish_reason") not in _GOOD_ENDS or not isinstance(message, dict) or message.get("refusal"):
        return False
    return bool(message.get("content") or message.get("tool_calls") or message.get("function_call"))


def _plain_message(message: object) -> object:
    if not isinstance(message, dict):
        return message
    plain = {name: value for name, value in message.items() if value is not None}
    content = plain.get("content")
    if isinstance(content, list) and len(content) == 1:
        part = content[0]
        if isinstance(part, dict) and set(part) == {"type", "text"} and part["type"] == "text":
            plain["content"] = part["text"]
    return plain


def _pack(answer: CachedAnswer) -> bytes:
    packed = zlib.compress(answer.answer, 1) if len(answer.answer) >= _COMPRESS_FROM else answer.answer
    is_compressed = len(packed) < len(answer.answer)
    return _encoder.encode(
        _Stored(
            answer=packed if is_compressed else answer.answer,
            is_compressed=is_compressed,
            usage=answer.usage,
            cost_usd=None if answer.cost_usd is None else str(answer.cost_usd),
            created_ns=answer.created_ns,
            upstream=answer.upstream,
            model=answer.model,
        )
    )


def _unpack(data: bytes) -> CachedAnswer:
    stored = _decoder.decode(data)
    return CachedAnswer(
        answer=zlib.decompress(stored.answer) if stored.is_compressed else stored.answer,
        usage=stored.usage,
        cost_usd=None if stored.cost_usd is None else Decimal(stored.cost_usd),
        created_ns=stored.created_ns,
        upstream=stored.upstream,
        model=stored.model,
    )


def read_answer(cached: CachedAnswer) -> JsonObject:
    """Return the hub answer as parsed JSON."""
    return cast(JsonObject, msgspec.json.decode(cached.answer))
