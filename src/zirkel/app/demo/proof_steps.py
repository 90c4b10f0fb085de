"""Traces, the four answers, the ledger."""

import json
import time
from decimal import Decimal
from typing import cast

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from zirkel.app.cli.observe import print_status
from zirkel.app.demo.processes import StepFailed
from zirkel.app.demo.setting import SERVICE, Setting
from zirkel.app.demo.traffic_steps import ask_plain
from zirkel.client import Client
from zirkel.core import Json, NotFound

ARRIVAL_S = 10.0

Object = dict[str, Json]


def join_traces(demo: Setting) -> None:
    """A caller's own spans, sent by the unmodified OpenTelemetry exporter, and the gateway's are one trace."""
    ingest_key = str(demo.stack.run("keys", "create", "demo spans", "--role", "ingest", "--json").json()["key"])
    exporter = OTLPSpanExporter(
        endpoint=f"{demo.core_url}/v1/traces",
        headers={"authorization": f"Bearer {ingest_key}"},
        compression=Compression.Gzip,
    )
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("demo").start_as_current_span("handle review") as span:
        context = span.get_span_context()
        traceparent = f"00-{context.trace_id:032x}-{context.span_id:016x}-01"
        answer = ask_plain(demo, "customer-0", {"traceparent": traceparent})
    provider.shutdown()
    trace_id = f"{context.trace_id:032x}"
    demo.require(answer.trace_id == trace_id, "the gateway joins the caller's trace")
    with demo.client() as client:
        spans = _wait_for_spans(client, trace_id, 3)
    sources = {str(span["source"]) for span in spans}
    call = next(span for span in spans if span.get("kind") == "call")
    attempt = next(span for span in spans if span.get("kind") == "chat")
    demo.require(sources == {"gateway", "otlp"}, "the trace holds spans from both")
    demo.require(call["parent_span_id"] == f"{context.span_id:016x}", "the gateway's span is the caller's child")
    demo.require(call["release"] == answer.release and call["arm"] == answer.arm, "release and arm are on the span")
    for name in ("prompt_version", "input", "output"):
        demo.require(bool(call.get(name)), f"{name} is on the span")
    usage = cast(Object, attempt["usage"])
    demo.require(bool(usage["output_tokens"]) and attempt["cost_usd"] is not None, "tokens and cost are on the attempt")
    demo.say(
        f"trace {trace_id}: {len(spans)} spans from {' and '.join(sorted(sources))}, cost {attempt['cost_usd']} USD"
    )


def look_at_console(demo: Setting) -> None:
    """Open the console's first page in a real browser, where there is one, and save a picture of it."""
    from zirkel.app.picture import NoBrowser, take_picture  # noqa: PLC0415 (a browser may be missing)

    with demo.client() as client:
        _wait_for_requests(client, sum(demo.facts.requests_per_arm.values()))
    path = demo.options.picture or demo.stack.folder / "console.png"
    try:
        take_picture(demo.core_url, demo.api_key, path)
    except NoBrowser as error:
        demo.require(demo.options.picture is None, f"a picture can be taken: {error}")
        demo.say(f"skipped: {error}")
        return
    demo.facts.picture = str(path)
    demo.say(f"picture of the console: {path}")


def four_answers(demo: Setting) -> None:
    """Ask for the status on the command line and by REST; both answer from what is stored."""
    with demo.client() as client:
        expected = sum(demo.facts.requests_per_arm.values())
        status = _wait_for_requests(client, expected)
        demo.facts.traces_stored = cast(int, client.get("/api/v1/traces", {"limit": 1, "total": "true"})["total"])
    shown = demo.stack.run("status", SERVICE).output
    demo.require(all(f"{number}. " in shown for number in (1, 2, 3, 4)), "`zirkel status` answers four questions")
    arms = cast("list[Object]", cast("list[Object]", status["running"])[0]["arms"])
    demo.require(arms[0]["release"] == demo.facts.baseline_release, "question 1 names what runs now")
    quality = cast("dict[str, Object]", status["quality"])
    demo.require(set(quality) >= {demo.facts.baseline_release}, "question 2 knows the live release's quality")
    costs = [Decimal(str(line["cost_usd"])) for line in cast("list[Object]", status["cost"])]
    demo.require(sum(costs) > 0, "question 3 knows the cost")
    demo.facts.cost_usd = str(sum(costs))
    print_status(status)


def verify_evidence(demo: Setting) -> None:
    """Check the chain; then change one byte of a copy, and the broken entry is named."""
    pack = demo.stack.folder / "evidence.jsonl"
    demo.stack.run("evidence", "export", str(pack))
    verified = demo.stack.run("evidence", "verify", str(pack), "--json").json()
    demo.facts.ledger_entries = cast(int, verified["entries"])
    demo.require(verified["problem"] == "" and verified["is_signature_checked"] is True, "chain and signature hold")
    data = bytearray(pack.read_bytes())
    place = data.index(b"break_glass")
    position = data[:place].count(b"\n")
    data[place + len("break_glass") + 20] ^= 1
    copy = demo.stack.folder / "tampered.jsonl"
    copy.write_bytes(data)
    broken = demo.stack.command("evidence", "verify", str(copy), "--json")
    problem = str(json.loads(broken.output)["problem"])
    demo.require(broken.exit_code == 1 and f"entry {position}" in problem, f"entry {position} is named: {problem}")
    demo.facts.tampered_entry_named = problem
    demo.say(f"the chain of {demo.facts.ledger_entries} entries holds; one byte changed in a copy: {problem}")


def _wait_for_spans(client: Client, trace_id: str, count: int) -> list[Object]:
    deadline_s = time.monotonic() + ARRIVAL_S
    while True:
        try:
            spans = client.get_list(f"/api/v1/traces/{trace_id}")
        except NotFound:
            spans = []
        if len(spans) >= count:
            return spans
        if time.monotonic() > deadline_s:
            raise StepFailed(f"trace {trace_id} has {len(spans)} spans after {ARRIVAL_S:.0f} s, expected {count}")
        time.sleep(0.1)


def _wait_for_requests(client: Client, expected: int) -> Object:
    deadline_s = time.monotonic() + ARRIVAL_S
    while True:
        status = client.get(f"/api/v1/services/{SERVICE}/status")
        requests = sum(cast(int, line["requests"]) for line in cast("list[Object]", status["cost"]))
        if requests >= expected:
            return status
        if time.monotonic() > deadline_s:
            raise StepFailed(f"{requests} of {expected} requests are in the status after {ARRIVAL_S:.0f} s")
        time.sleep(0.1)
