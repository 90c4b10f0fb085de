"""Scores and feedback over real HTTP: what programs send, and what web pages do."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.unit.observe.score_world import MemoryScores
from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import feedback_router, keys_router, scores_router
from zirkel.api.services import Services
from zirkel.core import Json, KeyPolicy, Limits, ManualClock, Role, sha256_hex
from zirkel.govern import SYSTEM, Access, NewKey, Vault
from zirkel.observe.feedback import ADDRESS_PER_MINUTE, MAX_FEEDBACK_BYTES, Feedback
from zirkel.observe.scores import Scores
from zirkel.store.metadata import Metadata

TRACE = "ab" * 16
SHOP = "https://shop.example"
Object = dict[str, Json]
THUMB: Object = {"name": "thumb", "value": True, "trace_id": TRACE}


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@dataclass(frozen=True)
class ScoreServices:
    """The services these routes use."""

    access: Access
    scores: Scores
    feedback: Feedback


@dataclass
class Api:
    """A server, what it has on disk, and keys."""

    url: str
    access: Access
    disk: MemoryScores
    clock: ManualClock
    writer: str
    reader: str

    def send(
        self, method: str, path: str, body: Json = None, *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        authorization = {"authorization": f"Bearer {key}"} if key else {}
        content = json.dumps(body).encode() if body is not None else None
        given = {"content-type": "application/json", **authorization, **(headers or {})}
        return httpx.request(method, self.url + path, content=content, headers=given)

    def object(self, method: str, path: str, body: Json = None, *, key: str = "", status: int = 202) -> Object:
        """Return the answer's object, having checked the status."""
        answer = self.send(method, path, body, key=key or self.writer)
        assert answer.status_code == status, answer.text
        return cast(Object, answer.json())

    def page_key(self, origins: list[str], **limits: int) -> NewKey:
        policy = KeyPolicy(origins=origins, limits=Limits(requests_per_minute=limits.get("per_minute")))
        return self.access.create_key(SYSTEM, "web page", frozenset({Role.FEEDBACK}), policy=policy)

    def give(self, body: Json, key: str, origin: str = SHOP, **headers: str) -> httpx.Response:
        """Send feedback as a page of ``origin`` does with fetch."""
        given = {"origin": origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.send("POST", "/api/v1/feedback", body, key=key, headers=given)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    clock, disk = ManualClock(), MemoryScores()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    access = Access(metadata, Silent(), Vault(b"m" * 32), lambda text: sha256_hex(text.encode()), clock)
    access.bootstrap()
    scores = Scores(disk, disk, disk, clock)
    services = cast(Services, ScoreServices(access, scores, Feedback(access, scores, clock)))
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    for router in (keys_router, scores_router):
        app.include_router(router(services, guarded_principal))
    app.include_router(feedback_router(services))
    keys = [access.create_key(SYSTEM, role.value, frozenset({role})).text for role in (Role.INGEST, Role.READ)]
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", lifespan="off", ws="none", http="httptools", proxy_headers=False)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Api(f"http://127.0.0.1:{listening.getsockname()[1]}", access, disk, clock, *keys)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        metadata.close()


def error_of(answer: httpx.Response) -> tuple[int, str, str | None]:
    """Return status, code and path of a refusal, having checked that it is nothing but that."""
    body = answer.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "message", "path"}
    assert answer.headers["content-type"] == "application/json"
    return answer.status_code, body["error"]["code"], body["error"]["path"]


def test_one_score_is_answered_with_its_id_and_is_on_disk(api: Api) -> None:
    made = api.object("POST", "/api/v1/scores", {**THUMB, "origin": "person"})
    assert made["outcome"] == "accepted"
    assert [score.score_id for score in api.disk.spooled] == [made["score_id"]]
    again = api.object("POST", "/api/v1/scores", {**THUMB, "origin": "person", "score_id": made["score_id"]})
    assert again == {"score_id": made["score_id"], "outcome": "unchanged"}


def test_one_refused_score_is_a_4xx_with_the_faulty_field(api: Api) -> None:
    faulty: list[tuple[Json, tuple[int, str, str | None]]] = [
        ({**THUMB, "trace_id": "x"}, (400, "invalid", "trace_id")),
        ({**THUMB, "colour": "red"}, (400, "invalid", "colour")),
        ("text", (400, "invalid", None)),
    ]
    for body, expected in faulty:
        assert error_of(api.send("POST", "/api/v1/scores", body, key=api.writer)) == expected
    api.object("POST", "/api/v1/scores", {**THUMB, "score_id": "a"})
    taken = api.send("POST", "/api/v1/scores", {**THUMB, "score_id": "a", "name": "b"}, key=api.writer)
    assert error_of(taken) == (409, "conflict", "score_id")
    broken = api.send("POST", "/api/v1/scores", key=api.writer, headers={"content-type": "application/json"})
    assert error_of(broken)[:2] == (400, "invalid")


