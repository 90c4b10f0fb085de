"""A request on its way to an upstream as it is, and the answer on its way back: metered, never changed."""

from collections.abc import Callable
from dataclasses import dataclass

from zirkel.core import Invalid, UpstreamFailed
from zirkel.gateway.call import CallPorts
from zirkel.gateway.completion import Completion
from zirkel.gateway.dialects import Endpoint
from zirkel.gateway.exchange import Exchange
from zirkel.gateway.facts import Attempt
from zirkel.gateway.http import Headers
from zirkel.gateway.metering import Meter
from zirkel.gateway.ports import UpstreamAnswer, UpstreamBroken
from zirkel.gateway.prepared import Prepared
from zirkel.gateway.refusals import classify_refusal
from zirkel.gateway.settle import settle_answer, settle_free, settle_reserved
from zirkel.gateway.snapshot import SnapshotUpstream
from zirkel.lib.http1 import Timeouts

_ANSWER_HEADERS = ("content-type", "retry-after", "request-id", "x-request-id", "content-disposition")

FindEndpoint = Callable[[str, bytes], Endpoint]
"""Takes a credential and a body; returns where the request goes, or raises ``ValueError``."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that is passed on."""

    upstream: SnapshotUpstream
    method: str
    body: bytes
    headers: Headers
    find_endpoint: FindEndpoint
    format_name: str = ""
    """What the answer is read as; empty if that is not known."""
    is_free: bool = False
    """It does not reach a model, so it costs nothing."""


class PassedOn:
    """One request on its way to an upstream, and the answer on its way back: the only attempt of its call."""

    def __init__(self, ports: CallPorts, prepared: Prepared, exchange: Exchange) -> None:
        self._ports = ports
        self._prepared = prepared
        self._exchange = exchange
        self._clock = ports.exchange.clock
        self._passed: Passed | None = None
        self._attempt: Attempt | None = None
        self._answer: UpstreamAnswer | None = None
        self._meter: Meter | None = None

    async def run(self, passed: Passed, attempt: Attempt) -> None:
        """Send a request that was reserved for, and pass its answer on.

        Raises:
            UpstreamFailed: If there is no answer, or not all of it.
            Invalid: If the path cannot be below the upstream's address.
        """
        self._passed, self._attempt = passed, attempt
        try:
            endpoint = self._endpoint(passed, attempt)
            answer = await self._send(passed, attempt, endpoint)
            if 200 <= answer.status < 300:
                await self._pass_back(answer, attempt)
            else:
                await self._refuse(answer, attempt)
        except UpstreamBroken as error:
            self.abandon(error.error_type, f"{error.reason}: {error.detail}" if error.detail else error.reason)
            raise UpstreamFailed(f"the upstream failed: {error.reason}") from None

    def abandon(self, error_type: str, message: str) -> None:
        """Note that the attempt ends without a whole answer, and settle what it used so far."""
        attempt = self._attempt
        if attempt is not None and not attempt.is_over:
            attempt.note_failure(error_type, message)
            self._end(attempt)

    def close(self) -> None:
        """Drop the connection unless the answer was read to its end."""
        if self._answer is not None:
            self._answer.close()

    def _endpoint(self, passed: Passed, attempt: Attempt) -> Endpoint:
        try:
            attempt.credential = self._prepared.credential(passed.upstream)
        except Exception as error:  # noqa: BLE001 (the vault is a plug-in)
            name = type(error).__name__
            raise UpstreamBroken("credential", "its credential cannot be opened", name) from None
        try:
            return passed.find_endpoint(attempt.credential, passed.body)
        except ValueError as error:
            raise Invalid(str(error)) from None

    async def _send(self, passed: Passed, attempt: Attempt, endpoint: Endpoint) -> UpstreamAnswer:
        headers = {"accept-encoding": "identity", "user-agent": "zirkel", **endpoint.headers, **passed.headers}
        headers["traceparent"] = self._exchange.facts.trace.for_span(attempt.span_id)
        settings = self._ports.tries.settings
        timeouts = Timeouts(settings.connect_s, settings.first_byte_s, settings.total_s)
        attempt.is_sent = True
        upstream = self._ports.tries.upstream
        self._answer = answer = await upstream.request(passed.method, endpoint.url, headers, passed.body, timeouts)
        return answer

    async def _pass_back(self, answer: UpstreamAnswer, attempt: Attempt) -> None:
        passed, exchange = self._passed, self._exchange
        meter = self._meter = Meter(passed.format_name if passed is not None else "", answer.media_type)
        exchange.facts.answered = attempt
        left = self._ports.tries.settings.max_answer_bytes
        chunk = await answer.next_chunk()
        await exchange.send_head(answer.status, _kept(answer.headers))
        while chunk:
            left -= len(chunk)
            if left < 0:
                raise UpstreamBroken("too_large", "its answer is too long")
            if meter.feed(chunk):
                attempt.last_token_ns = self._clock.now_ns()
                attempt.first_token_ns = attempt.first_token_ns or attempt.last_token_ns
            await exchange.send_part(chunk, is_last=False)
            chunk = await answer.next_chunk()
        self._end(attempt)
        exchange.close(answer.status)
        await exchange.send_part(b"", is_last=True)

    async def _refuse(self, answer: UpstreamAnswer, attempt: Attempt) -> None:
        """Pass a refusal on as it is, but for the credential, should the upstream have echoed it."""
        body = await answer.read(self._ports.tries.settings.max_answer_bytes)
        refusal = classify_refusal(answer.status, answer.headers, body, now_ns=self._clock.now_ns())
        facts = self._exchange.facts
        facts.answered = attempt
        attempt.note_failure(f"http_{answer.status}", refusal.message)
        facts.fail(attempt.error_type, attempt.status_message)
        self._end(attempt)
        self._exchange.close(answer.status)
        for secret in attempt.secrets():
            body = body.replace(secret.encode(), b"[credential]")
        await self._exchange.send_whole(answer.status, body, _kept(answer.headers))

    def _end(self, attempt: Attempt) -> None:
        attempt.end_ns = self._clock.now_ns()
        completion = self._meter.completion() if self._meter is not None else Completion()
        passed = self._passed
        is_unused = not attempt.is_sent or attempt.error_type == "connect" or attempt.error_type.startswith("http_")
        if is_unused or passed is None or passed.is_free:
            settle_free(attempt)
        elif passed.format_name or (completion.usage.input_tokens is not None and not attempt.error_type):
            settle_answer(attempt, completion)
        else:
            settle_reserved(attempt, completion)


def _kept(headers: Headers) -> Headers:
    return {name: headers[name] for name in _ANSWER_HEADERS if name in headers}
