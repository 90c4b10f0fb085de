"""LiteLLM's configuration as a gateway document: what is taken over, and that nothing is lost in silence."""

from collections.abc import Mapping

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zirkel.app.litellm_import import Translation, translate_litellm
from zirkel.core import Budget, Invalid, ModelAlias, PoolMember, UpstreamSpec
from zirkel.core.gateway_check import parse_gateway_config
from zirkel.core.gateway_text import write_gateway_config

HOUSE = """
model_list:
  - model_name: chat
    litellm_params:
      model: azure/chat-eu
      api_base: os.environ/AZURE_API_BASE
      api_key: os.environ/AZURE_KEY_EU
      api_version: "2024-10-21"
      rpm: 900
      timeout: 30
      stream_timeout: 5
    model_info:
      base_model: azure/gpt-4o
  - model_name: chat
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      rpm: 100
      timeout: 30
      stream_timeout: 5
  - model_name: claude
    litellm_params:
      model: anthropic/claude-sonnet-4-5
      api_key: os.environ/ANTHROPIC_API_KEY
      max_tokens: 4096
      temperature: 0.2
  - model_name: on-prem
    litellm_params:
      model: hosted_vllm/Qwen/Qwen3-32B
      api_base: http://gpu-1.internal:8000/v1
      input_cost_per_token: 2e-7
    model_info:
      output_cost_per_token: 0.0000004
      mode: chat
  - model_name: embed
    litellm_params: {model: text-embedding-3-small}
  - model_name: "groq/*"
    litellm_params: {model: "groq/*", api_key: os.environ/GROQ_API_KEY}

router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  allowed_fails: 3
  cooldown_time: 30
  fallbacks: [{chat: [claude, on-prem]}]
  context_window_fallbacks: [{chat: [claude]}]
  model_group_alias: {gpt-4: chat}
  redis_host: os.environ/REDIS_HOST

litellm_settings:
  request_timeout: 120
  content_policy_fallbacks: [{claude: [on-prem]}]
  default_fallbacks: [on-prem]
  callbacks: [langfuse]
  cache: true
  cache_params: {type: redis, ttl: 600}
  max_budget: 250
  budget_duration: 30d

general_settings:
  master_key: sk-1234
  database_url: os.environ/DATABASE_URL
  global_max_parallel_requests: 100

guardrails:
  - guardrail_name: pii
    litellm_params: {guardrail: presidio, mode: pre_call}
"""
VARIABLES = {"AZURE_API_BASE": "https://house.openai.azure.com/"}


def translate(text: str, variables: Mapping[str, str] = VARIABLES) -> Translation:
    found = translate_litellm(text, variable=lambda name: variables.get(name, ""), today="2026-03-01")
    # Whatever comes out is a document that can be applied.
    assert parse_gateway_config(write_gateway_config(found.config)) == found.config
    return found


def deployment(model: str, name: str = "m", **params: object) -> dict[str, object]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def translate_models(*entries: dict[str, object], **sections: object) -> Translation:
    return translate(yaml.safe_dump({"model_list": list(entries), **sections}))


def alias(found: Translation, name: str) -> ModelAlias:
    return next(model for model in found.config.model if model.name == name)


def chain(found: Translation, name: str) -> list[tuple[str, tuple[str, ...]]]:
    return [(target.name, tuple(target.on)) for target in alias(found, name).target]


def paths(found: Translation) -> list[str]:
    return [lost.path for lost in found.not_taken]


def test_a_house_moves_in() -> None:
    found = translate(HOUSE)
    assert {(u.name, u.base_url, u.dialect, u.credential_variable) for u in found.config.upstream} == {
        ("azure", "https://house.openai.azure.com?api-version=2024-10-21", "azure", "AZURE_KEY_EU"),
        ("openai", "https://api.openai.com/v1", "openai", "OPENAI_API_KEY"),
        ("anthropic", "https://api.anthropic.com", "anthropic", "ANTHROPIC_API_KEY"),
        ("hosted_vllm", "http://gpu-1.internal:8000/v1", "openai", ""),
        ("groq", "https://api.groq.com/openai/v1", "openai", "GROQ_API_KEY"),
    }
    assert [model.name for model in found.config.model] == ["chat", "claude", "on-prem", "embed", "gpt-4"]


