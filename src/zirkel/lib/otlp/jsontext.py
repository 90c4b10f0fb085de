"""JSON bodies as Python values, whatever bytes were sent."""

import json

import msgspec

from zirkel.lib.otlp.errors import Malformed


def parse_json_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in ``body``; lone surrogates in its strings become U+FFFD.

    Raises:
        Malformed: If the body is not UTF-8, not JSON, nested beyond the interpreter's depth, or not an object.
    """
    try:
        value: object = _parse(body)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Malformed(f"the body must be a JSON object, not {_kind(value)}")
    return value


def _parse(body: bytes) -> object:
    try:
        value: object = msgspec.json.decode(body)
    except ValueError:
        if b"\\u" not in body:
            raise
        # JavaScript senders cut strings in the middle of a pair; the strict parser refuses what is left of it.
        return _without_surrogates(json.loads(body.decode("utf-8"), parse_constant=_refuse_constant))
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a JSON number")


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
