"""The document as TOML: reading what was written gives the same."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import (
    Budget,
    GatewayConfig,
    Hedge,
    Limits,
    ModelAlias,
    PoolMember,
    PriceSpec,
    Resilience,
    SubjectLimits,
    TargetSpec,
    UpstreamSpec,
)
from zirkel.core.gateway_check import config_digest, parse_gateway_config
from zirkel.core.gateway_text import write_gateway_config

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,12}", fullmatch=True)
MODELS = st.builds("{}/{}".format, NAMES, NAMES)
WEIGHTS = st.floats(0.001, 1e6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
LIMITS = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(1, 10**6),
    budget=st.lists(st.builds(Budget, window=st.just("day"), hard_usd=st.just("1.5")), max_size=1),
    models=st.lists(NAMES, max_size=2),
)
TARGETS = st.builds(
    TargetSpec,
    name=MODELS,
    weight=WEIGHTS,
    parameters=st.dictionaries(TEXTS, VALUES, max_size=3),
    pool=st.lists(st.builds(PoolMember, name=MODELS.map("pool-{}".format), weight=WEIGHTS), max_size=1),
    on=st.sampled_from([("failure",), ("context_window", "failure"), ("content_filter",)]),
)
RESILIENCE = st.builds(
    Resilience, retries=st.integers(0, 9), total_s=st.none() | st.floats(1, 100), hedge=st.none() | st.just(Hedge())
)
DOCUMENTS = st.builds(
    GatewayConfig,
    capture=st.sampled_from(["on", "masked", "off"]),
    limits=LIMITS,
    resilience=RESILIENCE,
    upstream=st.lists(
        st.builds(UpstreamSpec, name=NAMES, base_url=st.just("https://x/v1"), formats=st.just(["chat"])),
        unique_by=lambda spec: spec.name,
        max_size=3,
    ),
    model=st.lists(
        st.builds(
            ModelAlias,
            name=NAMES,
            target=st.lists(TARGETS, min_size=1, max_size=3),
            resilience=st.none() | RESILIENCE,
        ),
        unique_by=lambda alias: alias.name,
        max_size=3,
    ),
    limit=st.lists(st.builds(SubjectLimits, user=NAMES, limits=LIMITS), unique_by=lambda s: s.user, max_size=2),
    price=st.lists(
        st.builds(PriceSpec, model=MODELS, effective=st.just("2026-01-01"), input=st.just("1")),
        unique_by=lambda p: p.model,
        max_size=2,
    ),
)


@given(DOCUMENTS)
def test_a_document_that_is_written_and_read_is_the_same(config: GatewayConfig) -> None:
    read = parse_gateway_config(write_gateway_config(config))
    assert read == config
    assert config_digest(read) == config_digest(config)


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_other_readers_of_toml_read_the_same(parameters: dict[str, object]) -> None:
    target = TargetSpec(name="a/b", parameters=parameters)
    text = write_gateway_config(GatewayConfig(model=[ModelAlias(name="m", target=[target])]))
    assert tomllib.loads(text)["model"][0]["target"][0].get("parameters", {}) == parameters


def test_entries_are_tables_of_their_own_and_defaults_are_left_out() -> None:
    config = GatewayConfig(
        upstream=[UpstreamSpec(name="a", base_url="http://x")],
        model=[ModelAlias(name="m", target=[TargetSpec(name="a/b", weight=1.0)])],
    )
    expected = (
        '[[upstream]]\nname = "a"\nbase_url = "http://x"\n\n[[model]]\nname = "m"\n\n[[model.target]]\nname = "a/b"\n'
    )
    assert write_gateway_config(config) == expected
    assert write_gateway_config(GatewayConfig()) == ""
