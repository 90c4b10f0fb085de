"""A second request where the first is late: who wins, and what becomes of the other."""

import asyncio
import gc
import logging
from collections import deque

import pytest

from tests.unit.gateway.chain_script import Play, Script, ScriptedTry, after, answers, fails, waits
from zirkel.core import GuardrailRefused, Hedge, LimitReached, Resilience, UpstreamFailed
from zirkel.gateway.hedging import Found

HEDGED = Resilience(retries=0, hedge=Hedge(minimum_s=0.0, at_most=0.1))


def _gated(play: Play) -> tuple[asyncio.Event, Play]:
    gate = asyncio.Event()
    return gate, after(gate, play)


def _script(**plays: Play | deque[Play]) -> Script:
    script = Script(HEDGED, dict(plays))
    script.make_late("a")
    return script


def test_the_faster_one_answers_and_the_late_one_is_dropped() -> None:
    async def play() -> None:
        script = _script(a=waits)
        while not script.trials or script.trials[0].place != "a":
            script.trials.clear()
            assert await script.ask("a|b") == "b"
        await script.until_quiet()
        first, hedge = script.trials
        assert (first.reason, first.end, first.is_lost) == ("first", "cancelled", True)
        assert (hedge.place, hedge.reason, hedge.end, hedge.is_lost) == ("b", "hedge", "answered", False)

    asyncio.run(play())


def test_the_first_may_win_yet_and_the_hedge_is_dropped() -> None:
    async def play() -> None:
        gate, first = _gated(answers)
        script = _script(a=deque([first, waits]))
        asked = script.ask_soon("a")
        await script.until_tried(2)
        gate.set()
        assert await asked == "a"
        await script.until_quiet()
        assert [(trial.end, trial.is_lost) for trial in script.trials] == [("answered", False), ("cancelled", True)]

    asyncio.run(play())


def test_without_another_place_the_same_one_is_asked_again() -> None:
    async def play() -> None:
        script = _script(a=deque([waits, answers]))
        assert await script.ask("a") == "a"
        assert [(trial.place, trial.reason) for trial in script.trials] == [("a", "first"), ("a", "hedge")]

    asyncio.run(play())


def test_of_two_answers_at_the_same_moment_one_wins_and_one_is_lost() -> None:
    async def play() -> None:
        gate, both = _gated(answers)
        script = _script(a=both)
        asked = script.ask_soon("a")
        await script.until_tried(2)
        gate.set()
        assert await asked == "a"
        assert [(trial.end, trial.is_lost) for trial in script.trials] == [("answered", False), ("answered", True)]

    asyncio.run(play())


