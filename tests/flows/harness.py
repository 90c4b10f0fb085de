"""Real processes for the flow tests: ``zirkel up``, upstreams, commands; and how they are ended."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from openai import OpenAI

from tests.flows.service_files import REVIEW, ServiceFolder
from zirkel.app.config import clean_environment
from zirkel.app.demo.processes import CommandResult, free_ports
from zirkel.app.supervisor import answers
from zirkel.client import Client, Unreachable
from zirkel.core import Json, NotFound
from zirkel.version import read_service

Object = dict[str, Json]
T = TypeVar("T")

KEY = re.compile(r"zk_[A-Za-z0-9_-]+")
START_S = 60.0
ARRIVAL_S = 30.0
"""How long what was accepted may take to be stored, with a restart of the core in between."""
UPSTREAM_SERVER = Path(__file__).with_name("upstream_server.py")


def wait_for(found: Callable[[], T], what: str, timeout_s: float = ARRIVAL_S) -> T:
    """Return the first value of ``found`` that is true; fail when time is up."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := found()):
        assert time.monotonic() < deadline_s, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)
    return value


def descendants(pid: int) -> list[int]:
    """Return the ids of all processes below ``pid``."""
    found: list[int] = []
    for task in _list_folder(f"/proc/{pid}/task"):
        for child in _read(f"/proc/{pid}/task/{task}/children").split():
            found += [int(child), *descendants(int(child))]
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent to notice does not."""
    state = re.search(r"^State:\s+(\w)", _read(f"/proc/{pid}/status"), re.MULTILINE)
    return state is not None and state.group(1) not in "ZX"


def end_group(process: "subprocess.Popen[bytes]", timeout_s: float = 20.0) -> None:
    """End a process and all below it: SIGTERM to the first, SIGKILL to whatever is left."""
    pids = [process.pid, *descendants(process.pid)]
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    deadline_s = time.monotonic() + 5
    while any(map(is_alive, pids)) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    for pid in filter(is_alive, pids):
        os.kill(pid, signal.SIGKILL)


@dataclass(slots=True)
class Upstream:
    """A running ``upstream_server``."""

    port: int
    log: Path
    process: "subprocess.Popen[bytes]"

    @classmethod
    def start(cls, folder: Path, name: str) -> "Upstream":
        """Start one; it listens when this returns."""
        (port,) = free_ports(1)
        log = folder / f"{name}-calls.jsonl"
        command = [sys.executable, str(UPSTREAM_SERVER), "--port", str(port), "--log", str(log)]
        upstream = cls(port, log, subprocess.Popen(command, start_new_session=True))
        try:
            wait_for(lambda: answers(f"{upstream.url}/models"), "the upstream listens")
        except BaseException:
            upstream.stop()
            raise
        return upstream

    @property
    def url(self) -> str:
        """The base URL that ``zirkel upstreams set`` takes."""
        return f"http://127.0.0.1:{self.port}/v1"

    def control(self, **settings: float) -> None:
        """Change ``delay_s``, ``stream_pause_s``, ``status`` or ``usage_factor`` for what comes from now on."""
        url = f"http://127.0.0.1:{self.port}/control"
        request = urllib.request.Request(url, json.dumps(settings).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=5):
            pass

    def calls(self, service: str) -> list[Object]:
        """Return the calls for one service, in order."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [call for call in map(json.loads, lines) if f"service {service}," in call["text"]]

    def stop(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()


@dataclass(slots=True)
class Stack:
    """A running ``zirkel up`` and what a user needs to talk to it."""

    folder: Path
    core_port: int
    gateway_port: int
    otlp_port: int
    otlp_grpc_port: int
    process: "subprocess.Popen[bytes]"
    key: str = ""
    """The first admin key."""
    secrets: list[str] = field(default_factory=list)
    """Every key made through this object."""

    @classmethod
    def start(cls, folder: Path, *, prefix: Sequence[str] = ()) -> "Stack":
        """Start ``zirkel up`` in ``folder/data`` and return when both gateway workers answer.

        ``prefix`` is a command to run it under. A folder that a stack has used before keeps its key.
        """
        folder.mkdir(parents=True, exist_ok=True)
        core, gateway, otlp, grpc = free_ports(4)
        ports = ("--core-port", str(core), "--gateway-port", str(gateway), "--otlp-port", str(otlp))
        command = [*prefix, sys.executable, "-m", "zirkel.app", "up", "--data-dir", str(folder / "data"), *ports]
        command += ["--otlp-grpc-port", str(grpc)]
        with (folder / "zirkel.log").open("ab") as log:
            process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=clean_environment({}), start_new_session=True
            )
        stack = cls(folder, core, gateway, otlp, grpc, process)
        try:
            wait_for(stack._is_ready, "zirkel up is ready", START_S)
            found = KEY.search(stack.output())
            assert found, "the first admin key was printed"
            stack.key = found.group()
            stack.secrets.append(stack.key)
            with stack.worker_connections():
                pass
        except BaseException:
            stack.stop()
            raise
        return stack

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def core_url(self) -> str:
        """The core's address."""
        return f"http://127.0.0.1:{self.core_port}"

    def output(self) -> str:
        """Return what the processes have printed."""
        path = self.folder / "zirkel.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def stop(self) -> None:
        """End everything."""
        end_group(self.process)

    def pid_of(self, name: str) -> int:
        """Return the process id of ``core``, ``gateway-0`` or ``gateway-1``; fails while it does not run."""
        for pid in descendants(self.process.pid):
            words = _read(f"/proc/{pid}/cmdline").split("\x00")
            if "zirkel.app.serve" in words and name in words:
                return pid
        raise AssertionError(f"{name} does not run")

    def kill(self, name: str) -> int:
        """Kill a process with SIGKILL and return the id it had."""
        pid = self.pid_of(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_all(self) -> None:
        """Kill the supervisor and everything below it with SIGKILL."""
        pids = [self.process.pid, *descendants(self.process.pid)]
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_for(lambda: not any(map(is_alive, pids)), "all processes are gone")

    def wait_for_core(self) -> None:
        """Return when the core answers."""
        wait_for(lambda: answers(f"{self.core_url}/healthz"), "the core answers", START_S)

    def environment(self, key: str | None = None, url: str | None = None) -> Mapping[str, str]:
        """Return the environment of a user's shell."""
        settings = {"ZIRKEL_URL": url or self.core_url, "ZIRKEL_API_KEY": self.key if key is None else key}
        return clean_environment(settings)

    def command(self, *arguments: str, key: str | None = None, url: str | None = None) -> CommandResult:
        """Run ``zirkel …`` as a user would."""
        return run_command(arguments, self.environment(key, url))

    def run(self, *arguments: str) -> CommandResult:
        """Run ``zirkel …`` and expect exit code 0."""
        result = self.command(*arguments)
        assert result.exit_code == 0, (
            f"zirkel {' '.join(arguments)}: {result.exit_code}\n{result.errors or result.output}"
        )
        return result

    def start_command(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start ``zirkel …`` and return at once."""
        command = [sys.executable, "-m", "zirkel.app", *arguments]
        return subprocess.Popen(
            command,
            env=self.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def make_key(self, role: str) -> str:
        """Return the text of a new key."""
        with self.client() as client:
            made = client.post("/api/v1/keys", {"label": f"a key to {role}", "roles": [role]})
        self.secrets.append(str(made["key"]))
        return str(made["key"])

    def set_upstream(self, name: str, upstream: Upstream) -> None:
        """Have the models of the upstream ``name`` called at ``upstream``."""
        with self.client() as client:
            client.put(f"/api/v1/upstreams/{name}", {"base_url": upstream.url})

    def push(self, service: ServiceFolder) -> Object:
        """Register a service's files and return what that did."""
        with self.client() as client:
            return client.push(read_service(service.folder).contents)

    def adopt(self, service: ServiceFolder) -> None:
        """Push a service and make its baseline live, as a recorded exception."""
        self.push(service)
        order: Json = {"release": "baseline", "break_glass": "live before Zirkel"}
        with self.client() as client:
            client.post(f"/api/v1/services/{service.name}/ship", order)

    def client(self, key: str | None = None) -> Client:
        """Return a REST client."""
        return Client(self.core_url, self.key if key is None else key)

    def get(self, path: str) -> Object:
        """Return the object at a path of the REST API."""
        with self.client() as client:
            return client.get(path)

    def get_list(self, path: str, parameters: Mapping[str, str | int] | None = None) -> list[Object]:
        """Return the list at a path of the REST API."""
        with self.client() as client:
            return client.get_list(path, parameters)

    def sdk(self, key: str | None = None, *, max_retries: int = 0) -> OpenAI:
        """Return the OpenAI SDK on the gateway."""
        url = f"http://127.0.0.1:{self.gateway_port}/v1"
        return OpenAI(base_url=url, api_key=self.key if key is None else key, max_retries=max_retries, timeout=60)

    def ledger(self, action: str) -> list[Object]:
        """Return the payloads of all ledger entries of an action, in order."""
        entries = self.get_list("/api/v1/evidence", {"limit": 1000})
        return [json.loads(str(entry["payload"])) for entry in entries if entry["action"] == action]

    def spans(self, trace_id: str) -> list[Object]:
        """Return the stored spans of a trace; none if it is not stored."""
        with self.client() as client:
            return _spans(client, trace_id)

    def wait_for_spans(self, trace_id: str, count: int) -> list[Object]:
        """Return the spans of a trace once there are ``count`` of them."""
        with self.client() as client:
            wait_for(lambda: len(_spans(client, trace_id)) >= count, f"{count} spans of trace {trace_id}")
            return _spans(client, trace_id)

    def wait_for_traces(self, trace_ids: Sequence[str], spans: int) -> None:
        """Return when each trace has ``spans`` spans; fail if one has more, or a span twice."""
        found: dict[str, list[Object]] = {}
        with self.client() as client:

            def is_complete() -> bool:
                for trace_id in trace_ids:
                    if len(found.get(trace_id, [])) < spans:
                        found[trace_id] = _spans(client, trace_id)
                return all(len(trace) >= spans for trace in found.values())

            wait_for(is_complete, f"all of {len(trace_ids)} traces are stored", START_S)
        assert Counter(map(len, found.values())) == {spans: len(trace_ids)}
        assert all(len({span["span_id"] for span in trace}) == spans for trace in found.values())

    @contextmanager
    def worker_connections(self) -> Iterator[dict[str, http.client.HTTPConnection]]:
        """Give a connection to each gateway worker, by the worker's name."""
        found: dict[str, http.client.HTTPConnection] = {}
        spare: list[http.client.HTTPConnection] = []

        def open_one() -> bool:
            connection = http.client.HTTPConnection("127.0.0.1", self.gateway_port, timeout=30)
            spare.append(connection)
            worker = _worker_of(connection)
            if worker and worker not in found:
                found[worker] = connection
            return len(found) == 2

        try:
            wait_for(open_one, "both gateway workers answer", START_S)
            yield found
        finally:
            for connection in spare:
                connection.close()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"zirkel up ended:\n{self.output()[-3000:]}"
        return "ready; stop with" in self.output()


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer of the gateway."""

    text: str
    headers: Mapping[str, str]

    @property
    def trace_id(self) -> str:
        """The trace it is recorded under."""
        return self.headers["x-zirkel-trace-id"]

    @property
    def arm(self) -> str:
        """Which arm answered."""
        return self.headers["x-zirkel-arm"]

    @property
    def release(self) -> str:
        """Which release answered."""
        return self.headers["x-zirkel-release"]


def ask(sdk: OpenAI, service: str, unit: str, *, headers: Mapping[str, str] | None = None) -> Answered:
    """Ask a service with the SDK, in one piece."""
    raw = sdk.chat.completions.with_raw_response.create(
        model=f"service:{service}",
        messages=[{"role": "user", "content": REVIEW}],
        user=unit,
        extra_headers=dict(headers or {}),
    )
    return Answered(raw.parse().choices[0].message.content or "", dict(raw.headers))


def ask_streamed(sdk: OpenAI, service: str, unit: str) -> tuple[Answered, int]:
    """Ask a service with the SDK, streamed; return the answer and the number of chunks that had text."""
    raw = sdk.chat.completions.with_raw_response.create(
        model=f"service:{service}",
        messages=[{"role": "user", "content": REVIEW}],
        user=unit,
        stream=True,
    )
    parts = [
        chunk.choices[0].delta.content for chunk in raw.parse() if chunk.choices and chunk.choices[0].delta.content
    ]
    return Answered("".join(parts), dict(raw.headers)), len(parts)


def ask_on(connection: http.client.HTTPConnection, key: str, service: str, unit: str) -> Answered:
    """Ask a service on an open connection, that is: one gateway worker."""
    body = {"model": f"service:{service}", "user": unit, "zirkel": {"variables": {"review": REVIEW}}}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    data = response.read()
    assert response.status == 200, data
    return Answered(
        json.loads(data)["choices"][0]["message"]["content"],
        {name.lower(): value for name, value in response.getheaders()},
    )


def run_command(arguments: Sequence[str], environment: Mapping[str, str]) -> CommandResult:
    """Run ``zirkel …`` in an environment."""
    command = [sys.executable, "-m", "zirkel.app", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=100)
    return CommandResult(done.returncode, done.stdout, done.stderr)


def objects(value: Json) -> list[Object]:
    """Return a JSON value that is a list of objects as one."""
    return cast("list[Object]", value)


def _spans(client: Client, trace_id: str) -> list[Object]:
    try:
        return client.get_list(f"/api/v1/traces/{trace_id}")
    except (NotFound, Unreachable):
        return []


def _worker_of(connection: http.client.HTTPConnection) -> str:
    try:
        connection.request("GET", "/healthz")
        return str(json.loads(connection.getresponse().read()).get("worker", ""))
    except (OSError, ValueError):
        return ""


def _list_folder(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