def test_deployments_of_one_name_are_a_pool_with_their_shares() -> None:
    first = alias(translate(HOUSE), "chat").target[0]
    assert (first.name, first.weight) == ("azure/chat-eu", 900.0)
    assert first.pool == [PoolMember(name="openai/gpt-4o", weight=100.0)]


def test_fallbacks_are_the_chain_with_their_reasons() -> None:
    found = translate(HOUSE)
    assert chain(found, "chat") == [
        ("azure/chat-eu", ("failure",)),
        ("anthropic/claude-sonnet-4-5", ("failure", "context_window")),
        ("hosted_vllm/Qwen/Qwen3-32B", ("failure",)),
    ]
    assert chain(found, "claude")[1:] == [("hosted_vllm/Qwen/Qwen3-32B", ("content_filter", "failure"))]
    assert chain(found, "on-prem")[1:] == []
    assert alias(found, "gpt-4").target == alias(found, "chat").target
    assert alias(found, "claude").target[0].parameters == {"max_tokens": 4096, "temperature": 0.2}


def test_retries_times_and_rests_are_the_projects_and_a_models_own() -> None:
    found = translate(HOUSE)
    common = found.config.resilience
    assert (common.retries, common.total_s, common.failures, common.rest_s) == (2, 120, 4, 30)
    own = alias(found, "chat").resilience
    assert own is not None
    assert (own.retries, own.total_s, own.first_token_s) == (2, 30, 5)
    assert alias(found, "claude").resilience is None


def test_own_prices_are_exact_and_per_million() -> None:
    (price,) = translate(HOUSE).config.price
    assert (price.model, price.effective) == ("hosted_vllm/Qwen/Qwen3-32B", "2026-03-01")
    assert (price.input, price.output) == ("0.2", "0.4")


def test_limits_of_the_whole_proxy_are_the_projects() -> None:
    limits = translate(HOUSE).config.limits
    assert limits.concurrency == 100
    assert limits.budget == [Budget(window="month", hard_usd="250")]


def test_what_has_no_place_is_listed_with_the_reason() -> None:
    found = translate(HOUSE)
    assert paths(found) == [
        "model_list[0].litellm_params.rpm",
        "model_list[0].model_info.base_model",
        "model_list[1].litellm_params.rpm",
        "model_list[3].model_info.mode",
        "router_settings.redis_host",
        "litellm_settings.callbacks",
        "litellm_settings.cache",
        "litellm_settings.cache_params",
        "general_settings.master_key",
        "general_settings.database_url",
        "guardrails",
    ]
    assert all(lost.why for lost in found.not_taken)


SECTIONS = ("", "router_settings", "litellm_settings", "general_settings")


@pytest.mark.parametrize("section", [*SECTIONS, "model_list[0]", "model_list[0].litellm_params"])
@pytest.mark.parametrize("value", ["x", 3, True, None, [1], {"a": {"b": 1}}])
def test_an_unknown_key_is_never_dropped_in_silence(section: str, value: object) -> None:
    entry = deployment("openai/gpt-4o")
    whole: dict[str, object] = {"model_list": [entry]}
    place = {"model_list[0]": entry, "model_list[0].litellm_params": entry["litellm_params"], "": whole}
    target = place.get(section) or whole.setdefault(section, {})
    assert isinstance(target, dict)
    target["made_up"] = value
    assert paths(translate(yaml.safe_dump(whole))) == [f"{section}.made_up".lstrip(".")]


NUMBERS = ("num_retries", "timeout", "stream_timeout", "allowed_fails", "cooldown_time", "retry_after")


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", ["soon", -1, [], "os.environ/X"])
def test_a_setting_that_is_no_number_is_listed(key: str, value: object) -> None:
    found = translate_models(deployment("openai/gpt-4o"), router_settings={key: value})
    assert paths(found) == [f"router_settings.{key}"]


def test_a_section_that_is_no_object_is_listed() -> None:
    assert paths(translate_models(deployment("openai/gpt-4o"), router_settings=[1])) == ["router_settings"]


