"""What is derived from one snapshot and kept as long as it is served."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeVar

import msgspec

from zirkel.core import Corrupt, Forbidden, Limits
from zirkel.core.guardrails import GuardrailsSpec
from zirkel.gateway.dialects import DIALECTS
from zirkel.gateway.guardrails import Guardrails, compile_guardrails
from zirkel.gateway.limits import Scope
from zirkel.gateway.masking import project_rules
from zirkel.gateway.ports import Unseal
from zirkel.gateway.price_lookup import PriceLookup
from zirkel.gateway.pricing import CompiledPrice
from zirkel.gateway.prompt import CompiledPrompt, compile_prompt
from zirkel.gateway.snapshot import (
    Snapshot,
    SnapshotKey,
    SnapshotLink,
    SnapshotProject,
    SnapshotRelease,
    SnapshotTarget,
    SnapshotUpstream,
)
from zirkel.lib.recognisers import Masker

_MOST_RELEASES = 256
_MOST_SUBJECTS = 20_000
_MOST_PLACES = 4096
_LONGEST_NAME = 200
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_NO_LIMITS = Limits()
_NULL = msgspec.Raw(b"null")
_NO_PROJECT = SnapshotProject()
_NOT_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options"})
_OUTPUT_LIMITS = frozenset({"max_tokens", "max_completion_tokens"})


class Place(msgspec.Struct, frozen=True):
    """What the snapshot says of one place of a chain, the same for every call."""

    target: SnapshotTarget
    name: str
    """The upstream's."""
    upstream: SnapshotUpstream | None
    """``None`` if the snapshot has none of this name."""
    model: str
    """As sent."""
    formats: tuple[str, ...]
    """The wire formats it speaks."""
    members: Mapping[str, msgspec.Raw]
    """What is sent whatever the caller says: parameters, and the model's name."""
    replaced: frozenset[str]
    """What is not sent though the caller says it: both names of one limit are more than an upstream takes."""
    prices: Sequence[CompiledPrice]
    """Newest first."""


