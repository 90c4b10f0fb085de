"""What is on its way to the server: a short queue in memory, the spool behind it, and the one thread that sends.

As long as nothing waits on disk, records are sent as they come. When the server does not answer they go to disk, and
from then on everything does, until the folder is empty again: so the order stays. Callers never wait for a disk or a
network.
"""

import contextlib
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from zirkel.client.sending import Later, Refused, Sender, Sent
from zirkel.client.spool import Record, RecordKind, Spool

QUEUE_BYTES = 8 * 1024 * 1024
SCORES_A_REQUEST = 200
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
OTHERS_TURN_S = 0.2
"""How often it is tried to send what is on disk while another process does so."""
LOOK_EVERY_S = 30.0
"""How often an idle process looks whether another one has left something on disk."""
TRIES_OF_A_FAULTY_RECORD = 8

_log = logging.getLogger("zirkel")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What this process has sent, in requests (up to 256 spans, or 200 scores, each), and what waits."""

    sent: int
    waiting: int
    """In memory, and on disk for any process of this service."""
    dropped: int
    """For want of room or for age, oldest first; or because a disk damaged them."""
    refused: int
    """By the server, for good."""


class Outbox:
    """Takes records and brings each to the server at least once. Thread safe; made anew in a forked process."""

    def __init__(self, make_sender: Callable[[], Sender], spool: Spool, random: Random) -> None:
        self._make_sender = make_sender
        # Made by the caller: what it imports must be there before any thread runs, see ``runtime``.
        self._sender: Sender | None = make_sender()
        self._spool = spool
        self._random = random
        self._sent = self._dropped = self._refused = 0
        self._changed = threading.Condition()
        self._queue: deque[Record] = deque()
        self._queued_bytes = 0
        self._in_hand: list[Record] = []
        self._thread: threading.Thread | None = None
        self._is_closed = False
        # The first round comes at once: an earlier process may have left something.
        self._rounds_wanted, self._rounds_begun, self._rounds_done = 1, 0, 0
        self._pause_s = FIRST_PAUSE_S
        self._retry_at_s = 0.0
        self._faulty_tries = 0
        self._is_others_turn = False
        restart = weakref.WeakMethod(self._restart)
        os.register_at_fork(after_in_child=lambda: (found := restart()) and found())

    def start(self) -> None:
        """Start the thread, and with it the sending of what earlier processes left."""
        with self._changed:
            self._ensure_thread()

    def put(self, record: Record) -> None:
        """Take a record. If the queue is full its oldest records are dropped, and counted."""
        with self._changed:
            self._queue.append(record)
            self._queued_bytes += len(record.body)
            while self._queued_bytes > QUEUE_BYTES and len(self._queue) > 1:
                self._queued_bytes -= len(self._queue.popleft().body)
                self._count_dropped(1, "the queue in memory is full")
            if self._is_closed:
                self._keep_queue()
                return
            self._ensure_thread()
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Try at once to send everything, and return whether the server has it all within ``timeout_s``."""
        with self._changed:
            if self._is_closed:
                return not self._queue and self._spool.is_empty()
            self._ensure_thread()
            deadline_s = time.monotonic() + timeout_s
            while not self._try_round(deadline_s):
                if not self._is_others_turn or time.monotonic() >= deadline_s:
                    return False
                # Another process sends what is on disk; it may need a while.
                self._changed.wait(min(OTHERS_TURN_S, max(deadline_s - time.monotonic(), 0)))
            return True

    def _try_round(self, deadline_s: float) -> bool:
        """Have the thread try once more, at once, and return whether the server has everything then."""
        self._rounds_wanted = wanted = self._rounds_begun + 1
        self._changed.notify_all()
        timeout_s = max(deadline_s - time.monotonic(), 0)
        is_done = self._changed.wait_for(lambda: self._rounds_done >= wanted, timeout_s)
        return is_done and not self._queue and not self._in_hand and self._spool.is_empty()

    def close(self, timeout_s: float) -> bool:
        """Flush, write what is left to disk, and stop. What is put later goes to disk. Returns as ``flush`` does."""
        is_all_sent = self.flush(timeout_s)
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            # A request may still be under way: what it carries is kept too, and sent twice if need be.
            self._queue.extendleft(reversed(self._in_hand))
            self._in_hand = []
            self._keep_queue()
        return is_all_sent

    def delivery(self) -> Delivery:
        """Return the counts as of now."""
        on_disk = len(self._spool.names())
        with self._changed:
            waiting = len(self._queue) + len(self._in_hand) + on_disk
            return Delivery(self._sent, waiting, self._dropped, self._refused)

    def _restart(self) -> None:
        """Begin anew in a forked process: what its parent has in memory, the parent sends."""
        self._changed = threading.Condition()
        self._queue.clear()
        self._queued_bytes = 0
        self._in_hand = []
        self._thread = None
        self._sender = None
        self._rounds_wanted, self._rounds_begun, self._rounds_done = 1, 0, 0
        self._pause_s, self._retry_at_s, self._faulty_tries = FIRST_PAUSE_S, 0.0, 0

    def _ensure_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="zirkel-outbox", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        # A program's own instrumentation of HTTP clients must not record what this thread sends: that would never end.
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, True))
        sender = self._sender = self._sender or self._make_sender()
        with contextlib.closing(sender):
            while self._wait_for_work():
                try:
                    self._round(sender)
                except Exception:  # noqa: BLE001 (the thread must outlive whatever a disk does; it is logged, and counted)
                    _log.exception("Zirkel: sending failed")
                    self._count_dropped(len(self._in_hand), "sending failed")
                with self._changed:
                    self._in_hand = []
                    self._rounds_done = self._rounds_begun
                    self._changed.notify_all()

    def _wait_for_work(self) -> bool:
        """Wait until there is something to do, take the queue in hand, and return False once closed."""
        with self._changed:
            while not (self._is_closed or self._queue or self._rounds_wanted > self._rounds_begun):
                if not self._changed.wait(self._idle_s()):
                    break
            self._rounds_begun += 1
            if self._rounds_wanted >= self._rounds_begun:
                self._retry_at_s = 0.0
            self._in_hand = _merged(self._queue)
            self._queue.clear()
            self._queued_bytes = 0
            return not self._is_closed

    def _idle_s(self) -> float:
        """Return how long there is nothing to do, unless something is put: until a retry, or a look at the folder."""
        until_retry_s = self._retry_at_s - time.monotonic()
        return max(until_retry_s, 0.01) if self._retry_at_s else LOOK_EVERY_S

    def _round(self, sender: Sender) -> None:
        self._count_dropped(self._spool.drop_old(), "they have waited for too long")
        if self._spool.is_empty():
            self._retry_at_s = 0.0
            self._send_directly(sender)
        else:
            self._keep(self._in_hand)
        if not self._spool.is_empty() and time.monotonic() >= self._retry_at_s:
            self._send_spooled(sender)

    def _send_directly(self, sender: Sender) -> None:
        for position, record in enumerate(self._in_hand):
            if not self._deliver(sender, record):
                self._keep(self._in_hand[position:])
                return

    def _send_spooled(self, sender: Sender) -> None:
        with self._spool.sending() as is_ours:
            self._is_others_turn = not is_ours
            if not is_ours:
                self._retry_at_s = time.monotonic() + OTHERS_TURN_S
                return
            for name in self._spool.names():
                record = self._spool.read(name)
                if record is not None and not self._deliver(sender, record):
                    return
                if self._spool.remove(name) and record is None:
                    self._count_dropped(1, "the file is damaged")

    def _deliver(self, sender: Sender, record: Record) -> bool:
        """Send one record; return False if it must wait, and everything behind it too."""
        match sender.send(record):
            case Sent(warning):
                if warning:
                    _log.warning("Zirkel: %s", warning)
                with self._changed:
                    self._sent += 1
            case Refused(reason):
                self._refuse(record, reason)
            case Later(_, _, is_faulty) as later:
                self._faulty_tries = self._faulty_tries + 1 if is_faulty else 0
                if self._faulty_tries < TRIES_OF_A_FAULTY_RECORD:
                    self._wait_after(later)
                    return False
                self._refuse(record, later.reason)
        self._pause_s, self._retry_at_s, self._faulty_tries = FIRST_PAUSE_S, 0.0, 0
        return True

    def _wait_after(self, later: Later) -> None:
        if not self._retry_at_s:
            _log.warning("Zirkel: %s; keeping what is recorded until the server takes it", later.reason)
        jitter = 0.5 + self._random.random()
        self._retry_at_s = time.monotonic() + max(self._pause_s * jitter, later.wait_s)
        self._pause_s = min(self._pause_s * 2, LONGEST_PAUSE_S)

    def _refuse(self, record: Record, reason: str) -> None:
        _log.error("Zirkel: the server refuses %s: %s", record.kind.name.lower(), reason)
        with self._changed:
            self._refused += 1

    def _keep(self, records: Sequence[Record]) -> None:
        for record in records:
            try:
                self._count_dropped(self._spool.append(record), "the folder is full")
            except OSError as error:
                self._count_dropped(1, f"they cannot be written to disk ({error})")

    def _keep_queue(self) -> None:
        records = _merged(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._keep(records)

    def _count_dropped(self, records: int, reason: str) -> None:
        if records:
            with self._changed:
                self._dropped += records
            _log.warning("Zirkel: %d records were dropped (%d so far): %s", records, self._dropped, reason)


def _merged(records: Iterable[Record]) -> list[Record]:
    """Return the records with scores that follow each other in one request."""
    merged: list[Record] = []
    scores: list[bytes] = []

    def close_scores() -> None:
        if scores:
            merged.append(Record(RecordKind.SCORES, b"[" + b",".join(scores) + b"]"))
            scores.clear()

    for record in records:
        is_score = record.kind is RecordKind.SCORES
        if not is_score or len(scores) == SCORES_A_REQUEST:
            close_scores()
        if is_score:
            scores.append(record.body.removeprefix(b"[").removesuffix(b"]"))
        else:
            merged.append(record)
    close_scores()
    return merged
