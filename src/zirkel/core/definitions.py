"""What a service's files say, parsed: the nouns that versioning, evaluation and shipping share.

Every structure refuses unknown fields, so that a misspelt key is an error and not a silent default.
"""

from typing import Literal

import msgspec

from zirkel.core.policy import CachePolicy, FallbackReason, PoolMember, Resilience

JsonObject = dict[str, object]
"""A JSON object as parsed: values are ``None``, ``bool``, ``int``, ``float``, ``str``, lists and objects."""

VariableType = Literal["string", "number", "boolean", "json"]
UnitKind = Literal["user", "session", "key"]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ModelSpec(_Strict, frozen=True, kw_only=True, omit_defaults=True):
    """A model to call: ``name`` is ``UPSTREAM/MODEL``, parameters are sent as they are."""

    name: str
    parameters: JsonObject = {}
    weight: float = 1.0
    """Its share within its pool."""
    pool: list[PoolMember] = []
    """Other places where the same model is called."""
    on: tuple[FallbackReason, ...] = ("failure",)
    """As a fallback: when it is used. Of no effect for the first model."""


class BaselineSpec(_Strict, frozen=True, kw_only=True):
    """What differs in the release to compare with while nothing is live; the rest is as in the candidate."""

    prompt: str = ""
    model: ModelSpec | None = None


class ServiceSpec(_Strict, frozen=True, kw_only=True):
    """``service.toml``."""

    name: str
    description: str = ""
    unit: UnitKind = "user"
    """What traffic is split by: the end user, the session, or the API key."""
    model: ModelSpec
    fallback: list[ModelSpec] = []
    """Models that answer, in order, when the one before fails; each has the model's parameters but for its own."""
    resilience: Resilience | None = None
    """How hard a call tries; the project's setting if there is none."""
    cache: CachePolicy | None = None
    """Which answers are used again; none if absent."""
    baseline: BaselineSpec | None = None


class MessageSpec(_Strict, frozen=True, kw_only=True):
    """One message of a chat prompt; ``content`` is a Jinja template."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str


class ChatPrompt(_Strict, frozen=True, kw_only=True):
    """``chat.toml``: typed variables, messages, and whether the context's examples go in between."""

    variables: dict[str, VariableType] = {}
    messages: list[MessageSpec]
    examples: bool = True


class ExampleTurn(_Strict, frozen=True, kw_only=True):
    """One line of ``context/examples.jsonl``: a turn shown to the model, literally."""

    user: str
    assistant: str


class EvaluatorSpec(_Strict, frozen=True, kw_only=True):
    """One evaluator of ``evaluators.toml``."""

    name: str
    kind: str
    """What judges, e.g. ``exact``: one that is built in, or that an installed package brings."""
    options: JsonObject = {}
    """What the kind wants to know. In the file they stand beside ``name`` and ``kind``; the kind checks them."""


class EvaluatorsSpec(_Strict, frozen=True, kw_only=True):
    """``evaluators.toml``."""

    evaluator: list[EvaluatorSpec]


SYSTEM_METRICS = frozenset({"cost_usd", "latency_ms", "error_rate"})
"""What a gate may ask of the system itself, beside evaluators: USD and ms of an answer, share of failed calls."""


class MetricPolicy(_Strict, frozen=True, kw_only=True):
    """What a gate asks of one metric's mean: a margin, a floor, or both."""

    evaluator: str
    """Name of an evaluator, or ``cost_usd``, ``latency_ms`` or ``error_rate`` of the system itself."""
    margin: float | None = None
    """Largest loss against the baseline that is still accepted, above 0, in the metric's unit."""
    relative_margin: float | None = None
    """The same as a share of the baseline's mean: 0.1 accepts 10 % more latency. Not beside ``margin``."""
    must_be_superior: bool = False
    """True if being no worse is not enough."""
    floor: float | None = None
    """Smallest acceptable mean of the candidate (largest, if lower is better), whatever the baseline does."""
    direction: Literal["higher", "lower"] | None = None
    """Which way the metric is better; as its kind says, if absent."""
    minimum_items: int | None = None
    """As the gate's, for this metric."""
    segment: str = ""
    """Items that are looked at: ``tag:X``, ``split:X``, ``cluster:X`` or ``FIELD:X`` of the metadata; all, if empty."""

    @property
    def name(self) -> str:
        """The metric with its segment."""
        return f"{self.evaluator} [{self.segment}]" if self.segment else self.evaluator


class GatePolicy(_Strict, frozen=True, kw_only=True):
    """``gate.toml``."""

    metric: list[MetricPolicy]
    alpha: float = 0.05
    """One-sided error probability of each metric's test."""
    minimum_items: int = 1
    """Scored items below which the verdict is INCONCLUSIVE, whatever the scores say."""
    environment: str = "production"
    """The environment whose stable release is the baseline."""
    uncalibrated: Literal["refuse", "accept"] = "refuse"
    """What becomes of scores by a model that was not compared with people's labels, or not lately."""


class PriceSpec(_Strict, frozen=True, kw_only=True):
    """One line of ``prices.toml``: USD per million tokens as decimal text."""

    model: str
    effective: str
    """First day, ``YYYY-MM-DD``, UTC."""
    input: str | None = None
    cache_read: str | None = None
    cache_write: str | None = None
    cache_write_1h: str | None = None
    input_audio: str | None = None
    input_image: str | None = None
    output: str | None = None
    reasoning: str | None = None
    output_audio: str | None = None
    output_image: str | None = None


class PricesSpec(_Strict, frozen=True, kw_only=True):
    """``prices.toml``."""

    price: list[PriceSpec]


class DatasetItem(_Strict, frozen=True, kw_only=True):
    """One line of a data set."""

    id: str
    input: JsonObject
    """The prompt's variables."""
    expected: str | None = None
    """What the right output (or its judged field) is; without it, ``exact`` cannot score the item."""
    contexts: list[str] = []
    """Reference texts that the right output rests on."""
    cluster: str = ""
    """Items that share a source; their errors are not independent."""
    split: str = ""
    """Which part of the data set it is in, e.g. ``test``; empty if there are none."""
    tags: list[str] = []
    """What segments are cut by."""
    metadata: JsonObject = {}


def variable_kind(value: object) -> str:
    """Return what a prompt's variable of this value is: ``string``, ``boolean``, ``number``, ``null`` or ``json``."""
    match value:
        case str():
            return "string"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case None:
            return "null"
        case _:
            return "json"