def test_each_score_of_a_list_is_answered_in_its_place(api: Api) -> None:
    api.object("POST", "/api/v1/scores", [{**THUMB, "score_id": "a"}, {**THUMB, "score_id": "b"}])
    answer = api.object(
        "POST",
        "/api/v1/scores",
        [{**THUMB, "score_id": "a"}, {**THUMB, "score_id": "b", "value": False}, {"name": "x"}, 3, {**THUMB}],
    )
    rows = cast("list[Object]", answer["scores"])
    assert [row["outcome"] for row in rows] == ["unchanged", "corrected", "refused", "refused", "accepted"]
    assert [row.get("error") and cast(Object, row["error"])["path"] for row in rows] == [
        None,
        None,
        "label",
        None,
        None,
    ]
    assert answer["refused"] == 2
    assert len(api.disk.spooled) == 4


@pytest.mark.parametrize(
    "bad", [b'"value":1e999', b'"value":NaN', b'"value":1,"comment":"\\ud83d"', b'"value":-Infinity']
)
def test_a_value_that_is_no_json_costs_no_other_score_of_the_list(api: Api, bad: bytes) -> None:
    good = b'{"name":"n","value":1,"session_id":"s","comment":"\\ud83d\\ude00"}'
    body = b'[{"name":"n","session_id":"s",' + bad + b"}," + good + b"]"
    answer = httpx.post(f"{api.url}/api/v1/scores", content=body, headers={"authorization": f"Bearer {api.writer}"})
    assert [row["outcome"] for row in answer.json()["scores"]] == ["refused", "accepted"]
    assert [score.comment for score in api.disk.spooled] == ["\U0001f600"]


@pytest.mark.parametrize("body", [b"[", b"[1,]", b"[{]", b"[1] x", b"[" * 100_000])
def test_a_list_that_is_no_json_is_refused_as_a_whole(api: Api, body: bytes) -> None:
    answer = httpx.post(f"{api.url}/api/v1/scores", content=body, headers={"authorization": f"Bearer {api.writer}"})
    assert error_of(answer) == (400, "invalid", None)
    assert api.disk.spooled == []


def test_more_than_a_thousand_scores_are_too_many(api: Api) -> None:
    answer = api.send("POST", "/api/v1/scores", [THUMB] * 1001, key=api.writer)
    assert error_of(answer)[:2] == (413, "too_large")


def test_scores_are_listed_with_filters_and_pages(api: Api) -> None:
    for number in range(5):
        api.clock.advance(1)
        fields: Object = {"score_id": f"s{number}", "metadata": {"n": [number]}}
        api.object("POST", "/api/v1/scores", {**THUMB, **fields, "origin": "judge" if number % 2 else "code"})
    first = api.object("GET", "/api/v1/scores?limit=2", key=api.reader, status=200)
    second = api.object("GET", f"/api/v1/scores?limit=3&cursor={first['next_cursor']}", key=api.reader, status=200)
    rows = [*cast("list[Object]", first["scores"]), *cast("list[Object]", second["scores"])]
    assert [row["score_id"] for row in rows] == ["s4", "s3", "s2", "s1", "s0"]
    assert second["next_cursor"] is None
    assert rows[0] == {
        "project_id": "default",
        "score_id": "s4",
        "name": "thumb",
        "kind": "boolean",
        "value": 1.0,
        "label": "",
        "trace_id": TRACE,
        "span_id": "",
        "session_id": "",
        "experiment_id": "",
        "item_id": "",
        "origin": "code",
        "author": rows[0]["author"],
        "evaluator": "",
        "comment": "",
        "user_id": "",
        "time_ns": api.clock.now_ns(),
        "is_withdrawn": False,
        "metadata": {"n": [4]},
    }
    at_ns = cast(int, rows[2]["time_ns"])
    for query, found in (
        ("origin=judge", ["s3", "s1"]),
        (f"since={at_ns}&until={at_ns + 1}", ["s2"]),
        ("since=2023-11-14T22:13:24Z", ["s4", "s3"]),
        ("until=2023-11-14T23:13:21.5%2B01:00", ["s0"]),
        ("name=other", []),
        (f"trace_id={TRACE}&until=2023-11-14", []),
    ):
        page = api.object("GET", f"/api/v1/scores?{query}", key=api.reader, status=200)
        assert [row["score_id"] for row in cast("list[Object]", page["scores"])] == found, query


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=-1", "origin=robot", "limit=0", "cursor=x", "since=" + "9" * 30]
)
def test_a_faulty_query_is_400_with_its_name(api: Api, query: str) -> None:
    status, code, path = error_of(api.send("GET", f"/api/v1/scores?{query}", key=api.reader))
    assert (status, code, path) == (400, "invalid", query.partition("=")[0])


