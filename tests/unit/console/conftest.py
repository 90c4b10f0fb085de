"""The console over real services on SQLite; only the telemetry is a list in memory."""

import html
import re
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol, cast

import msgspec
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.unit.console.memory_search import MemorySearch
from tests.unit.govern.limits_world import MemoryCounters, MemoryRecords
from zirkel.console import mount_console
from zirkel.core import (
    Alarm,
    Json,
    LogRecord,
    ManualClock,
    Principal,
    ScoreKind,
    ScoreOrigin,
    ScoreRecord,
    Span,
    SpanKind,
    Usage,
)
from zirkel.evaluate import Calibration, Labelling, LabelQueue, Labels, LabelTransfer
from zirkel.gateway import hash_key
from zirkel.govern import Access, Evidence, Vault
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.observe import PriceShelf, PriceTables, Status, Traces
from zirkel.observe.costs import Costs
from zirkel.observe.ports import Measure
from zirkel.observe.price_books import PriceBooks
from zirkel.observe.search import Search
from zirkel.observe.search_ports import SearchReader
from zirkel.ship import ShipOrder, Shipping
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

SERVICE = "review-triage"
FILES = {
    "service.toml": b'name = "review-triage"\ndescription = "Sorts reviews."\nunit = "user"\n'
    b'[model]\nname = "local/small"\n[baseline]\nprompt = "baseline.toml"\n',
    "chat.toml": b'[variables]\nreview = "string"\n[[messages]]\nrole = "user"\ncontent = "Label: {{ review }}"\n',
    "baseline.toml": b'[variables]\nreview = "string"\n[[messages]]\nrole = "user"\ncontent = "{{ review }}"\n',
    "evaluators.toml": b'[[evaluator]]\nname = "label_match"\nkind = "exact"\n',
    "gate.toml": b'[[metric]]\nevaluator = "label_match"\nmargin = 0.05\n',
    "datasets/golden.jsonl": b'{"id": "1", "input": {"review": "good"}, "expected": "positive"}\n',
}


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm did, as the telemetry store answers."""

    release: str
    arm: str
    requests: int
    errors: int = 0
    fallback_answers: int = 0
    cost_usd: Decimal = Decimal(0)
    unknown_costs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    latency_p50_ms: float = 0.0
    latency_p95_ms: float = 0.0
    ttft_p50_ms: float | None = None


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of traces."""

    trace_id: str
    name: str
    service: str
    release: str
    arm: str
    start_ns: int
    duration_ns: int
    status: str
    cost_usd: Decimal | None


@dataclass
class Telemetry:
    """Stored telemetry, as lists; also what experiments found."""

    clock: ManualClock
    spans: list[Span] = field(default_factory=list)
    scores: list[ScoreRecord] = field(default_factory=list)
    usage: list[UsageRow] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    """By measure."""
    earlier: dict[str, list[float]] = field(default_factory=dict)
    """By measure, where windows that have ended hold other values."""
    findings: dict[str, Mapping[str, Json]] = field(default_factory=dict)

    def service_usage(
        self, project_id: str, service: str, environment: str, since_ns: int, until_ns: int
    ) -> Sequence[UsageRow]:
        return self.usage

    def measure_values(
        self, project_id: str, service: str, since_ns: int, until_ns: int, limit: int, *, environment: str = ""
    ) -> Mapping[Measure, Sequence[float]]:
        is_earlier = until_ns <= self.clock.now_ns()
        names: tuple[Measure, ...] = ("input_length", "output_length", "latency_ms")
        found = {**self.values, **(self.earlier if is_earlier else {})}
        return {name: found.get(name, []) for name in names}

    def trace(self, project_id: str, trace_id: str) -> Sequence[Span]:
        return [span for span in self.spans if (span.project_id, span.trace_id) == (project_id, trace_id)]

    def logs_of_trace(self, project_id: str, trace_id: str) -> Sequence[LogRecord]:
        return []

    def scores_of(self, project_id: str, *, trace_ids: Sequence[str]) -> Sequence[ScoreRecord]:
        return [score for score in self.scores if score.project_id == project_id and score.trace_id in trace_ids]

    def count_traces(self, project_id: str, since_ns: int = 0) -> int:
        return len({span.trace_id for span in self.spans})

    def quality(self, project_id: str, service: str, release: str) -> Mapping[str, Json] | None:
        return self.findings.get(release)


class NoGateway:
    """There is no gateway to tell."""

    def publish(self) -> None:
        pass


@dataclass
class StandingAlarms:
    """What the process says is wrong."""

    found: list[Alarm] = field(default_factory=list)

    def alarms(self) -> Sequence[Alarm]:
        return self.found


