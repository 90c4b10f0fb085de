"""What the routes for keys and projects answer, over real services on SQLite."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import keys_router
from zirkel.api.services import Services
from zirkel.core import Json, ManualClock, Role, sha256_hex
from zirkel.govern import SYSTEM, Access, Vault
from zirkel.store.metadata import Metadata

POLICY: dict[str, Json] = {
    "user": "ann",
    "limits": {"requests_per_minute": 60, "budget": [{"window": "month", "soft_usd": "15", "hard_usd": "20"}]},
    "capture": "masked",
}


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


class Api:
    """The routes, an admin, and a clock."""

    def __init__(self, http: TestClient, access: Access, clock: ManualClock) -> None:
        self.http = http
        self.access = access
        self.clock = clock
        first = access.bootstrap()
        assert first is not None
        self.admin = first.text

    def send(
        self, method: str, path: str, body: Json = None, *, key: str = "", status: int = 200
    ) -> Mapping[str, Json]:
        """Return the answer's object, having checked the status."""
        headers = {"authorization": f"Bearer {key or self.admin}"}
        answer = self.http.request(method, path, headers=headers, json=body)
        assert answer.status_code == status, answer.text
        return cast("Mapping[str, Json]", answer.json() if answer.content else {})

    def keys(self, query: str = "") -> list[Mapping[str, Json]]:
        """Return a page of keys."""
        headers = {"authorization": f"Bearer {self.admin}"}
        answer = self.http.get(f"/api/v1/keys{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return cast("list[Mapping[str, Json]]", answer.json())

    def make(self, label: str = "app", **fields: Json) -> Mapping[str, Json]:
        """Make a key that may read."""
        self.clock.advance(0.001)
        return self.send("POST", "/api/v1/keys", {"label": label, "roles": ["read"], **fields}, status=201)


class OnlyAccess:
    """The services these routes use."""

    def __init__(self, access: Access) -> None:
        self.access = access


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    access = Access(metadata, Silent(), Vault(b"m" * 32), lambda text: sha256_hex(text.encode()), clock)
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(keys_router(cast(Services, OnlyAccess(access)), guarded_principal))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Api(http, access, clock)
    metadata.close()


def error_of(answer: Mapping[str, Json]) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", answer["error"])


def test_a_key_is_answered_with_its_policy(api: Api) -> None:
    made = api.make(policy=POLICY)
    assert made["policy"] == POLICY
    shown = api.send("GET", f"/api/v1/keys/{made['key_id']}")
    assert shown == {name: value for name, value in made.items() if name != "key"}
    assert api.keys()[-1] == shown


def test_a_policy_is_replaced_as_a_whole(api: Api) -> None:
    made = api.make(policy=POLICY)
    path = f"/api/v1/keys/{made['key_id']}/policy"
    assert api.send("PUT", path, {"limits": {"concurrency": 2}})["policy"] == {"limits": {"concurrency": 2}}
    assert api.send("PUT", path, {})["policy"] == {}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"limits": {"budget": [{"window": "day"}]}}, "limits.budget[0].hard_usd"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"colour": "red"}, "colour"),
        ([], None),
    ],
)
def test_a_faulty_policy_is_400_and_changes_nothing(api: Api, body: Json, path: str | None) -> None:
    made = api.make(policy=POLICY)
    address = f"/api/v1/keys/{made['key_id']}/policy"
    assert error_of(api.send("PUT", address, body, status=400))["path"] == path
    assert api.send("GET", f"/api/v1/keys/{made['key_id']}")["policy"] == POLICY


def test_a_rotated_keys_secrets_both_open_it_until_the_overlap_ends(api: Api) -> None:
    made = api.make()
    rotated = api.send("POST", f"/api/v1/keys/{made['key_id']}/rotate", {"overlap_s": 60})
    assert rotated["key_id"] == made["key_id"]
    assert rotated["previous_expires_ns"] == api.clock.now_ns() + 60 * 10**9
    for secret in (made, rotated):
        api.send("GET", "/api/v1/upstreams", key=str(secret["key"]))
    api.clock.advance(60)
    api.send("GET", "/api/v1/upstreams", key=str(made["key"]), status=401)
    api.send("GET", "/api/v1/upstreams", key=str(rotated["key"]))


def test_a_key_is_revoked_once(api: Api) -> None:
    made = api.make()
    address = f"/api/v1/keys/{made['key_id']}"
    api.send("DELETE", address, status=204)
    api.send("GET", "/api/v1/upstreams", key=str(made["key"]), status=401)
    for method, path, body in (
        ("DELETE", address, None),
        ("POST", f"{address}/rotate", {"overlap_s": 0}),
        ("PUT", f"{address}/policy", {}),
    ):
        assert error_of(api.send(method, path, body, status=404))["code"] == "not_found"
    assert api.send("GET", address)["revoked_ns"] is not None


def test_keys_are_listed_in_pages(api: Api) -> None:
    made = [str(api.make(f"app {number}")["key_id"]) for number in range(4)]
    first = api.keys("?limit=2")
    second = api.keys(f"?limit=2&after={first[-1]['key_id']}")
    third = api.keys(f"?limit=2&after={second[-1]['key_id']}")
    assert [str(key["key_id"]) for key in (*first, *second, *third)][1:] == made
    assert api.keys(f"?after={made[-1]}") == []


def test_a_page_has_a_hundred_keys_unless_more_are_asked_for(api: Api) -> None:
    for number in range(101):
        api.access.create_key(SYSTEM, f"app {number}", frozenset({Role.CALL}))
    assert (len(api.keys()), len(api.keys("?limit=5000")), len(api.keys("?limit=0"))) == (100, 102, 0)


def test_a_project_is_made_with_a_key_that_rules_it_and_no_other(api: Api) -> None:
    made = api.send("POST", "/api/v1/projects", {"name": "Online Shop"}, status=201)
    assert (made["project_id"], made["name"]) == ("online-shop", "Online Shop")
    chief = str(made["key"])
    assert json.dumps(api.send("GET", "/api/v1/projects")).count('"project_id"') == 2
    assert error_of(api.send("GET", "/api/v1/projects", key=chief, status=403))["code"] == "forbidden"
    api.send("POST", "/api/v1/projects", {"name": "Another"}, key=chief, status=403)
    assert error_of(api.send("POST", "/api/v1/projects", {"name": "online shop"}, status=409))["code"] == "conflict"
    api.send("GET", f"/api/v1/keys/{made['key_id']}", status=404)
    assert api.send("GET", f"/api/v1/keys/{made['key_id']}", key=chief)["roles"] == ["admin"]
