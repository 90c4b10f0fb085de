"""The registry over a real database: pushing, finding and opening releases."""

import pytest

from zirkel.core import (
    ChatPrompt,
    Conflict,
    Corrupt,
    Forbidden,
    Invalid,
    ManualClock,
    NotFound,
    Principal,
    ReleaseRecord,
    Role,
    sha256_hex,
)
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry, parse_service, select_files

Contents = dict[str, bytes]


def ledger(metadata: Metadata) -> list[tuple[str, str]]:
    with metadata.transaction() as tx:
        return [(entry.actor, entry.action) for entry in tx.ledger.entries("p")]


def test_a_push_registers_the_baseline_and_then_the_candidate(
    registry: Registry, metadata: Metadata, admin: Principal, contents: Contents
) -> None:
    result = registry.push(admin, contents)
    assert (result.service, result.release_number, result.is_changed) == ("triage", 2, True)
    assert sorted(artefact.kind for artefact in result.artefacts) == sorted(
        ["prompt", "prompt", "model", "context", "dataset", "evaluators", "gate", "prices"]
    )
    assert all(artefact.is_new for artefact in result.artefacts)
    assert [record.digest for record in registry.releases(admin, "triage")] == [result.release, result.baseline]
    (service,) = registry.services(admin)
    assert (service.candidate_release, service.baseline_release) == (result.release, result.baseline)
    assert ledger(metadata) == [("ann", "push")]


def test_the_same_push_again_changes_nothing(
    registry: Registry, metadata: Metadata, clock: ManualClock, admin: Principal, contents: Contents
) -> None:
    first = registry.push(admin, contents)
    before = registry.services(admin)
    clock.advance(60)
    second = registry.push(admin, dict(reversed(contents.items())))
    assert not second.is_changed
    assert not any(artefact.is_new for artefact in second.artefacts)
    assert (second.release, second.release_number) == (first.release, first.release_number)
    assert registry.services(admin) == before
    assert ledger(metadata) == [("ann", "push")]


def test_another_description_is_taken_over_without_another_release(
    registry: Registry, admin: Principal, contents: Contents
) -> None:
    first = registry.push(admin, contents)
    contents["service.toml"] = contents["service.toml"].replace(b"Sorts", b"Ranks")
    second = registry.push(admin, contents)
    assert (second.release, second.is_changed) == (first.release, True)
    assert [service.description for service in registry.services(admin)] == ["Ranks reviews."]


def test_pushing_an_older_content_again_points_back_to_it(
    registry: Registry, metadata: Metadata, admin: Principal, contents: Contents
) -> None:
    first = registry.push(admin, contents)
    second = registry.push(admin, {**contents, "context/policy.md": b"other"})
    third = registry.push(admin, contents)
    assert (first.release, 2, True) == (third.release, third.release_number, third.is_changed)
    assert second.release_number == 4
    assert registry.resolve("p", "triage", "candidate") == first.release
    assert len(ledger(metadata)) == 3


@pytest.mark.parametrize(
    ("path", "data"), [("gate.toml", b"metric = []"), ("chat.toml", b'[[messages]]\nrole = "user"\ncontent = "{{"\n')]
)
def test_an_invalid_push_registers_nothing(
    registry: Registry, metadata: Metadata, blobs: Blobs, admin: Principal, contents: Contents, path: str, data: bytes
) -> None:
    with pytest.raises(Invalid):
        registry.push(admin, {**contents, path: data})
    assert registry.services(admin) == []
    assert ledger(metadata) == []
    assert not blobs.has(sha256_hex(contents["service.toml"]))


def test_only_an_admin_may_push(registry: Registry, contents: Contents) -> None:
    with pytest.raises(Forbidden):
        registry.push(Principal("p", "k", "bob", frozenset({Role.READ, Role.CALL})), contents)


def test_a_fallback_takes_over_the_parameters_it_does_not_set(
    registry: Registry, admin: Principal, contents: Contents
) -> None:
    service = b"""
name = "triage"
[model]
name = "a/one"
parameters = {temperature = 0.2, max_tokens = 5}
[[fallback]]
name = "b/two"
parameters = {max_tokens = 9}
[baseline]
prompt = "baseline.toml"
"""
    pushed = registry.push(admin, {**contents, "service.toml": service})
    primary, fallback = registry.open("p", pushed.release).targets
    assert primary.parameters == {"temperature": 0.2, "max_tokens": 5}
    assert (fallback.name, fallback.parameters) == ("b/two", {"temperature": 0.2, "max_tokens": 9})


