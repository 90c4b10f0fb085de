"""``GET /v1/models``: what a key may name as ``model``, in a shape that OpenAI's and Anthropic's clients read."""

from collections.abc import Iterator

import msgspec

from zirkel.core import Forbidden, Json, NotFound, iso_utc
from zirkel.gateway.plan import DEFAULT_ENVIRONMENT, SERVICE
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.snapshot import SnapshotKey


def model_list(prepared: Prepared, key: SnapshotKey, name: str) -> bytes:
    """Return the services and models that a key may call; or the one of ``name``, if that is not empty.

    Raises:
        NotFound: If there is none of this name for the key.
    """
    names = sorted(_names(prepared, key))
    created_ns = prepared.snapshot.published_ns
    if name:
        if name not in names:
            raise NotFound(f"no model {name[:200]!r}; see GET /v1/models", path="model")
        return msgspec.json.encode(_entry(name, created_ns))
    page: dict[str, Json] = {"object": "list", "data": [_entry(found, created_ns) for found in names]}
    page |= {"has_more": False, "first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return msgspec.json.encode(page)


def _names(prepared: Prepared, key: SnapshotKey) -> Iterator[str]:
    snapshot, prefix = prepared.snapshot, f"{key.project_id}/"
    for place, route in snapshot.routes.items():
        if place.startswith(prefix) and _may_use(prepared, key, f"{SERVICE}{route.service}", route.service):
            is_default = route.environment == DEFAULT_ENVIRONMENT
            yield f"{SERVICE}{route.service}" if is_default else f"{SERVICE}{route.service}@{route.environment}"
    for place, alias in snapshot.models.items():
        if place.startswith(prefix) and _may_use(prepared, key, alias.name, ""):
            yield alias.name


def _may_use(prepared: Prepared, key: SnapshotKey, name: str, service: str) -> bool:
    try:
        prepared.check_models(prepared.scopes(key, key.user, service), name)
    except Forbidden:
        return False
    return True


def _entry(name: str, created_ns: int) -> dict[str, Json]:
    openai: dict[str, Json] = {"id": name, "object": "model", "created": created_ns // 10**9, "owned_by": "zirkel"}
    return openai | {"type": "model", "display_name": name, "created_at": iso_utc(created_ns)}
