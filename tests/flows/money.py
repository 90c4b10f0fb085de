"""A project of its own on a running stack: its document, its keys, its calls, and what they cost."""

import http.client
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import cast

from tests.flows.harness import Object, Stack, Upstream, objects, wait_for
from tests.flows.service_files import ServiceFolder
from zirkel.client import Client
from zirkel.core import Json, NotFound
from zirkel.version import read_service

MODEL = "house/m-1"
COMPLETION_TOKENS = 4
"""What the upstream says of each answer."""
QUESTION = "item 1 is good"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def trace_id(self) -> str:
        """Where the call is recorded."""
        return self.headers["x-zirkel-trace-id"]


@dataclass(slots=True)
class OpenStream:
    """An answer whose first piece has arrived."""

    connection: http.client.HTTPConnection
    trace_id: str

    def leave(self) -> None:
        """Close the connection amid the answer."""
        self.connection.close()


@dataclass(slots=True)
class Till:
    """One project."""

    stack: Stack
    upstream: Upstream
    project: str
    admin: str
    prices: dict[str, tuple[str, str]] = field(default_factory=lambda: {MODEL: ("0", "25000")})
    """Input and output, USD per million tokens, by model. As it stands, an answer costs 0.1 USD."""

    @classmethod
    def open(cls, stack: Stack, upstream: Upstream, name: str) -> "Till":
        """Make a project with a document that has no limits."""
        with stack.client() as client:
            made = client.post("/api/v1/projects", {"name": name})
        stack.secrets.append(str(made["key"]))
        till = cls(stack, upstream, str(made["project_id"]), str(made["key"]))
        till.apply()
        return till

    def apply(self, limits: str = "") -> None:
        """Replace the document: the upstream, ``prices``, no second tries, and ``limits`` (TOML)."""
        upstreams = "".join(
            f'[[upstream]]\nname = "{name}"\nbase_url = "{self.upstream.url}"\n' for name in ("house", "alpha")
        )
        prices = "".join(
            f'[[price]]\nmodel = "{model}"\neffective = "2020-01-01"\ninput = "{given[0]}"\noutput = "{given[1]}"\n'
            for model, given in self.prices.items()
        )
        document = f"[resilience]\nretries = 0\nfailures = 0\n{limits}\n{upstreams}{prices}"
        with self.client() as client:
            client.put("/api/v1/gateway", {"toml": document})

    def client(self) -> Client:
        """Return a REST client of the project's admin."""
        return self.stack.client(self.admin)

    def make_key(self, policy: Json = None) -> tuple[str, str]:
        """Return id and text of a new key that may call."""
        body: Json = {"label": "till", "roles": ["call"], "policy": policy or {}}
        with self.client() as client:
            made = client.post("/api/v1/keys", body)
        self.stack.secrets.append(str(made["key"]))
        return str(made["key_id"]), str(made["key"])

    def adopt(self, service: ServiceFolder) -> None:
        """Push a service and make its baseline live."""
        order: Json = {"release": "baseline", "break_glass": "live before Zirkel"}
        with self.client() as client:
            client.push(read_service(service.folder).contents)
            client.post(f"/api/v1/services/{service.name}/ship", order)

    def call(
        self,
        key: str,
        *,
        connection: http.client.HTTPConnection | None = None,
        model: str = MODEL,
        user: str = "",
        max_tokens: int = COMPLETION_TOKENS,
    ) -> Reply:
        """Call a model, or a service, on a connection that stays open, or on one of its own."""
        opened = connection or http.client.HTTPConnection("127.0.0.1", self.stack.gateway_port, timeout=60)
        try:
            opened.request("POST", "/v1/chat/completions", _body(model, user, max_tokens), _headers(key))
            response = opened.getresponse()
            data = response.read()
            return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, data)
        finally:
            if connection is None:
                opened.close()

    def stream(
        self, key: str, connection: http.client.HTTPConnection | None = None, *, max_tokens: int = COMPLETION_TOKENS
    ) -> OpenStream:
        """Ask for a stream and return when its first piece is there."""
        opened = connection or http.client.HTTPConnection("127.0.0.1", self.stack.gateway_port, timeout=60)
        body = _body(MODEL, "", max_tokens, stream=True)
        opened.request("POST", "/v1/chat/completions", body, _headers(key))
        response = opened.getresponse()
        assert response.status == 200, response.read()
        assert response.readline().startswith(b"data: ")
        return OpenStream(opened, response.headers["x-zirkel-trace-id"])

    def limits(self) -> dict[str, Object]:
        """Return what ``zirkel limits`` says, by kind and name."""
        with self.client() as client:
            rows = client.get_list("/api/v1/limits")
        return {f"{row['kind']} {row['name']}": row for row in rows}

    def limits_by_command(self) -> dict[str, Object]:
        """Return the same by the command."""
        done = self.stack.command("limits", "--json", key=self.admin)
        assert done.exit_code == 0, done.errors
        return {f"{row['kind']} {row['name']}": row for row in json.loads(done.output)}

    def wait_for_quiet(self) -> dict[str, Object]:
        """Return the limits once no call runs and nothing is held."""

        def is_quiet() -> bool:
            return all(row["running"] == 0 and money(row, "held_usd") == 0 for row in self.limits().values())

        wait_for(is_quiet, "all calls are settled")
        return self.limits()

    def spans(self, trace_id: str, count: int) -> list[Object]:
        """Return the spans of a trace, attempts last, once there are ``count``."""

        def found() -> list[Object]:
            try:
                with self.client() as client:
                    return client.get_list(f"/api/v1/traces/{trace_id}")
            except NotFound:
                return []

        wait_for(lambda: len(found()) >= count, f"{count} spans of trace {trace_id}")
        return sorted(found(), key=lambda span: span["kind"] == "chat")

    def attempts(self, count: int) -> list[Object]:
        """Return the stored attempts of the project once there are ``count``; fail if there are more, or one twice."""

        def found() -> list[Object]:
            with self.client() as client:
                traces = objects(client.get("/api/v1/traces?limit=1000")["traces"])
                # A call that was refused is a span without attempts.
                trace_ids = [
                    trace["trace_id"] for trace in traces if cast(int, cast(Object, trace["totals"])["spans"]) > 1
                ]
                spans = [span for trace_id in trace_ids for span in client.get_list(f"/api/v1/traces/{trace_id}")]
            return [span for span in spans if span["kind"] == "chat"]

        wait_for(lambda: len(found()) >= count, f"{count} attempts are stored")
        attempts = found()
        assert len(attempts) == count
        assert len({span["span_id"] for span in attempts}) == count
        return attempts


