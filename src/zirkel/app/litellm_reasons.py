"""Why a key of LiteLLM's configuration has no counterpart, and where to do what it does. Pure."""

from collections.abc import Mapping

_KEYS = "keys and their limits are made with: zirkel keys create"
_RECORDED = "every call is recorded here; other systems get it by OpenTelemetry"
_RELEASE_CACHE = "which answers are used again is said by a release: [cache] in its service.toml"
_RELEASE_CHECKS = (
    "what is checked before and after a model is said by a release: guardrails.toml beside its service.toml"
)
_STORE = "Zirkel keeps its own stores; others are named by its settings, see: zirkel config check"
_NO_USE = "there is nothing to switch on or off here"
_PEOPLE = "who signs in is set with: zirkel people set"
_NO_COUNTERPART = "it has no counterpart"

_REASONS: Mapping[str, str] = {
    "alerting": "limits and failures are in the gateway's metrics",
    "allowed_fails_policy": "any failure that may pass counts; see failures of [resilience]",
    "allowed_routes": "what a key may use is said by its roles and by models of its limits",
    "base_model": "a deployment of another name than its model's gets its price from a [[price]]",
    "budget_duration": "a budget has the windows hour, day and month; see [[limits.budget]]",
    "cache": _RELEASE_CACHE,
    "cache_params": _RELEASE_CACHE,
    "cache_responses": _RELEASE_CACHE,
    "callbacks": _RECORDED,
    "coordination": _STORE,
    "custom_auth": _KEYS,
    "database_connection_pool_limit": _STORE,
    "database_url": _STORE,
    "default_internal_user_params": _PEOPLE,
    "default_team_settings": "a project has its own keys and limits",
    "disable_spend_logs": _NO_USE,
    "drop_params": "a parameter goes to the upstream as it is; name parameters in the target",
    "environment_variables": "set them where Zirkel is started",
    "failure_callback": _RECORDED,
    "guardrails": _RELEASE_CHECKS,
    "include": "import each file by itself",
    "json_logs": _NO_USE,
    "master_key": f"{_KEYS}; the first admin key is printed at the first start",
    "max_budget": "a budget needs a window of an hour, a day or a month; see [[limits.budget]]",
    "max_parallel_requests": "calls at the same time are limited for a key, a user, a service or the project",
    "mode": "a model is what the caller's path asks it for",
    "order": "what comes first is the order of [[model.target]]",
    "redis_host": _STORE,
    "redis_password": _STORE,
    "redis_port": _STORE,
    "redis_url": _STORE,
    "retry_policy": "any failure that may pass is retried; see retries of [resilience]",
    "routing_strategy": "calls are split by weight within a pool",
    "routing_strategy_args": "calls are split by weight within a pool",
    "salt_key": "credentials are sealed under the installation's own master key",
    "set_verbose": _NO_USE,
    "store_model_in_db": "the document is kept with all its versions",
    "success_callback": _RECORDED,
    "tags": "calls are told apart by key, user, service and release",
    "telemetry": "nothing is sent to anybody",
    "ui_access_mode": _PEOPLE,
}


def why_not(key: str) -> str:
    """Return why a key cannot be taken over, and where to do what it does."""
    return _REASONS.get(key, _NO_COUNTERPART)
