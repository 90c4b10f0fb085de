"""Upstreams that refuse, hang and die, as both gateway workers meet them."""

import re
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.flows.harness import Stack, Upstream, ask, ask_on, ask_streamed, wait_for
from tests.flows.service_files import REVIEW, ServiceFolder

pytestmark = pytest.mark.flow


class Pair:
    """A service on a place that may fail and a fallback; both are the test's own, so nobody knows them yet."""

    def __init__(self, stack: Stack, service: ServiceFolder, folder: Path) -> None:
        self._stack = stack
        self._service = service
        self.sick, self.spare = Upstream.start(folder, "sick"), Upstream.start(folder, "spare")
        self._model = re.sub(r"[^a-z]+", "-", service.name)[:60]
        stack.set_upstream("sick", self.sick)
        stack.set_upstream("spare", self.spare)

    def serve(self, resilience: str) -> None:
        """Make the service live, with these lines of ``[resilience]``."""
        self._service.use_models(f"sick/{self._model}", f"spare/{self._model}")
        path = self._service.folder / "service.toml"
        path.write_text(f"{path.read_text()}\n[resilience]\n{resilience}\n")
        self._stack.adopt(self._service)

    def stop(self) -> None:
        """End both upstreams."""
        self.sick.stop()
        self.spare.stop()


@pytest.fixture
def pair(stack: Stack, service: ServiceFolder, tmp_path: Path) -> Iterator[Pair]:
    """A sick and a spare upstream."""
    made = Pair(stack, service, tmp_path)
    yield made
    made.stop()


def test_a_place_that_fails_is_left_alone_by_each_worker_after_its_third_failure(
    stack: Stack, service: ServiceFolder, pair: Pair
) -> None:
    pair.serve("retries = 0\nfailures = 3\nrest_s = 3600")
    pair.sick.control(status=503)
    with stack.worker_connections() as workers:
        answers = [
            ask_on(connection, stack.key, service.name, f"u{number}")
            for connection in workers.values()
            for number in range(10)
        ]

    assert {answer.headers["x-zirkel-fallback"] for answer in answers} == {"1"}
    assert len(pair.sick.calls(service.name)) == 2 * 3
    attempts = [answer.headers.get("x-zirkel-attempts", "1") for answer in answers]
    assert attempts == ([*["2"] * 3, *["1"] * 7]) * 2


def test_a_place_that_is_well_again_is_used_again(stack: Stack, service: ServiceFolder, pair: Pair) -> None:
    pair.serve("retries = 0\nfailures = 1\nrest_s = 0.5")
    pair.sick.control(status=500)
    with stack.worker_connections() as workers:
        for connection in workers.values():
            assert ask_on(connection, stack.key, service.name, "u").headers["x-zirkel-fallback"] == "1"
        pair.sick.control(status=200)
        for name, connection in workers.items():
            wait_for(
                lambda: ask_on(connection, stack.key, service.name, "u").headers["x-zirkel-fallback"] == "0",  # noqa: B023
                f"{name} uses the place again",
            )


def test_a_failure_that_passes_is_retried_and_every_try_is_stored(
    stack: Stack, service: ServiceFolder, pair: Pair
) -> None:
    pair.serve("retries = 2\nbackoff_s = 0.01\nfailures = 0")
    pair.sick.control(status=429)
    with stack.sdk() as sdk:
        answer = ask(sdk, service.name, "u")

    assert (answer.headers["x-zirkel-attempts"], answer.headers["x-zirkel-fallback"]) == ("4", "1")
    spans = stack.wait_for_spans(answer.trace_id, 5)
    attempts = [span for span in spans if span["kind"] == "chat"]
    assert [span["attempt_reason"] for span in attempts] == ["first", "retry", "retry", "fallback"]
    assert [span["error_type"] for span in attempts] == ["http_429"] * 3 + [""]


def test_a_stream_from_a_place_that_hangs_falls_back_unseen(stack: Stack, service: ServiceFolder, pair: Pair) -> None:
    pair.serve("retries = 0\nfirst_token_s = 0.5")
    pair.sick.control(delay_s=60)
    with stack.sdk() as sdk:
        answer, chunks = ask_streamed(sdk, service.name, "u")

    assert (answer.headers["x-zirkel-fallback"], chunks) == ("1", 3)
    spans = stack.wait_for_spans(answer.trace_id, 3)
    assert "timeout_first_token" in {span["error_type"] for span in spans}


def test_an_upstream_that_is_killed_amid_a_stream_ends_it_with_an_error_the_sdk_understands(
    stack: Stack, service: ServiceFolder, pair: Pair
) -> None:
    pair.serve("retries = 0")
    pair.sick.control(stream_pause_s=60)
    with stack.sdk() as sdk:
        raw = sdk.chat.completions.with_raw_response.create(
            model=f"service:{service.name}", messages=[{"role": "user", "content": REVIEW}], stream=True
        )
        chunks = iter(raw.parse())
        next(chunks)
        pair.sick.stop()
        with pytest.raises(openai.APIError, match="the upstream failed: connection broke"):
            list(chunks)
        answer = ask(sdk, service.name, "u")

    assert answer.headers["x-zirkel-fallback"] == "1"
    spans = stack.wait_for_spans(raw.headers["x-zirkel-trace-id"], 2)
    assert [(span["status"], span["error_type"]) for span in spans] == [("error", "broken")] * 2
    assert all(span["output"] for span in spans)
