"""Typed reading of JSON fields: protobuf's JSON mapping with the exceptions that OTLP makes to it.

Ids are hex in either case, enums are numbers only, keys are lowerCamelCase only, ``null`` means default.
Each function raises ``Malformed`` if the field is there and has a value of the wrong type or range.
Source: OTLP specification, "JSON Protobuf Encoding".
"""

import base64
import binascii
import re

from zirkel.lib.otlp.collect import Notes
from zirkel.lib.otlp.errors import Malformed
from zirkel.lib.otlp.model import JsonLike
from zirkel.lib.otlp.protobuf import spell_double

JsonObject = dict[str, object]
Bounds = tuple[int, int]

INT64: Bounds = (-(2**63), 2**63 - 1)
UINT64: Bounds = (0, 2**64 - 1)
UINT32: Bounds = (0, 2**32 - 1)
INT32: Bounds = (-(2**31), 2**31 - 1)

_MAX_VALUE_DEPTH = 47
"""As deep as protobuf's own limit of 100 nested messages lets an attribute be."""
_INTEGER = re.compile(r"-?[0-9]{1,20}")


def read_object(owner: JsonObject, field: str) -> JsonObject:
    """Return an object; empty if there is none."""
    value = owner.get(field)
    return {} if value is None else as_object(value, field)


def as_object(value: object, field: str) -> JsonObject:
    """Return a value that must be an object."""
    if not isinstance(value, dict):
        raise Malformed(f"{field} must be an object, not {_shown(value)}")
    return value


def read_list(owner: JsonObject, field: str) -> list[object]:
    """Return an array of anything."""
    value = owner.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{field} must be an array, not {_shown(value)}")
    return value


def read_objects(owner: JsonObject, field: str) -> list[JsonObject]:
    """Return an array of objects."""
    found = []
    for item in read_list(owner, field):
        if not isinstance(item, dict):
            raise Malformed(f"{field} must hold objects, not {_shown(item)}")
        found.append(item)
    return found


def read_string(owner: JsonObject, field: str) -> str:
    """Return a text."""
    value = owner.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Malformed(f"{field} must be a string, not {_shown(value)}")
    return value


def read_boolean(owner: JsonObject, field: str) -> bool:
    """Return a truth value; false if there is none."""
    value = owner.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Malformed(f"{field} must be true or false, not {_shown(value)}")
    return value


def read_integer(owner: JsonObject, field: str, bounds: Bounds) -> int:
    """Return a whole number, sent as number or text; 0 if there is none."""
    value = owner.get(field)
    return 0 if value is None else as_integer(value, field, bounds)


def as_integer(value: object, field: str, bounds: Bounds) -> int:
    """Return a value that must be a whole number within bounds."""
    number = _whole_number(value)
    if number is None:
        raise Malformed(f"{field} must be a whole number, not {_shown(value)}")
    if not bounds[0] <= number <= bounds[1]:
        raise Malformed(f"{field} must be from {bounds[0]} to {bounds[1]}, not {_shown(value)}")
    return number


def read_enum(owner: JsonObject, field: str, notes: Notes) -> int:
    """Return an enum's number; its name is read as 0 and noted."""
    value = owner.get(field)
    if isinstance(value, str):
        notes.warn(f"{field} {value[:40]!r} was read as 0: OTLP/JSON wants the enum's number, not its name")
        return 0
    return read_integer(owner, field, INT32)


def as_double(value: object, field: str) -> float:
    """Return a value that must be a number, or the name of one that is not finite."""
    if isinstance(value, str) or (isinstance(value, int | float) and not isinstance(value, bool)):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise Malformed(f"{field} must be a number, NaN, Infinity or -Infinity, not {_shown(value)}")


def read_hex(owner: JsonObject, field: str) -> str:
    """Return an id as lower-case text, whatever it holds."""
    return read_string(owner, field).lower()


def read_attributes(owner: JsonObject) -> dict[str, JsonLike]:
    """Return ``attributes`` as plain data; of a key that comes twice the later value."""
    return _pairs(owner, "attributes", 0)


def read_value(value: JsonObject, depth: int = 0) -> JsonLike:
    """Return an AnyValue: of a sender's several kinds, which the mapping forbids, the first of this order."""
    if depth > _MAX_VALUE_DEPTH:
        raise Malformed(f"an attribute is nested more than {_MAX_VALUE_DEPTH} deep")
    if value.get("stringValue") is not None:
        return read_string(value, "stringValue")
    if value.get("boolValue") is not None:
        return read_boolean(value, "boolValue")
    if value.get("intValue") is not None:
        return read_integer(value, "intValue", INT64)
    if value.get("doubleValue") is not None:
        return spell_double(as_double(value["doubleValue"], "doubleValue"))
    if value.get("arrayValue") is not None:
        return [read_value(item, depth + 1) for item in read_objects(read_object(value, "arrayValue"), "values")]
    if value.get("kvlistValue") is not None:
        return _pairs(read_object(value, "kvlistValue"), "values", depth + 1)
    if value.get("bytesValue") is not None:
        return _bytes(value, "bytesValue")
    return None


def _pairs(owner: JsonObject, field: str, depth: int) -> dict[str, JsonLike]:
    return {
        read_string(pair, "key"): read_value(read_object(pair, "value"), depth) for pair in read_objects(owner, field)
    }


def _whole_number(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    return None


def _bytes(owner: JsonObject, field: str) -> str:
    text = read_string(owner, field)
    # The mapping allows the URL-safe alphabet and missing padding.
    plain = text.translate({45: 43, 95: 47}).rstrip("=")
    try:
        return base64.b64encode(base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)).decode("ascii")
    except (binascii.Error, ValueError) as error:
        raise Malformed(f"{field} must be base64, not {_shown(text)}") from error


def _shown(value: object) -> str:
    return repr(value)[:60]
