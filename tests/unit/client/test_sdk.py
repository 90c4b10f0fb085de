"""``init`` and what it brings, with a server that is not there: everything is on disk, to be looked at."""

import gzip
import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from zirkel import client as zirkel
from zirkel.client.runtime import current_runtime
from zirkel.client.settings import read_settings
from zirkel.client.spool import RecordKind, decode_record
from zirkel.core import Conflict, Invalid, Span, SpanKind
from zirkel.lib.otlp import decode_traces
from zirkel.observe.normalise import normalise_span

if TYPE_CHECKING:
    from tests.unit.client.conftest import Seen

LONG_S = 20.0


class Kept:
    """What a program without a server has kept."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url

    def init(self, service: str = "shop", environment: str = "staging") -> None:
        zirkel.init(url=self.url, api_key="zk_x", service=service, environment=environment, folder=self.folder)

    def bodies(self, kind: RecordKind) -> list[bytes]:
        """Return the bodies of a kind, oldest first."""
        assert not zirkel.flush(LONG_S)
        records = [decode_record(path.read_bytes()) for path in sorted(self.folder.rglob("*.record"))]
        return [record.body for record in records if record and record.kind is kind]

    def spans(self) -> dict[str, Span]:
        """Return the spans as the server would store them, by the last part of their names."""
        decoded = [
            span
            for body in self.bodies(RecordKind.SPANS)
            for span in decode_traces(gzip.decompress(body), "protobuf").spans
        ]
        spans = [normalise_span(span, project_id="p1") for span in decoded]
        return {span.name.rpartition(".")[2]: span for span in spans}

    def scores(self) -> list[dict[str, object]]:
        """Return the scores."""
        return [score for body in self.bodies(RecordKind.SCORES) for score in json.loads(body)]


@pytest.fixture
def kept(tmp_path: Path, seen: "Seen", caplog: pytest.LogCaptureFixture) -> Iterator[Kept]:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield Kept(tmp_path, f"http://127.0.0.1:{unused.getsockname()[1]}")
        zirkel.shutdown(0.1)


@zirkel.observe(kind="tool", name="lookup")
def lookup(article: str) -> dict[str, int]:
    return {"length": len(article)}


@zirkel.observe(kind="guardrail")
def check(text: str) -> bool:
    return bool(text)


@zirkel.observe(kind="agent", name="shop")
def answer(question: str) -> str:
    zirkel.update_current(session_id="s-1", user_id="u-1", tags=["a"])
    check(question)
    lookup(question)
    zirkel.score("helpful", 0.5, metadata={"judge": {"step": 1}})
    return "yes"


def test_the_programs_own_provider_stays_and_both_get_the_spans(kept: Kept, seen: "Seen") -> None:
    provider = trace.get_tracer_provider()
    kept.init()
    assert trace.get_tracer_provider() is provider
    answer("kettle")
    assert {span.name.rpartition(".")[2] for span in seen.spans()} == set(kept.spans()) == {"shop", "check", "lookup"}


def test_the_server_understands_what_is_recorded(kept: Kept) -> None:
    kept.init()
    answer("kettle")
    spans = kept.spans()
    shop, tool, guard = spans["shop"], spans["lookup"], spans["check"]
    assert (shop.kind, tool.kind, guard.kind) == (SpanKind.AGENT, SpanKind.TOOL, SpanKind.GUARDRAIL)
    assert (tool.operation, tool.parent_span_id) == ("execute_tool", shop.span_id)
    assert (json.loads(tool.input), json.loads(tool.output)) == ({"article": "kettle"}, {"length": 6})
    assert (json.loads(guard.input), json.loads(guard.output)) == ({"text": "kettle"}, True)
    assert json.loads(shop.output) == [{"role": "assistant", "parts": [{"type": "text", "content": "yes"}]}]
    for span in spans.values():
        assert (span.service, span.environment) == ("shop", "staging")
        assert (span.session_id, span.user_id, span.tags) == ("s-1", "u-1", ["a"])


def test_called_twice_it_records_once(kept: Kept) -> None:
    kept.init()
    runtime = current_runtime()
    kept.init()
    assert current_runtime() is runtime
    answer("kettle")
    assert len(kept.bodies(RecordKind.SPANS)) == 1


def test_called_with_other_settings_those_take_the_place_of_the_former(kept: Kept) -> None:
    kept.init(service="old")
    check("kettle")
    kept.init(service="new")
    lookup("pan")
    spans = kept.spans()
    assert (spans["check"].service, spans["lookup"].service) == ("old", "new")


def test_a_score_is_the_current_spans(kept: Kept) -> None:
    kept.init()
    answer("kettle")
    (score,) = kept.scores()
    shop = kept.spans()["shop"]
    assert (score["trace_id"], score["span_id"]) == (shop.trace_id, shop.span_id)
    assert (score["name"], score["kind"], score["value"], score["origin"]) == ("helpful", "numeric", 0.5, "code")
    assert score["metadata"] == {"judge": {"step": 1}}
    assert score["time_ns"]


def test_a_score_given_again_has_the_same_id_unless_a_person_gives_it(kept: Kept) -> None:
    kept.init()
    trace_id = "a" * 32
    by_code = [zirkel.score("helpful", value, trace_id=trace_id) for value in (0, 1)]
    by_people = [zirkel.score("helpful", value=True, trace_id=trace_id, origin="end_user") for _ in range(2)]
    assert [len(set(by_code)), len(set(by_people))] == [1, 2]
    assert zirkel.score("helpful", 1, session_id="s-1", score_id="mine") == "mine"
    assert [score["score_id"] for score in kept.scores()] == [*by_code, *by_people, "mine"]


def test_a_score_of_nothing_is_refused(kept: Kept) -> None:
    kept.init()
    with pytest.raises(Invalid, match="about nothing"):
        zirkel.score("helpful", 1)


def test_without_init_nothing_fails_and_nothing_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    assert zirkel.score("helpful", 1) == ""
    assert "zirkel.init has not been called" in caplog.text
    assert zirkel.flush() is True
    assert zirkel.shutdown() is True
    with pytest.raises(Conflict, match=r"zirkel\.init"):
        zirkel.delivery()
    with pytest.raises(Conflict, match=r"zirkel\.init"):
        zirkel.prompt("reviews")


def test_a_fallback_is_used_where_there_is_no_prompt_and_spans_below_name_the_prompt(kept: Kept) -> None:
    kept.init()

    @zirkel.observe
    def sort() -> str:
        prompt = zirkel.prompt("reviews", fallback="Review: {{ review }}")
        assert prompt.is_fallback
        lookup("kettle")
        return prompt.render_text(review="fine")

    assert sort() == "Review: fine"
    spans = kept.spans()
    assert [(span.prompt_name, span.prompt_version) for span in (spans["sort"], spans["lookup"])] == [
        ("reviews", ""),
        ("reviews", ""),
    ]


def test_the_headers_of_a_request_name_the_current_span(kept: Kept) -> None:
    kept.init()
    assert zirkel.trace_headers() == {}

    @zirkel.observe
    def ask() -> dict[str, str]:
        assert len(zirkel.current_trace_id()) == 32
        return zirkel.trace_headers()

    assert ask()["traceparent"].split("-")[1] == kept.spans()["ask"].trace_id


def test_a_name_in_place_of_a_list_of_clients_is_refused(kept: Kept) -> None:
    with pytest.raises(Invalid, match="instrument takes a list"):
        zirkel.init(api_key="zk_x", folder=kept.folder, instrument="openai")


def test_what_is_recorded_after_shutdown_begins_anew_with_init(kept: Kept) -> None:
    kept.init()
    answer("kettle")
    zirkel.shutdown(0.1)
    answer("lost to nobody but OpenTelemetry")
    kept.init()
    lookup("pan")
    assert set(kept.spans()) == {"shop", "check", "lookup"}
    assert json.loads(kept.spans()["lookup"].input) == {"article": "pan"}


def test_settings_are_kept_apart_from_providers(kept: Kept) -> None:
    kept.init()
    runtime = current_runtime()
    assert runtime is not None
    assert isinstance(trace.get_tracer_provider(), TracerProvider)
    expected = read_settings(url=kept.url, api_key="zk_x", service="shop", environment="staging", folder=kept.folder)
    assert runtime.settings == expected
