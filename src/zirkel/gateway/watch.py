"""Noticing that the client has left, and ending its call then."""

import asyncio

from zirkel.gateway.http import Receive
from zirkel.lib.tasks import OwnedTasks


class DisconnectWatch:
    """Cancels the task that made it when its client leaves, until it is stopped."""

    def __init__(self, tasks: OwnedTasks, receive: Receive) -> None:
        self._receive = receive
        self._call = asyncio.current_task()
        self._watcher = tasks.start(self._wait(), name="disconnect watch")
        self.has_left = False

    def stop(self) -> None:
        """Cancel nothing from now on."""
        self._watcher.cancel()

    def absorb(self) -> bool:
        """Return whether a cancellation just caught is of this watch; if so, it is over and the task goes on."""
        if self.has_left and self._call is not None:
            self._call.uncancel()
        return self.has_left

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.has_left = True
        if self._call is not None:
            self._call.cancel()
