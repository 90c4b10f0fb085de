"""LiteLLM's ``config.yaml`` as a gateway document, and everything in it that could not be taken over. Pure.

Source: LiteLLM, "Proxy config.yaml", "All settings", "Router: configuration and defaults", "Fallbacks".
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import yaml

from zirkel.app.litellm_groups import Group, read_groups
from zirkel.app.litellm_reasons import why_not
from zirkel.app.litellm_upstreams import Lost, Section, Upstreams
from zirkel.core import (
    Budget,
    BudgetWindow,
    FallbackReason,
    GatewayConfig,
    Invalid,
    Limits,
    ModelAlias,
    Resilience,
    TargetSpec,
)
from zirkel.core.gateway_check import is_alias
from zirkel.core.policy_check import LARGEST_LIMIT, LONGEST_PAUSE_S

_WINDOWS: Mapping[str, BudgetWindow] = {
    "1h": "hour",
    "60m": "hour",
    "3600s": "hour",
    "1d": "day",
    "24h": "day",
    "86400s": "day",
    "30d": "month",
    "1mo": "month",
}
_FALLBACKS: Mapping[str, FallbackReason] = {
    "fallbacks": "failure",
    "context_window_fallbacks": "context_window",
    "content_policy_fallbacks": "content_filter",
}
_EVERY = "*"


@dataclass(frozen=True, slots=True)
class Translation:
    """What came of a file."""

    config: GatewayConfig
    not_taken: tuple[Lost, ...]


@dataclass(slots=True)
class _Settings:
    """The sections beside the models."""

    router: Section
    library: Section
    general: Section

    def take_number(self, key: str, most: float = LONGEST_PAUSE_S) -> float | None:
        """Return a number of the router's settings, else of the library's, else of the proxy's own."""
        found = [section.take_number(key, most) for section in (self.router, self.library, self.general)]
        return next((number for number in found if number is not None), None)


def translate_litellm(text: str, *, variable: Callable[[str], str], today: str) -> Translation:
    """Return the gateway document that says what a LiteLLM configuration says, as far as that can be said.

    Args:
        text: The file's YAML.
        variable: Gives an environment variable's value, empty if it is not set; for addresses. Keys are not looked at.
        today: ``YYYY-MM-DD``, from when on the file's own prices hold.

    Raises:
        Invalid: If the text is no YAML, or no configuration of LiteLLM's.
    """
    root = Section(_parse(text), "")
    lost: list[Lost] = []
    upstreams = Upstreams(variable, lost)
    groups = read_groups(root.take("model_list"), upstreams, lost, today)
    settings = _Settings(*(_section(root, key) for key in ("router_settings", "litellm_settings", "general_settings")))
    if settings.router.values.get("routing_strategy") == "simple-shuffle":
        settings.router.take("routing_strategy")
    resilience = _resilience(settings)
    chains = _fallbacks(settings, groups, lost)
    names = {**{name: name for name in groups}, **_other_names(settings.router, groups, lost)}
    aliases = [
        ModelAlias(
            name=name, target=_chain(groups, group, chains), resilience=groups[group].resilience(resilience, lost)
        )
        for name, group in names.items()
        if _is_callable(name, groups[group], lost)
    ]
    config = GatewayConfig(
        limits=_limits(settings),
        resilience=resilience,
        upstream=upstreams.specs(),
        model=aliases,
        price=[price for group in groups.values() for price in group.prices()],
    )
    for section in (settings.router, settings.library, settings.general, root):
        lost += [Lost(section.place(key), why_not(key)) for key in section.values]
    # A group of several names says what it lost once for each.
    return Translation(config, tuple(dict.fromkeys(lost)))


def _parse(text: str) -> dict[str, object]:
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(f"this is no YAML: {error}") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("model_list"), list):
        raise Invalid("this is no configuration of LiteLLM's: it has no model_list", path="model_list")
    return {str(key): value for key, value in plain.items()}


def _section(root: Section, key: str) -> Section:
    found = root.values.get(key)
    if found is None or isinstance(found, dict):
        root.take(key)
    return Section({str(name): value for name, value in found.items()} if isinstance(found, dict) else {}, key)


