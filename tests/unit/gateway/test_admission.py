"""Who is let in, and what the gateway says to everybody else."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic call-key", 401),
        ("Bearer nobody", 401),
        ("Bearer old-key", 401),
        ("Bearer ' OR 1=1 --", 401),
        ("Bearer \u00fc", 401),
        ("Bearer " + "x" * 20_000, 401),
        ("Bearer read-key", 403),
    ],
)
def test_a_bad_key_is_refused_and_not_recorded(stage: "Stage", authorization: str, status: int) -> None:
    reply = stage.send("POST", "/v1/chat/completions", b"{}", key="", authorization=authorization)

    assert reply.status == status
    assert set(reply.error) == {"message", "type", "code", "param"}
    assert len(reply.headers["x-zirkel-trace-id"]) == 32
    assert not stage.sink.payloads


def test_the_scheme_is_read_without_regard_to_case(stage: "Stage") -> None:
    assert stage.send("GET", "/v1/models", key="", authorization="bearer call-key").status == 200


def test_models_are_the_services_of_the_keys_project(stage: "Stage") -> None:
    reply = stage.send("GET", "/v1/models")

    assert [model["id"] for model in json.loads(reply.body)["data"]] == ["service:triage"]
    assert b"secret" not in reply.body


def test_health_needs_no_key_and_tells_no_secret(stage: "Stage") -> None:
    reply = stage.send("GET", "/healthz", key="")

    assert reply.status == 200
    assert json.loads(reply.body) == {
        "status": "ok", "worker": "w1", "snapshot_version": 1, "calls": 0, "records_lost": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("POST", "/v1/audio/speech"), ("GET", "/v1/models/x")])
def test_another_path_is_a_404(stage: "Stage", method: str, path: str) -> None:
    reply = stage.send(method, path)

    assert (reply.status, reply.error["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", "/v1/chat/completions", "POST"), ("POST", "/healthz", "GET")]
)
def test_another_method_is_a_405(stage: "Stage", method: str, path: str, allowed: str) -> None:
    reply = stage.send(method, path)

    assert (reply.status, reply.headers["allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["/healthz", "/v1/models"])
def test_without_a_configuration_the_gateway_is_unavailable(stage: "Stage", path: str) -> None:
    stage.source.is_missing = True
    reply = stage.send("GET", path)

    assert (reply.status, reply.error["code"]) == (503, "overloaded")
