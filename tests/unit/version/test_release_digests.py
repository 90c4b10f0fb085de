"""A release is identified by its content and by nothing else."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zirkel.core import sha256_hex
from zirkel.version import Release, build_releases, parse_service, select_files

Contents = dict[str, bytes]


def build(contents: Contents) -> list[Release]:
    files = select_files(contents)
    return build_releases(files, parse_service(files))


def parts(release: Release) -> dict[str, str]:
    return {artefact.kind: artefact.digest for artefact in release.artefacts}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_order_of_the_files_does_not_matter(contents: Contents, data: st.DataObject) -> None:
    order = data.draw(st.permutations(list(contents)))
    shuffled = {path: contents[path] for path in order}
    assert [release.digest for release in build(shuffled)] == [release.digest for release in build(contents)]


def test_the_digests_are_those_of_the_first_format(contents: Contents) -> None:
    # A change of these is a change of the format: every lock and every ledger names digests like them.
    assert [release.digest[:16] for release in build(contents)] == ["c5ddadcf51d25dcf", "1c47e979e8e3c286"]


def test_the_baseline_differs_in_what_it_declares_only(contents: Contents) -> None:
    candidate, baseline = build(contents)
    assert (candidate.variant, baseline.variant) == ("candidate", "baseline")
    assert {kind for kind, digest in parts(candidate).items() if parts(baseline)[kind] != digest} == {"prompt"}
    assert baseline.artefact("prompt").content == {"baseline.toml": baseline_sha(contents)}


def baseline_sha(contents: Contents) -> str:
    return sha256_hex(contents["baseline.toml"])


def test_a_baseline_with_another_model_keeps_the_prompt(contents: Contents) -> None:
    del contents["baseline.toml"]
    contents["service.toml"] = contents["service.toml"].replace(
        b'[baseline]\nprompt = "baseline.toml"', b'[baseline.model]\nname = "openai/gpt-4"'
    )
    candidate, baseline = build(contents)
    assert {kind for kind, digest in parts(candidate).items() if parts(baseline)[kind] != digest} == {"model"}
    assert baseline.artefact("model").content == {
        "unit": "user",
        "model": {"name": "openai/gpt-4", "parameters": {}},
        "fallback": [{"name": "azure/gpt-4o", "parameters": {}}],
    }


def test_without_a_baseline_there_is_one_release(contents: Contents) -> None:
    service = contents["service.toml"]
    contents["service.toml"] = service[: service.index(b"[baseline]")]
    del contents["baseline.toml"]
    assert [release.variant for release in build(contents)] == ["candidate"]


def test_an_empty_baseline_is_the_candidate(contents: Contents) -> None:
    del contents["baseline.toml"]
    contents["service.toml"] = contents["service.toml"].replace(b'prompt = "baseline.toml"', b"")
    candidate, baseline = build(contents)
    assert candidate.digest == baseline.digest


@pytest.mark.parametrize(
    ("path", "old", "new", "kinds"),
    [
        ("service.toml", b"0.5", b"0.6", {"model"}),
        ("service.toml", b"azure/gpt-4o", b"azure/gpt-4", {"model"}),
        ("service.toml", b"Sorts", b"Ranks", set()),
        ("service.toml", b"[model]", b"# why\n[model]", set()),
        ("chat.toml", b"Review:", b"Text:", {"prompt"}),
        ("context/policy.md", b"Sei", b"Sag", {"context"}),
        ("datasets/golden.jsonl", b"Nice", b"Good", {"dataset"}),
        ("evaluators.toml", b"exact", b'exact"\nfield = "label', {"evaluators"}),
        ("gate.toml", b"0.8", b"0.9", {"gate"}),
        ("prices.toml", b"2.5", b"2.4", {"prices"}),
    ],
)
def test_a_change_moves_the_digests_of_what_it_changes(
    contents: Contents, path: str, old: bytes, new: bytes, kinds: set[str]
) -> None:
    (before, _) = build(contents)
    assert old in contents[path]
    contents[path] = contents[path].replace(old, new)
    (after, _) = build(contents)
    assert {kind for kind, digest in parts(before).items() if parts(after)[kind] != digest} == kinds
    assert (before.digest == after.digest) == (not kinds)


def test_a_renamed_service_is_another_release_in_every_part(contents: Contents) -> None:
    (before, _) = build(contents)
    contents["service.toml"] = contents["service.toml"].replace(b'"triage"', b'"sorting"')
    (after, _) = build(contents)
    assert not set(parts(before).values()) & set(parts(after).values())


def test_without_own_prices_the_common_table_is_named(contents: Contents) -> None:
    del contents["prices.toml"]
    (candidate, _) = build(contents)
    assert candidate.artefact("prices").content == {"table": "genai-prices"}
