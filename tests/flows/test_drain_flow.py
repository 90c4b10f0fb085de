"""A worker that is told to end: what runs is finished, what comes goes to the other, and nothing is lost."""

import http.client
import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from tests.flows.harness import Stack, Upstream, ask_on, wait_for
from tests.flows.service_files import REVIEW, ServiceFolder

pytestmark = pytest.mark.flow
STREAMS = 4


@dataclass(slots=True)
class Stream:
    """A stream under way on a connection of its own."""

    response: http.client.HTTPResponse
    body: bytes = b""

    @property
    def trace_id(self) -> str:
        """The trace it is recorded under."""
        return self.response.headers["x-zirkel-trace-id"]

    def read_first(self) -> None:
        """Return once something has come."""
        self.body += self.response.read1()
        assert b"data: {" in self.body

    def read_rest(self) -> None:
        """Return at the end.

        Raises:
            http.client.HTTPException, OSError: If it is cut off.
        """
        while chunk := self.response.read1():
            self.body += chunk


@contextmanager
def _streams_on(stack: Stack, worker: str, service: str, count: int) -> Iterator[list[Stream]]:
    """Begin streams on one worker; each has brought something."""
    with ExitStack() as exits:
        streams: list[Stream] = []
        while len(streams) < count:
            connection = http.client.HTTPConnection("127.0.0.1", stack.gateway_port, timeout=60)
            exits.callback(connection.close)
            if _worker(connection) == worker:
                streams.append(Stream(_begin_stream(connection, stack.key, service)))
        for stream in streams:
            stream.read_first()
        yield streams


def _worker(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/healthz")
    return str(json.loads(connection.getresponse().read())["worker"])


def _begin_stream(connection: http.client.HTTPConnection, key: str, service: str) -> http.client.HTTPResponse:
    body = {"model": f"service:{service}", "stream": True, "zirkel": {"variables": {"review": REVIEW}}}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    assert response.status == 200
    return response


def _serves_alone(stack: Stack, worker: str) -> bool:
    """Return whether twenty new connections in a row are all of one worker."""
    return all(_worker_of_new_connection(stack) == worker for _ in range(20))


def _worker_of_new_connection(stack: Stack) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", stack.gateway_port, timeout=10)
    try:
        return _worker(connection)
    except OSError:
        # Accepted just as the worker stopped; the next one is not.
        return ""
    finally:
        connection.close()


def test_running_streams_are_finished_while_the_other_worker_takes_what_comes(
    own_stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    own_stack.adopt(service)
    own_upstream.control(stream_pause_s=2.0)
    pid = own_stack.pid_of("gateway-0")
    with _streams_on(own_stack, "gateway-0", service.name, STREAMS) as streams:
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: _serves_alone(own_stack, "gateway-1"), "only gateway-1 takes new connections")
        assert own_stack.pid_of("gateway-0") == pid
        fresh = []
        for number in range(10):
            connection = http.client.HTTPConnection("127.0.0.1", own_stack.gateway_port, timeout=30)
            fresh.append(ask_on(connection, own_stack.key, service.name, f"u{number}").trace_id)
            connection.close()
        for stream in streams:
            stream.read_rest()

    assert all(stream.body.endswith(b"data: [DONE]\n\n") for stream in streams)
    assert {stream.body.count(b'"content"') for stream in streams} == {3}
    wait_for(lambda: _pid(own_stack, "gateway-0") not in (0, pid), "gateway-0 is started again")
    own_stack.wait_for_traces([*fresh, *(stream.trace_id for stream in streams)], 2)


def test_a_stream_that_outlasts_the_drain_is_cut_off_and_recorded_with_what_came(
    own_stack: Stack, own_upstream: Upstream, service: ServiceFolder
) -> None:
    own_stack.adopt(service)
    own_upstream.control(stream_pause_s=100)
    with _streams_on(own_stack, "gateway-1", service.name, 2) as streams:
        os.kill(own_stack.pid_of("gateway-1"), signal.SIGTERM)
        for stream in streams:
            with pytest.raises((http.client.HTTPException, OSError)):
                stream.read_rest()

    for stream in streams:
        assert b"[DONE]" not in stream.body
        call, attempt = own_stack.wait_for_spans(stream.trace_id, 2)
        assert (call["error_type"], attempt["error_type"]) == ("cancelled", "cancelled")
        assert f'"content": {call["output"]}' in stream.body.decode()


def _pid(stack: Stack, name: str) -> int:
    try:
        return stack.pid_of(name)
    except AssertionError:
        return 0
