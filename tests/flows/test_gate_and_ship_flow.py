"""Gates and shipping by the command line: what is refused, and with which exit code."""

from typing import cast

import pytest

from tests.flows.harness import Object, Stack
from tests.flows.service_files import ServiceFolder
from zirkel.app.demo.processes import free_ports

pytestmark = pytest.mark.flow


def _evaluate(stack: Stack, service: ServiceFolder) -> None:
    stack.push(service)
    stack.run("eval", service.name, "--trials", "1")


def test_nothing_is_shipped_without_a_gate(stack: Stack, service: ServiceFolder) -> None:
    stack.push(service)
    refused = stack.command("ship", service.name)
    assert refused.exit_code == 1
    assert "has no gate verdict" in refused.errors
    assert stack.get(f"/api/v1/services/{service.name}/status")["running"] == []


def test_a_better_release_passes_the_gate_with_exit_0_and_can_be_shipped(stack: Stack, live: ServiceFolder) -> None:
    _evaluate(stack, live)
    gated = stack.command("gate", live.name, "--json")
    assert gated.exit_code == 0
    assert cast(Object, gated.json()["decision"])["verdict"] in ("PASS", "SUPERIOR")
    moved = stack.run("ship", live.name, "--weight", "0.5", "--json").json()
    assert cast(Object, moved["verdict"])["release"] == cast(Object, gated.json()["record"])["release"]


def test_a_worse_release_fails_the_gate_with_exit_1_and_is_not_shipped(stack: Stack, live: ServiceFolder) -> None:
    live.set_variant("wrong")
    _evaluate(stack, live)
    gated = stack.command("gate", live.name, "--json")
    assert gated.exit_code == 1
    assert cast(Object, gated.json()["decision"])["verdict"] == "FAIL"
    refused = stack.command("ship", live.name)
    assert refused.exit_code == 1
    assert "the gate said FAIL" in refused.errors


def test_too_few_items_are_inconclusive_with_exit_3_and_nothing_is_shipped(stack: Stack, live: ServiceFolder) -> None:
    live.set_minimum_items(500)
    _evaluate(stack, live)
    gated = stack.command("gate", live.name)
    assert gated.exit_code == 3
    assert gated.output.startswith("INCONCLUSIVE")
    assert stack.command("ship", live.name).exit_code == 1


def test_a_verdict_allows_only_the_very_release_that_was_gated(stack: Stack, live: ServiceFolder) -> None:
    _evaluate(stack, live)
    gated = stack.run("gate", live.name, "--json").json()
    live.write("context/policy.md", "Happy is positive. Unhappy is negative.\n")
    pushed = stack.push(live)
    assert pushed["release"] != cast(Object, gated["record"])["release"]

    refused = stack.command("ship", live.name)
    assert refused.exit_code == 1
    assert str(pushed["release"])[:12] in refused.errors

    stack.run("ship", live.name, "--release", str(cast(Object, gated["record"])["release"]))


def test_a_verdict_against_something_else_than_what_is_live_allows_nothing(
    stack: Stack, service: ServiceFolder
) -> None:
    _evaluate(stack, service)  # against the baseline that the service declares
    gated = cast(Object, stack.run("gate", service.name, "--json").json()["record"])
    service.write("context/policy.md", "Another one.\n")
    stack.push(service)
    stack.run("ship", service.name, "--release", "candidate", "--break-glass", "urgent")

    refused = stack.command("ship", service.name, "--release", str(gated["release"])[:12])

    assert refused.exit_code == 1
    assert "is live" in refused.errors


def test_an_exception_is_in_the_ledger_with_its_reason_and_what_it_overruled(stack: Stack, live: ServiceFolder) -> None:
    entry = stack.ledger("ship.first")[-1]
    assert entry["service"] == live.name
    exception = cast(Object, entry["break_glass"])
    assert exception["reason"] == "live before Zirkel"
    assert "has no gate verdict" in str(exception["objection"])


def test_an_empty_reason_breaks_no_glass(stack: Stack, service: ServiceFolder) -> None:
    stack.push(service)
    assert stack.command("ship", service.name, "--break-glass", "  ").exit_code == 1


def test_commands_end_with_4_where_no_server_answers(stack: Stack, service: ServiceFolder) -> None:
    (port,) = free_ports(1)
    for arguments in (["status", "x"], ["push", str(service.folder)], ["eval", "x"], ["ship", "x"]):
        result = stack.command(*arguments, url=f"http://127.0.0.1:{port}")
        assert result.exit_code == 4
        assert "zirkel up" in result.errors


def test_wrong_usage_ends_with_2(stack: Stack) -> None:
    for arguments in (["gate"], ["nonsense"], ["ship", "x", "--weight", "much"], ["status", "no-such-service"]):
        result = stack.command(*arguments)
        assert result.exit_code == 2
        assert result.errors


def test_a_command_without_a_key_says_what_to_set_and_ends_with_2(stack: Stack) -> None:
    result = stack.command("status", "x", key="")
    assert result.exit_code == 2
    assert "ZIRKEL_API_KEY" in result.errors
