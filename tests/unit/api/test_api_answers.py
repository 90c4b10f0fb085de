"""What the API answers, over real services on SQLite; telemetry, spool and jobs are in memory."""

import base64
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from google.rpc.status_pb2 import Status as RpcStatus  # type: ignore[import-untyped]
from starlette.testclient import TestClient

from tests.unit.govern.limits_world import MemoryCounters, MemoryRecords
from tests.unit.observe.score_world import MemoryScores
from zirkel.api import Services, create_api
from zirkel.core import (
    Alarm,
    Json,
    LogRecord,
    ManualClock,
    Overloaded,
    Role,
    ScoreRecord,
    Span,
    decode_batch,
    decode_pack,
)
from zirkel.core.search import Page
from zirkel.evaluate import (
    Calibration,
    Estimates,
    Evaluation,
    Experiments,
    Labelling,
    LabelQueue,
    Labels,
    LabelTransfer,
    Planning,
    Uploads,
)
from zirkel.gateway import hash_key
from zirkel.govern import SYSTEM, Access, Evidence, Vault
from zirkel.govern.erasure import Erasure
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.govern.privacy import PrivacyConfiguration
from zirkel.govern.retention import RetentionService
from zirkel.observe import MAX_BODY_BYTES, Intake, PriceShelf, PriceTables, Status, Traces
from zirkel.observe.costs import Costs
from zirkel.observe.exporting import ExportReader, Exports
from zirkel.observe.feedback import Feedback
from zirkel.observe.ports import ArmUsage, Measure
from zirkel.observe.scores import Scores
from zirkel.observe.search import Search
from zirkel.observe.search_ports import SearchReader
from zirkel.ship import Shipping
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry
from zirkel.version.dataset_checkup import DatasetHealth
from zirkel.version.datasets import Datasets

FILES = {
    "service.toml": b'name = "triage"\n[model]\nname = "local/small"\n',
    "prompt.jinja": b"{{ review }}",
    "datasets/golden.jsonl": b'{"id": "1", "input": {"review": "Nice"}, "expected": "good"}\n',
    "evaluators.toml": b'[[evaluator]]\nname = "match"\nkind = "exact"\n',
    "gate.toml": b'[[metric]]\nevaluator = "match"\nmargin = 0.05\n',
}
TRACE = "ab" * 16
SPAN = {"traceId": TRACE, "spanId": "1" * 16, "name": "s", "startTimeUnixNano": "1", "endTimeUnixNano": "2"}
BATCH = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}).encode()


