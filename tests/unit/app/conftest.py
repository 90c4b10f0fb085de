"""Programs that listen on this machine."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import BaseRequestHandler, TCPServer

import pytest


@contextmanager
def serving(server: TCPServer) -> Iterator[int]:
    """Serve from a thread of its own; yield the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def http_server(status: int, body: bytes) -> HTTPServer:
    """Return a server that answers every GET in the same way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
            pass

    return HTTPServer(("127.0.0.1", 0), Handler)


def greeting_server() -> TCPServer:
    """Return a server that speaks first, as mail and SSH servers do."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            # Read first: closing with unread input would reset the connection and lose the greeting.
            self.request.recv(65536)
            self.request.sendall(b"220 mail ready\r\n")

    return TCPServer(("127.0.0.1", 0), Handler)


@pytest.fixture
def answer_with() -> Iterator[Callable[[int, bytes], int]]:
    """Start HTTP servers that answer with a status and a body; returns the port."""
    with ExitStack() as stack:
        yield lambda status, body: stack.enter_context(serving(http_server(status, body)))


@pytest.fixture
def mail_port() -> Iterator[int]:
    """The port of a program that does not speak HTTP."""
    with serving(greeting_server()) as port:
        yield port
