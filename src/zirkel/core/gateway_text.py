"""The gateway's document written as TOML, the way a person would: ``[[tables]]``, and nothing that is a default.

The common TOML writers put short tables of an array on one line; a document that people go on editing needs them apart.

Source: TOML 1.0.0.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from zirkel.core.definitions import JsonObject
from zirkel.core.gateway_config import GatewayConfig

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def write_gateway_config(config: GatewayConfig) -> str:
    """Return the document as TOML; reading it gives an equal document."""
    plain = plain_config(config)
    return "\n".join(_table(plain, "")).lstrip("\n") + "\n" if plain else ""


def write_toml(values: Mapping[str, object]) -> str:
    """Return plain values as TOML; reading it gives equal values. ``None`` has no form there.

    Raises:
        ValueError: If a value has no form in TOML.
    """
    return "\n".join(_table(values, "")).lstrip("\n") + "\n" if values else ""


def plain_config(config: GatewayConfig) -> JsonObject:
    """Return the document as plain values; what equals its default is left out, however it was written."""
    return _plain_struct(config)


def _plain_struct(struct: msgspec.Struct) -> JsonObject:
    found: JsonObject = {}
    for field in msgspec.structs.fields(struct):
        value: object = getattr(struct, field.name)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if value != default:
            found[field.encode_name] = _plain(value)
    return found


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return _plain_struct(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _table(values: Mapping[str, object], path: str) -> Iterator[str]:
    later = {key: value for key, value in values.items() if _is_table(value) or _is_tables(value)}
    for key, value in values.items():
        if key not in later:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in later.items():
        name = f"{path}.{_key(key)}" if path else _key(key)
        if isinstance(value, Mapping):
            yield from ("", f"[{name}]", *_table(value, name))
            continue
        assert isinstance(value, Sequence)
        for item in value:
            yield from ("", f"[[{name}]]", *_table(item, name))


def _is_table(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        # Python's shortest form may have an exponent without a point, which TOML takes.
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    raise ValueError(f"TOML cannot say {type(value).__name__}")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
