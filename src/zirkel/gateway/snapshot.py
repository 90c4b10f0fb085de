"""The configuration a gateway worker serves from: one immutable, versioned value, swapped whole.

The core writes it as one file; a worker needs nothing else, so it starts and serves while the core is down.
"""

import hmac
from decimal import Decimal, InvalidOperation

import msgspec

from zirkel.core import CachePolicy, CaptureMode, FallbackReason, Limits, Principal, Resilience, Role

FORMAT = 2


class SnapshotKey(msgspec.Struct, frozen=True):
    """A virtual key as the gateway knows it; the secret itself is never in the snapshot."""

    key_id: str
    project_id: str
    label: str
    roles: frozenset[Role]
    expires_ns: int | None = None
    user: str = ""
    """Whose key it is; its calls count as this user's, whomever they name."""
    limits: Limits = Limits()
    capture: CaptureMode | None = None
    """``None`` is the project's setting."""

    def principal(self) -> Principal:
        """Return who the key's bearer is."""
        return Principal(self.project_id, self.key_id, self.label, self.roles)

    def require(self, role: Role) -> None:
        """Return if the key has ``role`` (or is an admin's).

        Raises:
            Forbidden: If not.
        """
        if role not in self.roles:
            self.principal().require(role)


class SnapshotUpstream(msgspec.Struct, frozen=True):
    """Where a model is called. ``credential`` is sealed (see ``govern.Vault``); empty if none is needed."""

    name: str
    base_url: str
    """Up to and including the version, e.g. ``http://127.0.0.1:8081/v1``; without a trailing slash."""
    credential: str = ""
    dialect: str = "openai"
    """``openai``, ``azure``, ``anthropic``, ``gemini`` or ``bedrock``."""
    formats: list[str] = []
    """Wire formats it speaks, if fewer than its dialect."""
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
    """Prices per disjoint usage bucket from a moment on; a bucket without a tier has an *unknown* price."""

    input: list[PriceTier] = []
    cache_read: list[PriceTier] = []
    cache_write: list[PriceTier] = []
    cache_write_1h: list[PriceTier] = []
    input_audio: list[PriceTier] = []
    input_image: list[PriceTier] = []
    output: list[PriceTier] = []
    reasoning: list[PriceTier] = []
    output_audio: list[PriceTier] = []
    output_image: list[PriceTier] = []
    digest: str = ""
    """Digest of the price table these come from."""
    effective_ns: int = 0
    """From when on they hold."""
    max_output_tokens: int | None = None
    """What the model can answer at most, if the table says so: the bound where a caller sets none."""


class SnapshotTarget(msgspec.Struct, frozen=True):
    """One place where a link of a chain is called."""

    upstream: str
    model: str
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    """JSON object merged into the request body (the caller's own values win only where the release is silent).

    ``model``, ``messages``, ``stream`` and ``stream_options`` in it have no effect: they are not parameters.
    """
    prices: list[ModelPrice] = []
    """Newest first; the first one in force at the call's start counts. Empty is *unknown*."""
    weight: float = 1.0
    """Its share within its link."""


class SnapshotLink(msgspec.Struct, frozen=True):
    """One link of a chain: the primary model or a fallback, in one or several places."""

    pool: list[SnapshotTarget]
    on: tuple[FallbackReason, ...] = ("failure",)
    """When a fallback is used."""


class SnapshotModel(msgspec.Struct, frozen=True):
    """A name that callers may use as ``model``."""

    name: str
    chain: list[SnapshotLink]
    resilience: Resilience | None = None


class SnapshotProject(msgspec.Struct, frozen=True):
    """What holds for every call of a project unless something nearer says otherwise."""

    limits: Limits = Limits()
    capture: CaptureMode = "on"
    resilience: Resilience = Resilience()
    users: dict[str, Limits] = {}
    """By user; ``*`` is each other user's own."""
    services: dict[str, Limits] = {}
    mask: msgspec.Raw = msgspec.Raw(b"[]")
    """What must not reach a disk: a list of ``core.privacy.MaskRule`` as JSON."""


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
    chain: list[SnapshotLink]
    """The primary first, then the fallbacks in order."""
    documents: dict[str, str] = {}
    """Context documents by path, for templates as ``context['policy.md']``."""
    resilience: Resilience | None = None
    cache: CachePolicy | None = None
    guardrails: msgspec.Raw = msgspec.Raw(b"null")
    """The release's ``core.GuardrailsSpec`` as JSON, or null."""


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
    prices: dict[str, list[ModelPrice]] = {}
    """By ``project/upstream/model``, newest first: what direct calls (``model: "UPSTREAM/MODEL"``) cost."""
    models: dict[str, SnapshotModel] = {}
    """By ``project/name``."""
    projects: dict[str, SnapshotProject] = {}
    format: int = FORMAT


def hash_key(pepper: bytes, key: str) -> str:
    """Return the lookup hash of an API key: HMAC-SHA256 under the installation's pepper, 64 hex digits.

    API keys are 256 bits of randomness, so a fast keyed hash suffices; people's passwords use argon2.

    Source: RFC 2104.
    """
    return hmac.digest(pepper, key.encode(), "sha256").hex()


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
