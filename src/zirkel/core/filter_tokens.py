"""The words and signs of the filter language, each with its column."""

import re
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from zirkel.core.errors import Invalid

_SPACE = " \t\r\n"
_TOKENS = re.compile(
    r"(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?P<unit>[A-Za-z_]\w*)?)"
    r"|(?P<word>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<sign><=|>=|!=|!~|[=<>~()\[\],])",
    re.ASCII,
)
_ESCAPES = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "t": "\t", "r": "\r", "/": "/"}


class TokenKind(StrEnum):
    """What a token is."""

    WORD = "word"
    SIGN = "sign"
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    END = "end"


class Token(msgspec.Struct, frozen=True):
    """One token."""

    kind: TokenKind
    text: str
    """As written; of a string what it stands for."""
    column: int
    """From 1."""

    @property
    def shown(self) -> str:
        """The token for an error message."""
        if self.kind is TokenKind.END:
            return "the end"
        return repr(self.text[:40])


def fault(column: int, message: str) -> Invalid:
    """Return the error that names a column of the filter."""
    return Invalid(f"filter, column {column}: {message}", path="filter")


def tokens(text: str) -> Iterator[Token]:
    """Yield the tokens of a filter; the last one is the end.

    Raises:
        Invalid: At a sign that is none of the language, and at a string without its end.
    """
    place = 0
    while place < len(text):
        if text[place] in _SPACE:
            place += 1
        elif text[place] in "\"'":
            value, after = _string(text, place)
            yield Token(TokenKind.STRING, value, place + 1)
            place = after
        else:
            match = _TOKENS.match(text, place)
            if match is None:
                raise fault(place + 1, f"{text[place]!r} is not understood; texts stand in quotes")
            yield Token(_kind(match), match.group(), place + 1)
            place = match.end()
    yield Token(TokenKind.END, "", len(text) + 1)


def _kind(match: re.Match[str]) -> TokenKind:
    if match["unit"]:
        return TokenKind.DURATION
    return TokenKind(match.lastgroup or "sign")


def _string(text: str, start: int) -> tuple[str, int]:
    """Return the string whose quote opens at ``start``, and the place behind its end."""
    quote, place, found = text[start], start + 1, list[str]()
    while place < len(text):
        sign = text[place]
        if sign == quote:
            return "".join(found), place + 1
        if sign == "\\":
            place += 1
            escaped = text[place : place + 1]
            if escaped not in _ESCAPES:
                raise fault(place, f"'\\{escaped}' is no escape; known are \\\\ \\\" \\' \\n \\t \\r")
            sign = _ESCAPES[escaped]
        elif "\ud800" <= sign <= "\udfff":
            raise fault(place + 1, "half of a surrogate pair is no character")
        found.append(sign)
        place += 1
    raise fault(start + 1, f"the text that begins here has no closing {quote}")
