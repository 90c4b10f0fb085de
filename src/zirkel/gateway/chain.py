"""The chain of a call: which place is tried next, until one answers."""

import asyncio

from zirkel.core import Invalid, UpstreamFailed
from zirkel.gateway.health import Visit
from zirkel.gateway.hedging import Asker, BeginTry, Found, Steering, shuffled
from zirkel.gateway.pacing import backoff_s
from zirkel.gateway.plan import Link, Plan, Target
from zirkel.gateway.ports import UpstreamBroken
from zirkel.gateway.trying import Streaming, Whole

__all__ = ["Chain", "Steering"]

Failed = UpstreamBroken | Invalid
_CONTENT_FILTER = "content_filter"


class Chain:
    """The tries of one call. ``run`` may be called again, for a repaired request."""

    def __init__(self, steering: Steering, project_id: str, plan: Plan, begin: BeginTry, deadline_ns: int) -> None:
        self._steering = steering
        self._project_id = project_id
        self._plan = plan
        self._deadline_ns = deadline_ns
        self._asker = Asker(steering, project_id, plan, begin, deadline_ns)
        self._asks_anyway = False
        self._failures: list[str] = []
        self._last: Failed | None = None
        self.because = ""
        """Why the chain went on to the link it is at; empty at the first."""

    async def run(self, first_reason: str = "first") -> Found:
        """Return the first answer of the chain.

        Raises:
            UpstreamBroken: The last one's refusal, if the caller is to have it.
            UpstreamFailed: If no place answered.
            Invalid: If the request cannot be said in the format of any place.
            LimitReached: If a further attempt is over a limit.
            GuardrailRefused: If a guardrail refuses the beginning of a stream.
        """
        self._begin_run()
        found = await self._walk(first_reason)
        if not self._asker.times_asked and not self._is_late():
            # Everything rests: better to ask than to refuse without asking.
            self._asks_anyway = True
            found = await self._walk(first_reason)
        if found is None:
            raise self._no_answer()
        return found

    def _begin_run(self) -> None:
        policy = self._plan.resilience
        self._asker.times_asked = 0
        self._asks_anyway, self._failures, self._last = False, [], None
        self._steering.retries.called(self._project_id, policy.retry_share)
        if policy.hedge is not None:
            self._steering.hedges.called(self._project_id, policy.hedge.at_most)

    async def _walk(self, first_reason: str) -> Found | None:
        """Return the first answer of the links, in order; one that a filter stopped only if there is no better one."""
        kind: str = "failure"
        filtered: Found | None = None
        for number, link in enumerate(self._plan.chain):
            if number and kind not in link.on:
                continue
            self.because = kind if number else ""
            found = await self._try_link(link, "fallback" if number else first_reason)
            if isinstance(found, UpstreamBroken):
                kind = found.kind
                if kind == "caller":
                    break
            elif isinstance(found, (Whole, Streaming)):
                if not (_is_filtered(found) and self._has_later(number, _CONTENT_FILTER)):
                    return found
                filtered, kind = found, _CONTENT_FILTER
                if isinstance(found, Streaming):
                    found.trial.end_stream()
        return filtered

    def _no_answer(self) -> Exception:
        last = self._last
        if isinstance(last, Invalid) or (isinstance(last, UpstreamBroken) and last.refused is not None):
            return last
        retry_after_s = last.retry_after_s if isinstance(last, UpstreamBroken) else None
        return UpstreamFailed("no upstream answered; " + "; ".join(self._failures), retry_after_s=retry_after_s)

    async def _try_link(self, link: Link, first_reason: str) -> Found | Failed | None:
        """Return the first answer of a link's places, else why the last one had none; ``None`` if none was asked."""
        found: Found | Failed | None = None
        to_retry: list[tuple[Target, UpstreamBroken]] = []
        for target in shuffled(link.pool, self._steering.random):
            visit = self._enter(target)
            if visit is not None:
                found = await self._ask(visit, target, first_reason if found is None else "pool", link)
                if not _may_help(found):
                    return found
                if isinstance(found, UpstreamBroken) and found.is_retryable:
                    to_retry.append((target, found))
        for retry in range(1, self._plan.resilience.retries + 1):
            if not to_retry:
                break
            target, error = to_retry.pop(0)
            visit = await self._wait_to_retry(target, error, retry)
            if visit is not None:
                found = await self._ask(visit, target, "retry", link)
                if not _may_help(found):
                    return found
                if isinstance(found, UpstreamBroken) and found.is_retryable:
                    to_retry.append((target, found))
        return found

    def _enter(self, target: Target) -> Visit | None:
        """Return leave to ask a place now; if there is none, note why."""
        if self._is_late():
            self._failures.append(f"{target.place}: not asked, the call's time was up")
            return None
        visit = self._asker.enter(target)
        if visit is None and self._asks_anyway and not self._asker.times_asked:
            return self._asker.enter_anyway(target)
        if visit is None:
            self._failures.append(f"{target.place}: rests after failures")
        return visit

    def _is_late(self) -> bool:
        is_cut = isinstance(self._last, UpstreamBroken) and self._last.error_type == "timeout_total"
        return is_cut or self._steering.clock.now_ns() >= self._deadline_ns

    async def _ask(self, visit: Visit, target: Target, reason: str, link: Link) -> Found | Failed:
        found = await self._asker.ask(visit, target, reason, link)
        if isinstance(found, (UpstreamBroken, Invalid)):
            self._failures.append(f"{target.place}: {found.reason if isinstance(found, UpstreamBroken) else found}")
            self._last = found
        return found

    async def _wait_to_retry(self, target: Target, error: UpstreamBroken, retry: int) -> Visit | None:
        """Wait before a place is asked again; return leave to do so, ``None`` if it is not to be."""
        steering, policy = self._steering, self._plan.resilience
        pause_s = backoff_s(policy, retry, error.retry_after_s, steering.random)
        if pause_s is None or steering.clock.now_ns() + int(pause_s * 1e9) >= self._deadline_ns:
            return None
        if not self._asker.may_enter(target) or not steering.retries.take(self._project_id, policy.retry_share):
            return None
        await asyncio.sleep(pause_s)
        return self._enter(target)

    def _has_later(self, number: int, reason: str) -> bool:
        return any(reason in link.on for link in self._plan.chain[number + 1 :])


def _may_help(found: Found | Failed) -> bool:
    """Return whether another place for the same model could answer what this one did not."""
    return isinstance(found, Invalid) or (isinstance(found, UpstreamBroken) and found.kind == "failure")


def _is_filtered(found: Found) -> bool:
    """Return whether a content filter stopped an answer of which the caller has seen nothing."""
    if isinstance(found, Whole):
        return found.attempt.completion.finish_reason == _CONTENT_FILTER
    return not found.relay.has_begun and found.relay.completion().finish_reason == _CONTENT_FILTER
