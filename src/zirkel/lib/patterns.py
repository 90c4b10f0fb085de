"""Regular expressions in linear time (RE2), over UTF-8, and for text of which more is to come."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import re2

from zirkel.lib.pattern_prefix import PatternFault, prefix_pattern

__all__ = ["Beginnings", "Pattern", "PatternFault", "Span", "compile_beginnings", "compile_pattern", "compile_whole"]

_MAX_MEMORY_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Span:
    """Where a pattern matches, in bytes."""

    begin: int
    """Where the match begins."""
    start: int
    """Where what is reported of it starts, and where that ends: the match, or a group of it."""
    end: int


class _Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...


class _Compiled(Protocol):
    @property
    def groups(self) -> int: ...
    def search(self, text: bytes, pos: int) -> _Match | None: ...


class Pattern:
    """A compiled pattern."""

    def __init__(self, source: str, compiled: _Compiled, group: int) -> None:
        self.source = source
        self._compiled = compiled
        self._group = group

    @property
    def matches_nothing(self) -> bool:
        """True if the empty text is a match."""
        return self._compiled.search(b"", 0) is not None

    def search(self, data: bytes, start: int) -> Span | None:
        """Return the leftmost match that begins at ``start`` or later; what stands before ``start`` is context."""
        found = self._compiled.search(data, start)
        if found is None:
            return None
        return Span(found.span()[0], *found.span(self._group))


class Beginnings:
    """Finds text at the end that may be the beginning of a match."""

    def __init__(self, compiled: _Compiled) -> None:
        self._compiled = compiled

    def search(self, data: bytes, start: int) -> int:
        """Return where the longest such text starts, ``start`` or later; ``len(data)`` if there is none."""
        found = self._compiled.search(data, start)
        return len(data) if found is None else found.span()[0]


def compile_pattern(source: str, *, group: int = 0) -> Pattern:
    """Return a pattern ready to search with.

    Args:
        source: In RE2's syntax.
        group: Number of the group whose text is reported; 0 for the whole match.

    Raises:
        PatternFault: If it is malformed, too large, or of a form whose beginnings cannot be found.

    Source: https://github.com/google/re2/wiki/Syntax
    """
    pattern = Pattern(source, _compile(source), group)
    compile_beginnings([pattern])
    return pattern


def compile_whole(source: str, *, group: int = 0) -> Pattern:
    """Return a pattern for texts that are there as a whole; as ``compile_pattern``, but a large one compiles fast.

    Raises:
        PatternFault: If it is malformed or too large, or has no such group.
    """
    compiled = _compile(source)
    if not 0 <= group <= compiled.groups:
        raise PatternFault(f"there is no group {group}; the pattern has {compiled.groups}")
    return Pattern(source, compiled, group)


def compile_beginnings(patterns: Sequence[Pattern]) -> Beginnings:
    """Return what finds the beginnings of matches of any of ``patterns``.

    Raises:
        PatternFault: If all together are too large.
    """
    prefixes = [prefix_pattern(pattern.source) for pattern in patterns]
    return Beginnings(_compile(f"(?:{'|'.join(prefixes)})\\z"))


def _compile(source: str) -> _Compiled:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    try:
        compiled: _Compiled = re2.compile(source, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        raise PatternFault(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None
    except UnicodeEncodeError:
        raise PatternFault("the pattern has half of a surrogate pair") from None
    return compiled