def _resilience(settings: _Settings) -> Resilience:
    plain = Resilience()
    retries = settings.take_number("num_retries")
    total_s = settings.take_number("timeout")
    request_s = settings.take_number("request_timeout")
    first_token_s = settings.take_number("stream_timeout")
    backoff_s = settings.take_number("retry_after")
    allowed = settings.take_number("allowed_fails")
    rest_s = settings.take_number("cooldown_time")
    failures = plain.failures if allowed is None else int(allowed) + 1
    if settings.router.values.get("disable_cooldowns") is True:
        settings.router.take("disable_cooldowns")
        failures = 0
    backoff_s = plain.backoff_s if backoff_s is None else backoff_s
    return Resilience(
        retries=plain.retries if retries is None else min(int(retries), 100),
        backoff_s=backoff_s,
        longest_backoff_s=max(plain.longest_backoff_s, backoff_s),
        total_s=total_s or request_s or None,
        first_token_s=first_token_s or None,
        failures=failures,
        rest_s=rest_s or plain.rest_s,
    )


def _limits(settings: _Settings) -> Limits:
    concurrency = settings.take_number("global_max_parallel_requests", LARGEST_LIMIT)
    section = settings.library
    duration = section.values.get("budget_duration")
    window = _WINDOWS.get(duration) if isinstance(duration, str) else None
    budget = []
    if window is not None and (usd := section.take_number("max_budget", 1e11)):
        section.take("budget_duration")
        budget = [Budget(window=window, hard_usd=f"{usd:.12f}".rstrip("0").rstrip("."))]
    return Limits(concurrency=max(int(concurrency), 1) if concurrency else None, budget=budget)


def _fallbacks(
    settings: _Settings, groups: Mapping[str, Group], lost: list[Lost]
) -> Mapping[str, Mapping[str, tuple[FallbackReason, ...]]]:
    """Return for each group the groups that come behind it, in order, with their reasons."""
    found: dict[str, dict[str, tuple[FallbackReason, ...]]] = {name: {} for name in groups}
    everywhere: list[tuple[str, str]] = []
    for key, reason in _FALLBACKS.items():
        for section in (settings.router, settings.library):
            for path, group, other in _pairs(section, key, lost):
                if group == _EVERY and reason == "failure":
                    everywhere.append((path, other))
                elif _is_known(path, group, groups, lost) and _is_known(path, other, groups, lost):
                    _add(found[group], group, other, reason)
    for section in (settings.router, settings.library):
        others = section.take("default_fallbacks")
        path = section.place("default_fallbacks")
        everywhere += [(path, str(other)) for other in others] if isinstance(others, list) else []
    for path, other in everywhere:
        if _is_known(path, other, groups, lost):
            for group in groups:
                _add(found[group], group, other, "failure")
    return found


def _pairs(section: Section, key: str, lost: list[Lost]) -> Iterator[tuple[str, str, str]]:
    """Yield the path, the group and one group behind it, of a list of objects of lists."""
    entries = section.take(key)
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        for group, others in entry.items() if isinstance(entry, dict) else []:
            path = f"{section.place(key)}[{index}].{group}"
            for other in others if isinstance(others, list) else [others]:
                if isinstance(other, str):
                    yield path, str(group), other
                else:
                    lost.append(Lost(path, "a fallback names a model of model_list; add this one there"))


def _is_known(path: str, group: str, groups: Mapping[str, Group], lost: list[Lost]) -> bool:
    if group not in groups:
        lost.append(Lost(path, f"{group!r} is no model that was taken over"))
    return group in groups


def _add(chain: dict[str, tuple[FallbackReason, ...]], group: str, other: str, reason: FallbackReason) -> None:
    if other != group and reason not in chain.get(other, ()):
        chain[other] = (*chain.get(other, ()), reason)


def _chain(
    groups: Mapping[str, Group], group: str, chains: Mapping[str, Mapping[str, tuple[FallbackReason, ...]]]
) -> list[TargetSpec]:
    return [groups[group].target(("failure",)), *(groups[other].target(on) for other, on in chains[group].items())]


def _other_names(router: Section, groups: Mapping[str, Group], lost: list[Lost]) -> Mapping[str, str]:
    """Return further names of groups."""
    found: dict[str, str] = {}
    aliases = router.take("model_group_alias")
    for name, value in aliases.items() if isinstance(aliases, dict) else []:
        group = str(value.get("model", "")) if isinstance(value, dict) else str(value)
        if _is_known(f"{router.place('model_group_alias')}.{name}", group, groups, lost):
            found[str(name)] = group
    return found


def _is_callable(name: str, group: Group, lost: list[Lost]) -> bool:
    """Return whether callers can use a name for a model of several places; else say how they call it."""
    if is_alias(name):
        return True
    direct = group.target(("failure",))
    if direct.name != name or direct.pool or direct.parameters:
        said = f"a model's name has no '/', '*' or space here; callers name {direct.name}"
        lost.append(Lost(f"{group.path}.model_name", said))
    return False
