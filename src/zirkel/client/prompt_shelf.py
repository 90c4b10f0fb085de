"""Prompts at hand: in memory, else on disk, else from the server.

Only the very first fetch of a prompt waits for the server. Later a copy that has become old is given at once and
fetched anew by a thread; if the server is down the copy stays, for as long as it takes.
"""

import hashlib
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Protocol

import msgspec
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from zirkel.client.prompts import ServedPrompt
from zirkel.core import ZirkelError

FRESH_S = 60.0
"""For how long a copy is given without asking the server, a quarter more or less."""
RETRY_S = 5.0
LONGEST_RETRY_S = 60.0
FIRST_FETCH_S = 10.0
"""The longest that callers of a first fetch wait for the one that does it."""

_log = logging.getLogger("zirkel")


@dataclass(frozen=True, slots=True)
class PromptKey:
    """Which prompt."""

    name: str
    environment: str = "production"
    """Whose stable release's."""
    release: str = ""
    """If not empty, this release's: ``candidate``, ``baseline``, a number, or the start of a digest."""


class Fetched(msgspec.Struct, frozen=True):
    """A prompt as the server gave it, with its entity tag; this is also what is kept on disk."""

    served: ServedPrompt
    etag: str


class PromptSource(Protocol):
    """The server."""

    def fetch(self, key: PromptKey, etag: str) -> Fetched | None:
        """Return a prompt, or ``None`` if it is still the one of ``etag``; raises ``ZirkelError``."""
        ...


@dataclass(slots=True)
class _Slot:
    """What is known of one prompt."""

    fetched: Fetched | None = None
    fresh_until_s: float = 0.0
    """Also while a failed fetch is not worth repeating."""
    retry_s: float = RETRY_S
    failure: ZirkelError | None = None
    is_refreshing: bool = False
    first: "Future[None] | None" = field(default=None)
    """Set while one thread fetches what nobody has yet."""


class PromptShelf:
    """The prompts of one server and key. Thread safe; made anew in a forked process, with its copies."""

    def __init__(self, make_source: Callable[[], PromptSource], folder: Path, random: Random) -> None:
        self._make_source = make_source
        self._folder = folder
        self._random = random
        self._slots: dict[PromptKey, _Slot] = {}
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._wanted: SimpleQueue[PromptKey] = SimpleQueue()
        # Made by the caller, for the same reason as the outbox's sender.
        self._source: PromptSource | None = make_source()
        restart = weakref.WeakMethod(self._restart)
        os.register_at_fork(after_in_child=lambda: (found := restart()) and found())

    def get(self, key: PromptKey) -> ServedPrompt:
        """Return a prompt. Waits for the server only if there is no copy of it in memory or on disk.

        Raises:
            Unreachable: If there is no copy and the server does not answer.
            ZirkelError: If there is no copy and the server says so; e.g. ``NotFound``.
        """
        with self._lock:
            slot = self._slots.setdefault(key, _Slot())
            if slot.fetched is None:
                # A small file, read once in the process's life.
                slot.fetched = self._load(key)
            if slot.fetched is not None:
                self._refresh_if_old(key, slot)
                return slot.fetched.served
            if slot.failure is not None and time.monotonic() < slot.fresh_until_s:
                raise slot.failure
            is_mine = slot.first is None
            first = slot.first = slot.first or Future()
        if is_mine:
            self._fetch_first(key, slot, first)
        else:
            with suppress(FutureTimeout):
                first.result(FIRST_FETCH_S)
        return self._outcome(slot)

    def _outcome(self, slot: _Slot) -> ServedPrompt:
        with self._lock:
            if slot.fetched is not None:
                return slot.fetched.served
            raise slot.failure or ZirkelError("the prompt is still being fetched by another thread")

    def _fetch_first(self, key: PromptKey, slot: _Slot, first: "Future[None]") -> None:
        try:
            self._fetch(key, slot)
        finally:
            with self._lock:
                slot.first = None
            first.set_result(None)

    def _refresh_if_old(self, key: PromptKey, slot: _Slot) -> None:
        if slot.is_refreshing or time.monotonic() < slot.fresh_until_s:
            return
        slot.is_refreshing = True
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._refresh, args=(self._wanted,), name="zirkel-prompts", daemon=True
            )
            self._thread.start()
        self._wanted.put(key)

    def _refresh(self, wanted: "SimpleQueue[PromptKey]") -> None:
        # A program's own instrumentation of HTTP clients has no use for these requests.
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        while True:
            key = wanted.get()
            slot = self._slots[key]
            self._fetch(key, slot)
            with self._lock:
                slot.is_refreshing = False

    def _fetch(self, key: PromptKey, slot: _Slot) -> None:
        """Ask the server once, and note what came of it; never raises."""
        try:
            found = self._open_source().fetch(key, slot.fetched.etag if slot.fetched else "")
        except ZirkelError as error:
            self._note_failure(key, slot, error)
            return
        except Exception as error:  # noqa: BLE001 (the thread must outlive whatever a server answers)
            self._note_failure(key, slot, ZirkelError(f"{type(error).__name__}: {error}"))
            return
        with self._lock:
            slot.fetched = found or slot.fetched
            slot.failure, slot.retry_s = None, RETRY_S
            slot.fresh_until_s = time.monotonic() + FRESH_S * (0.75 + self._random.random() / 2)
        if found is not None:
            self._store(key, found)

    def _note_failure(self, key: PromptKey, slot: _Slot, error: ZirkelError) -> None:
        with self._lock:
            slot.failure = error
            slot.fresh_until_s = time.monotonic() + slot.retry_s * (0.75 + self._random.random() / 2)
            slot.retry_s = min(slot.retry_s * 2, LONGEST_RETRY_S)
            is_served = slot.fetched is not None
        if is_served:
            _log.warning("Zirkel: prompt %r stays as it was: %s", key.name, error)

    def _open_source(self) -> PromptSource:
        with self._lock:
            if self._source is None:
                self._source = self._make_source()
            return self._source

    def _restart(self) -> None:
        """In a forked process there are no threads, and the locks are in no known state."""
        self._lock = threading.RLock()
        self._thread = None
        self._wanted = SimpleQueue()
        self._source = None
        for slot in self._slots.values():
            slot.is_refreshing, slot.first = False, None

    def _path(self, key: PromptKey) -> Path:
        digest = hashlib.sha256("\x00".join((key.name, key.environment, key.release)).encode()).hexdigest()
        return self._folder / f"{digest[:32]}.json"

    def _load(self, key: PromptKey) -> Fetched | None:
        try:
            return msgspec.json.decode(self._path(key).read_bytes(), type=Fetched)
        except (OSError, msgspec.DecodeError):
            return None

    def _store(self, key: PromptKey, fetched: Fetched) -> None:
        path = self._path(key)
        unfinished = path.with_suffix(f".{secrets.token_hex(4)}.new")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with unfinished.open("xb") as file:
                file.write(msgspec.json.encode(fetched))
                file.flush()
                os.fsync(file.fileno())
            unfinished.rename(path)
        except OSError as error:
            unfinished.unlink(missing_ok=True)
            _log.warning("Zirkel: prompt %r cannot be kept on disk: %s", key.name, error)
