"""LiteLLM's model groups: deployments of the same name, among which calls are split. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from zirkel.app.litellm_reasons import why_not
from zirkel.app.litellm_upstreams import Lost, Section, Upstreams
from zirkel.core import FallbackReason, Invalid, JsonObject, PoolMember, PriceSpec, Resilience, TargetSpec
from zirkel.core.gateway_check import check_price, check_target
from zirkel.core.policy_check import LONGEST_PAUSE_S
from zirkel.observe.litellm_prices import PRICE_FIELDS, usd_per_million

_PARAMETERS = (
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "modalities",
    "parallel_tool_calls",
    "presence_penalty",
    "reasoning_effort",
    "response_format",
    "seed",
    "service_tier",
    "stop",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "verbosity",
)
_SHARES = ("weight", "rpm", "tpm")
"""By which LiteLLM's ``simple-shuffle`` splits, the first one that a group has."""
_MOST_SHARE = 1e8


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place of a group."""

    path: str
    target: str
    """``UPSTREAM/MODEL``."""
    shares: Mapping[str, float]
    parameters: JsonObject
    settings: Mapping[str, float]
    """Fields of ``Resilience`` that it sets for itself."""
    price: PriceSpec | None


@dataclass(slots=True)
class Group:
    """Deployments that one name stands for; at least one."""

    path: str
    deployments: list[Deployment] = field(default_factory=list)

    def target(self, on: tuple[FallbackReason, ...]) -> TargetSpec:
        """Return the group as one link of a chain."""
        weights: dict[str, float] = {}
        for deployment, weight in zip(self.deployments, self._weights(), strict=True):
            weights[deployment.target] = weights.get(deployment.target, 0.0) + weight
        (name, weight), *others = weights.items()
        pool = [PoolMember(name=other, weight=share) for other, share in others]
        first = self.deployments[0].parameters
        return TargetSpec(name=name, parameters=first, pool=pool, weight=weight if pool else 1.0, on=on)

    def resilience(self, base: Resilience, lost: list[Lost]) -> Resilience | None:
        """Return how hard calls of this group try, None if as hard as all others; settings that differ are lost."""
        found: dict[str, float] = {}
        for deployment in sorted(self.deployments, key=lambda one: -len(one.settings)):
            for name, value in deployment.settings.items():
                if found.setdefault(name, value) != value:
                    lost.append(Lost(deployment.path, f"{name} holds for a whole model; {found[name]:g} is used"))
            unsaid = sorted(found.keys() - deployment.settings.keys())
            lost += [Lost(deployment.path, f"{name} holds for a whole model, and so here, too") for name in unsaid]
        if not found:
            return None
        retries = found.pop("retries", None)
        changed = msgspec.structs.replace(base, **found)
        return changed if retries is None else msgspec.structs.replace(changed, retries=min(int(retries), 100))

    def prices(self) -> list[PriceSpec]:
        """Return what the deployments say they cost, each model once."""
        found = {deployment.price.model: deployment.price for deployment in self.deployments if deployment.price}
        return list(found.values())

    def drop_idle(self, lost: list[Lost]) -> None:
        """Leave out the places that would get no calls: where others have a weight, none is a weight of 0."""
        weights = self._weights()
        lost += [
            Lost(idle.path, "it has no weight where others have one, so it gets no calls")
            for idle, weight in zip(self.deployments, weights, strict=True)
            if not weight
        ]
        self.deployments = [busy for busy, weight in zip(self.deployments, weights, strict=True) if weight]

    def _weights(self) -> Sequence[float]:
        for name in _SHARES:
            shares = [deployment.shares.get(name, 0.0) for deployment in self.deployments]
            if any(shares):
                return shares
        return [1.0] * len(self.deployments)


def read_groups(entries: object, upstreams: Upstreams, lost: list[Lost], today: str) -> dict[str, Group]:
    """Return the groups of a ``model_list`` by name; deployments that cannot be called here are lost."""
    groups: dict[str, Group] = {}
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        path = f"model_list[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("litellm_params"), dict):
            lost.append(Lost(path, "an entry without litellm_params"))
            continue
        name = str(entry.get("model_name", ""))
        deployment = _deployment(entry, path, upstreams, lost, today)
        if deployment is not None:
            group = groups.setdefault(name, Group(path))
            if group.deployments and group.deployments[0].parameters != deployment.parameters:
                lost.append(Lost(f"{path}.litellm_params", "the places of a pool share the first one's parameters"))
            group.deployments.append(deployment)
    for group in groups.values():
        group.drop_idle(lost)
    _drop_repeated_prices(groups, lost)
    return groups


def _deployment(
    entry: Mapping[str, object], path: str, upstreams: Upstreams, lost: list[Lost], today: str
) -> Deployment | None:
    whole = Section({str(key): value for key, value in entry.items()}, path)
    whole.take("model_name")
    params = _inner(whole, "litellm_params")
    info = _inner(whole, "model_info")
    place = upstreams.find(params)
    if place is None:
        return None
    target = f"{place[0]}/{place[1]}"
    found = Deployment(
        path=path,
        target=target,
        shares=_shares(params, whole, lost),
        parameters={key: params.take(key) for key in _PARAMETERS if params.values.get(key) is not None},
        settings=_settings(params),
        price=_price(target, today, params, info),
    )
    try:
        check_target(TargetSpec(name=target, parameters=found.parameters), "target", is_fallback=False)
        if found.price is not None:
            check_price(found.price, "price")
    except Invalid as error:
        lost.append(Lost(path, str(error)))
        return None
    for section in (params, info, whole):
        lost += [Lost(section.place(key), why_not(key)) for key in section.values]
    return found


def _inner(whole: Section, key: str) -> Section:
    found = whole.take(key)
    return Section({str(k): v for k, v in found.items()} if isinstance(found, dict) else {}, whole.place(key))


def _shares(params: Section, whole: Section, lost: list[Lost]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for name in _SHARES:
        for section in (params, whole):
            number = section.take_number(name, _MOST_SHARE)
            if number:
                found.setdefault(name, number)
                if name != "weight":
                    lost.append(Lost(section.place(name), "an upstream has no limit here; it counts as a weight only"))
    return found


def _settings(params: Section) -> Mapping[str, float]:
    names = {
        "timeout": "total_s",
        "stream_timeout": "first_token_s",
        "max_retries": "retries",
        "num_retries": "retries",
    }
    found: dict[str, float] = {}
    for key, name in names.items():
        number = params.take_number(key, LONGEST_PAUSE_S)
        if number or (number is not None and name == "retries"):
            found[name] = number
    return found


def _price(target: str, today: str, params: Section, info: Section) -> PriceSpec | None:
    """Return the deployment's own price; LiteLLM reads it from both places, its parameters first."""
    known: dict[str, str] = {}
    for section in (params, info):
        for key, bucket in PRICE_FIELDS.items():
            usd = usd_per_million(section.values.get(key))
            if usd is not None:
                section.take(key)
                known.setdefault(bucket, usd)
    return msgspec.convert({"model": target, "effective": today, **known}, PriceSpec) if known else None


def _drop_repeated_prices(groups: Mapping[str, Group], lost: list[Lost]) -> None:
    """Keep one price of each model: the same place may stand in several groups."""
    seen: dict[str, PriceSpec] = {}
    for group in groups.values():
        for index, deployment in enumerate(group.deployments):
            price = deployment.price
            if price is None:
                continue
            known = seen.setdefault(price.model, price)
            if known is not price:
                if known != price:
                    lost.append(Lost(deployment.path, f"another entry already says what {price.model} costs"))
                group.deployments[index] = Deployment(
                    deployment.path,
                    deployment.target,
                    deployment.shares,
                    deployment.parameters,
                    deployment.settings,
                    None,
                )