@dataclass(frozen=True)
class ConsoleRooms:
    """What the console is mounted over."""

    access: Access
    registry: Registry
    status: Status
    traces: Traces
    search: Search
    costs: Costs
    clock: ManualClock
    evidence: Evidence
    gateway: GatewayConfiguration
    prices: PriceTables
    limits: LimitsOverview
    health: StandingAlarms
    labelling: Labelling


@dataclass(frozen=True)
class Page:
    """What a browser got."""

    status: int
    headers: Mapping[str, str]
    cookies: Sequence[str]
    """``Set-Cookie`` headers."""
    html: str

    @property
    def words(self) -> str:
        """What the page says, without markup, white space as single spaces."""
        return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", self.html)).split())

    def hidden(self, name: str) -> str:
        """Return the value of a hidden field."""
        found = re.search(f'type="hidden" name="{name}" value="([^"]*)"', self.html)
        assert found is not None, f"no field {name}"
        return html.unescape(found.group(1))


class Browser:
    """Keeps cookies, does not follow redirects."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def get(self, path: str, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None) -> Page:
        return _page(self._client.get(path, params=query, headers=headers))

    def post(self, path: str, fields: Mapping[str, str]) -> Page:
        return _page(self._client.post(path, data=dict(fields)))

    def post_bytes(self, path: str, content: bytes, media_type: str) -> Page:
        return _page(self._client.post(path, content=content, headers={"content-type": media_type}))

    def sign_in(self, fields: Mapping[str, str], wanted: str = "/") -> Page:
        """Fill in the sign-in form and send it."""
        form = self.get("/sign-in", {"next": wanted})
        hidden = {name: form.hidden(name) for name in ("form_token", "next")}
        return self.post("/sign-in", {**hidden, **fields})

    def cookie(self, name: str) -> str:
        return str(self._client.cookies[name])


class HttpAnswer(Protocol):
    """What the test client gives, whichever HTTP library it is built on."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> MutableMapping[str, str]: ...
    @property
    def text(self) -> str: ...


def _page(answer: HttpAnswer) -> Page:
    cookies = re.split(r", (?=zirkel_)", answer.headers.get("set-cookie", ""))
    return Page(answer.status_code, answer.headers, [cookie for cookie in cookies if cookie], answer.text)


@dataclass
class House:
    """A running console and everything behind it."""

    rooms: ConsoleRooms
    shipping: Shipping
    telemetry: Telemetry
    clock: ManualClock
    app: FastAPI
    admin: Principal
    admin_key: str
    counters: MemoryCounters

    def browser(self, base_url: str = "http://testserver") -> Browser:
        return Browser(TestClient(self.app, base_url=base_url, follow_redirects=False))

    def use(self, release: str, *, requests: int, cost_usd: Decimal, unknown_costs: int = 0) -> None:
        """Make calls of the stable arm all that was recorded."""
        row = UsageRow(release=release, arm="stable", requests=requests, cost_usd=cost_usd, unknown_costs=unknown_costs)
        self.telemetry.usage = [row]

    def record(self, text: str = "good", release: str = "") -> list[Span]:
        """Make a call and its one attempt what is stored; ``text`` is in every place that callers write to."""
        self.telemetry.spans = call_spans(1, self.clock, text, release)
        return self.telemetry.spans

    def record_many(self, count: int) -> None:
        """Make so many calls what is stored, each a second before the one with the next lower number."""
        calls = [call_spans(number, self.clock) for number in range(1, count + 1)]
        self.telemetry.spans = [span for spans in calls for span in spans]

    def judge(self, name: str, value: float) -> None:
        """Store a score on the recorded call."""
        score = ScoreRecord(
            project_id="default",
            score_id="1",
            name=name,
            kind=ScoreKind.NUMERIC,
            value=value,
            trace_id=f"{1:032x}",
            origin=ScoreOrigin.CODE,
            time_ns=self.clock.now_ns(),
        )
        self.telemetry.scores = [score]

    def fill(self, text: str = "good") -> tuple[str, str]:
        """Put something into every answer; return the candidate's and the baseline's digest."""
        candidate, baseline = self.push()
        self.ship("baseline")
        self.ship("candidate", 0.25)
        self.telemetry.findings = {baseline: finding(0.692, 0.621, 0.763), candidate: finding(0.84, 0.781, 0.898)}
        self.telemetry.usage = [
            UsageRow(
                release=baseline,
                arm="stable",
                requests=1204,
                errors=3,
                fallback_answers=41,
                cost_usd=Decimal("0.602"),
            )
        ]
        random = Random(1)
        drawn = [random.gauss(0, 1) for _ in range(300)]
        self.telemetry.values = {"input_length": drawn, "output_length": [*drawn], "latency_ms": [1.0] * 37}
        self.record(text, baseline)
        return candidate, baseline

    def push(self, name: str = SERVICE) -> tuple[str, str]:
        """Push a service; return the candidate's and the baseline's digest."""
        files = FILES | {"service.toml": FILES["service.toml"].replace(SERVICE.encode(), name.encode())}
        pushed = self.rooms.registry.push(self.admin, files)
        assert pushed.baseline is not None
        return pushed.release, pushed.baseline

    def ship(self, reference: str, weight: float = 0.1) -> None:
        order = ShipOrder(SERVICE, reference, weight=weight, break_glass="already live")
        self.shipping.ship(self.admin, order)


