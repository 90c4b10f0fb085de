"""Handing an answer to the caller: as it came, in the caller's own format, or as a stream."""

import msgspec

from zirkel.core import GuardrailRefused, JsonObject, UpstreamFailed, ZirkelError
from zirkel.gateway.cache import hub_chunks
from zirkel.gateway.completion import parse_completion
from zirkel.gateway.exchange import Exchange
from zirkel.gateway.facts import Attempt
from zirkel.gateway.keeping import Keeping
from zirkel.gateway.ports import Refused, UpstreamBroken
from zirkel.gateway.request import CallRequest
from zirkel.gateway.trying import Streaming, Whole

_REUSE_WAIT_S = 0.5
_JSON = {"content-type": "application/json"}
_STREAM = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Delivery:
    """Answers one request. One method is called, once; the call is recorded before the answer's last byte is sent."""

    def __init__(self, exchange: Exchange, request: CallRequest) -> None:
        self._exchange = exchange
        self._facts = exchange.facts
        self._request = request

    async def give_native(self, found: Whole) -> None:
        """Answer with the upstream's own bytes."""
        self._facts.answered = found.attempt
        self._exchange.close()
        await self._exchange.send_whole(200, found.body, {"content-type": found.media_type})

    async def give_hub(self, hub: JsonObject, attempt: Attempt | None) -> None:
        """Answer in the caller's format, as a stream if that was asked for. A kept answer has no attempt."""
        facts, request = self._facts, self._request
        facts.answered = attempt
        facts.output = parse_completion(msgspec.json.encode(hub)).text
        caller = request.surface.caller
        if request.is_stream:
            writer = caller.stream_writer(request.native())
            body, headers = b"".join([writer.write(chunk) for chunk in hub_chunks(hub)]) + writer.end(), _STREAM
        else:
            body, headers = msgspec.json.encode(caller.write_answer(hub, request.native())), _JSON
        self._exchange.close()
        await self._exchange.send_whole(200, body, headers)

    async def give_stream(self, found: Streaming, kept: Keeping | None) -> None:
        """Pass a stream on; a whole and good one is kept in ``kept``."""
        exchange, relay, part = self._exchange, found.relay, found.first_part
        self._facts.answered = found.attempt
        is_begun = not relay.is_done
        if is_begun:
            await exchange.send_head(200, _STREAM)
        try:
            while not relay.is_done:
                await exchange.send_part(part, is_last=False)
                part = await relay.next_part()
        except UpstreamBroken as error:
            found.trial.fail(error.error_type, f"{error.reason}: {error.detail}" if error.detail else error.reason)
            self._facts.fail(error.error_type, f"{found.attempt.upstream}: {error.reason}")
            part = self._error_event(UpstreamFailed(f"the upstream failed: {error.reason}"))
        except GuardrailRefused as error:
            found.trial.end_stream()
            self._facts.fail(error.code, str(error))
            part = self._error_event(error)
        else:
            found.trial.end_stream()
            if kept is not None:
                kept.keep(relay.answer(), found.attempt)
        exchange.close()
        if not is_begun:
            # All of it came at once, so what it cost is known before the head is sent.
            await exchange.send_head(200, _STREAM)
        await exchange.send_part(part, is_last=True)
        if not found.attempt.error_type:
            await relay.finish(wait_s=_REUSE_WAIT_S)

    async def give_refusal(self, refused: Refused, attempt: Attempt, *, is_native: bool) -> None:
        """Answer with an upstream's refusal: as it came if it is of the caller's format, else in that format."""
        facts = self._facts
        facts.answered = attempt
        facts.fail(attempt.error_type, attempt.status_message)
        self._exchange.close(refused.status)
        body, media_type = refused.body, refused.media_type
        if not is_native:
            code = refused.code or "upstream_refused"
            body = facts.surface.caller.error_body(refused.message, status=refused.status, code=code)
            media_type = "application/json"
        await self._exchange.send_whole(refused.status, body, {"content-type": media_type})

    def _error_event(self, error: ZirkelError) -> bytes:
        writer = self._request.surface.caller.stream_writer(self._request.native())
        return writer.fail(str(error), status=error.http_status, code=error.code)
