"""An upstream that is down, as the OpenAI SDK sees it."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.flows.harness import Stack, Upstream, ask, ask_streamed
from tests.flows.service_files import REVIEW, ServiceFolder

pytestmark = pytest.mark.flow


@pytest.fixture
def chain(stack: Stack, service: ServiceFolder, tmp_path: Path) -> Iterator[tuple[Upstream, Upstream]]:
    """A primary and a fallback upstream, and the test's service live on them."""
    first, second = Upstream.start(tmp_path, "first"), Upstream.start(tmp_path, "second")
    try:
        stack.set_upstream("first", first)
        stack.set_upstream("second", second)
        service.use_models("first/stub-1", "second/stub-2")
        stack.adopt(service)
        yield first, second
    finally:
        first.stop()
        second.stop()


def test_the_fallback_answers_when_the_primary_is_down_and_the_answer_says_so(
    stack: Stack, service: ServiceFolder, chain: tuple[Upstream, Upstream]
) -> None:
    first, second = chain
    with stack.sdk() as sdk:
        before = ask(sdk, service.name, "u")
        first.stop()
        plain = ask(sdk, service.name, "u")
        streamed, chunks = ask_streamed(sdk, service.name, "u")

    assert (before.headers["x-zirkel-fallback"], before.headers["x-zirkel-model"]) == ("0", "first/stub-1")
    for answer in (plain, streamed):
        assert (answer.headers["x-zirkel-fallback"], answer.headers["x-zirkel-model"]) == ("1", "second/stub-2")
        assert answer.text == before.text
    assert chunks > 1
    assert len(second.calls(service.name)) == 2
    spans = stack.wait_for_spans(plain.trace_id, 4)
    attempts = [(span.get("attempt", 0), span["status"]) for span in spans if span["kind"] == "chat"]
    assert attempts == [(0, "error"), (0, "error"), (1, "ok")]  # the first one is asked again before


def test_the_fallback_answers_when_the_primary_refuses_to(
    stack: Stack, service: ServiceFolder, chain: tuple[Upstream, Upstream]
) -> None:
    first, _ = chain
    with stack.sdk() as sdk:
        for status in (429, 500, 503):
            first.control(status=status)
            assert ask(sdk, service.name, "u").headers["x-zirkel-fallback"] == "1"


def test_a_caller_gets_502_in_the_shape_of_openai_when_no_upstream_answers(
    stack: Stack, service: ServiceFolder, chain: tuple[Upstream, Upstream]
) -> None:
    for upstream in chain:
        upstream.stop()
    with stack.sdk() as sdk:
        for stream in (False, True):
            with pytest.raises(openai.APIStatusError) as caught:
                sdk.chat.completions.create(
                    model=f"service:{service.name}", messages=[{"role": "user", "content": REVIEW}], stream=stream
                )
            assert caught.value.status_code == 502
            assert isinstance(caught.value.body, dict)
            assert set(caught.value.body) == {"message", "type", "code", "param"}
            assert caught.value.body["code"] == "upstream_failed"
            trace_id = caught.value.response.headers["x-zirkel-trace-id"]
            spans = stack.wait_for_spans(trace_id, 3)
            assert {span["status"] for span in spans} == {"error"}
