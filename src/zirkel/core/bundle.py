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
