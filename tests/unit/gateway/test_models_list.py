"""``GET /v1/models``: what a key may name."""

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from zirkel.core import Limits
from zirkel.gateway import SnapshotKey, SnapshotModel, SnapshotRoute

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage


def _configure(stage: "Stage", models: list[str] | None = None) -> None:
    routes = dict(stage.source.snapshot.routes)
    routes["p1/triage/staging"] = SnapshotRoute("p1", "triage", "staging", "user", "", [])
    routes["p2/secret/production"] = SnapshotRoute("p2", "secret", "production", "user", "", [])
    keys: dict[str, SnapshotKey] = {
        secret: msgspec.structs.replace(key, limits=Limits(models=models or []))
        for secret, key in stage.source.snapshot.keys.items()
    }
    aliases = {"p1/best": SnapshotModel("best", []), "p2/hidden": SnapshotModel("hidden", [])}
    stage.configure(routes=routes, models=aliases, keys=keys)


def _names(stage: "Stage") -> list[str]:
    return [entry["id"] for entry in json.loads(stage.send("GET", "/v1/models").body)["data"]]


def test_services_and_models_of_the_keys_project_are_listed_by_the_names_to_use(stage: "Stage") -> None:
    _configure(stage)

    assert _names(stage) == ["best", "service:triage", "service:triage@staging"]
    assert stage.ask({"model": "service:triage", "messages": [{"role": "user", "content": "x"}]}).status == 200


@pytest.mark.parametrize(
    ("allowed", "listed"),
    [(["best"], ["best"]), (["service:*"], ["service:triage", "service:triage@staging"]), (["openai/*"], [])],
)
def test_what_a_key_may_not_use_is_not_listed(stage: "Stage", allowed: list[str], listed: list[str]) -> None:
    _configure(stage, allowed)

    assert _names(stage) == listed


def test_the_list_has_the_members_that_openais_and_anthropics_clients_read(stage: "Stage") -> None:
    _configure(stage)
    page = json.loads(stage.send("GET", "/v1/models").body)

    assert (page["object"], page["has_more"], page["first_id"], page["last_id"]) == (
        "list", False, "best", "service:triage@staging",
    )  # fmt: skip
    entry = page["data"][0]
    assert (entry["object"], entry["type"], entry["owned_by"], entry["display_name"]) == (
        "model",
        "model",
        "zirkel",
        "best",
    )
    assert (entry["created"], entry["created_at"]) == (1_700_000_000, "2023-11-14T22:13:20.000Z")


def test_one_model_may_be_asked_for_by_its_name(stage: "Stage") -> None:
    _configure(stage)
    found, missing, other = (
        stage.send("GET", f"/v1/models/{name}") for name in ("service:triage", "service:none", "hidden")
    )

    assert json.loads(found.body)["id"] == "service:triage"
    assert (missing.status, other.status, missing.error["param"]) == (404, 404, "model")


def test_anthropics_clients_are_told_in_their_own_shape(stage: "Stage") -> None:
    reply = stage.send("GET", "/v1/models/none", anthropic_version="2023-06-01")

    assert (reply.status, json.loads(reply.body)["type"]) == (404, "error")


@pytest.mark.parametrize(("key", "status"), [("read-key", 403), ("nobody", 401), ("call-key", 200), ("admin-key", 200)])
def test_the_list_is_for_keys_that_may_call(stage: "Stage", key: str, status: int) -> None:
    assert stage.send("GET", "/v1/models", key=key).status == status
