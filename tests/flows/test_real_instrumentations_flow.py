"""The instrumentations of others, unmodified: they call the gateway, export by OTLP/HTTP, and are read back by REST."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from tests.flows.harness import Object, Stack, wait_for
from tests.flows.service_files import REVIEW, ServiceFolder, write_service
from zirkel.app.config import clean_environment

pytestmark = pytest.mark.flow

CLIENT = Path(__file__).with_name("instrumented_client.py")
PACKAGES = (
    "opentelemetry-instrumentation-openai-v2==2.4b0",
    # Later ones have moved what the instrumentation imports.
    "opentelemetry-util-genai==1.1b0",
    "openinference-instrumentation-openai==0.1.66",
    "traceloop-sdk==0.62.4",
    "opentelemetry-exporter-otlp-proto-http",
    "openai",
    "httpx",
)
INSTALL_S = 90
RUN_S = 60
SPAN_OF = {"openai_v2": "chat ", "openinference": "ChatCompletion", "traceloop": "openai.chat"}
DIALECTS = {"openai_v2": "genai", "openinference": "openinference", "traceloop": "genai"}
NAMES = sorted(SPAN_OF)


@pytest.fixture(scope="session")
def python() -> Path:
    """An interpreter that has the instrumentations; skips where they cannot be installed."""
    base = os.environ.get("XDG_CACHE_HOME")  # noqa: TID251 (no setting of ours)
    version = hashlib.sha256("\n".join([sys.version, *PACKAGES]).encode()).hexdigest()[:12]
    home = Path(base) if base else Path.home() / ".cache"
    folder = home / "zirkel-tests" / f"instrumentations-{version}"
    found = folder / "bin" / "python"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _install(folder, found)
        (folder / "complete").touch()
    return found


def _install(folder: Path, python: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        commands = [
            [str(uv), "venv", "--quiet", "--python", sys.executable, str(folder)],
            [str(uv), "pip", "install", "--quiet", "--python", str(python), *PACKAGES],
        ]
    else:
        commands = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
        ]
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"the instrumentations were not installed within {INSTALL_S} s")
        if done.returncode:
            pytest.skip(f"the instrumentations cannot be installed: {done.stderr.strip()[-300:]}")


@pytest.fixture(scope="module")
def traces(python: Path, stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Object]:
    """The traces that each instrumentation made, by name of it and of the call."""
    service = write_service(tmp_path_factory.mktemp("services"), "instrumented")
    stack.adopt(service)
    key = stack.make_key("ingest")
    return {name: _run(python, stack, service, name, key) for name in NAMES}


def _run(python: Path, stack: Stack, service: ServiceFolder, name: str, ingest_key: str) -> Object:
    settings = {
        "GATEWAY": f"http://127.0.0.1:{stack.gateway_port}/v1",
        "CALL_KEY": stack.key,
        "INGEST_KEY": ingest_key,
        "MODEL": f"service:{service.name}",
        "QUESTION": REVIEW,
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{stack.otlp_port}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{ingest_key}",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY",
        "TRACELOOP_TELEMETRY": "false",
    }
    command = [str(python), str(CLIENT), name]
    environment = clean_environment(settings)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=RUN_S)
    assert done.returncode == 0, f"{name}: {done.stderr[-3000:]}"
    return cast(Object, json.loads(done.stdout.strip().splitlines()[-1]))


def sent_spans(stack: Stack, traces: Mapping[str, Object], name: str, call: str) -> tuple[Object, Object]:
    """Return the application's own span of a call, and the instrumentation's below it."""
    trace_id = str(traces[name][call])

    def sent() -> list[Object]:
        return [span for span in stack.spans(trace_id) if span["source"] == "otlp"]

    wait_for(lambda: len(sent()) >= 2, f"both spans of {name} are stored")
    root, span = sorted(sent(), key=lambda one: bool(one["parent_span_id"]))
    assert (root["name"], span["parent_span_id"]) == (call, root["span_id"])
    return root, span


def model_span(stack: Stack, traces: Mapping[str, Object], name: str, call: str) -> Object:
    """Return the instrumentation's span of a call."""
    _, span = sent_spans(stack, traces, name, call)
    assert str(span["name"]).startswith(SPAN_OF[name])
    assert (span["kind"], span["dialect"]) == ("chat", DIALECTS[name])
    return span


def messages_of(span: Object, side: str) -> list[tuple[str, str]]:
    """Return role and text of each message."""
    listed = cast("list[dict[str, object]]", json.loads(str(span[side])))
    parts = [cast("list[dict[str, str]]", message["parts"])[0]["content"] for message in listed]
    return [(str(message["role"]), part) for message, part in zip(listed, parts, strict=True)]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("call", ["whole", "streamed"])
@pytest.mark.parametrize("name", NAMES)
def test_a_call_is_read_back_with_model_usage_and_messages(
    stack: Stack, traces: Mapping[str, Object], name: str, call: str
) -> None:
    span = model_span(stack, traces, name, call)
    assert span["request_model"] == "service:instrumented"
    assert (span["operation"], span["provider"], span["status"] == "error") == ("chat", "openai", False)
    usage = cast("dict[str, int]", span["usage"])
    assert usage["output_tokens"] == 4
    assert usage["input_tokens"] > 0
    assert messages_of(span, "input") == [("user", REVIEW)]
    ((role, answer),) = messages_of(span, "output")
    assert (role, json.loads(answer)) == ("assistant", {"label": "positive"})
    assert span.get("unmapped", []) == []
    if call == "whole":
        assert cast(Object, span["parameters"])["temperature"] == "0.25"
    elif name != "openai_v2":
        # That one does not tell that it streamed.
        assert span["is_stream"]
        assert cast(int, span["time_to_first_token_ns"]) > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_call_is_an_error_without_usage_or_cost(
    stack: Stack, traces: Mapping[str, Object], name: str
) -> None:
    refusal = str(traces[name]["refusal"])
    span = model_span(stack, traces, name, "refused")
    assert (span["status"], str(span["error_type"]).rpartition(".")[2]) == ("error", refusal)
    assert (span["request_model"], span["response_model"]) == ("service:not-there", "")
    assert not any(isinstance(count, int) and count for count in cast(Object, span["usage"]).values())
    assert span["cost_usd"] is None


@pytest.mark.parametrize("name", ["openinference", "traceloop"])
def test_session_and_user_of_the_application_are_those_of_its_calls(
    stack: Stack, traces: Mapping[str, Object], name: str
) -> None:
    span = model_span(stack, traces, name, "whole")
    assert (span["session_id"], span["user_id"]) == ("session-1", "user-1")
    if name == "openinference":
        assert span["tags"] == ["a", "b"]


def test_a_call_that_is_one_trace_with_the_gateways_costs_what_the_gateway_says(
    stack: Stack, traces: Mapping[str, Object]
) -> None:
    """Traceloop's SDK passes its trace on, so that its span and the gateway's are of the same call."""
    trace_id = str(traces["traceloop"]["whole"])
    _, span = sent_spans(stack, traces, "traceloop", "whole")
    spans = stack.wait_for_spans(trace_id, 4)
    call, attempt = (one for one in spans if one["source"] == "gateway")
    assert (call["kind"], call["parent_span_id"]) == ("call", span["span_id"])
    assert Decimal(str(attempt["cost_usd"])) > 0
    with stack.client() as client:
        listed = cast("list[Object]", client.get("/api/v1/traces", {"limit": 1000})["traces"])
    summary = next(one for one in listed if one["trace_id"] == trace_id)
    assert Decimal(str(cast(Object, summary["totals"])["cost_usd"])) == Decimal(str(attempt["cost_usd"]))
