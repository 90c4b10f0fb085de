"""What the routes for the gateway's document and for prices answer, over real services on SQLite."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import gateway_router
from zirkel.api.services import Services
from zirkel.core import Json, ManualClock, Role, sha256_hex
from zirkel.govern import SYSTEM, Access, Vault
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.observe import PriceShelf, PriceTables
from zirkel.store.metadata import Metadata

DOCUMENT = '[[upstream]]\nname = "openai"\nbase_url = "https://api.openai.com/v1"\ncredential_variable = "KEY"\n'
CONFIG: Json = {"upstream": [{"name": "local", "base_url": "http://127.0.0.1:1/v1"}], "capture": "off"}
TABLE: Json = {
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-6, "output_cost_per_image": 0.1},
}


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@dataclass
class OnlyGateway:
    """The services these routes use."""

    gateway: GatewayConfiguration
    prices: PriceTables


class Api:
    """The routes and a key for each role."""

    def __init__(self, http: TestClient, access: Access) -> None:
        self.http = http
        roles = set(Role) - {Role.FEEDBACK}
        self.keys = {role: access.create_key(SYSTEM, role.value, frozenset({role})).text for role in roles}

    def send(self, method: str, path: str, body: Json = None, role: Role = Role.ADMIN, status: int = 200) -> Json:
        """Return the answer's value, having checked the status."""
        headers = {"authorization": f"Bearer {self.keys[role]}"}
        answer = self.http.request(method, f"/api/v1{path}", headers=headers, json=body)
        assert answer.status_code == status, answer.text
        return cast("Json", answer.json())

    def object(
        self, method: str, path: str, body: Json = None, role: Role = Role.ADMIN, status: int = 200
    ) -> dict[str, Json]:
        return cast("dict[str, Json]", self.send(method, path, body, role, status))

    def list(self, path: str, role: Role = Role.READ) -> list[dict[str, Json]]:
        return cast("list[dict[str, Json]]", self.send("GET", path, role=role))

    def error(
        self, method: str, path: str, body: Json, role: Role = Role.ADMIN, status: int = 400
    ) -> tuple[Json, Json]:
        """Return code and path of a refusal."""
        error = cast("dict[str, Json]", self.object(method, path, body, role, status)["error"])
        return error["code"], error["path"]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    clock, vault, silent = ManualClock(), Vault(b"m" * 32), Silent()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    access = Access(metadata, silent, vault, lambda text: sha256_hex(text.encode()), clock)
    access.bootstrap()
    services = OnlyGateway(
        GatewayConfiguration(metadata, silent, vault, clock), PriceTables(metadata, silent, PriceShelf(), clock)
    )
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(gateway_router(cast(Services, services), guarded_principal))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Api(http, access)
    metadata.close()


def test_a_document_is_put_and_read_without_its_secret(api: Api) -> None:
    assert api.send("GET", "/gateway", role=Role.READ) == {"version": 0, "toml": "", "config": {}}
    done = api.object("PUT", "/gateway", {"toml": DOCUMENT, "credentials": {"openai": "sk-secret"}, "version": 0})
    assert (done["version"], done["is_new"], done["changes"]) == (1, True, ["upstream openai added"])
    found = api.object("GET", "/gateway", role=Role.READ)
    assert (found["version"], found["toml"], found["applied_by"]) == (1, DOCUMENT, "admin")
    assert found["config"] == {
        "upstream": [{"name": "openai", "base_url": "https://api.openai.com/v1", "credential_variable": "KEY"}]
    }
    assert "sk-secret" not in str(found)


def test_a_document_as_json_is_one_too(api: Api) -> None:
    api.object("PUT", "/gateway", {"config": CONFIG})
    found = api.object("GET", "/gateway")
    assert found["config"] == CONFIG
    assert 'name = "local"' in str(found["toml"])


def test_versions_are_listed_and_read(api: Api) -> None:
    api.object("PUT", "/gateway", {"config": CONFIG})
    api.object("PUT", "/gateway", {"toml": "# nothing\n"})
    assert [found["version"] for found in api.list("/gateway/history")] == [2, 1]
    assert [found["version"] for found in api.list("/gateway/history?limit=1")] == [2]
    assert api.object("GET", "/gateway/history/1")["config"] == CONFIG
    assert api.error("GET", "/gateway/history/9", None, status=404)[0] == "not_found"


