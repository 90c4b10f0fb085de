"""What the routes for privacy answer, over real services on SQLite."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest.privacy import privacy_router
from zirkel.api.services import Services
from zirkel.core import Json, ManualClock, Role, sha256_hex
from zirkel.core.erasure import Findings, PlaceReport, Subject
from zirkel.govern import SYSTEM, Access, Vault
from zirkel.govern.erasure import Erasure
from zirkel.govern.privacy import PrivacyConfiguration
from zirkel.govern.retention import RetentionService
from zirkel.observe.masking import ProjectMaskers
from zirkel.store.metadata import Metadata

DOCUMENT = '[[mask]]\nrecogniser = "email"\n[retention]\ncontent_days = 30\n'


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@dataclass
class Rows:
    spans: int = 2
    logs: int = 0
    points: int = 0
    scores: int = 0


class Telemetry:
    """Removes two spans, whatever it is asked for."""

    def drop_content_before(self, project_id: str, environment: str | None, before_ns: int) -> Rows:
        return Rows()

    drop_spans_before = drop_content_before

    def drop_points_before(self, project_id: str, before_ns: int) -> Rows:
        return Rows()


class Everywhere:
    """Finds one trace, and removes it."""

    def find(self, subject: Subject) -> Findings:
        return Findings(subject, frozenset(["1" * 32]))

    def erase(self, findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        return PlaceReport("telemetry", {"spans": 2}, ("one that is shared",))


@dataclass
class OnlyPrivacy:
    """The services these routes use."""

    privacy: PrivacyConfiguration
    retention: RetentionService
    erasure: Erasure


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

    def list(self, method: str, path: str, role: Role = Role.ADMIN) -> list[dict[str, Json]]:
        return cast("list[dict[str, Json]]", self.send(method, path, role=role))


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    clock, vault, silent = ManualClock(), Vault(b"m" * 32), Silent()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    access = Access(metadata, silent, vault, lambda text: sha256_hex(text.encode()), clock)
    access.bootstrap()
    services = OnlyPrivacy(
        PrivacyConfiguration(metadata, ProjectMaskers(metadata), silent, clock),
        RetentionService(metadata, Telemetry(), clock),
        Erasure(metadata, Everywhere(), [Everywhere()], b"pepper", clock),
    )
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(privacy_router(cast(Services, services), guarded_principal))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Api(http, access)
    metadata.close()


def test_a_document_is_applied_shown_and_kept(api: Api) -> None:
    assert api.object("GET", "/privacy", role=Role.READ) == {"version": 0, "toml": "", "config": {}}
    done = api.object("PUT", "/privacy", {"toml": DOCUMENT, "version": 0})
    assert (done["version"], done["is_new"], done["changes"]) == (1, True, ["mask email added", "retention changed"])
    shown = api.object("GET", "/privacy", role=Role.READ)
    assert shown["toml"] == DOCUMENT
    assert shown["config"] == {"mask": [{"recogniser": "email"}], "retention": {"content_days": 30}}
    assert [row["version"] for row in api.list("GET", "/privacy/history", Role.READ)] == [1]
    assert api.object("GET", "/privacy/history/1", role=Role.READ)["toml"] == DOCUMENT
    assert api.object("GET", "/privacy/history/2", role=Role.READ, status=404)
    api.object("PUT", "/privacy", {"toml": "", "version": 0}, status=409)


def test_a_fault_is_answered_with_its_path(api: Api) -> None:
    for method, path in (("PUT", "/privacy"), ("POST", "/privacy/check")):
        error = cast(
            "dict[str, Json]", api.object(method, path, {"toml": '[[mask]]\npattern="("'}, status=400)["error"]
        )
        assert (error["code"], error["path"]) == ("invalid", "mask[0].pattern")
    api.object("PUT", "/privacy", {"toml": "", "verison": 1}, status=400)


def test_what_is_due_is_told_and_removed(api: Api) -> None:
    assert api.list("GET", "/privacy/retention", Role.READ) == []
    api.object("PUT", "/privacy", {"toml": DOCUMENT})
    (cut,) = api.list("GET", "/privacy/retention", Role.READ)
    (step,) = api.list("POST", "/privacy/retention")
    assert step == {**cut, "spans": 2, "logs": 0, "points": 0, "scores": 0}
    assert (cut["what"], cut["environment"]) == ("content", None)


def test_an_erasure_says_what_it_removed_where(api: Api) -> None:
    dry = api.object("POST", "/erasures", {"user": "u1", "dry_run": True})
    assert (dry["erasure_id"], dry["traces"]) == ("", 1)
    assert api.list("GET", "/erasures", Role.READ) == []
    done = api.object("POST", "/erasures", {"user": "u1"}, status=201)
    place: Json = {"place": "telemetry", "removed": {"spans": 2}, "left": ["one that is shared"]}
    assert done["places"] == [place]
    (row,) = api.list("GET", "/erasures", Role.READ)
    assert (row["erasure_id"], row["subject_hash"]) == (done["erasure_id"], done["subject_hash"])
    assert (row["kind"], row["places"]) == ("user", {"telemetry": place})


@pytest.mark.parametrize(
    "body", [{}, {"user": "u", "session": "s"}, {"user": ""}, {"user": "x" * 1025}, {"user": "u", "dryrun": True}]
)
def test_an_erasure_names_one_subject(api: Api, body: dict[str, Json]) -> None:
    api.object("POST", "/erasures", body, status=400)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/privacy", {"toml": ""}),
        ("POST", "/privacy/retention", None),
        ("POST", "/erasures", {"user": "u1"}),
        ("POST", "/erasures", {"user": "u1", "dry_run": True}),
    ],
)
@pytest.mark.parametrize("role", [Role.READ, Role.INGEST, Role.CALL])
def test_only_an_admin_changes_and_removes(
    api: Api, method: str, path: str, body: dict[str, Json] | None, role: Role
) -> None:
    api.send(method, path, body, role, 403)
