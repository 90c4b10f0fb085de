"""An OpenAI-shaped upstream with exact faults, as a process: ``python upstream_server.py --port N --log FILE``.

It answers a review that says "bad" with the label negative, any other with positive, as exactly as the prompt's
``variant`` tells it to: ``right`` always, ``mostly`` but for every fourth item, ``wrong`` never. Each call is one line
of the log before it is answered. ``POST /control`` changes ``delay_s``, ``stream_pause_s``, ``status`` and
``usage_factor``, by which the usage that it reports differs from the true one.
"""

import argparse
import json
import os
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

Json = dict[str, object]

COMPLETION_TOKENS = 4
_ITEM = re.compile(r"item (\d+) is (good|bad)")
_SETTINGS: dict[str, float] = {"delay_s": 0.0, "stream_pause_s": 0.0, "status": 200, "usage_factor": 1}


class Upstream(ThreadingHTTPServer):
    """Serves one thread a connection."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, log: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.settings = dict(_SETTINGS)
        self._descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, call: Json) -> None:
        """Append a call to the log, in one step."""
        os.write(self._descriptor, json.dumps(call).encode() + b"\n")

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client is killed in the middle; that is what some tests are for."""


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(200, {"object": "list", "data": []})

    def do_POST(self) -> None:
        server = cast(Upstream, self.server)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/control":
            server.settings.update(body)
            self._answer(200, {})
            return
        text = "\n".join(str(message["content"]) for message in body["messages"])
        authorization = self.headers.get("Authorization", "")
        call = {
            "at": time.time_ns(),  # noqa: TID251 (a process of the test's own)
            "model": body["model"],
            "text": text,
            "stream": bool(body.get("stream")),
            "trace_id": self.headers.get("traceparent", "--").split("-")[1],
            "authorization": authorization,
        }
        server.note(call)
        time.sleep(server.settings["delay_s"])
        if server.settings["status"] != 200:
            # Some upstreams quote the credential when they refuse it.
            self._answer(int(server.settings["status"]), {"error": {"message": f"refused: {authorization}"}})
        elif body.get("stream"):
            self._stream(body, choose_answer(text), len(text.split()))
        else:
            self._answer(200, completion(body["model"], choose_answer(text), self._usage(len(text.split()))))

    def _answer(self, status: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, body: Json, answer: str, prompt_tokens: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head: Json = {"id": "s", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
        third = len(answer) // 3
        for part in (answer[:third], answer[third : 2 * third], answer[2 * third :]):
            self._event({**head, "choices": [{"index": 0, "delta": {"content": part}, "finish_reason": None}]})
            self._pause()
        self._event({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if cast(Json, body.get("stream_options") or {}).get("include_usage"):
            self._event({**head, "choices": [], "usage": self._usage(prompt_tokens)})
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _pause(self) -> None:
        """Wait for ``stream_pause_s``; a change of it counts at once."""
        settings, started_s = cast(Upstream, self.server).settings, time.monotonic()
        while (left_s := started_s + settings["stream_pause_s"] - time.monotonic()) > 0:
            time.sleep(min(left_s, 0.02))

    def _usage(self, prompt_tokens: int) -> Json:
        factor = cast(Upstream, self.server).settings["usage_factor"]
        prompt, answer = int(prompt_tokens * factor), int(COMPLETION_TOKENS * factor)
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}

    def _event(self, value: Json) -> None:
        self._chunk(b"data: " + json.dumps(value).encode() + b"\n\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the parent's signature)
        """Say nothing."""


def completion(model: str, answer: str, usage: Json) -> Json:
    """Return the body of a whole answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}
    head = {"id": "c", "object": "chat.completion", "created": 0, "model": model}
    return {**head, "choices": [choice], "usage": usage}


def choose_answer(text: str) -> str:
    """Return the answer to a prompt, by its variant."""
    found = _ITEM.findall(text)
    number, word = found[-1] if found else ("1", "good")
    is_right = "variant right" in text or ("variant mostly" in text and int(number) % 4 != 0)
    label = "positive" if (word == "good") == is_right else "negative"
    return json.dumps({"label": label})


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
    Upstream(options.port, options.log).serve_forever()


if __name__ == "__main__":
    main()
