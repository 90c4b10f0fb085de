"""An application that calls a model under an instrumentation of others; its flow test runs it in its own environment.

``python instrumented_client.py NAME`` takes addresses, key and model from its environment, has one answer in one
piece, one streamed and one refused call, and prints the trace of each as a line of JSON.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import cast

from openai import APIError, OpenAI
from openai.types.chat import ChatCompletionMessageParam
from opentelemetry import trace

SESSION, USER = "session-1", "user-1"


def set_up_otlp() -> None:
    """Export spans by OTLP/HTTP, each as it ends; the exporter takes address and key from the environment."""
    sdk = importlib.import_module("opentelemetry.sdk.trace")
    export = importlib.import_module("opentelemetry.sdk.trace.export")
    otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    provider = sdk.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(otlp.OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def set_up_openai_v2() -> AbstractContextManager[object]:
    """OpenTelemetry's own instrumentation."""
    set_up_otlp()
    importlib.import_module("opentelemetry.instrumentation.openai_v2").OpenAIInstrumentor().instrument()
    return nullcontext()


def set_up_openinference() -> AbstractContextManager[object]:
    """Phoenix's instrumentation."""
    set_up_otlp()
    importlib.import_module("openinference.instrumentation.openai").OpenAIInstrumentor().instrument()
    using = importlib.import_module("openinference.instrumentation").using_attributes
    return cast(AbstractContextManager[object], using(session_id=SESSION, user_id=USER, tags=["a", "b"]))


def set_up_traceloop() -> AbstractContextManager[object]:
    """Traceloop's SDK, which sets up all of OpenTelemetry itself."""
    sdk = importlib.import_module("traceloop.sdk").Traceloop
    sdk.init(
        app_name="shop",
        api_endpoint=os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"],  # noqa: TID251 (a program of its own)
        headers={"authorization": f"Bearer {os.environ['INGEST_KEY']}"},  # noqa: TID251
        disable_batch=True,
        telemetry_enabled=False,
    )
    sdk.set_association_properties({"session_id": SESSION, "user_id": USER})
    return nullcontext()


SET_UP = {"openai_v2": set_up_openai_v2, "openinference": set_up_openinference, "traceloop": set_up_traceloop}


def main() -> None:
    """Call the model three times."""
    context = SET_UP[sys.argv[1]]()
    model, question = os.environ["MODEL"], os.environ["QUESTION"]  # noqa: TID251
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    client = OpenAI(base_url=os.environ["GATEWAY"], api_key=os.environ["CALL_KEY"], max_retries=0)  # noqa: TID251
    tracer = trace.get_tracer("application")
    found: dict[str, str] = {}
    with context:
        with tracer.start_as_current_span("whole") as span:
            client.chat.completions.create(model=model, messages=messages, temperature=0.25)
        found["whole"] = f"{span.get_span_context().trace_id:032x}"
        with tracer.start_as_current_span("streamed") as span:
            options = {"include_usage": True}
            chunks = client.chat.completions.create(
                model=model, messages=messages, stream=True, extra_body={"stream_options": options}
            )
            _drain(chunks)
        found["streamed"] = f"{span.get_span_context().trace_id:032x}"
        with tracer.start_as_current_span("refused") as span:
            try:
                client.chat.completions.create(model="service:not-there", messages=messages)
            except APIError as error:
                found["refusal"] = type(error).__name__
        found["refused"] = f"{span.get_span_context().trace_id:032x}"
    print(json.dumps(found))


def _drain(chunks: Iterable[object]) -> None:
    for _ in chunks:
        pass


if __name__ == "__main__":
    main()
