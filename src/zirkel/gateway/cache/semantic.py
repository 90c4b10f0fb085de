"""Answers to requests that mean the same: one text may differ in wording, everything else must be equal.

Needs numpy; imported only where a release asks for it.
"""

import asyncio
import hashlib
import logging
import struct
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from zirkel.core import JsonObject, ZirkelError
from zirkel.gateway.cache.answers import plain_request
from zirkel.gateway.cache.bounded import BoundedMap
from zirkel.gateway.cache.guard import guard_signature

Vectors = NDArray[np.float32]

LONGEST_TEXT = 2_000
"""Characters; a longer text is not compared by meaning."""

_PARTITION_BYTES = 16
_ANSWER_KEY_BYTES = 32
_HEAD = b"h"
_SLOT = b"v"
_COUNT = struct.Struct(">Q")
_SLOT_HEAD = struct.Struct(f">Q{_PARTITION_BYTES}s{_ANSWER_KEY_BYTES}s")
_FIRST_ROWS = 64
_MOST_RINGS = 4
_log = logging.getLogger("zirkel.gateway")


class Embedder(Protocol):
    """Turns texts into vectors whose direction is their meaning. Called in one thread."""

    @property
    def name(self) -> str:
        """Which model it is; vectors of different models are never compared."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    def can_read(self, text: str) -> bool:
        """Return whether the whole text fits and has nothing that the model does not know."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, of length 1."""
        ...


@dataclass(frozen=True, slots=True)
class Question:
    """A request in two parts."""

    rest: JsonObject
    """Must be equal."""
    text: str
    """Must mean the same."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A question that was looked for; what ``SemanticIndex.add`` needs to have it found."""

    scope: bytes
    partition: bytes
    vector: Vectors


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a search found."""

    probe: Probe | None
    """``None`` if the question cannot be compared by meaning."""
    answer_key: bytes | None = None
    """The ``request_key`` of the nearest question, if it is near enough."""
    similarity: float = 0.0
    """Cosine of the nearest question, however near."""


def split_chat(request: JsonObject) -> Question | None:
    """Return a hub request as a question: its text is that of the last message, if that is a user's plain text."""
    asked = plain_request(request)
    messages = asked.get("messages")
    last = messages[-1] if isinstance(messages, list) and messages else None
    if not isinstance(messages, list) or not isinstance(last, dict) or last.get("role") != "user":
        return None
    text = last.get("content")
    if not isinstance(text, str):
        return None
    return Question(rest=asked | {"messages": [*messages[:-1], {**last, "content": None}]}, text=text)


def split_variables(request: JsonObject, variables: Mapping[str, object]) -> Question | None:
    """Return a service's call as a question: its text is the only variable that is a text.

    The rendered messages are left out: template, context and examples are the release's, which is the scope, and their
    text would make all calls of a service look alike.
    """
    texts = [(name, value) for name, value in variables.items() if isinstance(value, str)]
    if len(texts) != 1:
        return None
    name, text = texts[0]
    rest = plain_request(request) | {"messages": None, "variables": {**variables, name: None}}
    return Question(rest=rest, text=text)