KNOWN: dict[str, tuple[dict[str, object], str, str, str, str]] = {
    "plain OpenAI": ({"model": "gpt-4o"}, "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "gpt-4o"),
    "reasoning": ({"model": "o3-mini"}, "openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "o3-mini"),
    "plain Claude": (
        {"model": "claude-3-haiku"},
        "anthropic",
        "https://api.anthropic.com",
        "ANTHROPIC_API_KEY",
        "claude-3-haiku",
    ),
    "an address of one's own": (
        {"model": "openai/qwen", "api_base": "http://host:1/v1/"},
        "openai",
        "http://host:1/v1",
        "",
        "qwen",
    ),
    "an unknown name at an address": (
        {"model": "my-org/model", "api_base": "http://h/v1"},
        "openai",
        "http://h/v1",
        "",
        "my-org/model",
    ),
    "a named provider": (
        {"model": "llama", "custom_llm_provider": "groq"},
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        "llama",
    ),
    "Ollama": ({"model": "ollama_chat/llama3"}, "ollama", "http://localhost:11434/v1", "", "llama3"),
    "Ollama elsewhere": (
        {"model": "ollama/llama3", "api_base": "http://box:11434"},
        "ollama",
        "http://box:11434/v1",
        "",
        "llama3",
    ),
    "Gemini": (
        {"model": "gemini/gemini-2.5-pro"},
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        "gemini-2.5-pro",
    ),
    "a provider's shop": (
        {"model": "openrouter/openai/gpt-4o"},
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "openai/gpt-4o",
    ),
    "Azure without a version": (
        {"model": "azure/mine", "api_base": "https://r.openai.azure.com"},
        "azure",
        "https://r.openai.azure.com/openai/v1",
        "AZURE_API_KEY",
        "mine",
    ),
    "Bedrock": (
        {"model": "bedrock/converse/us.amazon.nova", "aws_region_name": "eu-west-1"},
        "bedrock",
        "https://bedrock-runtime.eu-west-1.amazonaws.com",
        "AWS_BEDROCK_CREDENTIAL",
        "us.amazon.nova",
    ),
    "Bedrock with its region": (
        {"model": "bedrock/us-west-2/amazon.nova"},
        "bedrock",
        "https://bedrock-runtime.us-west-2.amazonaws.com",
        "AWS_BEDROCK_CREDENTIAL",
        "amazon.nova",
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_provider_is_an_upstream_with_its_address(name: str) -> None:
    params, upstream, base_url, variable, model = KNOWN[name]
    found = translate_models({"model_name": "m", "litellm_params": params})
    (spec,) = found.config.upstream
    assert (spec.name, spec.base_url, spec.credential_variable) == (upstream, base_url, variable)
    assert alias(found, "m").target[0].name == f"{upstream}/{model}"
    assert paths(found) == []


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"model": "vertex_ai/gemini-pro"}, "model"),
        ({"model": "replicate/meta/llama"}, "model"),
        ({"model": "who-knows"}, "model"),
        ({"model": "hosted_vllm/qwen"}, "api_base"),
        ({"model": "azure/mine"}, "api_base"),
        ({"model": "hosted_vllm/x", "api_base": "os.environ/UNSET"}, "api_base"),
        ({"model": "bedrock/amazon.nova"}, "aws_region_name"),
    ],
)
def test_a_deployment_that_cannot_be_called_is_listed_and_left_out(params: dict[str, object], path: str) -> None:
    found = translate_models({"model_name": "m", "litellm_params": params}, deployment("openai/gpt-4o", "n"))
    assert [model.name for model in found.config.model] == ["n"]
    assert paths(found) == [f"model_list[0].litellm_params.{path}"]


def test_a_key_in_the_file_is_not_in_the_document() -> None:
    found = translate_models(
        deployment("openai/gpt-4o", api_key="sk-one"),
        deployment("openai/gpt-4o", api_key="sk-two"),
        deployment("openai/gpt-4o-mini", api_key="sk-one"),
    )
    assert [u.credential_variable for u in found.config.upstream] == ["OPENAI_API_KEY", "OPENAI_API_KEY_2"]
    text = write_gateway_config(found.config) + str(found.not_taken)
    assert "sk-" not in text
    assert paths(found) == [f"model_list[{n}].litellm_params.api_key" for n in range(3)]


