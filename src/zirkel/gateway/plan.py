"""From a request to what is sent, and where to: a pure function of snapshot, key and request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from zirkel.core import Corrupt, Invalid, Json, NotFound
from zirkel.gateway.facts import CallFacts
from zirkel.gateway.prepared import Prepared, target_parameters
from zirkel.gateway.prompt import render_messages
from zirkel.gateway.request import ChatRequest
from zirkel.gateway.routing import choose_arm
from zirkel.gateway.snapshot import ModelPrice, SnapshotRelease, SnapshotRoute, SnapshotTarget, SnapshotUpstream

_SERVICE = "service:"
_DEFAULT_ENVIRONMENT = "production"
_NOT_PARAMETERS = frozenset({"model", "messages", "stream", "stream_options"})


@dataclass(frozen=True, slots=True)
class Target:
    """One link of the chain."""

    name: str
    upstream: SnapshotUpstream | None
    """``None`` if the snapshot has none of this name."""
    model: str
    members: Mapping[str, msgspec.Raw]
    """The whole body to send."""
    price: ModelPrice | None

    def body(self) -> bytes:
        """Return the body to send."""
        return msgspec.json.encode(self.members)


def plan_call(facts: CallFacts, prepared: Prepared, request: ChatRequest) -> list[Target]:
    """Return the targets to try, in order, and note in ``facts`` what was decided on the way.

    Raises:
        NotFound: If there is no such service, environment, release or upstream in the key's project.
        Invalid: If the model's name or a variable is wrong.
        Corrupt: If the snapshot contradicts itself.
    """
    facts.user_id = request.user
    facts.is_stream = request.is_stream
    facts.unit = facts.wishes.unit or request.user or facts.key_id
    if request.model.startswith(_SERVICE):
        return _plan_service(facts, prepared, request)
    return [_plan_direct(facts, prepared, request)]


def _plan_service(facts: CallFacts, prepared: Prepared, request: ChatRequest) -> list[Target]:
    facts.service, _, environment = request.model.removeprefix(_SERVICE).partition("@")
    facts.name = f"{_SERVICE}{facts.service}"
    facts.input = msgspec.json.encode(request.variables).decode() if request.variables is not None else ""
    facts.input = facts.input or request.raw_text("messages")
    if facts.wishes.pinned_release:
        # A pinned release is no traffic of an environment, unless the caller says so.
        facts.environment, digest = environment, facts.wishes.pinned_release
        facts.arm, facts.arm_probability = "pinned", 1.0
    else:
        facts.environment = environment or _DEFAULT_ENVIRONMENT
        digest = _choose_release(facts, prepared)
    release = prepared.snapshot.releases.get(f"{facts.project_id}/{digest}")
    if release is None or release.service != facts.service:
        _refuse_release(facts, digest)
    facts.release = release.digest
    facts.prompt_name, facts.prompt_version = release.prompt_name, release.prompt_version
    variables = _variables(release, request)
    facts.input = msgspec.json.encode(variables).decode()
    messages = render_messages(prepared.prompt(facts.project_id, release), variables)
    facts.rendered = messages.decode()
    shared = request.streamed_members() | {"messages": msgspec.Raw(messages)}
    return [_release_target(facts, prepared, target, shared) for target in release.targets]


def _choose_release(facts: CallFacts, prepared: Prepared) -> str:
    route = prepared.snapshot.routes.get(f"{facts.project_id}/{facts.service}/{facts.environment}")
    if route is None:
        raise NotFound(
            f"no service {facts.service[:200]!r} runs in {facts.environment[:200]!r}; see GET /v1/models",
            path="model",
        )
    facts.unit = _unit(facts, route)
    try:
        arm, facts.arm_probability = choose_arm(route, facts.unit)
    except ValueError as error:
        raise Corrupt(str(error)) from None
    facts.arm = arm.name
    return arm.release


def _unit(facts: CallFacts, route: SnapshotRoute) -> str:
    if route.unit == "key":
        return facts.key_id
    if route.unit == "session" and facts.wishes.session_id:
        return facts.wishes.session_id
    return facts.unit


def _refuse_release(facts: CallFacts, digest: str) -> NoReturn:
    if facts.wishes.pinned_release:
        raise NotFound(f"service {facts.service[:200]!r} has no release {digest[:64]!r}", path="x-zirkel-release")
    raise Corrupt(f"service {facts.service!r} routes to the release {digest!r}, which the configuration does not have")


def _variables(release: SnapshotRelease, request: ChatRequest) -> Mapping[str, Json]:
    if request.variables is not None:
        return request.variables
    if list(release.variables.values()) == ["string"]:
        text = request.last_user_text()
        if text is not None:
            return {next(iter(release.variables)): text}
    return {}


def _release_target(
    facts: CallFacts, prepared: Prepared, target: SnapshotTarget, shared: Mapping[str, msgspec.Raw]
) -> Target:
    try:
        parameters = target_parameters(target)
    except msgspec.DecodeError as error:
        raise Corrupt(f"the parameters of release {facts.release} are not a JSON object: {error}") from None
    members = {**shared, **{name: raw for name, raw in parameters.items() if name not in _NOT_PARAMETERS}}
    return _target(facts, prepared, target.upstream, target.model, members, target.price)


def _plan_direct(facts: CallFacts, prepared: Prepared, request: ChatRequest) -> Target:
    facts.name = f"chat {request.model}"
    facts.input = facts.rendered = request.raw_text("messages")
    name, slash, model = request.model.partition("/")
    if not slash or not name or not model:
        raise NotFound(
            f"no model {request.model[:200]!r}; name a service as service:NAME or a model as UPSTREAM/MODEL",
            path="model",
        )
    if facts.wishes.pinned_release:
        raise Invalid("a release is pinned for a service; name it as service:NAME", path="model")
    if request.variables:
        raise Invalid("variables are for a service's prompt; name it as service:NAME", path="zirkel.variables")
    if f"{facts.project_id}/{name}" not in prepared.snapshot.upstreams:
        raise NotFound(f"this project has no upstream {name[:200]!r}", path="model")
    price = prepared.snapshot.prices.get(f"{facts.project_id}/{request.model}")
    return _target(facts, prepared, name, model, request.streamed_members(), price)


def _target(
    facts: CallFacts,
    prepared: Prepared,
    name: str,
    model: str,
    members: Mapping[str, msgspec.Raw],
    price: ModelPrice | None,
) -> Target:
    upstream = prepared.snapshot.upstreams.get(f"{facts.project_id}/{name}")
    sent = (upstream.model_override if upstream is not None else "") or model
    whole = {**members, "model": msgspec.Raw(msgspec.json.encode(sent))}
    return Target(name=name, upstream=upstream, model=sent, members=whole, price=price)
