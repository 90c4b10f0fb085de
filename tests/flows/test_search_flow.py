"""Every way out of stored telemetry, against real processes: lists, statistics, sessions, SQL, exports, costs."""

import dataclasses
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import cast

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tests.flows.harness import Object, Stack, Upstream, ask, objects, wait_for
from tests.flows.service_files import ServiceFolder, write_service
from zirkel.core import Json

pytestmark = pytest.mark.flow

FIXTURES = Path(__file__).parents[1] / "fixtures" / "otlp"
SESSION = "shop/42 ?#&"
"""A program may call a session anything."""
MODEL = "gpt-4o-mini"
CALLS = 7
PROTOBUF = "application/x-protobuf"
READ_PARQUET = """
import sys
from chdb.session import Session
print(Session().query(f"SELECT count(), countIf(model_input != '') FROM (SELECT input AS model_input FROM "
                      f"file('{sys.argv[1]}', Parquet))", "CSV"))
"""


@dataclasses.dataclass(frozen=True)
class Shop:
    """A project with calls of an instrumented program, and of a service behind the gateway."""

    stack: Stack
    """With an admin key of this project."""
    started_ns: int
    traces: list[str]
    """Of the program, the oldest first."""
    answered: list[str]
    """Of the service."""

    def get(self, path: str, **query: str | int | list[str]) -> Object:
        with self.stack.client() as client:
            return client.get(f"/api/v1/{path}", query)

    def post(self, path: str, body: bytes, media_type: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.stack.key}", "content-type": media_type}
        return httpx.post(f"{self.stack.core_url}{path}", content=body, headers=headers, timeout=60)

    def send(self, *spans: Object) -> None:
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "shop"}, "spans": list(spans)}]}]})
        told = self.post("/v1/traces", body.encode(), "application/json")
        assert (told.status_code, told.json()) == (200, {})

    def settle(self) -> None:
        """Return when all that was accepted before is stored."""
        marker = secrets.token_hex(16)
        self.send(chat(marker, "settle", "marker"))
        self.stack.wait_for_spans(marker, 1)


