"""From a request to where it may go and what is sent there: a pure function of snapshot, key and request."""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import msgspec

from zirkel.core import (
    CachePolicy,
    Corrupt,
    FallbackReason,
    Invalid,
    Json,
    JsonObject,
    NotFound,
    Resilience,
)
from zirkel.gateway.facts import CallFacts
from zirkel.gateway.guardrails import Guardrails
from zirkel.gateway.limits import Scope
from zirkel.gateway.masking import release_mask
from zirkel.gateway.prepared import Place, Prepared
from zirkel.gateway.pricing import CompiledPrice
from zirkel.gateway.prompt import render_messages
from zirkel.gateway.request import CallRequest, Members
from zirkel.gateway.routing import choose_arm
from zirkel.gateway.snapshot import (
    SnapshotKey,
    SnapshotLink,
    SnapshotRelease,
    SnapshotRoute,
    SnapshotUpstream,
)
from zirkel.gateway.surfaces import UPSTREAM_FORMATS, Surface

SERVICE = "service:"
DEFAULT_ENVIRONMENT = "production"
_CHAT_FORMATS = ("chat", "messages", "gemini", "converse", "responses")
_LONGEST_NAME = 200


class Target(msgspec.Struct, frozen=True):
    """One place where one link of the chain is called."""

    link: int
    """0 for the primary, 1 for the first fallback, …"""
    name: str
    """The upstream's."""
    upstream: SnapshotUpstream | None
    """``None`` if the snapshot has none of this name."""
    model: str
    """As sent."""
    format_name: str
    """The wire format it is called in; empty if it speaks none that would do."""
    members: Members
    """The request: in the hub form if ``is_hub``, else in the target's own format."""
    is_hub: bool
    prices: Sequence[CompiledPrice]
    weight: float = 1.0

    @property
    def place(self) -> str:
        """What may be sick or well."""
        return f"{self.name}/{self.model}"

    def body(self) -> bytes:
        """Return the body to send.

        Raises:
            Invalid: If the request says what the target's format cannot.
        """
        if not self.is_hub or self.format_name in ("chat", ""):
            return msgspec.json.encode(self.members)
        hub = msgspec.json.decode(msgspec.json.encode(self.members), type=JsonObject)
        return msgspec.json.encode(UPSTREAM_FORMATS[self.format_name].write_request(hub))


class Link(msgspec.Struct, frozen=True):
    """One link of the chain."""

    pool: tuple[Target, ...]
    on: tuple[FallbackReason, ...]


class Plan(msgspec.Struct, frozen=True):
    """Everything that is decided about a call before it is made."""

    chain: tuple[Link, ...]
    resilience: Resilience
    scopes: tuple[Scope, ...]
    guardrails: Guardrails | None = None
    cache: CachePolicy | None = None
    variables: Mapping[str, Json] = msgspec.field(default_factory=dict)

    @property
    def targets(self) -> list[Target]:
        """Every place of every link."""
        return [target for link in self.chain for target in link.pool]


def plan_call(facts: CallFacts, key: SnapshotKey, prepared: Prepared, request: CallRequest) -> Plan:
    """Return where a call may go, in order, and note in ``facts`` what was decided on the way.

    Raises:
        NotFound: If there is no such service, environment, release, model or upstream in the key's project.
        Forbidden: If the key, user, project or service may not use what is asked for.
        Invalid: If the model's name or a variable is wrong.
        Corrupt: If the snapshot contradicts itself.
    """
    facts.user_id = request.user or key.user
    facts.is_stream = request.is_stream
    facts.unit = facts.wishes.unit or facts.user_id or facts.key_id
    if request.model.startswith(SERVICE):
        return _plan_service(facts, key, prepared, request)
    return _plan_model(facts, key, prepared, request)


def _plan_service(facts: CallFacts, key: SnapshotKey, prepared: Prepared, request: CallRequest) -> Plan:
    if not request.surface.is_chat:
        raise Invalid(f"a service answers chats, not {request.surface.format_name}", path="model")
    service, _, environment = request.model.removeprefix(SERVICE).partition("@")
    facts.service = service[:_LONGEST_NAME]
    facts.name = f"{SERVICE}{facts.service}"
    facts.input = msgspec.json.encode(request.variables).decode() if request.variables is not None else ""
    facts.input = facts.input or request.input_text()
    scopes = _scopes(facts, key, prepared)
    prepared.check_models(scopes, facts.name)
    release = _release(facts, prepared, environment)
    guardrails = prepared.guardrails(facts.project_id, release)
    facts.mask = release_mask(guardrails) if guardrails is not None else None
    variables = _variables(release, request)
    facts.input = msgspec.json.encode(variables).decode()
    messages = render_messages(prepared.prompt(facts.project_id, release), variables)
    facts.rendered = messages.decode()
    asked = request.hub_members() if request.variables is None else request.hub_parameters()
    shared = asked | {"messages": msgspec.Raw(messages)}
    return Plan(
        chain=_chain(facts, prepared, request, release.chain, shared, is_hub=True),
        resilience=release.resilience or prepared.project(facts.project_id).resilience,
        scopes=scopes,
        guardrails=guardrails,
        cache=release.cache,
        variables=variables,
    )


