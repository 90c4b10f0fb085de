"""One exchange with a caller, whatever is asked: reserved before, and settled, recorded and counted after, once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from zirkel.core import Clock, LimitReached, ZirkelError
from zirkel.gateway.errors import error_headers
from zirkel.gateway.facts import Attempt, CallFacts, budget_name
from zirkel.gateway.http import Headers, Receive, Send, send_head, send_part, send_whole
from zirkel.gateway.limits import Claim, Limiter, Scope, Settlement, Ticket
from zirkel.gateway.metrics import GatewayMetrics
from zirkel.gateway.open_attempt import note_attempt
from zirkel.gateway.record import Recorder
from zirkel.gateway.settle import used_tokens
from zirkel.gateway.tally import count_call, count_refusal
from zirkel.gateway.watch import DisconnectWatch
from zirkel.lib.tasks import OwnedTasks

Abandon = Callable[[str, str], None]
"""Ends the attempts that are under way, with a word to group by and a message for the record."""
_log = logging.getLogger("zirkel.gateway")


@dataclass(frozen=True, slots=True)
class ExchangePorts:
    """What every exchange of a worker shares."""

    recorder: Recorder
    limiter: Limiter
    metrics: GatewayMetrics
    tasks: OwnedTasks
    clock: Clock


class Exchange:
    """One exchange. Either ``run`` or ``refuse`` is called, once."""

    def __init__(self, ports: ExchangePorts, facts: CallFacts, send: Send) -> None:
        self.facts = facts
        self._ports = ports
        self._send = send
        self._ticket: Ticket | None = None
        self._watch: DisconnectWatch | None = None
        self._is_started = False
        self._is_closed = False

    async def run(self, work: Callable[[], Awaitable[None]], abandon: Abandon, receive: Receive | None) -> None:
        """Do ``work``, which answers the caller; if it fails, tell the caller why. Either way, record once.

        Args:
            work: Calls ``close`` before the answer's last byte.
            abandon: Called if the work ends before it has called ``close``.
            receive: Watched for the client's leaving, which cancels the work; ``None`` to finish it all the same.
        """
        self._ports.metrics.call_started()
        if receive is not None:
            self._watch = DisconnectWatch(self._ports.tasks, receive)
        try:
            await work()
        except asyncio.CancelledError:
            has_left = self._watch is not None and self._watch.absorb()
            self._give_up("client_disconnected" if has_left else "cancelled", "", 500, abandon)
            if not has_left:
                raise
        except ZirkelError as error:
            await self._fail(error, str(error), abandon)
        except Exception:  # noqa: BLE001 (a fault of ours must not leave a call unsettled; logged, and told)
            _log.exception("call %s failed", self.facts.trace.trace_id)
            told = ZirkelError("internal error; the gateway's log tells more about this trace id")
            await self._fail(told, "", abandon)
        finally:
            if self._watch is not None:
                self._watch.stop()
                self._watch = None

    async def refuse(self, error: ZirkelError) -> None:
        """Tell the caller why there is no answer, and record it; nothing was tried."""
        self._ports.metrics.call_started()
        await self._fail(error, str(error), lambda _type, _message: None)

    def reserve(self, scopes: Sequence[Scope], attempt: Attempt, tokens: int, usd: Decimal | None) -> None:
        """Reserve what an attempt may use at most; from here on it is part of the call.

        Raises:
            LimitReached: If it is over a limit.
            Overloaded: If the limits' state is full.
        """
        claim = Claim(tokens, usd, note_attempt(self.facts, attempt), attempt.place)
        limiter = self._ports.limiter
        if self._ticket is None:
            self._ticket = limiter.admit(scopes, attempt.span_id, claim)
        else:
            limiter.next_attempt(self._ticket, attempt.span_id, claim, self._settlements())
        self.facts.soft_passed = self._ticket.soft_passed
        self.facts.attempts.append(attempt)

    def close(self, status: int = 200) -> None:
        """Record and settle the call, which is over: from here on a client that leaves cancels nothing."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._watch is not None:
            self._watch.stop()
        now_ns = self._ports.clock.now_ns()
        # The record first: should the gateway die between the two, recovery's own record gives way to it.
        self._ports.recorder.write(self.facts, now_ns)
        if self._ticket is not None:
            self._ports.limiter.end(self._ticket, self._settlements())
            self._announce(self._ticket)
        count_call(self._ports.metrics, self.facts, status, now_ns)

    async def send_head(self, status: int, headers: Headers) -> None:
        """Begin an answer that follows in parts."""
        self._is_started = True
        await send_head(self._send, status, {**headers, **self.facts.headers()})

    async def send_part(self, body: bytes, *, is_last: bool) -> None:
        """Send a part of the answer; returns once the client's connection takes more (back-pressure)."""
        await send_part(self._send, body, is_last=is_last)

    async def send_whole(self, status: int, body: bytes, headers: Headers) -> None:
        """Send a whole answer."""
        self._is_started = True
        await send_whole(self._send, status, body, {**headers, **self.facts.headers()})

    def _settlements(self) -> dict[str, Settlement]:
        """Return what the attempts used that have ended; those left out keep what they reserved."""
        return {
            attempt.span_id: Settlement(used_tokens(attempt.usage), attempt.cost_usd)
            for attempt in self.facts.attempts
            if attempt.is_over and attempt.settlement != "reserved"
        }

    def _announce(self, ticket: Ticket) -> None:
        for passed in ticket.soft_passed:
            self._ports.metrics.count("budget_soft_passed_total")
            _log.warning(
                "%s of %r: %s USD are spent or reserved, more than the soft level of %s",
                budget_name(passed), passed.scope.label, f"{passed.total_usd:f}", passed.soft_usd,
            )  # fmt: skip

    async def _fail(self, error: ZirkelError, kept: str, abandon: Abandon) -> None:
        """Record a call that fails, ``kept`` being what is kept of the reason, and tell the caller."""
        if isinstance(error, LimitReached):
            count_refusal(self._ports.metrics, error)
        self._give_up(error.code, kept, error.http_status, abandon)
        if self._is_started:
            # The head is out: the only honest end is one that the client sees as broken.
            return
        body = self.facts.surface.caller.error_body(
            str(error), status=error.http_status, code=error.code, param=error.path
        )
        await self.send_whole(error.http_status, body, {"content-type": "application/json", **error_headers(error)})

    def _give_up(self, error_type: str, message: str, status: int, abandon: Abandon) -> None:
        if not self._is_closed:
            self.facts.fail(error_type, message)
            abandon(error_type, message)
            self.close(status)
