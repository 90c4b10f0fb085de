"""From a regular expression to the one that matches the beginnings of its matches.

A stream is searched while more of it is to come. Whether text at its end may be the beginning of a match is itself a
question for a regular expression, and that one can be written down from the first: the beginnings of ``xy`` are those
of ``x``, and ``x`` followed by those of ``y``; the beginnings of ``x*`` are ``x*`` followed by those of ``x``.
"""

import re
from dataclasses import dataclass

_DEEPEST = 50
_FLAGS = re.compile(r"\(\?([a-zA-Z]*(?:-[a-zA-Z]+)?)\)")
_GROUP = re.compile(r"\((?:\?P?<\w+>|\?([a-zA-Z]*(?:-[a-zA-Z]+)?):)?")
_QUANTIFIER = re.compile(r"(?:([*+?])|\{(\d+)(?:(,)(\d*))?\})(\??)")
_ESCAPE = re.compile(r"\\(?:[pP]\{[^}]*\}|[pP].|x\{[0-9A-Fa-f]+\}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?[a-z]+:\]|\\(?:[pPx]\{[^}]*\}|.)|[^\]\\])*\]", re.DOTALL)
_ASSERTIONS = frozenset({r"\b", r"\B", r"\A", r"\z", "^", "$"})


class PatternFault(ValueError):
    """A pattern cannot be used. ``str()`` says why."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a pattern, without its groups' names and numbers, and what matches the beginnings of its matches."""

    whole: str
    prefix: str
    """Matches the empty text, and the whole, too."""


def prefix_pattern(pattern: str) -> str:
    """Return a pattern that matches exactly the beginnings of the matches of ``pattern``, the empty one included.

    Assertions are kept where text follows them, so it must be matched where the text stands.

    Args:
        pattern: A pattern that RE2 has accepted.

    Raises:
        PatternFault: If it uses what is not understood here: flags amid a group, ``\\C`` or ``\\Q``.

    Source: https://github.com/google/re2/wiki/Syntax
    """
    reader = _Reader(pattern)
    piece = reader.choice(0)
    if not reader.is_done:
        raise PatternFault(f"{pattern!r} is not understood at character {reader.position + 1}")
    return piece.prefix


class _Reader:
    """Reads a pattern from left to right."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self.position = 0

    @property
    def is_done(self) -> bool:
        return self.position == len(self._pattern)

    def choice(self, depth: int) -> _Piece:
        """Read alternatives up to the end of the group. Flags at their beginning hold for all of them."""
        if depth > _DEEPEST:
            raise PatternFault(f"groups are nested more than {_DEEPEST} deep")
        flags = self._take(_FLAGS)
        if flags is not None:
            return _grouped(flags.group(1), self.choice(depth + 1))
        options = [self._sequence(depth)]
        while self._pattern.startswith("|", self.position):
            self.position += 1
            options.append(self._sequence(depth))
        if len(options) == 1:
            return options[0]
        wholes, prefixes = (option.whole for option in options), (option.prefix for option in options)
        return _Piece(f"(?:{'|'.join(wholes)})", f"(?:{'|'.join(prefixes)})")

    def _sequence(self, depth: int) -> _Piece:
        pieces = []
        while not self.is_done and self._pattern[self.position] not in "|)":
            piece = self._atom(depth)
            while (quantifier := self._take(_QUANTIFIER)) is not None:
                piece = _repeated(piece, quantifier)
            pieces.append(piece)
        return _joined(pieces)

    def _atom(self, depth: int) -> _Piece:
        start = self._pattern[self.position]
        if start == "(":
            return self._group(depth)
        found = self._take(_ESCAPE) or self._take(_CLASS)
        if found is None:
            self.position += 1
            text = rf"\{start}" if start in "{}]" else start
        else:
            text = found.group()
        if text in (r"\C", r"\Q"):
            raise PatternFault(f"{text} is not supported; write the characters themselves")
        return _Piece(text, "") if text in _ASSERTIONS else _Piece(text, f"(?:{text})?")

    def _group(self, depth: int) -> _Piece:
        if self._take(_FLAGS) is not None:
            raise PatternFault("flags such as (?i) go to the beginning of the pattern or of a group")
        opening = self._take(_GROUP)
        assert opening is not None, "the pattern has a parenthesis here"
        inner = self.choice(depth + 1)
        if not self._pattern.startswith(")", self.position):
            raise PatternFault(f"a group is not closed at character {self.position + 1}")
        self.position += 1
        return _grouped(opening.group(1) or "", inner)

    def _take(self, what: re.Pattern[str]) -> re.Match[str] | None:
        found = what.match(self._pattern, self.position)
        if found is not None:
            self.position = found.end()
        return found


def _grouped(flags: str, inner: _Piece) -> _Piece:
    return _Piece(f"(?{flags}:{inner.whole})", f"(?{flags}:{inner.prefix})")


def _joined(pieces: list[_Piece]) -> _Piece:
    # By halves, so that a long literal does not nest as deep as it is long.
    if not pieces:
        return _Piece("", "")
    if len(pieces) == 1:
        return pieces[0]
    first, second = _joined(pieces[: len(pieces) // 2]), _joined(pieces[len(pieces) // 2 :])
    return _Piece(first.whole + second.whole, f"(?:{first.prefix}|{first.whole}{second.prefix})")


def _repeated(piece: _Piece, quantifier: re.Match[str]) -> _Piece:
    sign, least, comma, most, _ = quantifier.groups()
    whole = f"(?:{piece.whole}){quantifier.group()}"
    if sign == "?":
        return _Piece(whole, piece.prefix)
    if sign or (comma and not most):
        return _Piece(whole, f"(?:{piece.whole})*{piece.prefix}")
    times = int(most or least)
    if times == 0:
        return _Piece(whole, "")
    return _Piece(whole, f"(?:{piece.whole}){{0,{times - 1}}}{piece.prefix}")