def _release(facts: CallFacts, prepared: Prepared, environment: str) -> SnapshotRelease:
    if facts.wishes.pinned_release:
        # A pinned release is no traffic of an environment, unless the caller says so.
        facts.environment, digest = environment, facts.wishes.pinned_release
        facts.arm, facts.arm_probability = "pinned", 1.0
    else:
        facts.environment = environment or DEFAULT_ENVIRONMENT
        digest = _choose_release(facts, prepared)
    release = prepared.snapshot.releases.get(f"{facts.project_id}/{digest}")
    if release is None or release.service != facts.service:
        _refuse_release(facts, digest)
    facts.release, facts.target_name = release.digest, facts.name
    facts.prompt_name, facts.prompt_version = release.prompt_name, release.prompt_version
    return release


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


def _variables(release: SnapshotRelease, request: CallRequest) -> Mapping[str, Json]:
    if request.variables is not None:
        return request.variables
    if list(release.variables.values()) == ["string"]:
        text = request.last_user_text()
        if text is not None:
            return {next(iter(release.variables)): text}
    return {}


def _plan_model(facts: CallFacts, key: SnapshotKey, prepared: Prepared, request: CallRequest) -> Plan:
    facts.name = f"{request.surface.operation} {request.model[:_LONGEST_NAME]}"
    facts.input = facts.rendered = request.input_text()
    if facts.wishes.pinned_release:
        raise Invalid("a release is pinned for a service; name it as service:NAME", path="model")
    if request.variables:
        raise Invalid("variables are for a service's prompt; name it as service:NAME", path="zirkel.variables")
    name = f"{facts.project_id}/{request.model}"
    alias = prepared.snapshot.models.get(name)
    chain = alias.chain if alias is not None else _direct(facts, prepared, request)
    # Of a direct call only what the configuration knows is a name to count by.
    is_known = alias is not None or name in prepared.snapshot.prices
    facts.target_name = request.model if is_known else ""
    scopes = _scopes(facts, key, prepared)
    prepared.check_models(scopes, request.model)
    own = alias.resilience if alias is not None else None
    return Plan(
        chain=_chain(facts, prepared, request, chain, request.streamed_members(), is_hub=False),
        resilience=own or prepared.project(facts.project_id).resilience,
        scopes=scopes,
    )


def _direct(facts: CallFacts, prepared: Prepared, request: CallRequest) -> Sequence[SnapshotLink]:
    name, slash, model = request.model.partition("/")
    if not slash or not name or not model:
        raise NotFound(
            f"no model {request.model[:200]!r}; name a service as service:NAME, a model of the configuration "
            "(see GET /v1/models), or UPSTREAM/MODEL",
            path="model",
        )
    if f"{facts.project_id}/{name}" not in prepared.snapshot.upstreams:
        raise NotFound(f"this project has no upstream {name[:200]!r}", path="model")
    return prepared.direct_chain(name, model)


def _scopes(facts: CallFacts, key: SnapshotKey, prepared: Prepared) -> tuple[Scope, ...]:
    """Return whom the call counts against; a key that belongs to a user counts as theirs, whomever the call names."""
    return prepared.scopes(key, key.user or facts.user_id, facts.service)


def _chain(
    facts: CallFacts,
    prepared: Prepared,
    request: CallRequest,
    links: Sequence[SnapshotLink],
    members: Members,
    *,
    is_hub: bool,
) -> tuple[Link, ...]:
    chain = []
    can_be_asked = False
    for number, link in enumerate(links):
        pool = []
        for one in link.pool:
            place = prepared.place(facts.project_id, one)
            target = _target(request, number, place, members, is_hub=is_hub)
            can_be_asked = can_be_asked or target.upstream is None or target.format_name != ""
            pool.append(target)
        chain.append(Link(tuple(pool), link.on))
    if not can_be_asked:
        asked = request.surface.format_name
        raise Invalid(f"no upstream of {request.model[:200]!r} can be asked for {asked}", path="model")
    return tuple(chain)


def _target(request: CallRequest, number: int, place: Place, members: Members, *, is_hub: bool) -> Target:
    surface = request.surface
    format_name = choose_format(place.formats, surface, is_hub=is_hub) if place.upstream is not None else ""
    if not is_hub and surface.is_chat and format_name != surface.format_name:
        members, is_hub = request.hub_members(), True
    if place.replaced:
        members = {name: raw for name, raw in members.items() if name not in place.replaced}
    return Target(
        link=number,
        name=place.name,
        upstream=place.upstream,
        model=place.model,
        format_name=format_name,
        members={**members, **place.members},
        is_hub=is_hub,
        prices=place.prices,
        weight=place.target.weight,
    )


def choose_format(spoken: Sequence[str], surface: Surface, *, is_hub: bool) -> str:
    """Return the format to call an upstream in: the caller's own if it is spoken there, else one for chats.

    Empty if there is none: what is asked for is not a chat, and not spoken there.
    """
    if not is_hub and surface.format_name in spoken:
        return surface.format_name
    if not surface.is_chat:
        return ""
    return next((name for name in _CHAT_FORMATS if name in spoken), "")
