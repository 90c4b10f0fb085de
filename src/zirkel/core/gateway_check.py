"""``gateway.toml`` read and checked as a whole: what is wrong is told with the path of the fault. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import date
from urllib.parse import urlsplit

import msgspec

from zirkel.core.canonical import Json, canonical_json, sha256_hex
from zirkel.core.definitions import JsonObject, PriceSpec
from zirkel.core.errors import Invalid
from zirkel.core.gateway_config import (
    DIALECT_FORMATS,
    GatewayConfig,
    ModelAlias,
    SubjectLimits,
    TargetSpec,
    UpstreamSpec,
)
from zirkel.core.gateway_text import plain_config
from zirkel.core.policy_check import LONGEST_USER, check_limits, check_resilience

MAX_TEXT_BYTES = 4 * 1024 * 1024
PRICE_BUCKETS = (
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "input_audio",
    "input_image",
    "output",
    "reasoning",
    "output_audio",
    "output_image",
)
"""What a price can be for: disjoint kinds of token."""

_SERVICE = "service:"
_UPSTREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ALIAS = re.compile(r"[^\s/*\x00-\x1f\x7f]{1,128}")
_AZURE = re.compile(r"/openai/v1/?$|\?(.*&)?api-version=[^&]")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
_DECIMAL = re.compile(r"\d{1,12}(\.\d{1,18})?", re.ASCII)
_AT = re.compile(r"(?P<said>.*?)(?: - at `(?:key in )?\$(?P<at>[^`]*)`)?", re.DOTALL)
_NAMED = re.compile(r"(?:unknown|missing required) field `([^`]*)`")


def parse_gateway_config(text: str) -> GatewayConfig:
    """Return the document that a TOML text says, checked but for the upstreams that are set elsewhere.

    Raises:
        Invalid: With the path of the fault, e.g. ``model[2].target[0].name``; with a line for what is no TOML.
    """
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise Invalid(f"the document has more than {MAX_TEXT_BYTES // 2**20} MiB")
    try:
        plain: object = msgspec.toml.decode(text)
    except msgspec.DecodeError as error:
        raise Invalid(f"this is no TOML: {error}") from error
    return convert_gateway_config(plain)


def convert_gateway_config(plain: object) -> GatewayConfig:
    """Return the document that plain values (as from JSON) say, checked as ``parse_gateway_config`` does.

    Raises:
        Invalid: With the path of the fault.
    """
    try:
        config = msgspec.convert(plain, GatewayConfig)
    except msgspec.ValidationError as error:
        found = _AT.fullmatch(str(error))
        said, at = (found["said"], found["at"] or "") if found else (str(error), "")
        named = _NAMED.search(said)
        raise _invalid(_join(at.lstrip("."), named.group(1) if named else ""), said) from error
    check_gateway_config(config)
    return config


def config_json(config: GatewayConfig) -> str:
    """Return the document's canonical JSON; what is left at its default is left out."""
    return _canonical(config).decode()


def config_digest(config: GatewayConfig) -> str:
    """Return what identifies a document by its content: SHA-256 of its canonical JSON, 64 hex digits."""
    return sha256_hex(_canonical(config))


def _canonical(config: GatewayConfig) -> bytes:
    plain: Json = msgspec.to_builtins(plain_config(config))
    return canonical_json(plain)


def check_gateway_config(config: GatewayConfig) -> None:
    """Return if a document makes sense in itself.

    Raises:
        Invalid: With the path of the fault.
    """
    check_limits(config.limits, "limits")
    check_resilience(config.resilience, "resilience")
    for index, upstream in enumerate(config.upstream):
        check_upstream(upstream, f"upstream[{index}]")
    _check_unique((u.name for u in config.upstream), "upstream", "name")
    for index, alias in enumerate(config.model):
        _check_alias(alias, f"model[{index}]")
    _check_unique((m.name for m in config.model), "model", "name")
    for index, subject in enumerate(config.limit):
        _check_subject(subject, f"limit[{index}]")
    _check_unique((f"user {s.user!r}" if s.user else f"service {s.service!r}" for s in config.limit), "limit", "")
    for index, price in enumerate(config.price):
        check_price(price, f"price[{index}]")
    _check_unique((f"{p.model} from {p.effective}" for p in config.price), "price", "model")


