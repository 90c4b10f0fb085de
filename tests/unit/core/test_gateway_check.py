"""Which documents of the gateway are taken, and how the fault of the others is told."""

import pytest

from zirkel.core import Invalid, PriceSpec
from zirkel.core.gateway_check import (
    PRICE_BUCKETS,
    check_upstreams,
    config_digest,
    convert_gateway_config,
    missing_upstreams,
    parse_gateway_config,
)

WHOLE = """
capture = "masked"

[limits]
requests_per_minute = 600

[[limits.budget]]
window = "month"
hard_usd = "500"

[resilience]
retries = 2

[[upstream]]
name = "openai"
base_url = "https://api.openai.com/v1"
credential_variable = "OPENAI_API_KEY"

[[upstream]]
name = "eu"
base_url = "https://eu.openai.azure.com?api-version=2024-10-21"
dialect = "azure"
formats = ["chat", "embeddings"]
prices = "azure"

[[model]]
name = "fast"

[[model.target]]
name = "openai/gpt-4o-mini"
weight = 3.0
parameters = { temperature = 0 }
pool = [{ name = "eu/gpt-4o-mini", weight = 1.0 }]

[[model.target]]
name = "local/small"
on = ["failure", "context_window"]

[[limit]]
user = "*"
limits = { tokens_per_minute = 1000 }

[[price]]
model = "local/small"
effective = "2026-01-01"
input = "0.1"
output = "0.2"
"""


def upstream(**fields: object) -> dict[str, object]:
    return {"name": "openai", "base_url": "https://api.openai.com/v1", **fields}


def model(*targets: dict[str, object], **fields: object) -> dict[str, object]:
    return {"name": "fast", "target": list(targets) or [{"name": "openai/gpt"}], **fields}


def price(**fields: object) -> dict[str, object]:
    return {"model": "openai/gpt", "effective": "2026-01-01", "input": "1", **fields}


def test_a_whole_document_is_taken() -> None:
    config = parse_gateway_config(WHOLE)
    assert [target.name for target in config.model[0].target] == ["openai/gpt-4o-mini", "local/small"]
    assert config.upstream[1].prices == "azure"


def test_an_empty_document_is_one() -> None:
    assert parse_gateway_config("").upstream == []


@pytest.mark.parametrize("text", ["x ==", "[limits\n", 'a = "\\ud800"', "\x00"])
def test_what_is_no_toml_is_told(text: str) -> None:
    with pytest.raises(Invalid, match="no TOML"):
        parse_gateway_config(text)


