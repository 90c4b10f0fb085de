"""The configuration a gateway worker serves from: one immutable, versioned value, swapped whole.

The core writes it as one file; a worker needs nothing else, so it starts and serves while the core is down.
"""

import hashlib
import hmac
from decimal import Decimal, InvalidOperation

import msgspec

from zirkel.core import Role

FORMAT = 1


class SnapshotKey(msgspec.Struct, frozen=True):
    """A virtual key as the gateway knows it; the secret itself is never in the snapshot."""

    key_id: str
    project_id: str
    label: str
    roles: frozenset[Role]
    expires_ns: int | None = None


class SnapshotUpstream(msgspec.Struct, frozen=True):
    """Where a model is called. ``credential`` is sealed (see ``govern.Vault``); empty if none is needed."""

    name: str
    base_url: str
    """Up to and including the version, e.g. ``http://127.0.0.1:8081/v1``; without a trailing slash."""
    credential: str = ""
    dialect: str = "openai"
    model_override: str = ""
    """If set, sent instead of the model's name, so that one upstream can stand in for another."""


class PriceTier(msgspec.Struct, frozen=True):
    """USD per million tokens (decimal as text) from ``from_input_tokens`` total input tokens on."""

    from_input_tokens: int
    usd_per_million: str

    def __post_init__(self) -> None:
        """Check the price, so that no call fails of it later.

        Raises:
            ValueError: If it is not a finite decimal of at least 0.
        """
        try:
            price = Decimal(self.usd_per_million)
        except InvalidOperation:
            price = Decimal("NaN")
        if not price.is_finite() or price < 0:
            raise ValueError(f"usd_per_million is a decimal of at least 0, not {self.usd_per_million!r}")


class ModelPrice(msgspec.Struct, frozen=True):
    """Prices per disjoint usage bucket; a bucket without a tier has an *unknown* price."""

    input: list[PriceTier] = []
    cache_read: list[PriceTier] = []
    cache_write: list[PriceTier] = []
    output: list[PriceTier] = []
    reasoning: list[PriceTier] = []
    digest: str = ""
    """Digest of the price table these come from."""


class SnapshotTarget(msgspec.Struct, frozen=True):
    """One link of a release's chain: the primary model or a fallback."""

    upstream: str
    model: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    """JSON object merged into the request body (the caller's own values win only where the release is silent).

    ``model``, ``messages``, ``stream`` and ``stream_options`` in it have no effect: they are not parameters.
    """
    price: ModelPrice | None = None


class MessageTemplate(msgspec.Struct, frozen=True):
    """A message of the prompt. ``is_literal`` content is used as it is; otherwise it is a Jinja template."""

    role: str
    content: str
    is_literal: bool = False


class SnapshotRelease(msgspec.Struct, frozen=True):
    """What the gateway needs of a release to answer with it."""

    digest: str
    service: str
    prompt_name: str
    prompt_version: str
    messages: list[MessageTemplate]
    variables: dict[str, str]
    """Name to type: ``string``, ``number``, ``boolean`` or ``json``."""
    targets: list[SnapshotTarget]
    """The primary first, then the fallback chain in order."""
    documents: dict[str, str] = {}
    """Context documents by path, for templates as ``context['policy.md']``."""


class SnapshotArm(msgspec.Struct, frozen=True):
    """One arm of an environment; the weights of a route sum to 1."""

    name: str
    release: str
    weight: float


class SnapshotRoute(msgspec.Struct, frozen=True):
    """What serves a service in one environment of one project."""

    project_id: str
    service: str
    environment: str
    unit: str
    """``user``, ``session`` or ``key``: what traffic is split by."""
    salt: str
    """Changes with each rollout, so that two rollouts split units independently."""
    arms: list[SnapshotArm]


class Snapshot(msgspec.Struct, frozen=True):
    """Everything a worker serves from."""

    version: int
    published_ns: int
    keys: dict[str, SnapshotKey]
    """By ``hash_key`` of the key's text."""
    upstreams: dict[str, SnapshotUpstream]
    """By ``project/name``."""
    routes: dict[str, SnapshotRoute]
    """By ``project/service/environment``."""
    releases: dict[str, SnapshotRelease]
    """By ``project/digest``."""
    prices: dict[str, ModelPrice] = {}
    """By ``project/upstream/model``: what direct calls (``model: "UPSTREAM/MODEL"``) cost."""
    format: int = FORMAT


def hash_key(pepper: bytes, key: str) -> str:
    """Return the lookup hash of an API key: HMAC-SHA256 under the installation's pepper, 64 hex digits.

    API keys are 256 bits of randomness, so a fast keyed hash suffices; people's passwords use argon2.

    Source: RFC 2104.
    """
    return hmac.new(pepper, key.encode(), hashlib.sha256).hexdigest()


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """Return the file form of a snapshot."""
    return msgspec.json.encode(snapshot)


def decode_snapshot(data: bytes) -> Snapshot:
    """Return the snapshot of a file.

    Raises:
        msgspec.DecodeError: If the file is damaged or of another format.
    """
    snapshot = msgspec.json.decode(data, type=Snapshot)
    if snapshot.format != FORMAT:
        raise msgspec.ValidationError(f"snapshot format {snapshot.format}, this program reads {FORMAT}")
    return snapshot
