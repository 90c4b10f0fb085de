import asyncio
import logging

import pytest

from zirkel.lib.tasks import OwnedTasks


def test_closing_waits_for_what_ends_in_time_and_cancels_the_rest() -> None:
    async def scenario() -> tuple[bool, bool, int]:
        tasks = OwnedTasks()
        gate = asyncio.Event()
        quick = tasks.start(gate.wait(), name="quick")
        slow = tasks.start(asyncio.Event().wait(), name="slow")
        asyncio.get_running_loop().call_soon(gate.set)
        await tasks.close(grace_s=0.05)
        return quick.result(), slow.cancelled(), len(tasks)

    assert asyncio.run(scenario()) == (True, True, 0)


def test_a_task_after_closing_is_refused() -> None:
    async def scenario() -> None:
        tasks = OwnedTasks()
        await tasks.close(grace_s=0)
        tasks.start(asyncio.sleep(0), name="late")

    with pytest.raises(RuntimeError, match="'late'"):
        asyncio.run(scenario())


def test_a_failure_is_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise KeyError("lost")

    async def scenario() -> int:
        tasks = OwnedTasks()
        task = tasks.start(fail(), name="doomed")
        await asyncio.wait([task])
        await asyncio.sleep(0)
        return tasks.failures

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(scenario()) == 1
    assert "doomed" in caplog.text


def test_the_result_of_a_task_is_the_callers() -> None:
    async def scenario() -> str:
        return await OwnedTasks().start(asyncio.sleep(0, "done"), name="one")

    assert asyncio.run(scenario()) == "done"
