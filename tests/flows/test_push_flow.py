"""Registering a service's files."""

import httpx
import pytest

from tests.flows.harness import Stack
from tests.flows.service_files import ServiceFolder
from zirkel.core import Forbidden
from zirkel.version import read_service

pytestmark = pytest.mark.flow


def _ledger_length(stack: Stack) -> int:
    return len(stack.get_list("/api/v1/evidence", {"limit": 1000}))


def test_pushing_the_same_files_twice_changes_nothing(stack: Stack, service: ServiceFolder) -> None:
    first = stack.run("push", str(service.folder), "--json").json()
    entries = _ledger_length(stack)
    second = stack.run("push", str(service.folder), "--json").json()

    assert (first["is_changed"], second["is_changed"]) == (True, False)
    assert (second["release"], second["release_number"]) == (first["release"], first["release_number"])
    assert len(stack.get_list(f"/api/v1/services/{service.name}/releases")) == 2  # the candidate and the baseline
    assert _ledger_length(stack) == entries


@pytest.mark.parametrize(
    ("path", "text", "field"),
    [
        ("gate.toml", '[[metric]]\nevaluator = "label_match"\nmargin = "wide"\n', "$.metric[0].margin"),
        ("chat.toml", '[[messages]]\nrole = "system"\ncontent = "{{ reviw }}"\n', "messages[0]"),
        ("datasets/golden.jsonl", '{"id": "i", "input": {"review": "x"}, "expcted": "y"}\n', "expcted"),
        (
            "evaluators.toml",
            'evaluator = [{name = "label_match", kind = "vibes"}, {name = "valid_output", kind = "exact"}]',
            "vibes",
        ),
    ],
)
def test_a_malformed_file_registers_nothing_and_the_refusal_names_file_and_field(
    stack: Stack, service: ServiceFolder, path: str, text: str, field: str
) -> None:
    entries = _ledger_length(stack)
    service.write(path, text)

    refused = stack.command("push", str(service.folder))

    assert refused.exit_code == 2
    assert path in refused.errors
    assert field in refused.errors
    assert _ledger_length(stack) == entries
    assert service.name not in {found["name"] for found in stack.get_list("/api/v1/services")}


def test_a_wrong_key_is_refused(stack: Stack, service: ServiceFolder) -> None:
    refused = stack.command("push", str(service.folder), key="zk_" + "x" * 43)
    assert refused.exit_code == 2
    assert "not known" in refused.errors
    answer = httpx.post(
        f"{stack.core_url}/api/v1/services/push", json={"files": {}}, headers={"authorization": "Bearer zk_wrong"}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "unauthenticated"


def test_only_an_admin_key_can_push(stack: Stack, service: ServiceFolder) -> None:
    refused = stack.command("push", str(service.folder), key=stack.make_key("call"))
    assert refused.exit_code == 2
    assert "admin" in refused.errors
    for role in ("call", "ingest", "read"):
        with stack.client(stack.make_key(role)) as client, pytest.raises(Forbidden):
            client.push(read_service(service.folder).contents)
    assert service.name not in {found["name"] for found in stack.get_list("/api/v1/services")}
