"""Changing the strings of a JSON text, and not a byte beside them."""

import json
import re
from collections.abc import Callable

import msgspec

# Without a way back into what was matched: a text that is no JSON takes no longer than one that is.
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"(\s*+:)?', re.DOTALL)
_ESCAPE = re.compile(r'(\\(?:u[0-9A-Fa-f]{4}|["\\/bfnrt]))')
# Some senders leave line breaks in strings as they are.
_decode = json.JSONDecoder(strict=False).decode
_SURROGATE = re.compile("[\ud800-\udfff]")


def replace_strings(text: str, replace: Callable[[str], str]) -> str:
    """Return JSON text with each string that is a value replaced; keys, numbers and white space stay as they are.

    JSON inside of a string is gone through as well. Text that is no JSON is replaced in pieces between what looks like
    JSON's escapes: it may be the beginning of a JSON text that was cut.
    """
    if not _is_json(text):
        return "".join(piece if _ESCAPE.fullmatch(piece) else replace(piece) for piece in _ESCAPE.split(text))
    return _STRING.sub(lambda found: found.group() if found.group(2) else _replaced(found, replace), text)


def _replaced(literal: re.Match[str], replace: Callable[[str], str]) -> str:
    inner = literal.group(1)
    value = str(_decode(literal.group())) if "\\" in inner else inner
    is_nested = value.lstrip()[:1] in ("{", "[", '"') and _is_json(value)
    changed = replace_strings(value, replace) if is_nested else replace(value)
    if changed == value:
        return literal.group()
    return json.dumps(changed, ensure_ascii=_SURROGATE.search(changed) is not None)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except RecursionError:
        # Too deep to be looked at as a whole; its strings are found all the same.
        return True
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return True