def build_house(folder: Path) -> Iterator[House]:
    """Yield a console over fresh stores in ``folder``."""
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{folder}/metadata.sqlite", clock)
    registry = Registry(metadata, Blobs.open(f"file://{folder}/blobs"), clock)
    vault = Vault(b"m" * 32)
    access = Access(metadata, NoGateway(), vault, partial(hash_key, b"pepper"), clock)
    telemetry = Telemetry(clock)
    status = Status(metadata, telemetry, telemetry, clock)
    counters = MemoryCounters()
    shelf, searched = PriceShelf(), MemorySearch(telemetry)
    rooms = ConsoleRooms(
        access,
        registry,
        status,
        Traces(telemetry),
        Search(cast(SearchReader, searched), clock),
        Costs(searched, PriceBooks(metadata, shelf, clock), clock),
        clock,
        Evidence(metadata, vault, clock),
        GatewayConfiguration(metadata, NoGateway(), vault, clock),
        PriceTables(metadata, NoGateway(), shelf, clock),
        LimitsOverview(metadata, MemoryRecords(), counters, clock),
        StandingAlarms(),
        Labelling(
            LabelQueue(metadata, registry, clock),
            Labels(metadata, clock),
            LabelTransfer(metadata, registry, clock),
            Calibration(metadata, registry, clock),
        ),
    )
    first = access.bootstrap()
    assert first is not None
    app = FastAPI()
    mount_console(app, rooms, vault.subkey("console session"), clock)
    shipping = Shipping(metadata, registry, NoGateway(), clock)
    yield House(rooms, shipping, telemetry, clock, app, access.authenticate(first.text), first.text, counters)
    metadata.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    yield from build_house(tmp_path)


@pytest.fixture
def browser(house: House) -> Browser:
    """A browser whose user has signed in as admin."""
    made = house.browser()
    assert made.sign_in({"key": house.admin_key}).status == 303
    return made


def trace_row(span: Span) -> TraceRow:
    return TraceRow(
        trace_id=span.trace_id,
        name=span.name,
        service=span.service,
        release=span.release,
        arm=span.arm,
        start_ns=span.start_ns,
        duration_ns=span.end_ns - span.start_ns,
        status=span.status,
        cost_usd=span.cost_usd,
    )


def finding(estimate: float, low: float, high: float) -> dict[str, Json]:
    """Return an experiment's report as evaluate writes it, with two metrics."""
    interval: dict[str, Json] = {"estimate": estimate, "low": low, "high": high, "confidence": 0.95, "method": "t"}
    interval |= {"n": 120, "n_clusters": None, "warnings": []}
    return {
        "items": 120,
        "trials": 2,
        "errored": 0,
        "metrics": {
            "label_match": {"interval": interval, "scored_items": 120, "flip_rate": 0.1},
            "valid_output": {"interval": None, "scored_items": 1, "flip_rate": None},
        },
    }


def call_spans(trace: int, clock: ManualClock, text: str = "good", release: str = "") -> list[Span]:
    """Return a call through the gateway and its one attempt; ``text`` is in every place that callers write to."""
    trace_id = f"{trace:032x}"
    start_ns = clock.now_ns() - trace * 10**9
    messages = msgspec.json.encode([{"role": "user", "content": text}]).decode()
    call = Span(
        project_id="default",
        trace_id=trace_id,
        span_id=f"{trace:08x}00000001",
        name=text,
        kind=SpanKind.CALL,
        source="gateway",
        start_ns=start_ns,
        end_ns=start_ns + 412_000_000,
        status="ok",
        service=SERVICE,
        environment="production",
        release=release,
        arm="stable",
        unit=text,
        session_id=text,
        user_id=text,
        input=msgspec.json.encode({"review": text}).decode(),
        output=text,
        cost_usd=Decimal("0.0000123"),
    )
    attempt = msgspec.structs.replace(
        call,
        span_id=f"{trace:08x}00000002",
        parent_span_id=call.span_id,
        kind=SpanKind.CHAT,
        provider="local",
        request_model=text,
        usage=Usage(input_tokens=120, output_tokens=9),
        input=messages,
        output=text,
    )
    return [call, attempt]
