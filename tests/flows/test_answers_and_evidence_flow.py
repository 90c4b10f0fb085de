"""The four answers, and the ledger that proves them."""

import json
from pathlib import Path
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, ask, objects, wait_for
from tests.flows.service_files import ServiceFolder

pytestmark = pytest.mark.flow

REQUESTS = 6


def _status(stack: Stack, service: str) -> Object:
    return stack.get(f"/api/v1/services/{service}/status")


def _without_time(status: Object) -> Object:
    return {name: value for name, value in status.items() if name != "at"}


def test_command_line_and_rest_agree_on_the_four_answers(stack: Stack, live: ServiceFolder) -> None:
    stack.run("eval", live.name, "--trials", "1")
    stack.run("gate", live.name)
    stack.run("ship", live.name, "--weight", "0.5")
    with stack.sdk() as sdk:
        answers = [ask(sdk, live.name, f"unit-{number}") for number in range(REQUESTS)]

    def has_all_requests() -> bool:
        return sum(int(str(line["requests"])) for line in objects(_status(stack, live.name)["cost"])) == REQUESTS

    wait_for(has_all_requests, f"{REQUESTS} requests are in the status")
    status = _status(stack, live.name)
    by_command = stack.run("status", live.name, "--json").json()
    shown = stack.run("status", live.name).output

    assert _without_time(by_command) == _without_time(status)
    assert all(f"{number}. " in shown for number in (1, 2, 3, 4))
    (environment,) = objects(status["running"])
    arms = {str(arm["name"]): arm for arm in objects(environment["arms"])}
    assert {name: arm["weight"] for name, arm in arms.items()} == {"stable": 0.5, "candidate": 0.5}
    assert arms["stable"]["verdict"] is None
    assert arms["candidate"]["verdict"] in ("PASS", "SUPERIOR")
    assert {answer.release for answer in answers} <= {str(arm["release"]) for arm in arms.values()}
    quality = cast("dict[str, Object]", status["quality"])
    assert set(quality) == {str(arm["release"]) for arm in arms.values()}
    costs = objects(status["cost"])
    assert all(float(str(line["cost_usd"])) > 0 and line["unknown_costs"] == 0 for line in costs)
    assert {str(line["release"]) for line in costs} == {answer.release for answer in answers}
    assert {str(check["state"]) for check in objects(status["drift"])} == {"not_enough_data"}
    for arm in arms.values():
        assert str(arm["release"])[:12] in shown


def test_an_exported_ledger_verifies_offline_and_a_flipped_byte_names_its_entry(
    stack: Stack, live: ServiceFolder, tmp_path: Path
) -> None:
    pack = tmp_path / "evidence.jsonl"
    stack.run("evidence", "export", str(pack))
    offline = "http://127.0.0.1:9"
    verified = stack.command("evidence", "verify", str(pack), "--json", url=offline, key="")
    assert verified.exit_code == 0
    found = verified.json()
    assert (found["problem"], found["is_signature_checked"]) == ("", True)
    assert found["entries"] == found["signed_up_to"]
    assert stack.command("evidence", "verify").exit_code == 0

    lines = pack.read_bytes().split(b"\n")
    entries = cast(int, found["entries"])
    assert b'"live before Zirkel"' in lines[entries].replace(b"\\", b"")  # this test's own exception is the last entry
    for entry, place in ((1, 30), (entries // 2, 60), (entries, lines[entries].index(b"live before"))):
        changed = [bytearray(line) for line in lines]
        changed[entry][place] ^= 1
        copy = tmp_path / "changed.jsonl"
        copy.write_bytes(b"\n".join(changed))
        broken = stack.command("evidence", "verify", str(copy), "--json", url=offline, key="")
        assert broken.exit_code == 1
        problem = str(json.loads(broken.output)["problem"])
        assert f"entry {entry})" in problem or problem.startswith(f"entry {entry}:")

    cut = tmp_path / "cut.jsonl"
    cut.write_bytes(b"\n".join([*lines[:entries], *lines[entries + 1 :]]))
    assert stack.command("evidence", "verify", str(cut), url=offline, key="").exit_code == 1
