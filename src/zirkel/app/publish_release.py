"""A release, and a model's chain, as the gateway reads them. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from zirkel.core import JsonObject, ModelAlias, ModelSpec, PriceSpec, ReleaseBundle, TargetSpec, UnitKind
from zirkel.gateway import MessageTemplate, ModelPrice, SnapshotRelease, SnapshotTarget
from zirkel.gateway.snapshot import SnapshotLink, SnapshotModel

FindPrices = Callable[[str], list[ModelPrice]]
"""Gives the prices of ``UPSTREAM/MODEL`` that go with the target itself; none leaves it to the project's."""


@dataclass(frozen=True, slots=True)
class ReleaseParts:
    """What publishing needs of a release. A release never changes, so this is made once."""

    unit: UnitKind
    release: SnapshotRelease
    """Without prices."""
    targets: tuple[ModelSpec, ...]
    prices: Sequence[PriceSpec]
    """The release's own."""

    def compiled(self, find: FindPrices) -> SnapshotRelease:
        """Return the release, its own prices with the targets that they are of."""
        if not self.prices:
            return self.release
        chain = [compile_link(spec, find) for spec in self.targets]
        return msgspec.structs.replace(self.release, chain=chain)


def release_parts(bundle: ReleaseBundle) -> ReleaseParts:
    """Return what publishing needs of a release."""
    release = SnapshotRelease(
        digest=bundle.digest,
        service=bundle.service,
        prompt_name=bundle.service,
        prompt_version=str(bundle.prompt_version),
        messages=_messages(bundle),
        variables=dict(bundle.prompt.variables),
        chain=[compile_link(spec, _no_prices) for spec in bundle.targets],
        documents=dict(bundle.documents),
        resilience=bundle.resilience,
        cache=bundle.cache,
        guardrails=msgspec.Raw(msgspec.json.encode(bundle.guardrails)),
    )
    return ReleaseParts(bundle.unit, release, bundle.targets, bundle.prices.price if bundle.prices else ())


def compile_alias(alias: ModelAlias) -> SnapshotModel:
    """Return a name that callers may use; what it costs is the project's to say."""
    return SnapshotModel(alias.name, [compile_link(spec, _no_prices) for spec in alias.target], alias.resilience)


def compile_link(spec: ModelSpec | TargetSpec, find: FindPrices) -> SnapshotLink:
    """Return one link of a chain; the members of its pool share its parameters."""
    places = [(spec.name, spec.weight), *((member.name, member.weight) for member in spec.pool)]
    return SnapshotLink([_target(name, weight, spec.parameters, find(name)) for name, weight in places], spec.on)


def chain_models(specs: Sequence[ModelSpec | TargetSpec]) -> set[str]:
    """Return every ``UPSTREAM/MODEL`` of a chain."""
    return {name for spec in specs for name in (spec.name, *(member.name for member in spec.pool))}


def _target(name: str, weight: float, parameters: JsonObject, prices: list[ModelPrice]) -> SnapshotTarget:
    upstream, _, model = name.partition("/")
    return SnapshotTarget(upstream, model, _raw(parameters), prices, weight)


def _raw(parameters: Mapping[str, object]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(parameters))


def _no_prices(_model: str) -> list[ModelPrice]:
    return []


def _messages(bundle: ReleaseBundle) -> list[MessageTemplate]:
    """Return the prompt's messages with the examples between the system messages and the first other one."""
    templates = [MessageTemplate(message.role, message.content) for message in bundle.prompt.messages]
    if not bundle.prompt.examples or not bundle.examples:
        return templates
    turns = []
    for example in bundle.examples:
        turns.append(MessageTemplate("user", example.user, is_literal=True))
        turns.append(MessageTemplate("assistant", example.assistant, is_literal=True))
    fixed = next((i for i, m in enumerate(templates) if m.role not in ("system", "developer")), len(templates))
    return [*templates[:fixed], *turns, *templates[fixed:]]