def test_an_opened_release_says_what_was_pushed(registry: Registry, admin: Principal, contents: Contents) -> None:
    pushed = registry.push(admin, contents)
    definition = parse_service(select_files(contents))
    bundle = registry.open("p", pushed.release)
    assert (bundle.project_id, bundle.service, bundle.number, bundle.unit) == ("p", "triage", 2, "user")
    assert (bundle.prompt, bundle.prompt_version) == (definition.prompts["chat.toml"], 2)
    chain = (definition.service.model, *definition.service.fallback)
    assert [target.name for target in bundle.targets] == [model.name for model in chain]
    assert bundle.examples == tuple(definition.examples)
    assert bundle.documents == definition.documents
    assert bundle.dataset == tuple(definition.dataset)
    assert (bundle.evaluators, bundle.gate, bundle.prices) == (
        definition.evaluators,
        definition.gate,
        definition.prices,
    )
    assert registry.dataset("p", bundle.artefacts["dataset"]) == definition.dataset
    assert registry.evaluators("p", bundle.artefacts["evaluators"]) == definition.evaluators


def test_an_opened_baseline_has_its_own_prompt(registry: Registry, admin: Principal, contents: Contents) -> None:
    pushed = registry.push(admin, contents)
    assert pushed.baseline is not None
    prompt: ChatPrompt = registry.open("p", pushed.baseline).prompt
    assert prompt.messages[0].content == "Good or bad? {{ review }}"


def test_a_release_with_a_text_prompt_and_the_common_prices_opens(
    registry: Registry, admin: Principal, contents: Contents
) -> None:
    for path in ("chat.toml", "prices.toml"):
        del contents[path]
    contents["prompt.jinja"] = b"{{ review }}"
    bundle = registry.open("p", registry.push(admin, contents).release)
    assert bundle.prompt.variables == {"review": "string"}
    assert bundle.prices is None


def test_an_old_release_still_opens_as_it_was(registry: Registry, admin: Principal, contents: Contents) -> None:
    first = registry.push(admin, contents)
    registry.push(admin, {**contents, "context/policy.md": b"other"})
    assert registry.open("p", first.release).documents == {"policy.md": "Sei höflich.\n"}


def test_a_release_is_known_in_its_own_project_only(registry: Registry, admin: Principal, contents: Contents) -> None:
    pushed = registry.push(admin, contents)
    with pytest.raises(NotFound, match=pushed.release[:12]):
        registry.open("another", pushed.release)
    with pytest.raises(NotFound):
        registry.dataset("another", registry.open("p", pushed.release).artefacts["dataset"])


def test_a_blob_that_was_changed_is_never_opened(
    registry: Registry, blobs: Blobs, admin: Principal, contents: Contents
) -> None:
    pushed = registry.push(admin, contents)
    path = blobs._path(sha256_hex(contents["datasets/golden.jsonl"]))
    blobs._filesystem.pipe_file(path, b'{"id": "1", "input": {}}')
    with pytest.raises(Corrupt):
        registry.open("p", pushed.release)


def test_releases_are_found_by_what_people_call_them(registry: Registry, admin: Principal, contents: Contents) -> None:
    pushed = registry.push(admin, contents)
    for reference in ("candidate", "2", pushed.release, pushed.release[:16]):
        assert registry.resolve("p", "triage", reference) == pushed.release
    for reference in ("baseline", "1"):
        assert registry.resolve("p", "triage", reference) == pushed.baseline
    with pytest.raises(NotFound, match="'zzz'"):
        registry.resolve("p", "triage", "zzz")


def test_what_is_not_there_is_not_found(registry: Registry, admin: Principal, contents: Contents) -> None:
    service = contents["service.toml"]
    contents["service.toml"] = service[: service.index(b"[baseline]")]
    del contents["baseline.toml"]
    registry.push(admin, contents)
    with pytest.raises(NotFound, match=r"no \[baseline\]"):
        registry.resolve("p", "triage", "baseline")
    with pytest.raises(NotFound, match="'other' does not exist"):
        registry.resolve("p", "other", "candidate")
    with pytest.raises(NotFound, match="'other' does not exist"):
        registry.releases(admin, "other")


def test_a_prefix_of_several_releases_is_a_conflict(
    registry: Registry, metadata: Metadata, admin: Principal, contents: Contents
) -> None:
    registry.push(admin, contents)
    with metadata.transaction() as tx:
        for digest in ("ab" + "0" * 62, "ab" + "1" * 62):
            tx.releases.add(ReleaseRecord("p", digest, "triage", 0, "{}", 1, "ann"))
    with pytest.raises(Conflict, match="'ab' names 2 releases"):
        registry.resolve("p", "triage", "ab")
