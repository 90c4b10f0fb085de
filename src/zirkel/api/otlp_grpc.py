"""OTLP/gRPC: the three ``Export`` services on a port of their own, beside the HTTP application."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage  # type: ignore[import-untyped]
from google.protobuf.duration_pb2 import Duration  # type: ignore[import-untyped]
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]

from zirkel.api.errors import RETRY_AFTER_S
from zirkel.api.otlp import read_key
from zirkel.core import (
    Forbidden,
    Held,
    Invalid,
    Overloaded,
    Principal,
    TooLarge,
    Unauthenticated,
    Unsupported,
    ZirkelError,
)
from zirkel.lib.otlp import Signal, encode_success
from zirkel.observe import MAX_BODY_BYTES, Intake

_SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_CODES = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    TooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unsupported: grpc.StatusCode.UNIMPLEMENTED,
}
_AT_ONCE = 8
"""Messages that are received and worked on at the same time: how large one is shows only when it is there."""
_MAX_WAITING = 256
"""Calls that are worked on or wait for it; more are refused at once."""
_AUTHENTICATING = 2
"""Threads beside those, so that a bad key is refused at once."""
_RECEIVE_TIMEOUT_S = 20.0
_START_TIMEOUT_S = 10.0

_Context: TypeAlias = "grpc.aio.ServicerContext[bytes, bytes]"

log = logging.getLogger(__name__)


class OtlpGrpcServer:
    """Owns a port, and a thread with an event loop, from ``start`` to ``stop``."""

    def __init__(self, intake: Intake, authenticate: Callable[[str], Principal], address: str) -> None:
        """Prepare a server; ``address`` is ``host:port``, with port 0 for any that is free."""
        self._intake = intake
        self._authenticate = authenticate
        self._address = address
        self._running: _Running | None = None

    def start(self) -> int:
        """Serve from now on; return the port.

        Raises:
            Held: If the address cannot be used.
        """
        running = _Running(_Calls(self._intake, self._authenticate))
        try:
            port = running.start(self._address)
        except BaseException:
            running.end()
            raise
        self._running = running
        return port

    def stop(self, grace_s: float) -> None:
        """Take no new calls, let those that run end within ``grace_s`` seconds, and give the port free.

        May be called twice, and without ``start``.
        """
        running, self._running = self._running, None
        if running is not None:
            running.stop(grace_s)
            running.end()


class _Running:
    """The thread, its event loop, and the server in it."""

    def __init__(self, calls: "_Calls") -> None:
        self._calls = calls
        self._server: grpc.aio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="otlp-grpc", daemon=True)
        self._thread.start()

    def start(self, address: str) -> int:
        return asyncio.run_coroutine_threadsafe(self._start(address), self._loop).result(_START_TIMEOUT_S)

    def stop(self, grace_s: float) -> None:
        if self._server is not None:
            asyncio.run_coroutine_threadsafe(self._server.stop(grace_s), self._loop).result()

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._calls.close()

    async def _start(self, address: str) -> int:
        # Of larger messages gRPC itself says RESOURCE_EXHAUSTED, before and after decompression.
        options = [("grpc.max_receive_message_length", MAX_BODY_BYTES), ("grpc.so_reuseport", 0)]
        server = grpc.aio.server(options=options)
        server.add_generic_rpc_handlers(self._calls.handlers())
        try:
            port = server.add_insecure_port(address)
        except RuntimeError as error:
            raise Held(f"{address} cannot be used for OTLP/gRPC ({error}); choose another port") from error
        await server.start()
        self._server = server
        return int(port)


class _Calls:
    """Calls of the three services, as bytes: our own decoder knows what to do with what is wrong in them.

    A unary call is handled as a stream of one message, so that it is received only once the key was found good and
    there is room for it.
    """

    def __init__(self, intake: Intake, authenticate: Callable[[str], Principal]) -> None:
        self._intake = intake
        self._authenticate = authenticate
        self._pool = ThreadPoolExecutor(_AT_ONCE + _AUTHENTICATING, thread_name_prefix="otlp-grpc")
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._waiting = 0

    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """Return what gRPC is to call; any other method is UNIMPLEMENTED."""
        return tuple(
            grpc.method_handlers_generic_handler(
                service, {"Export": grpc.stream_unary_rpc_method_handler(self._export(signal))}
            )
            for service, signal in _SERVICES.items()
        )

    def close(self) -> None:
        """Wait for the work that is under way."""
        self._pool.shutdown()

    def _export(self, signal: Signal) -> Callable[[AsyncIterator[bytes], _Context], Awaitable[bytes]]:
        async def export(messages: AsyncIterator[bytes], context: _Context) -> bytes:
            try:
                return await self._take(signal, messages, context)
            except ZirkelError as error:
                return await _refuse(context, _CODES.get(type(error), grpc.StatusCode.UNAVAILABLE), str(error))
            except Exception:
                log.exception("taking in OTLP %s failed", signal)
                message = "internal error, nothing is lost if you send it again; see the core's log"
                return await _refuse(context, grpc.StatusCode.UNAVAILABLE, message)

        return export

    async def _take(self, signal: Signal, messages: AsyncIterator[bytes], context: _Context) -> bytes:
        loop = asyncio.get_running_loop()
        metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
        who = await loop.run_in_executor(self._pool, self._authenticate, read_key(metadata))
        if self._waiting >= _MAX_WAITING:
            raise Overloaded(f"{self._waiting} calls are waiting already; try again in a moment")
        self._waiting += 1
        try:
            async with self._room:
                message = await _receive(messages)
                accepted = await loop.run_in_executor(self._pool, self._intake.accept, who, signal, message, "protobuf")
        finally:
            self._waiting -= 1
        return encode_success("protobuf", accepted.rejected, accepted.message, signal)


async def _receive(messages: AsyncIterator[bytes]) -> bytes:
    try:
        async with asyncio.timeout(_RECEIVE_TIMEOUT_S):
            async for message in messages:
                return message
    except TimeoutError as error:
        raise Overloaded(f"the message did not arrive within {_RECEIVE_TIMEOUT_S:.0f} s") from error
    raise Invalid("the call holds no message")


async def _refuse(context: _Context, code: grpc.StatusCode, message: str) -> bytes:
    """End a call with an error. Only UNAVAILABLE says when to try again: clients drop what the others refused.

    Source: OTLP specification, "OTLP/gRPC Throttling".
    """
    trailers: tuple[tuple[str, bytes], ...] = ()
    if code is grpc.StatusCode.UNAVAILABLE:
        retry = AnyMessage()
        retry.Pack(RetryInfo(retry_delay=Duration(seconds=RETRY_AFTER_S)))
        status = Status(code=code.value[0], message=message, details=[retry])
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, message, trailers)
    raise AssertionError("abort does not return")