FAULTS: dict[str, tuple[dict[str, object], str]] = {
    "unknown field": ({"upstreams": []}, "upstreams"),
    "unknown field within": ({"model": [model({"name": "openai/gpt", "wieght": 1})]}, "model[0].target[0].wieght"),
    "missing field": ({"upstream": [{"name": "openai"}]}, "upstream[0].base_url"),
    "wrong type": ({"model": [model({"name": 1})]}, "model[0].target[0].name"),
    "wrong word": ({"capture": "sometimes"}, "capture"),
    "limits": ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
    "budget": ({"limits": {"budget": [{"window": "day"}]}}, "limits.budget[0].hard_usd"),
    "resilience": ({"resilience": {"retries": -1}}, "resilience.retries"),
    "upstream name": ({"upstream": [upstream(name="a/b")]}, "upstream[0].name"),
    "upstream twice": ({"upstream": [upstream(), upstream()]}, "upstream[1].name"),
    "no address": ({"upstream": [upstream(base_url="api.openai.com")]}, "upstream[0].base_url"),
    "another scheme": ({"upstream": [upstream(base_url="ftp://x/v1")]}, "upstream[0].base_url"),
    "password": ({"upstream": [upstream(base_url="https://u:p@x/v1")]}, "upstream[0].base_url"),
    "space": ({"upstream": [upstream(base_url="https://x/v 1")]}, "upstream[0].base_url"),
    "port": ({"upstream": [upstream(base_url="https://x:99999/v1")]}, "upstream[0].base_url"),
    "dialect": ({"upstream": [upstream(dialect="klingon")]}, "upstream[0].dialect"),
    "format": ({"upstream": [upstream(formats=["chat", "messages"])]}, "upstream[0].formats[1]"),
    "format twice": ({"upstream": [upstream(formats=["chat", "chat"])]}, "upstream[0].formats[1]"),
    "variable": ({"upstream": [upstream(credential_variable="sk-abc def")]}, "upstream[0].credential_variable"),
    "alias with slash": ({"model": [model(name="openai/gpt")]}, "model[0].name"),
    "alias with star": ({"model": [model(name="gpt*")]}, "model[0].name"),
    "alias of a service": ({"model": [model(name="service:triage")]}, "model[0].name"),
    "alias empty": ({"model": [model(name="")]}, "model[0].name"),
    "alias twice": ({"model": [model(), model()]}, "model[1].name"),
    "no target": ({"model": [{"name": "fast", "target": []}]}, "model[0].target"),
    "target name": ({"model": [model({"name": "openai"})]}, "model[0].target[0].name"),
    "target without model": ({"model": [model({"name": "openai/ "})]}, "model[0].target[0].name"),
    "weight": ({"model": [model({"name": "a/b", "weight": 0})]}, "model[0].target[0].weight"),
    "weight not a number": ({"model": [model({"name": "a/b", "weight": float("nan")})]}, "model[0].target[0].weight"),
    "pool name": ({"model": [model({"name": "a/b", "pool": [{"name": "c"}]})]}, "model[0].target[0].pool[0].name"),
    "pool weight": (
        {"model": [model({"name": "a/b", "pool": [{"name": "c/d", "weight": -1}]})]},
        "model[0].target[0].pool[0].weight",
    ),
    "pool twice": ({"model": [model({"name": "a/b", "pool": [{"name": "a/b"}]})]}, "model[0].target[0].pool[0].name"),
    "fallback for nothing": ({"model": [model({"name": "a/b"}, {"name": "c/d", "on": []})]}, "model[0].target[1].on"),
    "null parameter": (
        {"model": [model({"name": "a/b", "parameters": {"x": [None]}})]},
        "model[0].target[0].parameters",
    ),
    "no JSON": (
        {"model": [model({"name": "a/b", "parameters": {"x": float("inf")}})]},
        "model[0].target[0].parameters",
    ),
    "model's resilience": ({"model": [model(resilience={"rest_s": 0})]}, "model[0].resilience.rest_s"),
    "limit of nobody": ({"limit": [{"limits": {}}]}, "limit[0].user"),
    "limit of two": ({"limit": [{"user": "a", "service": "b", "limits": {}}]}, "limit[0].user"),
    "limit twice": ({"limit": [{"user": "a", "limits": {}}, {"user": "a", "limits": {}}]}, "limit[1]"),
    "limit's limits": ({"limit": [{"user": "a", "limits": {"concurrency": 0}}]}, "limit[0].limits.concurrency"),
    "price model": ({"price": [price(model="gpt")]}, "price[0].model"),
    "price day": ({"price": [price(effective="2026-02-30")]}, "price[0].effective"),
    "price day form": ({"price": [price(effective="20260230")]}, "price[0].effective"),
    "price decimal": ({"price": [price(output="1e3")]}, "price[0].output"),
    "price below 0": ({"price": [price(input="-1")]}, "price[0].input"),
    "price of nothing": ({"price": [{"model": "a/b", "effective": "2026-01-01"}]}, "price[0]"),
    "price twice": ({"price": [price(), price()]}, "price[1].model"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_told_with_its_path(name: str) -> None:
    plain, path = FAULTS[name]
    with pytest.raises(Invalid) as raised:
        convert_gateway_config(plain)
    assert raised.value.path == path
    assert str(raised.value).startswith(f"{path}: ")


def test_what_is_most_likely_a_credential_is_not_repeated() -> None:
    with pytest.raises(Invalid) as raised:
        convert_gateway_config({"upstream": [upstream(credential_variable="sk-very-secret")]})
    assert "secret" not in str(raised.value)


def test_every_upstream_that_a_model_names_is_in_the_document_or_set_elsewhere() -> None:
    config = parse_gateway_config(WHOLE)
    assert missing_upstreams(config, ()) == {"model[0].target[1].name": "local"}
    check_upstreams(config, {"local"})
    with pytest.raises(Invalid) as raised:
        check_upstreams(config, {"other"})
    assert raised.value.path == "model[0].target[1].name"
    in_a_pool = convert_gateway_config({"model": [model({"name": "a/b", "pool": [{"name": "c/d"}]})]})
    assert list(missing_upstreams(in_a_pool, {"a"})) == ["model[0].target[0].pool[0].name"]


def test_the_digest_is_the_contents_however_it_is_written() -> None:
    plain = {"model": [model({"name": "a/b"})], "capture": "on"}
    spelt_out = {"model": [model({"name": "a/b", "weight": 1, "on": ["failure"], "pool": []})], "limits": {}}
    other = {"model": [model({"name": "a/b", "weight": 2})]}
    digests = [config_digest(convert_gateway_config(found)) for found in (plain, spelt_out, other)]
    assert digests[0] == digests[1] != digests[2]


def test_every_kind_of_token_that_a_price_can_be_for_is_checked() -> None:
    assert set(PriceSpec.__struct_fields__) - {"model", "effective"} == set(PRICE_BUCKETS)