def money(row: Object, what: str = "spent_usd", window: str = "month") -> Decimal:
    """Return an amount of one window of a row of limits."""
    return next(Decimal(str(found[what])) for found in objects(row["windows"]) if found["window"] == window)


def state(row: Object, window: str = "month") -> str:
    """Return the state of one window of a row of limits."""
    return next(str(found["state"]) for found in objects(row["windows"]) if found["window"] == window)


def cost(span: Object) -> Decimal:
    """Return what an attempt took from budgets."""
    usd = span["reserved_usd"] if span["cost_usd"] is None else span["cost_usd"]
    return Decimal(str(usd))


def policy(hard: str = "", *, soft: str = "", concurrency: int | None = None, user: str = "") -> Json:
    """Return a key's policy with a budget for the month."""
    levels = {name: usd for name, usd in (("soft_usd", soft), ("hard_usd", hard)) if usd}
    limits: dict[str, Json] = {"budget": [{"window": "month", **levels}]}
    if concurrency is not None:
        limits["concurrency"] = concurrency
    return {"user": user, "limits": limits}


def at_once(jobs: Sequence["threading.Thread"]) -> None:
    """Run threads and wait for them."""
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()


@contextmanager
def calls_by_worker(stack: Stack, least: int = 1) -> Iterator[dict[str, http.client.HTTPConnection]]:
    """Give a connection to each worker; each must have answered ``least`` calls at the end of the block."""
    with stack.worker_connections() as workers:
        before = {name: _calls(connection) for name, connection in workers.items()}
        yield workers
        after = {name: _calls(connection) for name, connection in workers.items()}
    assert all(after[name] - before[name] >= least for name in before), (before, after)


def _calls(connection: http.client.HTTPConnection) -> int:
    connection.request("GET", "/healthz")
    return cast(int, json.loads(connection.getresponse().read())["calls"])


def _headers(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}", "content-type": "application/json"}


def _body(model: str, user: str, max_tokens: int, *, stream: bool = False) -> str:
    body: dict[str, Json] = {"model": model, "max_tokens": max_tokens}
    if model.startswith("service:"):
        body["zirkel"] = {"variables": {"review": QUESTION}}
    else:
        body["messages"] = [{"role": "user", "content": QUESTION}]
    if user:
        body["user"] = user
    if stream:
        body["stream"] = True
    return json.dumps(body)
