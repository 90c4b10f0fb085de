"""The client against a real HTTP server on this machine."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from zirkel.client.http import Client, Unreachable
from zirkel.core import Invalid, Json, ZirkelError, errors

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, ZirkelError) and kind is not ZirkelError
]


@dataclass(frozen=True)
class Request:
    """What the server got."""

    method: str
    path: str
    key: str
    body: bytes


@dataclass
class Server:
    """Answers every request alike, and notes it."""

    url: str = ""
    status: int = 200
    body: bytes = b"{}"
    requests: list[Request] = field(default_factory=list)

    def answer(self, status: int, value: Json) -> None:
        self.status, self.body = status, json.dumps(value).encode()


def make_handler(state: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            state.requests.append(Request(self.command, self.path, self.headers.get("authorization", ""), body))
            self.send_response(state.status)
            self.send_header("content-length", str(0 if state.status == 204 else len(state.body)))
            self.end_headers()
            if state.status != 204:
                self.wfile.write(state.body)

        do_GET = do_POST = do_PUT = do_DELETE = _reply  # noqa: N815 (the base class's names)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            pass

    return Handler


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    listener = HTTPServer(("127.0.0.1", 0), make_handler(state))
    state.url = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.url + "/", "zk_key", timeout_s=10) as made:
        yield made


def test_an_object_is_returned_as_it_is(server: Server, client: Client) -> None:
    server.answer(200, {"a": [1, None, "ü"]})
    assert client.get("/api/v1/x", {"limit": 5}) == {"a": [1, None, "ü"]}
    assert server.requests == [Request("GET", "/api/v1/x?limit=5", "Bearer zk_key", b"")]


def test_a_list_is_returned_as_it_is(server: Server, client: Client) -> None:
    server.answer(200, [{"a": 1}, {"b": 2}])
    assert client.get_list("/api/v1/x") == [{"a": 1}, {"b": 2}]
    assert client.post_list("/api/v1/x", {}) == [{"a": 1}, {"b": 2}]


def test_bodies_are_sent_as_json(server: Server, client: Client) -> None:
    client.post("/p", {"a": 1})
    client.put("/q", ["b"])
    server.status = 204
    client.delete("/r")
    sent = [(request.method, request.path, json.loads(request.body or b"null")) for request in server.requests]
    assert sent == [("POST", "/p", {"a": 1}), ("PUT", "/q", ["b"]), ("DELETE", "/r", None)]


def test_files_are_pushed_byte_for_byte(server: Server, client: Client) -> None:
    files = {"a.txt": bytes(range(256)), "context/b": b""}
    client.push(files)
    (request,) = server.requests
    assert request.path == "/api/v1/services/push"
    encoded = json.loads(request.body)["files"]
    assert {path: base64.b64decode(text) for path, text in encoded.items()} == files


def test_a_pack_is_returned_byte_for_byte(server: Server, client: Client) -> None:
    server.body = b"\xff\x00no json"
    assert client.evidence_pack() == b"\xff\x00no json"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_an_error_is_raised_as_the_kind_that_the_server_names(
    server: Server, client: Client, kind: type[ZirkelError]
) -> None:
    server.answer(kind.http_status, {"error": {"code": kind.code, "message": "so it is", "path": "a.b"}})
    with pytest.raises(ZirkelError, match=r"^so it is$") as caught:
        client.get("/x")
    assert type(caught.value) is kind
    assert caught.value.path == "a.b"


def test_an_error_of_a_kind_that_is_not_known_here_keeps_its_message(server: Server, client: Client) -> None:
    server.answer(418, {"error": {"code": "teapot", "message": "short and stout"}})
    with pytest.raises(ZirkelError, match="short and stout") as caught:
        client.get("/x")
    assert type(caught.value) is ZirkelError


@pytest.mark.parametrize(
    "body", [b"<html>bad gateway</html>", b"", b"\xff\xfe\xfd", b"[]", b'{"error": "text"}', b'{"error": {}}', b"null"]
)
def test_an_error_that_is_not_the_apis_tells_its_status(server: Server, client: Client, body: bytes) -> None:
    server.status, server.body = 502, body
    with pytest.raises(ZirkelError, match="HTTP 502"):
        client.get("/x")


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"", b"\xff\xfe\xfd", b"{"])
def test_an_answer_that_is_not_json_is_an_error_that_names_the_address(
    server: Server, client: Client, body: bytes
) -> None:
    server.body = body
    for read in (client.get, client.get_list):
        with pytest.raises(ZirkelError, match=f"{server.url}/x answered with HTTP 200 and no JSON"):
            read("/x")


def test_a_redirect_is_not_followed_with_the_key(server: Server, client: Client) -> None:
    server.status, server.body = 302, b""
    with pytest.raises(ZirkelError, match="HTTP 302"):
        client.get("/x")
    assert len(server.requests) == 1


@pytest.mark.parametrize("value", [[], "text", 1, None])
def test_something_else_than_an_object_is_an_error(server: Server, client: Client, value: Json) -> None:
    server.answer(200, value)
    with pytest.raises(ZirkelError, match="not an object"):
        client.get("/x")


@pytest.mark.parametrize("value", [{}, "text", [1], [{}, None]])
def test_something_else_than_a_list_of_objects_is_an_error(server: Server, client: Client, value: Json) -> None:
    server.answer(200, value)
    with pytest.raises(ZirkelError, match="list"):
        client.get_list("/x")


def test_a_server_that_is_not_there_is_unreachable_and_named() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with Client(url, "zk_key") as client, pytest.raises(Unreachable, match=f"{url} did not answer") as caught:
        client.get("/x")
    assert "ZIRKEL_URL" in str(caught.value)


def test_a_server_that_says_nothing_is_unreachable() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Client(url, "zk_key", timeout_s=0.05) as client, pytest.raises(Unreachable, match="ReadTimeout"):
            client.get("/x")


@pytest.mark.parametrize("url", ["http://localhost:abc", "http://[::1", "http://::1:4040"])
def test_an_address_that_is_none_is_invalid(url: str) -> None:
    with pytest.raises(Invalid, match="ZIRKEL_URL"):
        Client(url, "zk_key")


def test_an_address_without_a_scheme_is_unreachable() -> None:
    with Client("localhost:4040", "zk_key") as client, pytest.raises(Unreachable):
        client.get("/x")


def test_a_key_that_was_copied_with_an_ellipsis_is_invalid() -> None:
    with pytest.raises(Invalid, match="ZIRKEL_API_KEY"):
        Client("http://127.0.0.1:4040", "zk_…")


def test_a_proxy_of_the_environment_is_not_used(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with Client(server.url, "zk_key") as direct:
        assert direct.get("/x") == {}