class SemanticIndex:
    """The questions of all workers, by release. Each worker keeps a copy of those it was asked for."""

    def __init__(
        self, entries: BoundedMap, embedder: Embedder, *, most_entries: int = 10_000, most_waiting: int = 8
    ) -> None:
        """Keep the newest ``most_entries`` questions of each scope; look for at most ``most_waiting`` at once.

        Args:
            entries: Where the answers are, too.
            embedder: Turns questions into vectors.
            most_entries: For each scope; a copy takes 1.5 KiB each with 384 dimensions.
            most_waiting: Further look-ups find nothing at once, so that a busy worker does not wait for its cache.
        """
        self._entries = entries
        self._embedder = embedder
        self._most_entries = most_entries
        self._most_waiting = most_waiting
        self._waiting = 0
        self.failures = 0
        """Look-ups and writes that failed since this object was made."""
        self._rings: OrderedDict[bytes, _Ring] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="semantic")

    def close(self) -> None:
        """Stop the thread; what waits is cancelled."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def find(self, project_id: str, target: str, question: Question, threshold: float, now_ns: int) -> Lookup:
        """Return the nearest question of the same scope whose rest is equal and whose text passes the guard.

        Runs in a thread of its own: about 10 ms for a sentence, 45 ms for the longest text.

        Args:
            project_id: Projects never share.
            target: The release's digest, or what was named as ``model``.
            question: See ``split_chat`` and ``split_variables``.
            threshold: Smallest cosine that counts as the same, up to 1.
            now_ns: What has expired by then is not found.
        """
        if self._waiting >= self._most_waiting or not 0 < len(question.text) <= LONGEST_TEXT:
            return Lookup(None)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, self._find, project_id, target, question, threshold, now_ns)
        except Exception as error:  # noqa: BLE001 (whatever a model's runtime raises, the call goes on; logged)
            self._fail(error)
            return Lookup(None)
        finally:
            self._waiting -= 1

    def add(self, probe: Probe, answer_key: bytes, ttl_s: float, now_ns: int) -> None:
        """Have a question found from now on, in all workers, for as long as its answer is kept.

        Args:
            probe: Of the look-up that found nothing.
            answer_key: The ``request_key`` that its answer was put under.
            ttl_s: As for the answer.
            now_ns: The time.
        """
        try:
            self._add(probe, answer_key, now_ns + int(ttl_s * 1e9), now_ns)
        except (ZirkelError, OSError) as error:
            self._fail(error)

    def _add(self, probe: Probe, answer_key: bytes, expires_ns: int, now_ns: int) -> None:
        with self._entries.edit(now_ns) as edit:
            head = edit.get(_HEAD + probe.scope)
            count = 0 if head is None else _COUNT.unpack_from(head)[0]
            newest_ns = expires_ns if head is None else max(expires_ns, _COUNT.unpack_from(head, _COUNT.size)[0])
            value = _SLOT_HEAD.pack(expires_ns, probe.partition, answer_key)
            edit.put(
                _slot_key(probe.scope, count % self._most_entries),
                value + probe.vector.astype(np.float16).tobytes(),
                expires_ns,
            )
            edit.put(_HEAD + probe.scope, _COUNT.pack(count + 1) + _COUNT.pack(newest_ns), newest_ns)

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        if self.failures.bit_count() == 1:
            _log.warning("the semantic cache failed (%d times so far): %r", self.failures, error)

    def _find(self, project_id: str, target: str, question: Question, threshold: float, now_ns: int) -> Lookup:
        if not self._embedder.can_read(question.text):
            return Lookup(None)
        scope = _hash([project_id, target, self._embedder.name])
        partition = _hash([question.rest, guard_signature(question.text)])
        probe = Probe(scope, partition, self._embedder.embed([question.text])[0])
        ring = self._ring(scope)
        ring.catch_up(self._entries, now_ns)
        answer_key, similarity = ring.nearest(probe, now_ns)
        return Lookup(probe, answer_key if similarity >= threshold else None, similarity)

    def _ring(self, scope: bytes) -> "_Ring":
        ring = self._rings.get(scope)
        if ring is None:
            ring = self._rings[scope] = _Ring(scope, self._most_entries, self._embedder.dimensions)
            if len(self._rings) > _MOST_RINGS:
                self._rings.popitem(last=False)
        self._rings.move_to_end(scope)
        return ring


class _Ring:
    """A worker's copy of one scope: row n is the last question whose number is n modulo the size."""

    def __init__(self, scope: bytes, size: int, dimensions: int) -> None:
        self._scope = scope
        self._size = size
        self._dimensions = dimensions
        self._seen = 0
        self._allocate(min(_FIRST_ROWS, size))

    def _allocate(self, rows: int) -> None:
        self._vectors: Vectors = np.zeros((rows, self._dimensions), np.float32)
        self._partitions = np.zeros((rows, 2), np.uint64)
        self._expires_ns = np.zeros(rows, np.int64)
        self._answers = [b""] * rows

    def catch_up(self, entries: BoundedMap, now_ns: int) -> None:
        """Read the questions that were added since the last time, by any worker."""
        head = entries.get(_HEAD + self._scope, now_ns)
        count = 0 if head is None else int(_COUNT.unpack_from(head)[0])
        if count < self._seen:
            # The scope was driven out and begun anew.
            self._seen = 0
            self._allocate(len(self._answers))
        for number in range(max(self._seen, count - self._size), count):
            row = number % self._size
            stored = entries.get(_slot_key(self._scope, row), now_ns)
            self._set(row, stored)
        self._seen = count

    def _set(self, row: int, stored: bytes | None) -> None:
        while row >= len(self._answers):
            self._grow()
        self._expires_ns[row] = 0
        if stored is None:
            return
        expires_ns, partition, answer_key = _SLOT_HEAD.unpack_from(stored)
        self._vectors[row] = np.frombuffer(stored, np.float16, offset=_SLOT_HEAD.size)
        self._partitions[row] = np.frombuffer(partition, np.uint64)
        self._expires_ns[row] = expires_ns
        self._answers[row] = answer_key

    def _grow(self) -> None:
        vectors, partitions, expires_ns, answers = self._vectors, self._partitions, self._expires_ns, self._answers
        self._allocate(min(2 * len(answers), self._size))
        self._vectors[: len(vectors)] = vectors
        self._partitions[: len(partitions)] = partitions
        self._expires_ns[: len(expires_ns)] = expires_ns
        self._answers[: len(answers)] = answers

    def nearest(self, probe: Probe, now_ns: int) -> tuple[bytes | None, float]:
        """Return the answer key and the cosine of the nearest question of the partition."""
        wanted = np.frombuffer(probe.partition, np.uint64)
        is_candidate = (self._partitions == wanted).all(axis=1) & (self._expires_ns > now_ns)
        rows = np.flatnonzero(is_candidate)
        if not rows.size:
            return None, 0.0
        similarities = self._vectors[rows] @ probe.vector
        best = int(np.argmax(similarities))
        return self._answers[int(rows[best])], float(similarities[best])


def _hash(value: object) -> bytes:
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).digest()[:_PARTITION_BYTES]


def _slot_key(scope: bytes, slot: int) -> bytes:
    return _SLOT + scope + slot.to_bytes(4, "big")