class Telemetry:
    """A spool whose spans can be read at once."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.is_full = False

    def append_durable(self, payload: bytes) -> None:
        if self.is_full:
            raise Overloaded("the spool is full")
        self.spans += decode_batch(payload).spans

    def service_usage(
        self, project_id: str, service: str, environment: str, since_ns: int, until_ns: int
    ) -> Sequence[ArmUsage]:
        return []

    def measure_values(
        self, project_id: str, service: str, since_ns: int, until_ns: int, limit: int, *, environment: str = ""
    ) -> Mapping[Measure, Sequence[float]]:
        return {"input_length": [], "output_length": [], "latency_ms": []}

    def trace(self, project_id: str, trace_id: str) -> Sequence[Span]:
        return [span for span in self.spans if span.trace_id == trace_id]

    def logs_of_trace(self, project_id: str, trace_id: str) -> Sequence[LogRecord]:
        return []

    def scores_of(self, project_id: str, *, trace_ids: Sequence[str]) -> Sequence[ScoreRecord]:
        return []

    def count_traces(self, project_id: str, since_ns: int = 0) -> int:
        return len({span.trace_id for span in self.spans})

    def quality(self, project_id: str, service: str, release: str) -> Mapping[str, Json] | None:
        return None


class Rest:
    """Tells no gateway, runs no job, and is well."""

    def publish(self) -> None:
        pass

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        pass

    def report(self) -> dict[str, Json]:
        return {"version": "1"}

    def alarms(self) -> Sequence[Alarm]:
        return []


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> dict[str, object]:
        value = json.loads(self.content)
        assert isinstance(value, dict)
        return value

    def error(self) -> tuple[str, str, object]:
        """Return code, message and path, having checked that there is nothing else."""
        body = self.json()
        assert set(body) == {"error"}
        error = body["error"]
        assert isinstance(error, dict)
        assert set(error) == {"code", "message", "path"}
        assert isinstance(error["message"], str)
        assert error["message"]
        return str(error["code"]), error["message"], error["path"]


@dataclass
class Api:
    """The API and a key for each role."""

    http: TestClient
    access: Access
    telemetry: Telemetry

    def key(self, *roles: Role) -> dict[str, str]:
        """Return the header of a new key."""
        return {"authorization": f"Bearer {self.access.create_key(SYSTEM, 'k', frozenset(roles)).text}"}

    def send(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        got = self.http.request(method, path, headers=dict(headers or {}), content=content)
        return Answer(got.status_code, got.headers, got.content)

    def post(self, path: str, body: Json, *roles: Role) -> Answer:
        headers = self.key(*(roles or (Role.ADMIN,))) | {"content-type": "application/json"}
        return self.send("POST", path, headers, json.dumps(body).encode())

    def export(self, body: bytes, **headers: str) -> Answer:
        """Send a batch of spans; underscores in header names are hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", "/v1/traces", self.key(Role.INGEST) | given, body)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    clock, vault, telemetry, rest = ManualClock(), Vault(b"m" * 32), Telemetry(), Rest()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    blobs = Blobs.open(f"memory://{tmp_path}")
    registry = Registry(metadata, blobs, clock)
    access = Access(metadata, rest, vault, partial(hash_key, b"pepper"), clock)
    access.bootstrap()
    disk = MemoryScores()
    search = Search(cast(SearchReader, SimpleNamespace(traces=lambda *_: Page([], None))), clock)
    scores = Scores(disk, disk, disk, clock)
    labelling = Labelling(
        LabelQueue(metadata, registry, clock),
        Labels(metadata, clock),
        LabelTransfer(metadata, registry, clock),
        Calibration(metadata, registry, clock),
    )
    services = Services(
        access=access,
        registry=registry,
        experiments=Experiments(metadata, registry, rest, rest, clock),
        evaluation=Evaluation(metadata, registry, blobs, labelling.calibration, clock),
        datasets=Datasets(metadata, blobs, clock),
        dataset_health=cast(DatasetHealth, None),
        estimates=cast(Estimates, None),
        uploads=cast(Uploads, None),
        planning=cast(Planning, None),
        labelling=labelling,
        shipping=Shipping(metadata, registry, rest, clock),
        status=Status(metadata, telemetry, telemetry, clock),
        traces=Traces(telemetry),
        intake=Intake(telemetry),
        scores=scores,
        feedback=Feedback(access, scores, clock),
        evidence=Evidence(metadata, vault, clock),
        gateway=GatewayConfiguration(metadata, rest, vault, clock),
        prices=PriceTables(metadata, rest, PriceShelf(), clock),
        limits=LimitsOverview(metadata, MemoryRecords(), MemoryCounters(), clock),
        search=search,
        exports=Exports(search, cast(ExportReader, None)),
        costs=cast(Costs, None),
        privacy=cast(PrivacyConfiguration, None),
        retention=cast(RetentionService, None),
        erasure=cast(Erasure, None),
        health=rest,
        clock=clock,
    )
    with TestClient(create_api(services), raise_server_exceptions=False, follow_redirects=False) as http:
        yield Api(http, access, telemetry)
    metadata.close()


def test_health_needs_no_key(api: Api) -> None:
    answer = api.send("GET", "/healthz")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "Bearer zk_wrong"}, {"authorization": "Basic x"}, {"authorization": "Bearer "}]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/services"), ("GET", "/api/v1/health"), ("POST", "/api/v1/keys")]
)
def test_without_a_known_key_everything_else_is_401(api: Api, headers: dict[str, str], method: str, path: str) -> None:
    answer = api.send(method, path, headers, b"{" if method == "POST" else None)
    assert answer.status == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.error()[0] == "unauthenticated"


def test_a_revoked_key_is_401(api: Api) -> None:
    made = api.access.create_key(SYSTEM, "k", frozenset({Role.READ}))
    headers = {"authorization": f"bearer {made.text}"}
    assert api.send("GET", "/api/v1/services", headers).status == 200
    api.access.revoke_key(SYSTEM, made.record.key_id)
    assert api.send("GET", "/api/v1/services", headers).status == 401


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/api/v1/keys", Role.READ),
        ("GET", "/api/v1/services", Role.CALL),
        ("GET", "/api/v1/traces", Role.INGEST),
        ("GET", "/api/v1/evidence", Role.CALL),
        ("GET", "/api/v1/evidence/pack", Role.INGEST),
    ],
)
def test_a_key_without_the_role_is_403_and_the_role_is_named(api: Api, method: str, path: str, role: Role) -> None:
    answer = api.send(method, path, api.key(role))
    assert answer.status == 403
    code, message, _ = answer.error()
    assert code == "forbidden"
    assert "this needs" in message


def test_a_key_that_may_only_read_cannot_ship(api: Api) -> None:
    assert api.post("/api/v1/services/triage/ship", {}, Role.READ).status == 403


@pytest.mark.parametrize(
    "path", ["/api/v1/services/none/status", "/api/v1/traces/" + "0" * 32, "/api/v1/experiments/none", "/api/v1/none"]
)
def test_what_does_not_exist_is_404(api: Api, path: str) -> None:
    answer = api.send("GET", path, api.key(Role.ADMIN))
    assert (answer.status, answer.error()[0]) == (404, "not_found")


