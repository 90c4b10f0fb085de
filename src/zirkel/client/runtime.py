"""What ``init`` has made, for the whole process.

All that the SDK's threads need is imported here, by the thread that calls ``init``: a process that is forked while
another thread imports something can never import that again.
"""

import atexit
import encodings.idna  # noqa: F401 (the codec of host names, which is loaded when the first one is looked up)
import threading
from dataclasses import dataclass
from functools import partial
from random import Random

from zirkel.client.http_sender import HttpSender
from zirkel.client.outbox import Outbox
from zirkel.client.prompt_shelf import PromptShelf
from zirkel.client.prompt_source import HttpPrompts
from zirkel.client.settings import SdkSettings
from zirkel.client.spool import Spool, SpoolLimits
from zirkel.client.tracing import ZirkelProcessor, install_processor
from zirkel.core import Clock, SystemClock

EXIT_S = 2.0
"""How long the end of a program may wait for the server; what is not sent by then is on disk."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A set-up that is in force."""

    settings: SdkSettings
    clock: Clock
    outbox: Outbox
    processor: ZirkelProcessor
    prompts: PromptShelf

    def flush(self, timeout_s: float) -> bool:
        """Send everything now; return whether the server has it all within ``timeout_s``."""
        self.processor.force_flush()
        return self.outbox.flush(timeout_s)

    def close(self, timeout_s: float) -> bool:
        """Send everything, keep the rest on disk, and take nothing more. Returns as ``flush`` does."""
        self.processor.shutdown()
        return self.outbox.close(timeout_s)


class _Process:
    """The one runtime of this process. It has to be a module's: decorators are there before ``init`` is called."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None

    def current(self) -> Runtime | None:
        return self._runtime

    def install(self, settings: SdkSettings, limits: SpoolLimits) -> Runtime:
        with self._lock:
            if self._runtime is not None and self._runtime.settings == settings:
                return self._runtime
            if self._runtime is not None:
                self._runtime.close(EXIT_S)
            else:
                atexit.register(self.close, EXIT_S)
            self._runtime = _build(settings, limits)
            return self._runtime

    def close(self, timeout_s: float) -> bool:
        with self._lock:
            runtime, self._runtime = self._runtime, None
            if runtime is None:
                return True
            atexit.unregister(self.close)
            return runtime.close(timeout_s)


_PROCESS = _Process()


def current_runtime() -> Runtime | None:
    """Return what is in force, or ``None`` before ``init`` and after ``shutdown``."""
    return _PROCESS.current()


def install_runtime(settings: SdkSettings, limits: SpoolLimits) -> Runtime:
    """Put settings into force; the same again change nothing, others take the place of the former ones."""
    return _PROCESS.install(settings, limits)


def close_runtime(timeout_s: float) -> bool:
    """End what is in force; see ``Runtime.close``."""
    return _PROCESS.close(timeout_s)


def _build(settings: SdkSettings, limits: SpoolLimits) -> Runtime:
    random = Random()  # noqa: S311 (spreads requests, keeps no secret)
    clock = SystemClock()
    spool = Spool(settings.spool_folder, clock, limits)
    outbox = Outbox(partial(HttpSender, settings.url, settings.api_key), spool, random)
    processor = install_processor(settings, outbox)
    prompts = PromptShelf(partial(HttpPrompts, settings.url, settings.api_key), settings.prompts_folder, random)
    outbox.start()
    return Runtime(settings, clock, outbox, processor, prompts)