def chat(trace_id: str, session: str, question: str, **attributes: str | int) -> Object:
    """Return an instrumented program's model call of this moment, as OTLP's JSON."""
    now_ns = time.time_ns()  # noqa: TID251 (as an exporter would)
    question_json = json.dumps([{"role": "user", "parts": [{"type": "text", "content": question}]}])
    answer_json = json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": f"Re: {question}"}]}])
    named: dict[str, str | int] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": MODEL,
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 100,
        "gen_ai.input.messages": question_json,
        "gen_ai.output.messages": answer_json,
        "session.id": session,
        "user.id": "ann",
        **attributes,
    }
    return {
        "traceId": trace_id,
        "spanId": secrets.token_hex(8),
        "name": f"chat {MODEL}",
        "kind": 3,
        "startTimeUnixNano": str(now_ns),
        "endTimeUnixNano": str(now_ns + 5_000_000),
        "attributes": [
            {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
            for key, value in named.items()
        ],
    }


def names(found: Object, what: str, field: str = "trace_id") -> list[str]:
    return [str(row[field]) for row in objects(found[what])]


@pytest.fixture(scope="module")
def shop(stack: Stack, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    with stack.client() as client:
        made = client.post("/api/v1/projects", {"name": "shop"})
    own = dataclasses.replace(stack, key=str(made["key"]), secrets=[])
    own.set_upstream("alpha", upstream)
    service = write_service(tmp_path_factory.mktemp("shop"), "shop-triage")
    own.adopt(service)
    traces = [secrets.token_hex(16) for _ in range(CALLS)]
    world = Shop(own, time.time_ns(), traces, answered := [])  # noqa: TID251 (before anything is sent)
    for number, trace_id in enumerate(traces):
        region = "eu" if number % 2 else "us"
        world.send(chat(trace_id, SESSION, f"Where is my refund number {number}?", region=region))
    answered += _answers(own, service)
    world.settle()
    return world


def _answers(stack: Stack, service: ServiceFolder) -> list[str]:
    with stack.sdk() as sdk:
        found = [ask(sdk, service.name, f"unit-{number}").trace_id for number in range(3)]
    for trace_id in found:
        stack.wait_for_spans(trace_id, 2)
    return found


def test_one_filter_finds_the_same_by_rest_and_by_command(shop: Shop) -> None:
    where = f'model = "{MODEL}" and attributes["region"] = "eu" and input ~ "refund number"'
    wanted = [trace_id for number, trace_id in enumerate(shop.traces) if number % 2][::-1]
    assert names(shop.get("traces", filter=where), "traces") == wanted
    assert names(shop.get("spans", filter=where), "spans") == wanted
    told = json.loads(shop.stack.run("traces", "--where", where, "--json").output)
    assert names(told, "traces") == wanted
    listed = shop.stack.run("spans", "--where", where).output.splitlines()
    assert [line.split()[1] for line in listed] == wanted
    assert names(shop.get("traces", filter='service = "shop-triage"', order="cost"), "traces")
    by_service = json.loads(shop.stack.run("traces", "shop-triage", "--where", "cost_usd > 0", "--json").output)
    assert sorted(names(by_service, "traces")) == sorted(shop.answered)


def test_a_fault_in_what_is_asked_is_told_in_the_apis_own_shape(shop: Shop) -> None:
    headers = {"authorization": f"Bearer {shop.stack.key}"}
    paths = [
        "traces?filter=model%20%3D",
        "export/jsonl?filter=model%20%3D",
        "export/otlp?since=yesterday",
        "export/xml",
        "aggregates",
        "aggregates?measure=p95",
        "costs?by=nothing",
        "costs/change?by=model",
        "costs/change?since=2200-01-01",
        "facets?field=nothing",
        "traces?cursor=abc",
        "histogram?buckets=0",
    ]
    for path in paths:
        told = httpx.get(f"{shop.stack.core_url}/api/v1/{path}", headers=headers)
        assert told.status_code == 400, (path, told.text)
        assert told.json()["error"]["code"] == "invalid", path
        assert told.json()["error"]["message"], path


def test_pages_repeat_nothing_and_leave_nothing_out_while_spans_arrive(shop: Shop) -> None:
    where = 'session = "paged"'
    there = [secrets.token_hex(16) for _ in range(5)]
    for trace_id in there:
        shop.send(chat(trace_id, "paged", "a page"))
    shop.settle()
    seen: list[str] = []
    cursor = ""
    while True:
        page = shop.get("traces", filter=where, limit=2, cursor=cursor)
        seen += names(page, "traces")
        cursor = str(page["cursor"])
        if not cursor:
            break
        late = secrets.token_hex(16)
        shop.send(chat(late, "paged", "late"))
        shop.settle()
    assert seen == there[::-1]


def test_statistics_facets_and_the_histogram_count_each_span_once(shop: Shop) -> None:
    where = f'session = "{SESSION}" and user = "ann"'
    found = shop.get(
        "aggregates", measure=["count", "sum(tokens.input)", "distinct(trace)"], by=["model"], filter=where
    )
    (series,) = objects(found["series"])
    (bucket,) = objects(series["buckets"])
    assert series["values"] == [MODEL]
    assert [Decimal(str(point["value"])) for point in objects(bucket["points"])] == [CALLS, CALLS * 1000, CALLS]
    printed = shop.stack.run("aggregate", "count", "p95(latency)", "--by", "model", "--where", where).output
    assert f"count {CALLS}" in printed
    facets = shop.get("facets", field='attributes["region"]', filter=where)
    assert {row["value"]: row["count"] for row in objects(facets["values"])} == {"us": 4, "eu": 3}
    histogram = shop.get("histogram", filter=where, since="-1h")
    (over,) = objects(histogram["series"])
    assert sum(cast(int, one["count"]) for one in objects(over["buckets"])) == CALLS


def test_a_session_is_a_conversation_whatever_it_is_called(shop: Shop) -> None:
    listed = shop.get("sessions", filter='user = "ann"')
    assert SESSION in names(listed, "sessions", "id")
    told = json.loads(shop.stack.run("sessions", SESSION, "--json").output)
    turns = objects(told["turns"])
    assert [turn["trace_id"] for turn in turns] == shop.traces
    assert turns[0]["input"] == "Where is my refund number 0?"
    assert turns[0]["output"] == "Re: Where is my refund number 0?"
    assert "< Re: Where is my refund number 6?" in shop.stack.run("sessions", SESSION).output
    users = shop.get("users", filter=f'session = "{SESSION}"')
    assert "ann" in names(users, "users", "id")
    assert shop.stack.command("sessions", "there is none").exit_code != 0


def test_sql_reads_the_project_and_nothing_else(shop: Shop) -> None:
    query = f"SELECT count() AS calls FROM spans WHERE session_id = '{SESSION}' AND user_id = 'ann'"
    with shop.stack.client() as client:
        assert client.post("/api/v1/sql", {"sql": query})["rows"] == [[CALLS]]
    assert shop.stack.run("sql", query).output.split() == ["calls", str(CALLS)]
    for refused in (
        "INSERT INTO spans SELECT * FROM spans",
        "SELECT * FROM file('/etc/passwd')",
        "SELECT * FROM system.tables",
        "SELECT 1; DROP TABLE spans",
    ):
        result = shop.stack.command("sql", refused)
        assert result.exit_code != 0, refused
        assert "root:" not in result.output
    with shop.stack.client() as client:
        assert client.post("/api/v1/sql", {"sql": query})["rows"] == [[CALLS]]


def test_exports_hold_every_span_and_otlp_comes_back_without_doubling(shop: Shop, tmp_path: Path) -> None:
    where = f'session = "{SESSION}" and user = "ann" or service = "shop-triage"'
    asked = ("--where", where)
    lines_file, otlp_file = tmp_path / "spans.jsonl", tmp_path / "spans.otlp"
    shop.stack.run("export", "jsonl", str(lines_file), *asked)
    spans = [json.loads(line) for line in lines_file.read_text().split("\n") if line]
    assert {span["trace_id"] for span in spans} == {*shop.traces, *shop.answered}
    assert len({(span["trace_id"], span["span_id"]) for span in spans}) == len(spans) == CALLS + 2 * 3

    # What is there stays when the next export is refused.
    before = lines_file.read_bytes()
    assert shop.stack.command("export", "jsonl", str(lines_file), "--where", "model =").exit_code != 0
    assert lines_file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["spans.jsonl"]

    piped = shop.stack.run("export", "jsonl", "/dev/stdout", *asked).output
    assert sorted(piped.splitlines()) == sorted(before.decode().splitlines())

    shop.stack.run("export", "otlp", str(otlp_file), *asked)
    known = _totals(shop, where)
    for line in otlp_file.read_bytes().splitlines():
        assert shop.post("/v1/traces", line, "application/json").json() == {}
    shop.settle()
    assert _totals(shop, where) == known


def _totals(shop: Shop, where: str) -> list[Json]:
    """Return how many spans there are, and what they cost and used; of program spans alone and of all."""
    found = []
    for condition in (f'session = "{SESSION}" and user = "ann"', where):
        answer = shop.get("aggregates", measure=["count", "sum(cost_usd)", "sum(tokens.input)"], filter=condition)
        (series,) = objects(answer["series"])
        found.append(objects(series["buckets"])[0]["points"])
    return found


def test_a_parquet_file_holds_the_spans_of_a_filter(shop: Shop, tmp_path: Path) -> None:
    target = tmp_path / "spans.parquet"
    shop.stack.run("export", "parquet", str(target), "--where", f'session = "{SESSION}" and user = "ann"')
    content = target.read_bytes()
    assert (content[:4], content[-4:]) == (b"PAR1", b"PAR1")
    command = [sys.executable, "-c", READ_PARQUET, str(target)]
    read = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
    assert read.stdout.split() == [f"{CALLS},{CALLS}"]


def test_collecting_twice_adds_each_input_once(shop: Shop, tmp_path: Path) -> None:
    dataset = tmp_path / "sets" / "refunds.jsonl"
    asked = ("collect", str(dataset), "--where", f'session = "{SESSION}" and user = "ann"', "--variable", "review")
    assert f"{CALLS} new items" in shop.stack.run(*asked).output
    items = [json.loads(line) for line in dataset.read_text().splitlines()]
    assert {item["metadata"]["provenance"]["trace_id"] for item in items} == set(shop.traces)
    assert {item["cluster"] for item in items} == {SESSION}
    assert "Where is my refund number 3?" in {item["input"]["review"] for item in items}
    again = shop.stack.run(*asked).output
    assert f"0 new items; {CALLS} inputs were there already" in again
    assert len(dataset.read_text().splitlines()) == CALLS


def test_costs_are_told_by_any_field_and_their_change_sums_exactly(shop: Shop) -> None:
    spent = {str(line["name"]): line for line in objects(shop.get("costs", by=["service"])["costs"])}
    triage = Decimal(str(spent["shop-triage"]["cost_usd"]))
    assert triage > 0
    printed = shop.stack.run("costs", "--service", "shop-triage", "--by", "model").output
    assert printed.split() == [f"{triage:f}", "USD", "3", "calls", "stub-1"]

    change = shop.get("costs/change", by="session", since=_iso(shop.started_ns))
    parts = cast(Mapping[str, str], change["parts"])
    segments = cast(Mapping[str, str], change["segments"])
    difference = Decimal(str(change["after_usd"])) - Decimal(str(change["before_usd"]))
    assert difference > 0
    assert sum(map(Decimal, parts.values())) == difference == Decimal(str(change["change_usd"]))
    assert sum(map(Decimal, segments.values())) == difference
    whole = shop.get("aggregates", measure=["sum(cost_usd)"])
    total = objects(objects(objects(whole["series"])[0]["buckets"])[0]["points"])[0]["value"]
    assert difference == Decimal(str(total))
    told = shop.stack.run("costs", "--why", "--since", "-1h").output
    assert "change: +" in told
    assert "how many calls there were" in told


def _iso(time_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time_ns // 10**9))


def test_a_span_without_a_cost_is_priced_and_its_table_named(shop: Shop) -> None:
    (span,) = shop.stack.spans(shop.traces[0])
    assert Decimal(str(span["cost_usd"])) > 0
    assert span["price_digest"]
    unknown = secrets.token_hex(16)
    shop.send(chat(unknown, "priced", "unknown", **{"gen_ai.request.model": "nobody-knows-it"}))
    (span,) = shop.stack.wait_for_spans(unknown, 1)
    assert span.get("cost_usd") is None


@pytest.mark.parametrize("is_content_first", [True, False])
@pytest.mark.parametrize(
    ("capture", "question"),
    [("openai_v2_latest-002 openai_v2_latest-001", "capital"), ("openai_v2_2_1b0_legacy_events-001 -003", "Stream:")],
)
def test_content_of_the_logs_signal_is_found_and_shown_whenever_it_came(
    stack: Stack, is_content_first: bool, capture: str, question: str
) -> None:
    with stack.client() as client:
        made = client.post("/api/v1/projects", {"name": f"content-{secrets.token_hex(4)}"})
    world = Shop(dataclasses.replace(stack, key=str(made["key"]), secrets=[]), 0, [], [])
    first, second = capture.split()
    logs = first.rsplit("-", 1)[0] + second if second.startswith("-") else second
    bodies = [
        ("/v1/traces", (FIXTURES / f"{first}-traces.pb").read_bytes()),
        ("/v1/logs", (FIXTURES / f"{logs}-logs.pb").read_bytes()),
    ]
    for path, body in reversed(bodies) if is_content_first else bodies:
        assert world.post(path, body, PROTOBUF).status_code == 200
        world.settle()
    found = wait_for(lambda: names(world.get("traces", filter=f'input ~ "{question}"'), "traces"), "the text is found")
    shown = world.stack.spans(found[0])
    assert any(question in str(span.get("input")) for span in shown)
    # The same spans again, as a retry after a lost answer sends them.
    assert world.post("/v1/traces", bodies[0][1], PROTOBUF).status_code == 200
    world.settle()
    assert names(world.get("traces", filter=f'input ~ "{question}"'), "traces") == found


def test_the_official_exporter_is_understood_over_grpc(shop: Shop) -> None:
    exporter = OTLPSpanExporter(
        endpoint=f"127.0.0.1:{shop.stack.otlp_grpc_port}",
        insecure=True,
        headers={"authorization": f"Bearer {shop.stack.key}"},
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("shop").start_as_current_span("by gRPC") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        trace_id = f"{span.get_span_context().trace_id:032x}"
    provider.shutdown()
    shop.stack.wait_for_spans(trace_id, 1)
    assert names(shop.get("spans", filter='name = "by gRPC"'), "spans") == [trace_id]