def test_an_address_outside_the_api_is_404_in_the_same_shape(api: Api) -> None:
    answer = api.send("GET", "/none")
    assert (answer.status, answer.error()[0]) == (404, "not_found")


def test_a_method_that_is_not_there_is_405_and_names_the_ones_that_are(api: Api) -> None:
    answer = api.send("DELETE", "/api/v1/services", api.key(Role.ADMIN))
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
    assert answer.error()[0] == "invalid"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/v1/keys", {"roles": ["read"]}, "label"),
        ("/api/v1/keys", {"label": "k", "roles": ["root"]}, "roles.0"),
        ("/api/v1/keys", {"label": "k", "roles": [], "expires_ns": 1}, "roles"),
        ("/api/v1/keys", {"label": "k", "roles": ["read"], "expires_ns": 2**63}, "expires_ns"),
        ("/api/v1/keys", {"label": "k", "roles": ["read"], "colour": "red"}, "colour"),
        (
            "/api/v1/keys",
            {"label": "k", "roles": ["call"], "policy": {"limits": {"budget": [{"window": "day", "hard_usd": "-1"}]}}},
            "policy.limits.budget[0].hard_usd",
        ),
        ("/api/v1/keys", {"label": "k", "roles": ["call"], "policy": {"colour": "red"}}, "policy.colour"),
        ("/api/v1/keys/k1/rotate", {}, "overlap_s"),
        ("/api/v1/keys/k1/rotate", {"overlap_s": -1}, "overlap_s"),
        ("/api/v1/keys/k1/rotate", {"overlap_s": "60"}, "overlap_s"),
        ("/api/v1/projects", {"name": "?!"}, "name"),
        ("/api/v1/people", {"email": "ann", "password": "long enough, yes", "roles": []}, "email"),
        ("/api/v1/services/push", {"files": {"a": "not base64!"}}, "files"),
        ("/api/v1/services/push", {"files": {"a": 1}}, "files.a"),
    ],
)
def test_a_faulty_field_is_400_and_named(api: Api, path: str, body: Json, field: str) -> None:
    answer = api.post(path, body)
    assert (answer.status, answer.error()[0], answer.error()[2]) == (400, "invalid", field)


def test_a_faulty_query_is_400_and_named(api: Api) -> None:
    answer = api.send("GET", "/api/v1/traces?limit=-1", api.key(Role.READ))
    assert (answer.status, answer.error()[2]) == (400, "limit")


