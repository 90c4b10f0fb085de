"""What is derived from one snapshot and kept as long as it is served."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from zirkel.core import Forbidden, Limits
from zirkel.core.guardrails import GuardrailsSpec
from zirkel.gateway.dialects import DIALECTS
from zirkel.gateway.guardrails import Guardrails, compile_guardrails
from zirkel.gateway.limits import Scope
from zirkel.gateway.ports import Unseal
from zirkel.gateway.price_lookup import PriceLookup
from zirkel.gateway.pricing import CompiledPrice
from zirkel.gateway.prompt import CompiledPrompt, compile_prompt
from zirkel.gateway.snapshot import (
    Snapshot,
    SnapshotKey,
    SnapshotProject,
    SnapshotRelease,
    SnapshotTarget,
    SnapshotUpstream,
)

_MOST_RELEASES = 256
_MOST_SUBJECTS = 20_000
_NO_LIMITS = Limits()
_NULL = msgspec.Raw(b"null")
_NO_PROJECT = SnapshotProject()


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


def target_parameters(target: SnapshotTarget) -> Mapping[str, msgspec.Raw]:
    """Return the parameters of a target by name, each as its original bytes.

    Raises:
        msgspec.DecodeError: If they are not a JSON object.
    """
    return msgspec.json.decode(target.parameters, type=dict[str, msgspec.Raw])