def missing_upstreams(config: GatewayConfig, known: Collection[str]) -> Mapping[str, str]:
    """Return the upstreams that models name and that are neither in the document nor ``known``, by path."""
    present = {upstream.name for upstream in config.upstream} | set(known)
    return {path: name for path, name in _used_upstreams(config) if name not in present}


def check_upstreams(config: GatewayConfig, known: Collection[str]) -> None:
    """Return if each upstream that a model names is in the document or ``known``.

    Raises:
        Invalid: With the path of the first that is not.
    """
    for path, name in missing_upstreams(config, known).items():
        raise _invalid(path, f"there is no upstream {name!r}; add an [[upstream]], or: zirkel upstreams set {name}")


def _used_upstreams(config: GatewayConfig) -> Iterable[tuple[str, str]]:
    for number, alias in enumerate(config.model):
        for position, target in enumerate(alias.target):
            place = f"model[{number}].target[{position}]"
            yield f"{place}.name", target.name.partition("/")[0]
            for index, member in enumerate(target.pool):
                yield f"{place}.pool[{index}].name", member.name.partition("/")[0]


def is_alias(name: str) -> bool:
    """Return whether callers can use ``name`` for a model of the document."""
    return bool(_ALIAS.fullmatch(name)) and not name.startswith(_SERVICE)


def check_upstream(upstream: UpstreamSpec, path: str) -> None:
    """Return if one upstream makes sense.

    Raises:
        Invalid: With the path of the fault, ``path`` being where the upstream stands.
    """
    if not _UPSTREAM.fullmatch(upstream.name):
        raise _invalid(f"{path}.name", f"{upstream.name[:200]!r} must be up to 128 letters, digits and '.', '_' or '-'")
    if not _is_address(upstream.base_url):
        raise _invalid(
            f"{path}.base_url",
            "this must be http(s)://HOST/PATH, without user name, password, fragment or spaces",
        )
    if upstream.dialect == "azure" and not _AZURE.search(upstream.base_url):
        raise _invalid(f"{path}.base_url", "an address of Azure's ends with /openai/v1, or has an api-version")
    known = DIALECT_FORMATS.get(upstream.dialect)
    if known is None:
        raise _invalid(f"{path}.dialect", f"{upstream.dialect!r} is none of {', '.join(DIALECT_FORMATS)}")
    for index, name in enumerate(upstream.formats):
        if name not in known:
            raise _invalid(f"{path}.formats[{index}]", f"the dialect {upstream.dialect!r} has {', '.join(known)}")
        if name in upstream.formats[:index]:
            raise _invalid(f"{path}.formats[{index}]", f"{name!r} is named twice")
    if upstream.credential_variable and not _VARIABLE.fullmatch(upstream.credential_variable):
        # Most likely the credential itself; it is not repeated.
        raise _invalid(f"{path}.credential_variable", "this is no name of an environment variable")


def _is_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
    return has_host and "@" not in parts.netloc and not parts.fragment and all("!" <= c <= "~" for c in text)


def _check_alias(alias: ModelAlias, path: str) -> None:
    if not _ALIAS.fullmatch(alias.name):
        said = f"{alias.name[:200]!r} must be up to 128 characters without spaces, '/' and '*'"
        raise _invalid(f"{path}.name", f"{said}; UPSTREAM/MODEL can be called without an alias")
    if alias.name.startswith(_SERVICE):
        raise _invalid(f"{path}.name", f"{alias.name!r} would hide a service; names with {_SERVICE!r} are theirs")
    if not alias.target:
        raise _invalid(f"{path}.target", "a model needs at least one target")
    for index, target in enumerate(alias.target):
        check_target(target, f"{path}.target[{index}]", is_fallback=index > 0)
    if alias.resilience is not None:
        check_resilience(alias.resilience, f"{path}.resilience")


