"""What tests of unmodified clients share: a project on the running stack whose upstreams are the provider servers."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anthropic
from openai import OpenAI

from tests.flows.harness import Object, Stack, wait_for
from tests.flows.provider_script import KEYS, SLOW_PAUSE_S, SLOW_PIECES
from zirkel.app.demo.processes import free_ports
from zirkel.app.supervisor import answers
from zirkel.client import Client, Unreachable
from zirkel.core import Json, NotFound

OPENAI = "openai/gpt-4.1"
ANTHROPIC = "anthropic/claude-sonnet-4-5"
GEMINI = "gemini/gemini-2.5-flash"
BEDROCK = "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
PLACES = (OPENAI, ANTHROPIC, GEMINI, BEDROCK)
"""One model of each provider, as callers name it."""
THINKING_PLACES = (ANTHROPIC, GEMINI)
ROOT = Path(__file__).parents[2]
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel
PNG_BYTES = 70
IMAGE_SEEN = f"I see image/png of {PNG_BYTES} bytes"
WHOLE_SLOW_STREAM_S = SLOW_PIECES * SLOW_PAUSE_S
_CONFIG = """
[[upstream]]
name = "openai"
base_url = "{url}/openai/v1"

[[upstream]]
name = "anthropic"
base_url = "{url}/anthropic"
dialect = "anthropic"

[[upstream]]
name = "gemini"
base_url = "{url}/gemini/v1beta"
dialect = "gemini"
prices = "google"

[[upstream]]
name = "bedrock"
base_url = "{url}/bedrock?region=eu-central-1"
dialect = "bedrock"
prices = "aws"

[[upstream]]
name = "chatonly"
base_url = "{url}/openai/v1"
formats = ["chat"]

[[model]]
name = "writer"
[[model.target]]
name = "anthropic/claude-sonnet-4-5"
parameters = {{ temperature = 0.5 }}

[[model]]
name = "patient"
resilience = {{ retries = 0 }}
[[model.target]]
name = "openai/slow"
"""


def failing(place: str, fault: str) -> str:
    """Return a model of the place's provider that fails; each has a name of its own, so that only it is put to rest."""
    return f"{place.partition('/')[0]}/gemini-2.5-fails-{fault}"


@dataclass(slots=True)
class Stage:
    """A project of the running stack, and the providers that it calls."""

    stack: Stack
    log: Path
    key: str
    """The project's admin key."""
    process: "subprocess.Popen[bytes]"

    @property
    def url(self) -> str:
        """The gateway's address, without a path."""
        return f"http://127.0.0.1:{self.stack.gateway_port}"

    def openai(self, key: str = "", path: str = "/v1", max_retries: int = 0) -> OpenAI:
        """Return OpenAI's client on the gateway."""
        return OpenAI(base_url=self.url + path, api_key=key or self.key, max_retries=max_retries, timeout=30)

    def anthropic(self, key: str = "", path: str = "") -> anthropic.Anthropic:
        """Return Anthropic's client on the gateway."""
        return anthropic.Anthropic(base_url=self.url + path, api_key=key or self.key, max_retries=0, timeout=30)

    def make_key(self, **policy: object) -> str:
        """Return the text of a new key of the project with the role ``call``."""
        with Client(self.stack.core_url, self.key) as client:
            body = cast(Object, {"label": "a client", "roles": ["call"], "policy": policy})
            made = client.post("/api/v1/keys", body)
        self.stack.secrets.append(str(made["key"]))
        return str(made["key"])

    def spans(self, trace_id: str, count: int = 2) -> list[Object]:
        """Return the spans of a trace once there are ``count`` of them, the call's first."""
        with Client(self.stack.core_url, self.key) as client:

            def found() -> list[Object]:
                try:
                    spans = client.get_list(f"/api/v1/traces/{trace_id}")
                except (NotFound, Unreachable):
                    return []
                return spans if len(spans) >= count else []

            return wait_for(found, f"{count} spans of trace {trace_id}")

    def lines(self) -> list[Object]:
        """Return what the providers have noted, in order."""
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    def calls(self, trace_id: str) -> list[Object]:
        """Return the requests that the providers got for a trace."""
        return [line for line in self.lines() if "body" in line and trace_id in str(line["headers"])]

    def sent(self, trace_id: str) -> Object:
        """Return the body of the only request that the providers got for a trace."""
        (call,) = self.calls(trace_id)
        return cast(Object, json.loads(str(call["body"])))

    def wait_for_closed(self, trace_id: str) -> None:
        """Return when a provider has noticed that the gateway closed the connection of a trace's request."""
        wait_for(
            lambda: any(trace_id in str(line.get("closed", "")) for line in self.lines()),
            f"the request of trace {trace_id} is cancelled",
            WHOLE_SLOW_STREAM_S / 2,
        )


@contextmanager
def open_stage(stack: Stack, folder: Path, name: str) -> Iterator[Stage]:
    """Start the providers and make a project that calls them; both serve all tests of a module."""
    (port,) = free_ports(1)
    log = folder / "provider-calls.jsonl"
    command = [sys.executable, "-m", "tests.flows.provider_servers", "--port", str(port), "--log", str(log)]
    process = subprocess.Popen(command, cwd=ROOT, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        with stack.client() as client:
            key = str(client.post("/api/v1/projects", {"name": name})["key"])
        stack.secrets.append(key)
        wait_for(lambda: answers(f"{url}/healthz"), "the providers listen")
        with Client(stack.core_url, key) as client:
            body: Json = {"toml": _CONFIG.format(url=url), "credentials": _credentials(), "version": 0}
            client.put("/api/v1/gateway", body)
        yield Stage(stack, log, key, process)
    finally:
        process.kill()
        process.wait()


def _credentials() -> dict[str, Json]:
    return {**KEYS, "chatonly": KEYS["openai"]}
