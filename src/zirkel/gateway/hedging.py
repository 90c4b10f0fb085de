"""One place asked for an answer, and a second one beside it if the first is late."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

import msgspec

from zirkel.core import Clock, GuardrailRefused, Invalid, ZirkelError
from zirkel.gateway.health import Health, Visit
from zirkel.gateway.pacing import Delays, Share
from zirkel.gateway.plan import Link, Plan, Target
from zirkel.gateway.ports import UpstreamBroken
from zirkel.gateway.trying import Streaming, Try, Whole
from zirkel.lib.tasks import OwnedTasks

BeginTry = Callable[[Target, str], Try]
"""Reserves and records one more attempt, for a reason; see ``facts.Attempt.reason``."""
Found = Whole | Streaming
_Asked = Found | UpstreamBroken | GuardrailRefused


@dataclass(slots=True)
class Steering:
    """What a worker has learnt about places and how often it tried again; shared by its calls."""

    clock: Clock
    tasks: OwnedTasks
    random: Random
    on_rest: Callable[[str, str], None]
    """Told the upstream and model of a place that is put to rest."""
    health: Health = field(default_factory=Health)
    retries: Share = field(default_factory=Share)
    hedges: Share = field(default_factory=Share)
    delays: Delays = field(default_factory=Delays)


class _Runner(msgspec.Struct, frozen=True):
    """A request that runs; there may be two for the same answer."""

    trial: Try
    target: Target
    visit: Visit
    start_ns: int


class Asker:
    """Asks places for the answer of one call, and notes what that shows about them."""

    def __init__(self, steering: Steering, project_id: str, plan: Plan, begin: BeginTry, deadline_ns: int) -> None:
        self._steering = steering
        self._project_id = project_id
        self._policy = plan.resilience
        self._begin = begin
        self._deadline_ns = deadline_ns
        self.times_asked = 0
        """Hedges are not counted: they are part of the asking."""

    def may_enter(self, target: Target) -> bool:
        """Return whether a place does not rest."""
        return self._steering.health.may_enter(self._place(target), self._policy, self._steering.clock.now_ns())

    def enter(self, target: Target) -> Visit | None:
        """Return leave to ask a place, ``None`` while it rests; ``ask`` or ``Health.abandoned`` ends it."""
        return self._steering.health.enter(self._place(target), self._policy, self._steering.clock.now_ns())

    def enter_anyway(self, target: Target) -> Visit:
        """Return leave to ask a place though it rests."""
        return Visit(self._place(target))

    async def ask(self, visit: Visit, target: Target, reason: str, link: Link) -> Found | UpstreamBroken | Invalid:
        """Ask a place and return its answer, or why there is none. If it is late, another one may answer instead.

        Raises:
            GuardrailRefused: If a guardrail refuses the beginning of a stream.
            LimitReached: If the attempt is over a limit.
        """
        self.times_asked += 1
        try:
            runner = self._run(visit, target, reason)
            late_s = self._late_s(runner)
            found = await (self._send(runner) if late_s is None else self._race(runner, link, late_s))
        except Invalid as error:
            return error
        finally:
            self._steering.health.abandoned(visit)
        if isinstance(found, GuardrailRefused):
            raise found
        return found

    def _run(self, visit: Visit, target: Target, reason: str) -> _Runner:
        return _Runner(self._begin(target, reason), target, visit, self._steering.clock.now_ns())

    async def _send(self, runner: _Runner) -> _Asked:
        """Send the request and note what its end shows about the place. What fails is returned: a race may go on."""
        health = self._steering.health
        try:
            found = await runner.trial.start(self._deadline_ns)
        except UpstreamBroken as error:
            self._note_failure(runner, error)
            return error
        except GuardrailRefused as refusal:
            health.succeeded(runner.visit)
            return refusal
        health.succeeded(runner.visit)
        self._note_delay(runner)
        return found

    def _note_failure(self, runner: _Runner, error: UpstreamBroken) -> None:
        steering, visit = self._steering, runner.visit
        is_cut_short = error.error_type == "timeout_total" and self.times_asked > 1
        if not runner.trial.is_sent or is_cut_short:
            # Not the place's fault: it was not asked, or had no more than what earlier tries left of the call's time.
            steering.health.abandoned(visit)
        elif error.kind != "failure":
            steering.health.succeeded(visit)
        elif steering.health.failed(visit, self._policy, steering.clock.now_ns(), asked_s=error.retry_after_s):
            steering.on_rest(runner.target.name, runner.target.model)

    async def _race(self, first: _Runner, link: Link, late_s: float) -> _Asked:
        """Return the answer of a place or, if it is late, of a second one; if neither answers, the first's error."""
        tasks = self._steering.tasks
        runners = {tasks.start(self._send(first), name="first of a race"): first}
        try:
            done, _ = await asyncio.wait(runners, timeout=late_s)
            hedge = None if done else self._hedge(first.target, link)
            if hedge is not None:
                runners[tasks.start(self._send(hedge), name="hedge")] = hedge
            winner = await _first_answer(runners)
        finally:
            for task, runner in runners.items():
                task.cancel()
                self._steering.health.abandoned(runner.visit)
        found = winner.result()
        if not isinstance(found, UpstreamBroken):
            self._end_losers(first, [runner for task, runner in runners.items() if task is not winner])
        return found

    def _end_losers(self, first: _Runner, losers: Sequence[_Runner]) -> None:
        for runner in losers:
            runner.trial.lose()
            if runner is first:
                # It would have taken longer. Without the slow ones' times, late would be sooner and sooner.
                self._note_delay(first)

    def _hedge(self, late: Target, link: Link) -> _Runner | None:
        """Return a second request: to another place of the link, or to the same one again. ``None`` if not allowed."""
        steering, hedge = self._steering, self._policy.hedge
        if hedge is None or not steering.hedges.take(self._project_id, hedge.at_most):
            return None
        others = [target for target in shuffled(link.pool, steering.random) if target.place != late.place]
        for target in (*others, late):
            visit = self.enter(target)
            if visit is None:
                continue
            try:
                return self._run(visit, target, "hedge")
            except ZirkelError:
                # Over a limit, or not to be said in that place's format: no reason to lose the request that runs.
                steering.health.abandoned(visit)
                return None
        return None

    def _late_s(self, runner: _Runner) -> float | None:
        hedge = self._policy.hedge
        return None if hedge is None else self._steering.delays.hedge_after_s(_delay_name(runner), hedge)

    def _note_delay(self, runner: _Runner) -> None:
        if self._policy.hedge is not None:
            seconds = (self._steering.clock.now_ns() - runner.start_ns) / 1e9
            self._steering.delays.note(_delay_name(runner), seconds)

    def _place(self, target: Target) -> str:
        return f"{self._project_id}/{target.place}"


def _delay_name(runner: _Runner) -> str:
    """Return what a time is kept under: a stream's first token comes sooner than a whole answer."""
    return f"{runner.visit.place} {'stream' if runner.trial.is_stream else 'whole'}"


async def _first_answer(runners: dict[asyncio.Task[_Asked], _Runner]) -> asyncio.Task[_Asked]:
    """Return the task that had an answer first; if none has one, the first to be asked."""
    pending = set(runners)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in runners:
            if task in done and not isinstance(task.result(), UpstreamBroken):
                return task
    return next(iter(runners))


def shuffled(pool: Sequence[Target], random: Random) -> Sequence[Target]:
    """Return the places in random order, each first as often as its weight says.

    Source: Efraimidis and Spirakis (2006), Information Processing Letters 97(5), 181-185, A-Res.
    """
    if len(pool) == 1:
        return pool
    drawn = [(random.random() ** (1 / target.weight), target) for target in pool]
    return [target for _, target in sorted(drawn, key=lambda pair: pair[0], reverse=True)]
