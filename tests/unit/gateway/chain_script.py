"""A chain whose tries are played by the test, on one event loop and a clock that is set by hand."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from random import Random

from zirkel.core import FallbackReason, ManualClock, Resilience, ZirkelError, new_span_id
from zirkel.gateway.chain import Chain, Steering
from zirkel.gateway.facts import Attempt
from zirkel.gateway.hedging import Found
from zirkel.gateway.plan import Link, Plan, Target
from zirkel.gateway.ports import UpstreamBroken
from zirkel.gateway.trying import Streaming, Try, Whole
from zirkel.lib.tasks import OwnedTasks

Play = Callable[["ScriptedTry"], Awaitable[Found]]


class ScriptedTry(Try):
    """A try that does what the test plays, and remembers how it ended."""

    def __init__(self, target: Target, reason: str, play: Play) -> None:
        self.place = target.model
        self.reason = reason
        self.end = ""
        self.is_lost = False
        self._attempt = Attempt(target.link, reason, target.name, target.model, new_span_id(), 0, is_sent=True)
        self._is_stream = False
        self._play = play

    @property
    def attempt(self) -> Attempt:
        """What is recorded of it."""
        return self._attempt

    async def start(self, deadline_ns: int) -> Whole | Streaming:
        try:
            found = await self._play(self)
        except asyncio.CancelledError:
            self.end = "cancelled"
            raise
        except UpstreamBroken:
            self.end = "failed"
            raise
        self.end = "answered"
        return found

    def lose(self) -> None:
        self.is_lost = True

    def fail(self, error_type: str, message: str) -> None:
        self.end = error_type

    def close(self) -> None:
        """Has no connection."""


async def answers(trial: ScriptedTry) -> Found:
    """Answer at once."""
    return Whole(trial.attempt, "application/json", trial.place.encode(), None)


async def waits(_trial: ScriptedTry) -> Found:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


def fails(error_type: str = "http_500", *, is_sent: bool = True) -> Play:
    """Return a play that fails at once."""

    async def play(trial: ScriptedTry) -> Found:
        trial.attempt.is_sent = is_sent
        raise UpstreamBroken(error_type, f"{trial.place} failed")

    return play


def after(event: asyncio.Event, play: Play) -> Play:
    """Return a play that begins with waiting for an event."""

    async def wait(trial: ScriptedTry) -> Found:
        await event.wait()
        return await play(trial)

    return wait


@dataclass
class Script:
    """What places do, and everything that calls share."""

    resilience: Resilience
    plays: dict[str, Play | deque[Play]] = field(default_factory=dict)
    """By model; of several each once, the last from then on. Others answer."""
    refusals: dict[str, ZirkelError] = field(default_factory=dict)
    """Raised instead of beginning a try, by its reason."""
    trials: list[ScriptedTry] = field(default_factory=list)
    rests: list[str] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)
    tasks: OwnedTasks = field(default_factory=OwnedTasks)
    steering: Steering = field(init=False)

    def __post_init__(self) -> None:
        self.steering = Steering(self.clock, self.tasks, Random(5), lambda _name, model: self.rests.append(model))

    def chain(self, *links: str, on: tuple[FallbackReason, ...] = ("failure",)) -> Chain:
        """Return a new call over links, each a model or several with a ``|`` between."""
        chain = [
            Link(tuple(_target(number, model) for model in models.split("|")), on if number else ("failure",))
            for number, models in enumerate(links)
        ]
        plan = Plan(chain=tuple(chain), resilience=self.resilience, scopes=())
        return Chain(self.steering, "p1", plan, self._begin, self.clock.now_ns() + 600 * 10**9)

    async def ask(self, *links: str) -> str:
        """Return which place answers a new call."""
        found = await self.chain(*links).run()
        assert isinstance(found, Whole)
        return found.body.decode()

    def ask_soon(self, *links: str) -> asyncio.Task[str]:
        """Begin a new call."""
        return self.tasks.start(self.ask(*links), name="call")

    async def until_tried(self, times: int) -> None:
        """Return when as many tries have begun, and had a moment to get where they wait."""
        while len(self.trials) < times:  # noqa: ASYNC110 (nothing tells when a try begins)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.005)

    async def until_quiet(self) -> None:
        """Return when no task is left."""
        while len(self.tasks):  # noqa: ASYNC110 (nothing tells when the last one ends)
            await asyncio.sleep(0.001)

    def make_late(self, place: str, seconds: float = 0.001) -> None:
        """Let a place be known for quick answers, so that whatever takes longer is late."""
        for _ in range(40):
            self.steering.delays.note(f"p1/u/{place} whole", seconds)

    def _begin(self, target: Target, reason: str) -> Try:
        if reason in self.refusals:
            raise self.refusals[reason]
        play = self.plays.get(target.model, answers)
        if isinstance(play, deque):
            play = play.popleft() if len(play) > 1 else play[0]
        trial = ScriptedTry(target, reason, play)
        self.trials.append(trial)
        return trial


def _target(number: int, model: str) -> Target:
    return Target(number, "u", None, model, "chat", {}, is_hub=True, prices=())