def test_the_same_provider_under_another_key_has_the_providers_prices() -> None:
    found = translate_models(
        deployment("together_ai/llama", api_key="os.environ/A"), deployment("together_ai/llama", api_key="os.environ/B")
    )
    assert found.config.upstream[1] == UpstreamSpec(
        name="together_ai-2", base_url="https://api.together.xyz/v1", credential_variable="B", prices="together"
    )
    target = alias(found, "m").target[0]
    assert (target.name, [m.name for m in target.pool]) == ("together_ai/llama", ["together_ai-2/llama"])


def test_a_place_without_a_weight_beside_others_gets_no_calls() -> None:
    found = translate_models(deployment("openai/a", weight=2), deployment("openai/b"), deployment("openai/c", weight=1))
    target = alias(found, "m").target[0]
    assert (target.name, target.weight, target.pool) == ("openai/a", 2.0, [PoolMember(name="openai/c", weight=1.0)])
    assert paths(found) == ["model_list[1]"]


def test_a_name_that_callers_cannot_have_is_what_they_call_directly() -> None:
    same = translate_models(deployment("openai/gpt-4o", "openai/gpt-4o"))
    assert (same.config.model, paths(same)) == ([], [])
    other = translate_models(deployment("openai/gpt-4o", "team/best"))
    assert (other.config.model, paths(other)) == ([], ["model_list[0].model_name"])
    assert "openai/gpt-4o" in other.not_taken[0].why


def test_a_fallback_to_nowhere_and_one_that_is_spelt_out_are_listed() -> None:
    fallbacks = [{"m": ["nowhere", {"model": "openai/x"}]}, {"nobody": ["m"]}]
    found = translate_models(deployment("openai/gpt-4o"), router_settings={"fallbacks": fallbacks})
    assert len(alias(found, "m").target) == 1
    assert paths(found) == [
        "router_settings.fallbacks[0].m",
        "router_settings.fallbacks[0].m",
        "router_settings.fallbacks[1].nobody",
    ]


def test_a_fallback_of_everything_is_behind_everything_but_itself() -> None:
    found = translate_models(
        deployment("openai/a", "a"), deployment("openai/b", "b"), litellm_settings={"fallbacks": [{"*": ["b"]}]}
    )
    assert [name for name, _ in chain(found, "a")] == ["openai/a", "openai/b"]
    assert [name for name, _ in chain(found, "b")] == ["openai/b"]


@pytest.mark.parametrize("strategy", ["latency-based-routing", "least-busy", "usage-based-routing-v2"])
def test_another_way_to_split_is_listed(strategy: str) -> None:
    found = translate_models(deployment("openai/a"), router_settings={"routing_strategy": strategy})
    assert paths(found) == ["router_settings.routing_strategy"]


@pytest.mark.parametrize(
    "text", ["", "[1]", "a: [", "model_list: 3", "litellm_settings: {}", "!!python/object:os.x {}"]
)
def test_what_is_no_such_configuration_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        translate(text)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.text("abc/*:.- ", max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=2),
    max_leaves=4,
)
ENTRIES = st.fixed_dictionaries(
    {"model_name": st.sampled_from(["a", "b", "x/y", "*", ""])},
    optional={
        "litellm_params": st.dictionaries(
            st.sampled_from(["api_base", "api_key", "rpm", "weight", "timeout", "max_tokens", "input_cost_per_token"]),
            PLAIN,
            max_size=4,
        ).flatmap(
            lambda params: st.sampled_from(["openai/a", "claude-x", "azure/b", "ollama/c", "", "no/where"]).map(
                lambda model: {"model": model, **params}
            )
        ),
        "model_info": PLAIN,
    },
)
SETTINGS = st.dictionaries(
    st.sampled_from(
        [*NUMBERS, "fallbacks", "default_fallbacks", "model_group_alias", "routing_strategy", "max_budget"]
    ),
    PLAIN | st.just([{"a": ["b"]}]),
    max_size=4,
)


@given(st.lists(ENTRIES, max_size=4), SETTINGS, SETTINGS)
def test_whatever_is_in_the_file_what_comes_out_can_be_applied(
    entries: list[dict[str, object]], router: dict[str, object], library: dict[str, object]
) -> None:
    whole = {"model_list": entries, "router_settings": router, "litellm_settings": library}
    translate(yaml.safe_dump(whole))
