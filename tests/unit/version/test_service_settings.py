"""Pools, resilience and caches in ``service.toml``: checked, versioned, and of no effect on digests where not set."""

import re

import pytest

from zirkel.core import CachePolicy, Invalid, PoolMember, Principal, Resilience
from zirkel.version import Registry, build_releases, parse_service, select_files

Contents = dict[str, bytes]
START = 'name = "triage"\n'
MODEL = '[model]\nname = "openai/gpt-4o"\n'
FALLBACK = '[[fallback]]\nname = "azure/gpt-4o"\n'


def with_service(contents: Contents, text: str) -> Contents:
    small = {path: data for path, data in contents.items() if path != "baseline.toml"}
    return {**small, "service.toml": text.encode()}


def model_content(contents: Contents) -> object:
    files = select_files(contents)
    return build_releases(files, parse_service(files))[0].artefact("model").content


def test_what_is_not_set_is_not_in_the_artefact(contents: Contents) -> None:
    assert model_content(with_service(contents, START + MODEL + FALLBACK)) == {
        "unit": "user",
        "model": {"name": "openai/gpt-4o", "parameters": {}},
        "fallback": [{"name": "azure/gpt-4o", "parameters": {}}],
    }


def test_what_is_set_is_in_the_artefact_without_its_defaults(contents: Contents) -> None:
    text = (
        f'{START}{MODEL}weight = 2\npool = [{{ name = "azure/gpt-4o" }}]\n{FALLBACK}on = ["context_window"]\n'
        "[resilience]\nretries = 3\n[cache]\nttl_s = 60\n"
    )
    assert model_content(with_service(contents, text)) == {
        "unit": "user",
        "model": {"name": "openai/gpt-4o", "parameters": {}, "weight": 2.0, "pool": [{"name": "azure/gpt-4o"}]},
        "fallback": [{"name": "azure/gpt-4o", "parameters": {}, "on": ["context_window"]}],
        "resilience": {"retries": 3},
        "cache": {"ttl_s": 60},
    }


def test_a_release_is_opened_with_all_of_it(registry: Registry, admin: Principal, contents: Contents) -> None:
    text = (
        f"{START}{MODEL}[model.parameters]\ntemperature = 0.5\n"
        f'{FALLBACK}on = ["content_filter"]\npool = [{{ name = "other/gpt-4o", weight = 3.0 }}]\n'
        "[resilience]\nretries = 0\n[cache]\nttl_s = 60\nsemantic = true\n"
    )
    bundle = registry.open("p", registry.push(admin, with_service(contents, text)).release)
    assert bundle.resilience == Resilience(retries=0)
    assert bundle.cache == CachePolicy(ttl_s=60, semantic=True)
    fallback = bundle.targets[1]
    assert (fallback.on, fallback.pool) == (("content_filter",), [PoolMember(name="other/gpt-4o", weight=3.0)])
    assert fallback.parameters == {"temperature": 0.5}


def test_a_release_that_sets_nothing_leaves_it_to_the_project(
    registry: Registry, admin: Principal, contents: Contents
) -> None:
    bundle = registry.open("p", registry.push(admin, contents).release)
    assert (bundle.resilience, bundle.cache) == (None, None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f'{START}{MODEL}pool = [{{ name = "gpt-4o" }}]\n',
            "'gpt-4o' is not of the form UPSTREAM/MODEL - at model.pool[0]",
        ),
        (f"{START}{MODEL}weight = 0\n", "model.weight: 0.0 is not above 0"),
        (f"{START}{MODEL}weight = nan\n", "model.weight: nan is not above 0"),
        (f'{START}{MODEL}pool = [{{ name = "a/b", weight = -1 }}]\n', "model.pool[0].weight: -1.0"),
        (
            f'{START}{MODEL}pool = [{{ name = "openai/gpt-4o" }}]\n',
            "model.pool[0].name: 'openai/gpt-4o' is in this pool",
        ),
        (f"{START}{MODEL}{FALLBACK}on = []\n", "fallback[0].on: a fallback needs at least one reason"),
        (f'{START}{MODEL}{FALLBACK}on = ["failure", "failure"]\n', "fallback[0].on: a fallback needs"),
        (f'{START}{MODEL}{FALLBACK}on = ["boredom"]\n', "'boredom' - at `$.fallback[0].on[0]`"),
        (f"{START}{MODEL}[baseline.model]\nname = 'a/b'\nweight = inf\n", "baseline.model.weight: inf"),
        (f"{START}{MODEL}[resilience]\nretries = -1\n", "resilience.retries: -1 is not from 0"),
        (f"{START}{MODEL}[resilience]\nretry_share = 1.5\n", "resilience.retry_share: 1.5"),
        (f"{START}{MODEL}[resilience.hedge]\npercentile = 1.0\n", "resilience.hedge.percentile: 1.0"),
        (f"{START}{MODEL}[cache]\nttl_s = 0\n", "cache.ttl_s: 0 is not from 1"),
        (f"{START}{MODEL}[cache]\nttl_s = 1\nthreshold = 1.5\n", "cache.threshold: 1.5 is not above 0 and at most 1"),
        (f"{START}{MODEL}[cache]\nsemantic = true\n", "missing required field `ttl_s`"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_file_and_the_field(contents: Contents, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=f"service.toml: .*{re.escape(said)}") as raised:
        parse_service(select_files(with_service(contents, text)))
    assert raised.value.path == "service.toml"
