"""Background tasks that have an owner: shutdown waits for them, and no error of theirs is lost."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import TypeVar

Result = TypeVar("Result")

_log = logging.getLogger("zirkel.tasks")


class OwnedTasks:
    """The only way to start an asyncio task. Holds a reference to each until it ends; ``close`` leaves none behind."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[object]] = set()
        self._is_closed = False
        self.failures = 0
        """Tasks that ended with an error, each logged."""

    @property
    def is_closed(self) -> bool:
        """Whether no task can be started any more."""
        return self._is_closed

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[object, object, Result], *, name: str) -> asyncio.Task[Result]:
        """Run ``work`` in the background and return its task, which may be awaited or cancelled.

        Raises:
            RuntimeError: If the owner is closed; ``work`` is closed unrun.
        """
        if self._is_closed:
            work.close()
            raise RuntimeError(f"task {name!r} was started after shutdown")
        task = asyncio.create_task(work, name=name)  # noqa: TID251 (the one place that may)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def close(self, *, grace_s: float) -> None:
        """Refuse new tasks, wait up to ``grace_s`` seconds for the running ones, then cancel and await the rest."""
        self._is_closed = True
        current = asyncio.current_task()
        running = {task for task in self._running if task is not current}
        if running:
            _, late = await asyncio.wait(running, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._running.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.failures += 1
            _log.error("task %s failed", task.get_name(), exc_info=error)
