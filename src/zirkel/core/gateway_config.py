"""``gateway.toml``: what a project's gateway is to do, beside its releases. One document, refused or applied whole."""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from zirkel.core.definitions import JsonObject, PriceSpec
from zirkel.core.policy import CaptureMode, FallbackReason, Limits, PoolMember, Resilience

DIALECT_FORMATS: Mapping[str, tuple[str, ...]] = {
    "openai": ("chat", "responses", "completions", "embeddings"),
    "azure": ("chat", "responses", "completions", "embeddings"),
    "anthropic": ("messages", "count_tokens"),
    "gemini": ("gemini", "embeddings"),
    "bedrock": ("converse",),
}
"""How upstreams may be spoken to, and the wire formats of each."""


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class UpstreamSpec(_Strict, frozen=True, kw_only=True):
    """Where models are called."""

    name: str
    base_url: str
    dialect: str = "openai"
    """One of ``DIALECT_FORMATS``."""
    formats: list[str] = []
    """Wire formats it speaks, if fewer than its dialect, e.g. ``["chat", "embeddings"]``."""
    model: str = ""
    """Sent instead of the model's name."""
    credential_variable: str = ""
    """Environment variable that holds the credential where the file is applied; it is sealed and never in the file.
    Empty keeps the one that is stored."""
    prices: str = ""
    """The provider whose prices in loaded and common tables hold here, e.g. ``openai``; the upstream's own name if
    empty."""


class TargetSpec(_Strict, frozen=True, kw_only=True):
    """One link of a chain."""

    name: str
    """``UPSTREAM/MODEL``."""
    parameters: JsonObject = {}
    pool: list[PoolMember] = []
    """Other places for the same model; the link's own weight is ``weight``."""
    weight: float = 1.0
    on: tuple[FallbackReason, ...] = ("failure",)
    """When this link is used; of no effect for the first."""


class ModelAlias(_Strict, frozen=True, kw_only=True):
    """A name that callers may use as ``model``."""

    name: str
    target: list[TargetSpec]
    resilience: Resilience | None = None


class SubjectLimits(_Strict, frozen=True, kw_only=True):
    """Limits of one user or service of the project; exactly one of the two is set. ``*`` is each user's own."""

    user: str = ""
    service: str = ""
    limits: Limits


class GatewayConfig(_Strict, frozen=True, kw_only=True):
    """The whole document."""

    capture: CaptureMode = "on"
    limits: Limits = Limits()
    """Of the project as a whole."""
    resilience: Resilience = Resilience()
    """For all calls whose release or model says nothing else."""
    upstream: list[UpstreamSpec] = []
    model: list[ModelAlias] = []
    limit: list[SubjectLimits] = []
    price: list[PriceSpec] = []


@dataclass(frozen=True, slots=True)
class GatewayConfigRecord:
    """One version of a project's document, as it was applied."""

    project_id: str
    version: int
    """Counts a project's versions from 1."""
    digest: str
    """SHA-256 of the document's canonical JSON."""
    text: str
    """TOML, as it was written."""
    config: str
    """Canonical JSON of the document; what is left at its default is left out."""
    applied_ns: int
    applied_by: str


@dataclass(frozen=True, slots=True)
class PriceTableRecord:
    """One loaded price table."""

    project_id: str
    number: int
    """Counts a project's tables from 1, in the order of loading."""
    name: str
    effective: str
    """First day, ``YYYY-MM-DD``, UTC."""
    digest: str
    """SHA-256 of the content."""
    models: int
    loaded_ns: int
    loaded_by: str