class Prepared:
    """One snapshot with its compiled prompts and opened credentials; all go when the snapshot goes."""

    def __init__(self, snapshot: Snapshot, unseal: Unseal) -> None:
        self.snapshot = snapshot
        self._unseal = unseal
        self._prompts: OrderedDict[str, CompiledPrompt] = OrderedDict()
        self._guardrails: OrderedDict[str, Guardrails] = OrderedDict()
        self._credentials: dict[str, str] = {}
        self._price_lookup = PriceLookup(snapshot.prices)
        self._prices: dict[int, Sequence[CompiledPrice]] = {}
        """By the identity of the snapshot's own list."""
        self._places: dict[tuple[str, int], Place] = {}
        """By project and the identity of the target, which its place keeps alive."""
        self._direct: dict[tuple[str, str], Sequence[SnapshotLink]] = {}
        """By upstream and model."""
        self._scopes: dict[tuple[str, str, str], tuple[Scope, ...]] = {}
        self._formats: dict[str, tuple[str, ...]] = {}

    def prompt(self, project_id: str, release: SnapshotRelease) -> CompiledPrompt:
        """Return the compiled prompt of a release. The least recently used is dropped past 256.

        Raises:
            Corrupt: If it does not compile.
        """
        key = f"{project_id}/{release.digest}"
        found = self._prompts.get(key)
        if found is None:
            found = self._prompts[key] = compile_prompt(release)
            if len(self._prompts) > _MOST_RELEASES:
                self._prompts.popitem(last=False)
        else:
            self._prompts.move_to_end(key)
        return found

    def guardrails(self, project_id: str, release: SnapshotRelease) -> Guardrails | None:
        """Return the compiled guardrails of a release, ``None`` if it has none."""
        if release.guardrails == _NULL:
            return None
        key = f"{project_id}/{release.digest}"
        found = self._guardrails.get(key)
        if found is None:
            spec = msgspec.json.decode(release.guardrails, type=GuardrailsSpec)
            found = self._guardrails[key] = compile_guardrails(spec, service=release.service, release=release.digest)
            if len(self._guardrails) > _MOST_RELEASES:
                self._guardrails.popitem(last=False)
        return found

    def credential(self, upstream: SnapshotUpstream) -> str:
        """Return the upstream's credential as text, empty if it needs none. Raises what ``unseal`` raises."""
        if not upstream.credential:
            return ""
        found = self._credentials.get(upstream.credential)
        if found is None:
            found = self._credentials[upstream.credential] = self._unseal(upstream.credential)
        return found

    def project(self, project_id: str) -> SnapshotProject:
        """Return what holds for every call of a project."""
        return self.snapshot.projects.get(project_id, _NO_PROJECT)

    def rules(self, project_id: str) -> Masker | None:
        """Return what must not reach a disk; ``None`` if the project has no rules."""
        return project_rules(bytes(self.project(project_id).mask))

    def formats(self, upstream: SnapshotUpstream) -> tuple[str, ...]:
        """Return the wire formats an upstream speaks; none if its dialect is not known here."""
        if upstream.formats:
            return tuple(upstream.formats)
        dialect = DIALECTS.get(upstream.dialect)
        return dialect.formats if dialect is not None else ()

    def prices(self, project_id: str, target: SnapshotTarget) -> Sequence[CompiledPrice]:
        """Return a target's prices, newest first: the release's, else the project's for this upstream and model."""
        found = target.prices or self._price_lookup.find(project_id, target.upstream, target.model)
        if not found:
            return ()
        compiled = self._prices.get(id(found))
        if compiled is None:
            compiled = self._prices[id(found)] = tuple(CompiledPrice(price) for price in found)
        return compiled

    def place(self, project_id: str, target: SnapshotTarget) -> Place:
        """Return the place of a target.

        Raises:
            Corrupt: If its parameters are not a JSON object.
        """
        key = (project_id, id(target))
        found = self._places.get(key)
        if found is None:
            found = self._find_place(project_id, target)
            _remember(self._places, key, found, len(target.model))
        return found

    def direct_chain(self, upstream: str, model: str) -> Sequence[SnapshotLink]:
        """Return the chain of a call to ``UPSTREAM/MODEL``, as far as possible the same one for the same names."""
        key = (upstream, model)
        found = self._direct.get(key)
        if found is None:
            found = [SnapshotLink([SnapshotTarget(upstream, model)])]
            _remember(self._direct, key, found, len(model))
        return found

    def _find_place(self, project_id: str, target: SnapshotTarget) -> Place:
        try:
            parameters = msgspec.json.decode(target.parameters, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            place = f"{target.upstream}/{target.model}"
            raise Corrupt(f"the parameters of {place} are not a JSON object: {error}") from None
        upstream = self.snapshot.upstreams.get(f"{project_id}/{target.upstream}")
        sent = (upstream.model_override if upstream is not None else "") or target.model
        members = {name: raw for name, raw in parameters.items() if name not in _NOT_PARAMETERS}
        return Place(
            target=target,
            name=target.upstream,
            upstream=upstream,
            model=sent,
            formats=self.formats(upstream) if upstream is not None else (),
            members=members | {"model": msgspec.Raw(msgspec.json.encode(sent))},
            replaced=_OUTPUT_LIMITS if _OUTPUT_LIMITS & parameters.keys() else frozenset(),
            prices=self.prices(project_id, target),
        )

    def scopes(self, key: SnapshotKey, user_id: str, service: str) -> tuple[Scope, ...]:
        """Return the subjects with limits that a call counts against: key, user, service, project."""
        name = (key.key_id, user_id, service)
        found = self._scopes.get(name)
        if found is None:
            if len(self._scopes) >= _MOST_SUBJECTS:
                self._scopes.clear()
            found = self._scopes[name] = tuple(self._find_scopes(key, user_id, service))
        return found

    def _find_scopes(self, key: SnapshotKey, user_id: str, service: str) -> list[Scope]:
        project_id = key.project_id
        project = self.project(project_id)
        found = []
        if key.limits != _NO_LIMITS:
            found.append(Scope("key", f"{project_id}/key/{key.key_id}", key.label, key.limits))
        user = (project.users.get(user_id) or project.users.get("*")) if user_id and project.users else None
        if user is not None and user != _NO_LIMITS:
            found.append(Scope("user", f"{project_id}/user/{user_id}", user_id, user))
        own = project.services.get(service, _NO_LIMITS)
        if own != _NO_LIMITS:
            found.append(Scope("service", f"{project_id}/service/{service}", service, own))
        if project.limits != _NO_LIMITS:
            found.append(Scope("project", f"{project_id}/project", project_id, project.limits))
        return found

    def check_models(self, scopes: Sequence[Scope], model: str) -> None:
        """Return if every allow-list has ``model``.

        Raises:
            Forbidden: Naming whose list does not.
        """
        for scope in scopes:
            allowed = scope.limits.models
            if allowed and not any(fnmatchcase(model, pattern) for pattern in allowed):
                raise Forbidden(
                    f"the {scope.kind} {scope.label!r} may not use {model[:200]!r}; it may use: {', '.join(allowed)}",
                    path="model",
                )


def _remember(known: dict[_Key, _Value], key: _Key, value: _Value, name_length: int) -> None:
    """Keep what belongs to a name. Callers make up names: how many are kept, and how long ones, has an end."""
    if name_length <= _LONGEST_NAME:
        if len(known) >= _MOST_PLACES:
            known.clear()
        known[key] = value
