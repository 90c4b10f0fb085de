"""A release opened up: its artefacts parsed, for the rooms that run, judge and serve it."""

from collections.abc import Mapping
from dataclasses import dataclass

from zirkel.core.definitions import (
    ChatPrompt,
    DatasetItem,
    EvaluatorsSpec,
    ExampleTurn,
    GatePolicy,
    ModelSpec,
    PricesSpec,
    UnitKind,
)
from zirkel.core.guardrails import GuardrailsSpec
from zirkel.core.policy import CachePolicy, Resilience


@dataclass(frozen=True, slots=True)
class ReleaseBundle:
    """Everything a release consists of."""

    project_id: str
    digest: str
    service: str
    number: int
    unit: UnitKind
    prompt: ChatPrompt
    prompt_version: int
    targets: tuple[ModelSpec, ...]
    """The primary model, then the fallback chain, each with all of its parameters."""
    examples: tuple[ExampleTurn, ...]
    documents: Mapping[str, str]
    dataset: tuple[DatasetItem, ...]
    evaluators: EvaluatorsSpec
    gate: GatePolicy
    prices: PricesSpec | None
    artefacts: Mapping[str, str]
    """Digest of each artefact by kind."""
    resilience: Resilience | None = None
    """How hard a call tries; ``None`` is the project's setting."""
    cache: CachePolicy | None = None
    """Which answers are used again; ``None`` is none."""
    guardrails: GuardrailsSpec | None = None
    """What is checked before and after the model; ``None`` is nothing."""
