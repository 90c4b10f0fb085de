"""What judges said, kept on disk for when the same is asked again; and erased with everything else."""

import logging
import threading
from pathlib import Path
from typing import Protocol

import msgspec

from zirkel.core import Clock, ZirkelError
from zirkel.core.erasure import Findings, PlaceReport
from zirkel.evaluate import KeptAnswer
from zirkel.gateway.cache.bounded import BoundedMap, count_entries
from zirkel.lib.recognisers import Masker
from zirkel.lib.recognisers.masker import RuleFault
from zirkel.store.shared import LmdbState
from zirkel.store.shared_erasure import empty_shared_state

MAX_BYTES = 256 << 20
"""Of answers and keys. What was said first goes first."""
KEPT_NS = 90 * 24 * 3600 * 10**9
_PLACE = "judges_answers"
_MOST_COUNTED = 10_000_000
_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(KeptAnswer)
_log = logging.getLogger("zirkel.app")


class MaskerSource(Protocol):
    """Knows projects' masking rules."""

    def masker(self, project_id: str) -> Masker | None:
        """Return a project's rules, ``None`` if it has none; raises ``RuleFault`` if they cannot be used."""
        ...


class JudgeAnswers:
    """The answers of all projects' judges, for at most 90 days: an ``AnswerShelf`` and an ``ErasurePlace``.

    Opened when it is first used. A map that cannot be read or written holds nothing; judging goes on. Thread safe.
    """

    def __init__(self, folder: Path, clock: Clock, maskers: MaskerSource, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._clock = clock
        self._maskers = maskers
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._state: LmdbState | None = None
        self.failures = 0
        """Look-ups and writes that failed since this object was made."""

    def get(self, key: str) -> KeptAnswer | None:
        """Return the answer under a key that has not expired."""
        try:
            stored = self._map().get(key.encode(), self._clock.now_ns())
            return None if stored is None else _decoder.decode(stored)
        except (ZirkelError, OSError, msgspec.DecodeError) as error:
            self._fail(error)
            return None

    def put(self, project_id: str, key: str, answer: KeptAnswer) -> None:
        """Keep an answer, unless the project's rules would mask some of it: that no disk is to have."""
        try:
            masker = self._maskers.masker(project_id)
            if masker is not None and masker.mask_json(answer.text) != answer.text:
                return
            now_ns = self._clock.now_ns()
            with self._map().edit(now_ns) as edit:
                edit.put(key.encode(), _encode(answer), now_ns + KEPT_NS)
        except (ZirkelError, OSError, RuleFault) as error:
            self._fail(error)

    def erase(self, _findings: Findings, /, *, dry_run: bool) -> PlaceReport:
        """Remove all answers, everybody's: nothing in them says whose words they repeat."""
        if not self._folder.exists():
            return PlaceReport(_PLACE, {"entries": 0})
        state = self._opened()
        with state.transaction() as transaction:
            entries = count_entries(transaction, _MOST_COUNTED)
        if not dry_run:
            empty_shared_state(state)
            for damaged in self._folder.glob("*.damaged-*"):
                damaged.unlink()
        return PlaceReport(_PLACE, {"entries": entries})

    def close(self) -> None:
        """Bring everything to disk and close. May be called twice."""
        with self._lock:
            if self._state is not None:
                self._state.close()
                self._state = None

    def _map(self) -> BoundedMap:
        return BoundedMap(self._opened(), max_bytes=self._max_bytes)

    def _opened(self) -> LmdbState:
        with self._lock:
            if self._state is None:
                self._state = LmdbState(self._folder)
            return self._state

    def _fail(self, error: Exception) -> None:
        self.failures += 1
        # One in a thousand says enough: the next experiment asks a hundred thousand times.
        if self.failures % 1000 == 1:
            _log.error("an answer of a judge was not kept, or not found: %s", error)
