"""What programs that render a prompt themselves get, and which release's it is."""

import pytest

from zirkel.app.publish_release import release_parts
from zirkel.core import EnvironmentRecord, Forbidden, NotFound, Principal, Role
from zirkel.store.metadata import Metadata
from zirkel.version import Registry
from zirkel.version.prompts import prompt_view

CALLER = Principal("p", "k2", "an app", frozenset({Role.CALL}))
READER = Principal("p", "k3", "ben", frozenset({Role.READ}))
WRITER = Principal("p", "k4", "an exporter", frozenset({Role.INGEST}))


@pytest.fixture
def live(registry: Registry, metadata: Metadata, contents: dict[str, bytes], admin: Principal) -> str:
    """The digest of the baseline, which is live in production."""
    baseline = registry.push(admin, contents).baseline
    assert baseline is not None
    state = EnvironmentRecord("p", "triage", "production", 1, baseline, 1, "ann", "salt")
    with metadata.transaction() as tx:
        tx.environments.put(state)
    return baseline


def test_a_program_gets_what_is_stable_in_its_environment_or_the_release_it_names(
    registry: Registry, live: str
) -> None:
    assert registry.prompt_release(CALLER, "triage", "production") == live
    assert registry.prompt_release(READER, "triage", "production", "baseline") == live
    assert registry.prompt_release(CALLER, "triage", "production", "candidate") != live
    assert registry.prompt_release(CALLER, "triage", "production", live[:10]) == live


def test_where_nothing_was_shipped_there_is_no_prompt(registry: Registry, live: str) -> None:
    with pytest.raises(NotFound, match="staging"):
        registry.prompt_release(CALLER, "triage", "staging")
    with pytest.raises(NotFound, match="'other' does not exist"):
        registry.prompt_release(CALLER, "other", "production")
    stranger = Principal("q", "k9", "an app", frozenset({Role.CALL}))
    with pytest.raises(NotFound, match="'triage' does not exist"):
        registry.prompt_release(stranger, "triage", "production")


def test_a_key_that_may_neither_call_nor_read_gets_no_prompt(registry: Registry, live: str) -> None:
    with pytest.raises(Forbidden):
        registry.prompt_release(WRITER, "triage", "production")


@pytest.mark.parametrize("reference", ["candidate", "baseline"])
def test_it_is_the_prompt_that_the_gateway_has(registry: Registry, live: str, reference: str) -> None:
    bundle = registry.open("p", registry.resolve("p", "triage", reference))
    view, served = prompt_view(bundle), release_parts(bundle).release
    assert (view.name, view.version, view.release) == (served.prompt_name, served.prompt_version, served.digest)
    shown = [(part.role, part.content, part.is_literal) for part in view.messages]
    assert shown == [(message.role, message.content, message.is_literal) for message in served.messages]
    assert (view.variables, view.documents) == (served.variables, served.documents)
    assert view.digest == bundle.artefacts["prompt"]


def test_one_message_of_the_user_is_a_text(registry: Registry, contents: dict[str, bytes], admin: Principal) -> None:
    del contents["chat.toml"], contents["context/examples.jsonl"]
    contents["prompt.jinja"] = b"Good or bad? {{ review }}"
    pushed = registry.push(admin, contents)
    assert prompt_view(registry.open("p", pushed.release)).kind == "text"
