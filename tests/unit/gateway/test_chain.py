"""The order of tries, and what they show about places."""

import asyncio
from collections import deque

import pytest

from tests.unit.gateway.chain_script import Script, after, answers, fails, waits
from zirkel.core import Invalid, LimitReached, Resilience, UpstreamFailed

RESTING = Resilience(retries=0, failures=2, rest_s=15.0)


async def _put_to_rest(script: Script, place: str) -> None:
    script.plays[place] = fails()
    for _ in range(script.resilience.failures):
        await script.ask(place, "spare")
    assert script.rests[-1] == place


def test_a_place_that_fails_rests_is_probed_and_comes_back() -> None:
    async def play() -> None:
        script = Script(RESTING)
        await _put_to_rest(script, "a")
        script.plays["a"] = answers
        assert [await script.ask("a", "spare") for _ in range(3)] == ["spare"] * 3
        script.clock.advance(15)
        assert [await script.ask("a", "spare") for _ in range(3)] == ["a"] * 3

    asyncio.run(play())


def test_a_failed_probe_means_another_rest_and_is_told_once() -> None:
    async def play() -> None:
        script = Script(RESTING)
        await _put_to_rest(script, "a")
        script.clock.advance(15)
        assert [await script.ask("a", "spare") for _ in range(3)] == ["spare"] * 3
        assert [trial.place for trial in script.trials[-4:]] == ["a", "spare", "spare", "spare"]
        assert script.rests == ["a", "a"]

    asyncio.run(play())


def test_of_many_calls_at_once_one_is_the_probe_and_the_others_go_elsewhere() -> None:
    async def play() -> None:
        script = Script(RESTING)
        await _put_to_rest(script, "a")
        script.clock.advance(15)
        is_open = asyncio.Event()
        script.plays["a"] = after(is_open, answers)
        calls = [script.ask_soon("a", "spare") for _ in range(6)]
        await script.until_tried(len(script.trials) + 6)
        assert sum(call.done() for call in calls) == 5
        is_open.set()
        assert sorted([await call for call in calls]) == ["a"] + ["spare"] * 5
        assert await script.ask("a", "spare") == "a"

    asyncio.run(play())


def test_a_probe_whose_client_leaves_frees_its_slot() -> None:
    async def play() -> None:
        script = Script(RESTING)
        await _put_to_rest(script, "a")
        script.clock.advance(15)
        script.plays["a"] = deque([waits, answers])
        probe = script.ask_soon("a", "spare")
        await asyncio.sleep(0.01)
        assert await script.ask("a", "spare") == "spare"
        probe.cancel()
        await asyncio.wait([probe])
        assert await script.ask("a", "spare") == "a"

    asyncio.run(play())


@pytest.mark.parametrize("error", [LimitReached("over a limit"), Invalid("cannot be said there")])
def test_a_probe_that_may_not_begin_frees_its_slot(error: LimitReached | Invalid) -> None:
    async def play() -> None:
        script = Script(RESTING)
        await _put_to_rest(script, "a")
        script.clock.advance(15)
        script.plays["a"] = answers
        script.refusals["first"] = error
        with pytest.raises(type(error)):
            await script.ask("a")
        del script.refusals["first"]
        assert await script.ask("a", "spare") == "a"

    asyncio.run(play())


def test_if_everything_rests_one_place_is_asked_anyway_and_its_answer_brings_it_back() -> None:
    async def play() -> None:
        script = Script(RESTING)
        for place in ("a", "b"):
            await _put_to_rest(script, place)
        script.trials.clear()
        with pytest.raises(UpstreamFailed):
            await script.ask("a", "b")
        assert [(trial.place, trial.reason) for trial in script.trials] == [("a", "first")]
        script.plays["a"] = answers
        assert [await script.ask("a", "b") for _ in range(2)] == ["a", "a"]
        script.plays["a"] = fails()
        with pytest.raises(UpstreamFailed, match="u/a: a failed; u/b: rests after failures"):
            await script.ask("a", "b")

    asyncio.run(play())


def test_asking_anyway_does_not_lengthen_the_rest() -> None:
    async def play() -> None:
        script = Script(RESTING)
        await _put_to_rest(script, "a")
        for _ in range(2):
            script.clock.advance(5)
            with pytest.raises(UpstreamFailed):
                await script.ask("a")
        script.clock.advance(5)
        script.plays["a"] = answers
        assert await script.ask("a", "spare") == "a"

    asyncio.run(play())


def test_a_repaired_request_is_asked_anyway_too() -> None:
    async def play() -> None:
        script = Script(RESTING)
        chain = script.chain("a")
        await chain.run()
        script.plays["a"] = fails()
        for _ in range(2):
            with pytest.raises(UpstreamFailed):
                await script.ask("a")
        script.plays["a"] = answers
        await chain.run("repair")
        assert script.trials[-1].reason == "repair"

    asyncio.run(play())


def test_a_place_that_was_never_asked_is_not_blamed() -> None:
    async def play() -> None:
        script = Script(RESTING, {"a": fails("not_supported", is_sent=False)})
        for _ in range(5):
            assert await script.ask("a", "spare") == "spare"
        script.plays["a"] = answers
        assert await script.ask("a", "spare") == "a"
        assert script.rests == []

    asyncio.run(play())


def test_a_place_is_blamed_for_the_calls_time_only_by_those_who_gave_it_all() -> None:
    async def play() -> None:
        script = Script(RESTING, {"a": fails("timeout_total"), "sick": fails()})
        for rests in (["sick"], ["sick", "a"]):
            for _ in range(2):
                with pytest.raises(UpstreamFailed, match="u/spare: not asked, the call's time was up"):
                    await script.ask("sick", "a", "spare")
            assert script.rests == rests

    asyncio.run(play())


def test_a_request_that_no_place_can_be_asked_is_told_as_invalid() -> None:
    async def play() -> None:
        script = Script(RESTING)
        script.refusals = {reason: Invalid("no such thing there") for reason in ("first", "fallback")}
        with pytest.raises(Invalid, match="no such thing"):
            await script.ask("a", "b")

    asyncio.run(play())


def test_a_limit_that_does_not_allow_a_further_attempt_ends_the_call() -> None:
    async def play() -> None:
        script = Script(RESTING, {"a": fails()})
        script.refusals["fallback"] = LimitReached("over a limit")
        with pytest.raises(LimitReached):
            await script.ask("a", "b")

    asyncio.run(play())


def test_nobody_waits_to_retry_a_place_that_rests() -> None:
    async def play() -> None:
        script = Script(Resilience(retries=1, backoff_s=500, longest_backoff_s=500, failures=1), {"a": fails()})
        assert await asyncio.wait_for(script.ask("a", "spare"), 10) == "spare"

    asyncio.run(play())