@pytest.mark.parametrize("first_is_sooner", [True, False])
def test_if_both_fail_the_error_is_the_first_ones(first_is_sooner: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        gates = [asyncio.Event(), asyncio.Event()]
        plays: deque[Play] = deque([after(gates[0], fails("http_503")), after(gates[1], fails("broken"))])
        script = _script(a=plays)
        asked = script.tasks.start(_failure(script), name="call")
        await script.until_tried(2)
        for gate in gates if first_is_sooner else reversed(gates):
            gate.set()
            await asyncio.sleep(0.01)
        error = await asked
        assert isinstance(error, UpstreamFailed)
        assert [trial.end for trial in script.trials] == ["failed", "failed"]
        assert len(script.tasks) == 0

    with caplog.at_level(logging.DEBUG):
        asyncio.run(play())
        gc.collect()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def _failure(script: Script) -> BaseException:
    try:
        await script.ask("a")
    except UpstreamFailed as error:
        return error
    raise AssertionError("answered")


def test_if_one_fails_the_other_is_waited_for() -> None:
    async def play() -> None:
        for failing in (0, 1):
            gates = [asyncio.Event(), asyncio.Event()]
            plays = [after(gates[number], fails() if number == failing else answers) for number in (0, 1)]
            script = _script(a=deque(plays))
            asked = script.ask_soon("a")
            await script.until_tried(2)
            gates[failing].set()
            await asyncio.sleep(0.01)
            assert not asked.done()
            gates[1 - failing].set()
            assert await asked == "a"
            assert [trial.end for trial in script.trials][failing] == "failed"

    asyncio.run(play())


def test_a_hedge_that_is_over_a_limit_does_not_disturb_the_first() -> None:
    async def play() -> None:
        script = _script()
        gate, script.plays["a"] = _gated(answers)
        script.refusals["hedge"] = LimitReached("over a limit")
        asked = script.ask_soon("a")
        await asyncio.sleep(0.05)
        gate.set()
        assert await asked == "a"
        assert len(script.trials) == 1

    asyncio.run(play())


def test_a_hedge_does_not_go_where_it_is_known_to_fail() -> None:
    async def play() -> None:
        policy = Resilience(retries=0, failures=1, hedge=Hedge(minimum_s=0.0))
        script = Script(policy, {"b": fails(), "a": deque([waits, answers])})
        await script.ask("b", "spare")
        script.make_late("a")
        script.trials.clear()
        assert await script.ask("a|b") == "a"
        assert [trial.place for trial in script.trials] == ["a", "a"]

    asyncio.run(play())


def test_a_probe_is_not_doubled_by_a_hedge() -> None:
    async def play() -> None:
        script = Script(Resilience(retries=0, failures=1, hedge=Hedge(minimum_s=0.0)), {"a": fails()})
        await script.ask("a", "spare")
        script.make_late("a")
        script.clock.advance(15)
        gate, script.plays["a"] = _gated(answers)
        script.trials.clear()
        asked = script.ask_soon("a", "spare")
        await asyncio.sleep(0.05)
        assert [trial.place for trial in script.trials] == ["a"]
        gate.set()
        assert await asked == "a"

    asyncio.run(play())


def test_a_client_that_leaves_cancels_both_and_leaves_no_task() -> None:
    async def play() -> None:
        script = _script(a=waits)
        asked = script.ask_soon("a")
        await script.until_tried(2)
        asked.cancel()
        await asyncio.wait([asked])
        await script.until_quiet()
        assert [trial.end for trial in script.trials] == ["cancelled", "cancelled"]

    asyncio.run(play())


def test_a_client_that_leaves_frees_the_probe_that_was_its_hedge() -> None:
    async def play() -> None:
        script = Script(Resilience(retries=0, failures=1, hedge=Hedge(minimum_s=0.0)), {"b": fails(), "a": waits})
        await script.ask("b", "spare")
        script.clock.advance(15)
        script.make_late("a")
        # Where ``b`` is first, it is the probe itself, and is hedged by ``a``.
        script.plays["b"] = waits
        for _ in range(4):
            asked = script.ask_soon("a|b")
            await asyncio.sleep(0.02)
            asked.cancel()
            await asyncio.wait([asked])
        script.plays["b"] = answers
        assert await script.ask("b", "spare") == "b"

    asyncio.run(play())


def test_a_place_that_is_not_known_yet_is_not_hedged() -> None:
    async def play() -> None:
        script = Script(HEDGED)
        gate, script.plays["a"] = _gated(answers)
        asked = script.ask_soon("a")
        await asyncio.sleep(0.02)
        gate.set()
        await asked
        assert len(script.trials) == 1

    asyncio.run(play())


def test_without_the_setting_nothing_is_hedged() -> None:
    async def play() -> None:
        script = Script(Resilience(retries=0))
        script.make_late("a")
        gate, script.plays["a"] = _gated(answers)
        asked = script.ask_soon("a")
        await asyncio.sleep(0.02)
        gate.set()
        await asked
        assert len(script.trials) == 1

    asyncio.run(play())


def test_no_more_than_the_share_of_calls_and_a_burst_is_hedged() -> None:
    async def play() -> None:
        script = Script(Resilience(retries=0, hedge=Hedge(minimum_s=0.0, at_most=0.1)))
        for _ in range(100):
            script.make_late("a", 0.0)
            script.plays["a"] = deque([_slow, answers])
            await script.ask("a")
        hedges = sum(trial.reason == "hedge" for trial in script.trials)
        assert 10 <= hedges <= 10 + 0.1 * 100

    asyncio.run(play())


async def _slow(trial: ScriptedTry) -> Found:
    await asyncio.sleep(0.005)
    return await answers(trial)


def test_hedging_away_the_slow_ones_does_not_make_late_ever_sooner() -> None:
    async def play() -> None:
        hedge = Hedge(percentile=0.9, minimum_s=0.01, at_most=1.0)
        script = Script(Resilience(retries=0, hedge=hedge))

        async def slow(trial: ScriptedTry) -> Found:
            script.clock.advance(0.02)
            return await waits(trial)

        for number in range(100):
            is_slow = number >= 20 and number % 5 == 0
            script.plays["a"] = deque([slow, answers]) if is_slow else answers
            await script.ask("a")
        assert sum(trial.reason == "hedge" for trial in script.trials) == 16
        # One in seven was slow, and never answered: were they not counted, the 90th percentile would be nothing.
        assert script.steering.delays.hedge_after_s("p1/u/a whole", hedge) == pytest.approx(0.02)

    asyncio.run(play())


def test_a_guardrails_refusal_ends_the_race_and_is_logged_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def refuses(_trial: ScriptedTry) -> Found:
        raise GuardrailRefused("not that")

    async def play() -> None:
        script = _script(a=deque([waits, refuses]))
        with pytest.raises(GuardrailRefused):
            await script.ask("a")
        await script.until_quiet()
        assert [trial.end for trial in script.trials] == ["cancelled", ""]

    asyncio.run(play())
    assert caplog.records == []
