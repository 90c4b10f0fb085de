"""Whether a request is one that a provider takes, by the types that the provider's own package has for it."""

import base64
import binascii
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from tests.flows.provider_script import NotValidError

_LISTS = ("Iterable", "Sequence", "SequenceNotStr", "list")
_NUMBERS = (int, float)


def check_shape(value: object, shape: object) -> None:
    """Return if ``value`` (parsed JSON) has the shape of a TypedDict, or of one of a union of them.

    That is: every required member, no unknown one, at any depth.

    Raises:
        NotValidError: With the path of each fault.
    """
    found = _faults(value, shape, "")
    if found:
        raise NotValidError("; ".join(found[:5]))


def decoded(data: str) -> bytes:
    """Return what base64 says.

    Raises:
        NotValidError: If it is none.
    """
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise NotValidError(f"not base64: {error}") from None


@lru_cache
def _members(shape: type) -> Mapping[str, object]:
    return typing.get_type_hints(shape, include_extras=True)


def _faults(value: object, shape: object, path: str) -> list[str]:
    origin, inner = typing.get_origin(shape), typing.get_args(shape)
    if shape in (typing.Any, object):
        return []
    if isinstance(shape, type) and hasattr(shape, "__required_keys__"):
        return _member_faults(value, shape, path)
    if origin in (typing.Required, typing.NotRequired, typing.Annotated):
        return _faults(value, inner[0], path)
    if origin is typing.Literal:
        return [] if value in inner else [f"{path}: {value!r} is none of {inner}"]
    if origin in (typing.Union, types.UnionType):
        return _union_faults(value, inner, path)
    if getattr(origin, "__name__", "") in _LISTS:
        return _list_faults(value, inner[0], path)
    if origin is dict or shape is dict:
        return [] if isinstance(value, dict) else [f"{path}: is no object"]
    return _plain_faults(value, shape, path)


def _plain_faults(value: object, shape: object, path: str) -> list[str]:
    if shape is float and isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return []
    if shape is type(None) or shape is None:
        return [] if value is None else [f"{path}: is not null"]
    is_right = isinstance(shape, type) and type(value) is shape
    return [] if is_right else [f"{path}: {value!r:.60} is no {getattr(shape, '__name__', shape)}"]


def _member_faults(value: object, shape: type, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: is no object"]
    known = _members(shape)
    required: Iterable[str] = getattr(shape, "__required_keys__", ())
    found = [f"{path}.{name}: is missing" for name in required if name not in value]
    found += [f"{path}.{name}: is unknown" for name in value if name not in known]
    for name, member in value.items():
        if name in known:
            found += _faults(member, known[name], f"{path}.{name}")
    return found


def _list_faults(value: object, shape: object, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: is no list"]
    return [fault for index, member in enumerate(value) for fault in _faults(member, shape, f"{path}[{index}]")]


def _union_faults(value: object, shapes: Sequence[object], path: str) -> list[str]:
    """Return no fault if one of the shapes fits, else those of the shape that fits best."""
    tries = [_faults(value, shape, path) for shape in shapes]
    return min(tries, key=len)
