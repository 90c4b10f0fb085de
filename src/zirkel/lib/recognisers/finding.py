"""Finding what is to be masked in one text, as UTF-8."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zirkel.lib.patterns import Pattern
from zirkel.lib.recognisers.forms import Accept

_POINT = ord(".")


@dataclass(frozen=True, slots=True)
class Hit:
    """Where something was found, in bytes, and what is to stand in its place."""

    start: int
    end: int
    placeholder: bytes


@dataclass(frozen=True, slots=True)
class Recogniser:
    """Finds one kind of datum. Takes time in proportion to the text, if ``accept`` judges texts of bounded length."""

    pattern: Pattern
    placeholder: bytes
    accept: Accept | None = None
    joined_by: bytes = b""
    """See ``forms.Form``."""

    def find(self, data: bytes) -> Iterator[Hit]:
        """Yield what is found, from the left, without overlaps."""
        position = 0
        while position <= len(data):
            span = self.pattern.search(data, position)
            if span is None:
                return
            end = self._accepted_end(data, span.start, span.end)
            if end > span.start and not (self.joined_by and _is_joined(data, span.start, end, self.joined_by)):
                yield Hit(span.start, end, self.placeholder)
                position = end
            else:
                position = span.begin + 1

    def _accepted_end(self, data: bytes, start: int, end: int) -> int:
        if self.accept is None:
            return end
        # What is judged is ASCII by its pattern.
        return start + self.accept(data[start:end].decode("ascii", "replace"))


def replace_hits(data: bytes, hits: Sequence[Hit]) -> bytes:
    """Return ``data`` with placeholders; overlapping hits become one, with the placeholder of the first and longest."""
    pieces, position, covered = [], 0, 0
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if hit.start >= covered:
            pieces += [data[position : hit.start], hit.placeholder]
        covered = position = max(covered, hit.end)
    return b"".join([*pieces, data[position:]])


def _is_joined(data: bytes, start: int, end: int, joiners: bytes) -> bool:
    before, after = data[max(0, start - 2) : start], data[end : end + 2]
    return (len(before) == 2 and _joins(before[1], before[0], joiners)) or (
        len(after) == 2 and _joins(after[0], after[1], joiners)
    )


def _joins(joiner: int, neighbour: int, joiners: bytes) -> bool:
    if joiner == _POINT:
        return _is_digit(neighbour)
    return joiner in joiners and (_is_digit(neighbour) or chr(neighbour).isalpha())


def _is_digit(character: int) -> bool:
    return 0x30 <= character <= 0x39
