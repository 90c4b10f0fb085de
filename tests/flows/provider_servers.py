"""Four providers in one process, each in its exact wire shape: ``python -m tests.flows.provider_servers``.

They listen on one port under ``/openai/v1``, ``/anthropic``, ``/gemini/v1beta`` and ``/bedrock``. A request that the
provider would not take is answered with 400 in the provider's words, so that a wrong translation fails the test. Each
request is one line of the log before it is answered; a client that goes away while it is answered is another.

What a model does is in its name: ``fails-context``, ``fails-rate``, ``fails-overloaded``, ``fails-midway``, ``slow``.
"""

import argparse
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

from tests.flows import provider_anthropic, provider_bedrock, provider_gemini, provider_openai
from tests.flows.provider_script import Received, Reply

PREFIXES: Mapping[str, Callable[[Received], Reply]] = {
    "/openai/v1": provider_openai.answer,
    "/anthropic": provider_anthropic.answer,
    "/gemini/v1beta": provider_gemini.answer,
    "/gemini/v1": provider_gemini.answer,
    "/bedrock": provider_bedrock.answer,
}


class ProviderServer(ThreadingHTTPServer):
    """Serves one thread a connection."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, line: Mapping[str, object]) -> None:
        """Append a line to the log, in one step."""
        os.write(self._descriptor, json.dumps(line).encode() + b"\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client goes away between two requests."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        """Answer a request without a body."""
        self._serve(b"")

    def do_POST(self) -> None:
        """Answer a request with a body."""
        self._serve(self.rfile.read(int(self.headers["Content-Length"])))

    def _serve(self, body: bytes) -> None:
        path = self.path.partition("?")[0]
        prefix = next((found for found in PREFIXES if path.startswith(f"{found}/")), "")
        if path == "/healthz":
            self._send(Reply(200, "text/plain", [b"ok"]))
            return
        if not prefix:
            self._send(Reply(404, "text/plain", [b"no such provider"]))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(self.command, path.removeprefix(prefix), self.path, headers, body)
        reply = PREFIXES[prefix](received)
        call = {"path": path, "headers": headers, "body": body.decode(), "status": reply.status}
        cast(ProviderServer, self.server).note({**call, "answer": b"".join(reply.parts).decode("utf-8", "replace")})
        try:
            self._send(reply)
        except OSError:
            cast(ProviderServer, self.server).note({"path": path, "closed": headers.get("traceparent", "")})
            raise

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.media_type)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if not reply.is_stream:
            self.send_header("Content-Length", str(len(reply.parts[0])))
            self.end_headers()
            self.wfile.write(reply.parts[0])
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, part in enumerate(reply.parts):
            if number:
                time.sleep(reply.pause_s)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the parent's signature)
        """Say nothing."""


def _end_with_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Serve until killed, or until the process that started this is gone."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    options = parser.parse_args()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    ProviderServer(options.port, options.log).serve_forever()


if __name__ == "__main__":
    main()