def test_a_check_says_what_would_change(api: Api) -> None:
    found = api.object("POST", "/gateway/check", {"config": CONFIG}, Role.READ)
    assert (found["version"], found["changes"]) == (0, ["capture changed", "upstream local added"])
    assert api.object("GET", "/gateway")["version"] == 0


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"toml": "x ="}, None),
        ({"toml": 'capture = "no"'}, "capture"),
        ({"config": {"model": [{"name": "m", "target": [{"name": "x"}]}]}}, "model[0].target[0].name"),
        ({"config": {"model": [{"name": "m", "target": [{"name": "x/y"}]}]}}, "model[0].target[0].name"),
        ({"toml": DOCUMENT}, "upstream[0].credential_variable"),
        ({"toml": "", "credentials": {"x": "y"}}, "credentials.x"),
        ({}, "toml"),
        ({"toml": "", "config": {}}, "toml"),
        ({"toml": "", "extra": 1}, "extra"),
        ({"toml": "", "version": -1}, "version"),
        ({"config": []}, "config"),
    ],
)
def test_a_bad_document_is_refused_with_the_path_of_the_fault(api: Api, body: Json, path: str | None) -> None:
    assert api.error("PUT", "/gateway", body) == ("invalid", path)
    assert api.object("GET", "/gateway")["version"] == 0


def test_a_document_made_from_another_version_is_a_conflict(api: Api) -> None:
    api.object("PUT", "/gateway", {"config": CONFIG, "version": 0})
    assert api.error("PUT", "/gateway", {"toml": "", "version": 0}, status=409)[0] == "conflict"


def test_a_price_table_is_loaded_listed_and_quoted(api: Api) -> None:
    body: Json = {"name": "march", "effective": "2023-01-01", "table": TABLE}
    made = api.object("POST", "/prices", body, status=201)
    assert (made["number"], made["name"], made["models"], made["effective"]) == (1, "march", 1, "2023-01-01")
    lost = cast("list[dict[str, Json]]", made["not_taken"])
    assert [entry["path"] for entry in lost] == ["gpt-4o.output_cost_per_image"]
    assert [found["digest"] for found in api.list("/prices")] == [made["digest"]]
    (quote,) = api.list("/prices/models?model=openai/gpt-4o&model=nowhere/x")
    assert (quote["model"], quote["source"], quote["is_in_force"]) == ("openai/gpt-4o", "march", True)
    assert quote["usd_per_million"] == {
        "input": [{"from_input_tokens": 0, "usd": "1"}],
        "input_image": [{"from_input_tokens": 0, "usd": "1"}],
    }


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": " ", "table": TABLE}, "name"),
        ({"name": "x", "table": {}}, "table"),
        ({"name": "x", "table": [1]}, "table"),
        ({"name": "x", "table": TABLE, "effective": "tomorrow"}, "effective"),
    ],
)
def test_a_bad_price_table_is_refused(api: Api, body: Json, path: str) -> None:
    assert api.error("POST", "/prices", body) == ("invalid", path)
    assert api.list("/prices") == []


def test_who_only_reads_changes_nothing_and_who_only_calls_sees_nothing(api: Api) -> None:
    assert api.error("PUT", "/gateway", {"toml": ""}, Role.READ, 403)[0] == "forbidden"
    assert api.error("POST", "/prices", {"name": "x", "table": TABLE}, Role.READ, 403)[0] == "forbidden"
    for path in ("/gateway", "/gateway/history", "/prices", "/prices/models?model=a/b"):
        assert api.error("GET", path, None, Role.CALL, 403)[0] == "forbidden"


@pytest.mark.parametrize(
    "path", ["/gateway/history/0", "/gateway/history/99999999999999999999", "/gateway/history?limit=0"]
)
def test_a_number_that_cannot_be_is_refused(api: Api, path: str) -> None:
    assert api.error("GET", path, None)[0] == "invalid"