def test_a_score_is_withdrawn_and_its_history_says_by_whom(api: Api) -> None:
    api.object("POST", "/api/v1/scores", {**THUMB, "score_id": "a"})
    assert api.object("DELETE", "/api/v1/scores/a", status=200) == {"score_id": "a", "outcome": "withdrawn"}
    assert api.object("GET", "/api/v1/scores", key=api.reader, status=200)["scores"] == []
    history = api.send("GET", "/api/v1/scores/a/history", key=api.reader).json()
    assert [(version["is_withdrawn"], version["author"]) for version in history][1] == (True, "ingest")
    for method, path, key in (
        ("GET", "/api/v1/scores/b/history", api.reader),
        ("DELETE", "/api/v1/scores/b", api.writer),
    ):
        assert error_of(api.send(method, path, key=key))[:2] == (404, "not_found")


def test_writers_do_not_read_and_readers_do_not_write(api: Api) -> None:
    for method, path, key in (
        ("GET", "/api/v1/scores", api.writer),
        ("GET", "/api/v1/scores/a/history", api.writer),
        ("DELETE", "/api/v1/scores/a", api.reader),
    ):
        assert error_of(api.send(method, path, key=key))[:2] == (403, "forbidden")
    assert error_of(api.send("POST", "/api/v1/scores", THUMB, key=api.reader))[:2] == (403, "forbidden")


