"""Finding and replacing in text that arrives piece by piece, with the same result however it is cut.

Text is released as soon as no later text can change what is found in it: everything before the first place that may be
the beginning of a match (see ``lib.pattern_prefix``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zirkel.lib.patterns import Beginnings, Pattern, compile_beginnings

MAX_HELD_BYTES = 8192
"""How much text is held back at most: what after that may still be the beginning of a match counts as one."""
OVERLONG = "overlong"
"""What such a match is reported as."""

Accept = Callable[[str], int]
"""Judges what a pattern found, e.g. by its check digits: how many of its characters it is, 0 for nothing."""
OnMatch = Callable[[str, str], str]
"""Takes what was found (a label) and its text; returns what stands in its place."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """Finds one thing."""

    label: str
    pattern: Pattern
    accept: Accept | None = None

    def first(self, data: bytes, start: int, limit: int) -> "Hit | None":
        """Return the first match whose beginning is at ``start`` or later and before ``limit``."""
        while start <= len(data):
            span = self.pattern.search(data, start)
            if span is None or span.begin >= limit:
                return None
            end = self._accepted_end(data, span.start, span.end)
            if end > span.start:
                return Hit(span.begin, span.start, end, self.label)
            start = span.begin + 1
        return None

    def _accepted_end(self, data: bytes, start: int, end: int) -> int:
        if self.accept is None:
            return end
        text = data[start:end].decode("utf-8", "surrogatepass")
        return start + len(text[: self.accept(text)].encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Hit:
    """A match, in bytes. ``begin`` is before ``start`` where the pattern looks at what stands before."""

    begin: int
    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class MatcherSet:
    """Matchers that search together. Of those that start at the same place the longer, then the earlier one counts."""

    matchers: tuple[Matcher, ...]
    beginnings: Beginnings


def compile_matchers(matchers: Sequence[Matcher]) -> MatcherSet:
    """Return ``matchers`` as a set.

    Raises:
        PatternFault: If all together are too large.
    """
    return MatcherSet(tuple(matchers), compile_beginnings([matcher.pattern for matcher in matchers]))


class Scanner:
    """Replaces what a set of matchers finds in one text. Overlapping matches are replaced as one."""

    def __init__(self, matchers: MatcherSet, on_match: OnMatch, *, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        self._set = matchers
        self._on_match = on_match
        self._max_held_bytes = max_held_bytes
        self._data = b""
        self._position = 0
        """What is before has been released; one byte of it stays, as context."""

    @property
    def held_bytes(self) -> int:
        """How much of the text is held back now."""
        return len(self._data) - self._position

    def feed(self, text: str) -> str:
        """Return what can be released after ``text``."""
        fresh = text.encode("utf-8", "surrogatepass")
        released: list[bytes] = []
        at = 0
        while at < len(fresh):
            end = _rune_boundary(fresh, at + self._max_held_bytes - self.held_bytes)
            self._data += fresh[at:end]
            at = end
            released.append(self._drain(is_last=False, is_full=at < len(fresh)))
        return b"".join(released).decode("utf-8", "surrogatepass")

    def finish(self) -> str:
        """Return the rest, the text being complete."""
        return self._drain(is_last=True, is_full=False).decode("utf-8", "surrogatepass")

    def _drain(self, *, is_last: bool, is_full: bool) -> bytes:
        data, before = self._data, self._position
        limit = len(data) + 1 if is_last else self._set.beginnings.search(data, before)
        released: list[bytes] = []
        hits = [matcher.first(data, before, limit) for matcher in self._set.matchers]
        while live := [hit for hit in hits if hit is not None]:
            cluster = _cluster(live)
            # More may still begin inside of the cluster, so it waits, unless there is no room for that.
            earliest = min(hit.begin for hit in live)
            if cluster.end > limit and not (is_full and earliest <= before):
                limit = earliest
                break
            self._release(released, cluster.start)
            released.append(self._replaced(cluster.label, data[cluster.start : cluster.end]))
            self._position = cluster.end
            hits = [self._next(index, hit, limit) for index, hit in enumerate(hits)]
        self._release(released, min(limit, len(data)))
        if is_full and self._position == before:
            released.append(self._replaced(OVERLONG, data[before:]))
            self._position = len(data)
        kept = max(0, self._position - 1)
        self._data, self._position = data[kept:], self._position - kept
        return b"".join(released)

    def _next(self, index: int, hit: Hit | None, limit: int) -> Hit | None:
        if hit is None or hit.begin >= self._position:
            return hit
        return self._set.matchers[index].first(self._data, self._position, limit)

    def _release(self, released: list[bytes], end: int) -> None:
        if end > self._position:
            released.append(self._data[self._position : end])
            self._position = end

    def _replaced(self, label: str, found: bytes) -> bytes:
        text = found.decode("utf-8", "surrogatepass")
        return self._on_match(label, text).encode("utf-8", "surrogatepass")


def _cluster(hits: Sequence[Hit]) -> Hit:
    """Return the first match, made longer by those that overlap it: a part of one would be left over otherwise."""
    ordered = sorted(hits, key=lambda hit: (hit.start, -hit.end))
    first, end = ordered[0], ordered[0].end
    for hit in ordered[1:]:
        if hit.start >= end:
            break
        end = max(end, hit.end)
    return Hit(first.begin, first.start, end, first.label)


def _rune_boundary(data: bytes, end: int) -> int:
    """Return ``end``, or where the character starts that ``end`` would cut."""
    if end >= len(data):
        return len(data)
    while end > 0 and data[end] & 0xC0 == 0x80:
        end -= 1
    return end