def test_a_faulty_file_is_400_and_named(api: Api) -> None:
    files = FILES | {"gate.toml": b"alpha = "}
    encoded: Json = {path: base64.b64encode(data).decode() for path, data in files.items()}
    answer = api.post("/api/v1/services/push", {"files": encoded})
    assert (answer.status, answer.error()[2]) == (400, "gate.toml")


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[]", b'"text"', b"[" * 100_000])
def test_a_body_that_cannot_be_read_is_400_and_says_that_it_is_the_body(api: Api, content: bytes) -> None:
    headers = api.key(Role.ADMIN) | {"content-type": "application/json"}
    answer = api.send("POST", "/api/v1/keys", headers, content)
    code, message, path = answer.error()
    assert (answer.status, code, path) == (400, "invalid", None)
    assert "body" in message


def test_half_a_surrogate_pair_is_400(api: Api) -> None:
    headers = api.key(Role.ADMIN) | {"content-type": "application/json"}
    answer = api.send("POST", "/api/v1/keys", headers, b'{"label": "\\ud800", "roles": ["read"]}')
    assert (answer.status, answer.error()[0]) == (400, "invalid")


def test_a_body_may_name_its_charset(api: Api) -> None:
    headers = api.key(Role.ADMIN) | {"content-type": "application/json; charset=utf-8"}
    answer = api.send("POST", "/api/v1/keys", headers, b'{"label": "Gr\xc3\xbcn", "roles": ["read"]}')
    assert (answer.status, answer.json()["label"]) == (201, "Grün")


def test_a_pushed_service_is_listed_with_its_releases_and_status(api: Api) -> None:
    encoded: Json = {path: base64.b64encode(data).decode() for path, data in FILES.items()}
    pushed = api.post("/api/v1/services/push", {"files": encoded})
    assert pushed.status == 200
    reader = api.key(Role.READ)
    releases = json.loads(api.send("GET", "/api/v1/services/triage/releases", reader).content)
    assert [release["digest"] for release in releases] == [pushed.json()["release"]]
    status = api.send("GET", "/api/v1/services/triage/status", reader).json()
    assert (status["service"], status["running"]) == ("triage", [])


def test_a_release_that_passed_no_gate_is_refused_with_409(api: Api) -> None:
    encoded: Json = {path: base64.b64encode(data).decode() for path, data in FILES.items()}
    api.post("/api/v1/services/push", {"files": encoded})
    answer = api.post("/api/v1/services/triage/ship", {})
    assert (answer.status, answer.error()[0]) == (409, "refused")


def test_a_keys_text_is_only_in_the_answer_that_makes_it(api: Api) -> None:
    made = api.post("/api/v1/keys", {"label": "app", "roles": ["call"]})
    text = str(made.json()["key"])
    listed = api.send("GET", "/api/v1/keys", api.key(Role.ADMIN)).content.decode()
    assert str(made.json()["key_id"]) in listed
    assert text not in listed


def test_an_upstreams_credential_is_never_answered(api: Api) -> None:
    headers = api.key(Role.ADMIN) | {"content-type": "application/json"}
    body = b'{"base_url": "http://127.0.0.1:1/v1", "credential": "sk-secret"}'
    answer = api.send("PUT", "/api/v1/upstreams/local", headers, body)
    listed = api.send("GET", "/api/v1/upstreams", api.key(Role.READ))
    assert answer.json()["has_credential"] is True
    assert b"sk-secret" not in answer.content + listed.content


def test_the_pack_is_the_whole_ledger(api: Api) -> None:
    answer = api.send("GET", "/api/v1/evidence/pack", api.key(Role.READ))
    assert answer.headers["content-type"] == "application/jsonl"
    assert decode_pack(answer.content).entries[0].action == "key.created"


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_batch_is_taken_and_can_be_read_as_a_trace(api: Api, content_type: str) -> None:
    answer = api.export(BATCH, content_type=content_type)
    assert (answer.status, answer.json(), answer.headers["content-type"]) == (200, {}, "application/json")
    found = json.loads(api.send("GET", f"/api/v1/traces/{TRACE}", api.key(Role.READ)).content)
    assert [span["name"] for span in found] == ["s"]


def test_an_empty_protobuf_batch_is_taken(api: Api) -> None:
    answer = api.export(b"", content_type="application/x-protobuf")
    assert (answer.status, answer.content, answer.headers["content-type"]) == (200, b"", "application/x-protobuf")


def test_rejected_spans_are_counted_in_the_answer(api: Api) -> None:
    answer = api.export(BATCH.replace(TRACE.encode(), b"0" * 32), content_type="application/json")
    partial_success = answer.json()["partialSuccess"]
    assert isinstance(partial_success, dict)
    assert (answer.status, int(partial_success["rejectedSpans"])) == (200, 1)


@pytest.mark.parametrize(
    ("headers", "body", "status", "rpc_code"),
    [
        ({"content_encoding": "br"}, BATCH, 415, 3),
        ({"content_encoding": "gzip"}, BATCH, 400, 3),
        ({}, b"\xff", 400, 3),
        ({"authorization": "Bearer zk_wrong"}, BATCH, 401, 16),
        ({"content_encoding": "gzip"}, gzip.compress(bytes(MAX_BODY_BYTES + 1), 1, mtime=0), 413, 8),
    ],
)
def test_a_refused_batch_is_answered_in_the_requests_own_encoding(
    api: Api, headers: dict[str, str], body: bytes, status: int, rpc_code: int
) -> None:
    as_json = api.export(body, content_type="application/json; charset=utf-8", **headers)
    as_protobuf = api.export(body, content_type="application/x-protobuf", **headers)
    assert (as_json.status, as_json.headers["content-type"]) == (status, "application/json")
    assert as_json.json()["code"] == rpc_code
    assert (as_protobuf.headers["content-type"], as_protobuf.status) == (
        "application/x-protobuf",
        status,
    )
    said = RpcStatus.FromString(as_protobuf.content)
    assert said.code == rpc_code
    assert said.message


def test_a_key_that_may_not_write_telemetry_is_refused_as_otlp_says(api: Api) -> None:
    headers = api.key(Role.READ) | {"content-type": "application/json"}
    answer = api.send("POST", "/v1/traces", headers, BATCH)
    assert (answer.status, answer.json()["code"]) == (403, 7)
    assert api.telemetry.spans == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/jsonx", ""])
def test_an_unknown_media_type_is_415_in_protobuf(api: Api, content_type: str) -> None:
    answer = api.export(BATCH, content_type=content_type)
    assert (answer.status, answer.headers["content-type"]) == (415, "application/x-protobuf")
    assert RpcStatus.FromString(answer.content).code == 3


def test_a_full_spool_asks_the_sender_to_try_again(api: Api) -> None:
    api.telemetry.is_full = True
    answer = api.export(BATCH, content_type="application/json")
    assert (answer.status, answer.json()["code"]) == (503, 14)
    assert int(answer.headers["retry-after"]) > 0