def test_a_page_asks_beforehand_and_then_gives_feedback(api: Api) -> None:
    key = api.page_key([SHOP])
    asked = {
        "origin": SHOP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    preflight = api.send("OPTIONS", "/api/v1/feedback", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == SHOP
    assert preflight.headers["access-control-allow-methods"] == "POST"
    assert preflight.headers["access-control-allow-headers"] == "authorization, content-type"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = api.give({**THUMB, "user_id": "u", "comment": "nice", "score_id": "f"}, key.text)
    assert (answer.status_code, answer.json()) == (202, {"score_id": "f", "outcome": "accepted"})
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert answer.headers["vary"] == "Origin"
    (score,) = api.disk.spooled
    assert (score.origin, score.author, score.user_id, score.comment) == ("end_user", key.record.key_id, "u", "nice")
    assert (
        api.give({**THUMB, "user_id": "u", "value": False, "score_id": "f"}, key.text).json()["outcome"] == "corrected"
    )


def test_a_beacon_has_its_key_in_the_address_and_sends_plain_text(api: Api) -> None:
    key = api.page_key([SHOP])
    path = f"/api/v1/feedback?key={key.text}"
    answer = api.send("POST", path, THUMB, headers={"origin": SHOP, "content-type": "text/plain;charset=UTF-8"})
    assert answer.status_code == 202
    assert len(api.disk.spooled) == 1


def test_a_page_of_another_origin_is_refused_and_sees_nothing(api: Api) -> None:
    key = api.page_key([SHOP])
    for origin in ("https://evil.example", "null"):
        answer = api.give(THUMB, key.text, origin)
        assert error_of(answer)[:2] == (403, "forbidden")
        assert "access-control-allow-origin" not in answer.headers
        asked = api.send("OPTIONS", f"/api/v1/feedback?key={key.text}", headers={"origin": origin})
        assert "access-control-allow-origin" not in asked.headers
    assert error_of(api.send("POST", "/api/v1/feedback", THUMB, key=key.text))[:2] == (403, "forbidden")
    assert api.disk.spooled == []


def test_a_key_for_any_origin_is_taken_from_everywhere(api: Api) -> None:
    key = api.page_key(["*"])
    assert api.give(THUMB, key.text, "https://any.example").status_code == 202
    assert api.send("POST", "/api/v1/feedback", THUMB, key=key.text).status_code == 202


def test_refusals_can_be_read_by_the_page(api: Api) -> None:
    key = api.page_key([SHOP])
    revoked = api.page_key([SHOP])
    api.access.revoke_key(SYSTEM, revoked.record.key_id)
    for answer, expected in (
        (api.give({**THUMB, "origin": "person"}, key.text), (400, "invalid", "origin")),
        (api.give({**THUMB, "value": None}, key.text), (400, "invalid", "label")),
        (api.give({**THUMB, "comment": "x" * MAX_FEEDBACK_BYTES}, key.text), (413, "too_large", None)),
        (api.give(THUMB, key.text, content_type="application/x-www-form-urlencoded"), (415, "unsupported", None)),
        (api.give(THUMB, "zk_pub_unknown"), (401, "unauthenticated", None)),
        (api.give(THUMB, revoked.text), (401, "unauthenticated", None)),
        (api.give(THUMB, api.writer), (403, "forbidden", None)),
        (api.give(THUMB, ""), (401, "unauthenticated", None)),
    ):
        assert error_of(answer) == expected
        assert answer.headers["access-control-allow-origin"] == SHOP
    assert api.disk.spooled == []


def test_a_body_that_is_too_long_is_refused_also_when_it_comes_in_pieces(api: Api) -> None:
    key = api.page_key([SHOP])
    where = urlsplit(api.url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    pieces = iter([b'{"name":"' + b"x" * 1024] + [b"x" * 1024] * 64)
    headers = {"authorization": f"Bearer {key.text}", "origin": SHOP}
    connection.request("POST", "/api/v1/feedback", pieces, headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_feedback_key_can_do_nothing_else(api: Api) -> None:
    key = api.page_key(["*"]).text
    api.object("POST", "/api/v1/scores", {**THUMB, "score_id": "a"})
    for method, path in (
        ("GET", "/api/v1/scores"),
        ("GET", "/api/v1/scores/a/history"),
        ("DELETE", "/api/v1/scores/a"),
        ("GET", "/api/v1/keys"),
        ("GET", "/api/v1/projects"),
        ("POST", "/api/v1/keys"),
    ):
        assert error_of(api.send(method, path, key=key))[:2] == (403, "forbidden"), path
    assert error_of(api.send("POST", "/api/v1/scores", THUMB, key=key))[:2] == (403, "forbidden")
    assert api.send("GET", f"/api/v1/feedback?key={key}").status_code == 405
    assert error_of(api.give({**THUMB, "score_id": "a"}, key))[:2] == (409, "conflict")


def test_a_key_that_is_used_too_often_is_told_when_to_come_back(api: Api) -> None:
    key = api.page_key([SHOP], per_minute=2)
    assert [api.give({**THUMB, "score_id": "f"}, key.text).status_code for _ in range(3)] == [202, 202, 429]
    refused = api.give(THUMB, key.text)
    assert error_of(refused)[:2] == (429, "rate_limited")
    assert refused.headers["retry-after"] == "30"
    api.clock.advance(30)
    assert api.give({**THUMB, "score_id": "f"}, key.text).status_code == 202


def test_an_address_that_asks_too_often_is_refused_and_another_one_behind_the_same_proxy_is_not(api: Api) -> None:
    for _ in range(ADDRESS_PER_MINUTE):
        api.send("OPTIONS", "/api/v1/feedback", headers={"origin": SHOP, "x-forwarded-for": "192.0.2.1"})
    key = api.page_key([SHOP]).text
    assert api.give(THUMB, key, x_forwarded_for="forged, 192.0.2.1").status_code == 429
    assert api.give(THUMB, key, x_forwarded_for="192.0.2.2").status_code == 202


def test_when_the_spool_is_full_both_are_told_to_come_back(api: Api) -> None:
    api.disk.is_full = True
    for answer in (
        api.send("POST", "/api/v1/scores", THUMB, key=api.writer),
        api.give(THUMB, api.page_key([SHOP]).text),
    ):
        assert error_of(answer)[:2] == (503, "overloaded")
        assert answer.headers["retry-after"] == "2"


def test_a_key_for_feedback_is_made_over_the_api(api: Api) -> None:
    admin = api.access.create_key(SYSTEM, "admin", frozenset({Role.ADMIN})).text
    body: Json = {"label": "page", "roles": ["feedback"], "policy": {"origins": [SHOP]}}
    made = api.object("POST", "/api/v1/keys", body, key=admin, status=201)
    assert str(made["key"]).startswith("zk_pub_")
    assert made["policy"] == {"origins": [SHOP]}
    refused = api.send("POST", "/api/v1/keys", {"label": "page", "roles": ["feedback"]}, key=admin)
    assert error_of(refused) == (400, "invalid", "policy.origins")
