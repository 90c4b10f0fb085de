"""What ``service.toml`` says, checked field by field; a fault is told with the file and the field's path. Pure."""

import re
from collections.abc import Iterator

import msgspec

from zirkel.core import CachePolicy, Invalid, ModelSpec, ServiceSpec, canonical_json
from zirkel.core.policy_check import check_resilience

_FILE = "service.toml"
_SERVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LARGEST_WEIGHT = 1e9
_LONGEST_TTL_S = 366 * 86_400


def check_service(service: ServiceSpec) -> None:
    """Return if the service makes sense.

    Raises:
        Invalid: With the first field that does not.
    """
    if not _SERVICE_NAME.fullmatch(service.name):
        raise _invalid(f"name {service.name[:200]!r} must be up to 128 letters, digits and '.', '_' or '-'")
    for path, model in _models(service):
        _check_model(path, model)
        if path.startswith("fallback") and (not model.on or len(set(model.on)) < len(model.on)):
            raise _invalid(f"{path}.on: a fallback needs at least one reason, each once")
    if service.resilience is not None:
        try:
            check_resilience(service.resilience, "resilience")
        except Invalid as error:
            raise _invalid(str(error)) from None
    if service.cache is not None:
        _check_cache(service.cache)


def _models(service: ServiceSpec) -> Iterator[tuple[str, ModelSpec]]:
    yield "model", service.model
    for index, link in enumerate(service.fallback):
        yield f"fallback[{index}]", link
    if service.baseline is not None and service.baseline.model is not None:
        yield "baseline.model", service.baseline.model


def _check_model(path: str, model: ModelSpec) -> None:
    places = [(path, model.name, model.weight)]
    places += [(f"{path}.pool[{i}]", member.name, member.weight) for i, member in enumerate(model.pool)]
    seen: set[str] = set()
    for place, full_name, weight in places:
        upstream, _, name = full_name.partition("/")
        if not upstream or not name:
            raise _invalid(f"model {full_name!r} is not of the form UPSTREAM/MODEL - at {place}.name")
        # Written so that NaN fails too.
        if not 0 < weight <= _LARGEST_WEIGHT:
            raise _invalid(f"{place}.weight: {weight} is not above 0 and at most {_LARGEST_WEIGHT:g}")
        if full_name in seen:
            raise _invalid(f"{place}.name: {full_name!r} is in this pool already; raise its weight")
        seen.add(full_name)
    try:
        canonical_json(msgspec.to_builtins(model))
    except ValueError as error:
        raise _invalid(f"parameters of {model.name!r}: {error}") from error


def _check_cache(cache: CachePolicy) -> None:
    if not 1 <= cache.ttl_s <= _LONGEST_TTL_S:
        raise _invalid(f"cache.ttl_s: {cache.ttl_s} is not from 1 to {_LONGEST_TTL_S}")
    if not 0 < cache.threshold <= 1:
        raise _invalid(f"cache.threshold: {cache.threshold} is not above 0 and at most 1")


def _invalid(said: str) -> Invalid:
    return Invalid(f"{_FILE}: {said}", path=_FILE)