def check_target(target: TargetSpec, path: str, *, is_fallback: bool) -> None:
    """Return if one link of a chain makes sense.

    Raises:
        Invalid: With the path of the fault, ``path`` being where the link stands.
    """
    _check_model_name(target.name, f"{path}.name")
    _check_weight(target.weight, f"{path}.weight")
    names = [target.name]
    for index, member in enumerate(target.pool):
        _check_model_name(member.name, f"{path}.pool[{index}].name")
        _check_weight(member.weight, f"{path}.pool[{index}].weight")
        if member.name in names:
            raise _invalid(f"{path}.pool[{index}].name", f"{member.name!r} is in this pool already; raise its weight")
        names.append(member.name)
    if is_fallback and (not target.on or len(set(target.on)) < len(target.on)):
        raise _invalid(f"{path}.on", "a fallback needs at least one reason, each once")
    _check_plain(target.parameters, f"{path}.parameters")


def _check_plain(parameters: JsonObject, path: str) -> None:
    if _has_null(parameters):
        raise _invalid(path, "null is nothing that TOML can say; leave the parameter out")
    try:
        canonical_json(parameters)  # type: ignore[arg-type]  # (whether it is JSON is what is asked)
    except (ValueError, TypeError) as error:
        raise _invalid(path, f"these are no JSON values: {error}") from error


def _has_null(value: object) -> bool:
    if isinstance(value, dict | list):
        return any(map(_has_null, value.values() if isinstance(value, dict) else value))
    return value is None


def _check_model_name(name: str, path: str) -> None:
    upstream, _, model = name.partition("/")
    if not _UPSTREAM.fullmatch(upstream) or not model.strip():
        raise _invalid(path, f"{name[:200]!r} is not of the form UPSTREAM/MODEL")


def _check_weight(weight: float, path: str) -> None:
    # Written so that NaN fails too.
    if not 0 < weight <= 1e9:
        raise _invalid(path, f"{weight} is not above 0 and at most 1e9")


def _check_subject(subject: SubjectLimits, path: str) -> None:
    if bool(subject.user) == bool(subject.service):
        raise _invalid(f"{path}.user", "name either a user or a service")
    if len(subject.user or subject.service) > LONGEST_USER:
        raise _invalid(f"{path}.user" if subject.user else f"{path}.service", f"at most {LONGEST_USER} characters")
    check_limits(subject.limits, f"{path}.limits")


def check_price(price: PriceSpec, path: str) -> None:
    """Return if one price makes sense.

    Raises:
        Invalid: With the path of the fault, ``path`` being where the price stands.
    """
    _check_model_name(price.model, f"{path}.model")
    check_day(price.effective, f"{path}.effective")
    values = {bucket: getattr(price, bucket) for bucket in PRICE_BUCKETS}
    if all(value is None for value in values.values()):
        raise _invalid(path, "a price without a number is no price; name input, output, or another kind of token")
    for bucket, value in values.items():
        if value is not None and not _DECIMAL.fullmatch(value):
            raise _invalid(f"{path}.{bucket}", f"{value!r} is not a decimal of at least 0, in quotes")


def check_day(text: str, path: str) -> date:
    """Return the day that ``YYYY-MM-DD`` names, from 1970 to 2199.

    Raises:
        Invalid: If there is no such day, with ``path``.
    """
    try:
        found = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) else None
    except ValueError:
        found = None
    # Nanoseconds since 1970 have 64 bits, signed, and no use before that.
    if found is None or not 1970 <= found.year < 2200:
        raise _invalid(path, f"{text!r} is no day from 1970 on, written YYYY-MM-DD")
    return found


def _check_unique(names: Iterable[str], section: str, field: str) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise _invalid(_join(f"{section}[{index}]", field), f"{name} occurs twice")
        seen.add(name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _invalid(path: str, said: str) -> Invalid:
    return Invalid(f"{path}: {said}" if path else said, path=path or None)
