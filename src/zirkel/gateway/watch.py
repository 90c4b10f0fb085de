"""Noticing that the client has left, and ending its call then."""

import asyncio

from zirkel.gateway.http import Receive
from zirkel.lib.tasks import OwnedTasks

_BEGIN_S = 0.02


class DisconnectWatch:
    """Cancels the task that made it when its client leaves, until it is stopped.

    It begins a moment later: most of what is answered at once needs no watch, and a task costs more than a timer.
    """

    def __init__(self, tasks: OwnedTasks, receive: Receive) -> None:
        self._tasks = tasks
        self._receive = receive
        self._call = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_BEGIN_S, self._begin)
        self._watcher: asyncio.Task[None] | None = None
        self.has_left = False

    def stop(self) -> None:
        """Cancel nothing from now on."""
        self._timer.cancel()
        if self._watcher is not None:
            # Let go of it, too: a cancelled task holds its frame, which holds this.
            watcher, self._watcher = self._watcher, None
            watcher.cancel()

    def absorb(self) -> bool:
        """Return whether a cancellation just caught is of this watch; if so, it is over and the task goes on."""
        if self.has_left and self._call is not None:
            self._call.uncancel()
        return self.has_left

    def _begin(self) -> None:
        if not self._tasks.is_closed:
            self._watcher = self._tasks.start(self._wait(), name="disconnect watch")

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        if self._call is not None:
            self._call.cancel()
