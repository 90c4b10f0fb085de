"""Limits and budgets over all workers: reserved before each attempt, settled after, exactly once."""

import itertools
import logging
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from zirkel.core import Clock, Conflict, Invalid, Overloaded
from zirkel.gateway.limits.claims import Abandoned, Claim, HeldAttempt, Scope, Settlement, SoftPassed, Ticket
from zirkel.gateway.limits.counters import is_idle
from zirkel.gateway.limits.recovery import find_calls, take_over
from zirkel.gateway.limits.rows import (
    PARTS,
    SUBJECT_PREFIX,
    HeldCall,
    decode_subject,
    encode_row,
    owner_prefix,
    parse_owner,
    subject_key,
)
from zirkel.gateway.limits.subjects import CountedSubjects
from zirkel.gateway.ports import SharedState

NOTHING_SETTLED: Mapping[str, Settlement] = MappingProxyType({})
_log = logging.getLogger("zirkel.gateway")


class Limiter:
    """Admits calls, and keeps what they may use and did use. Thread safe; one per worker.

    Each method is one transaction of the shared state. What was reserved is kept until it is settled: by ``end``, or,
    if this worker dies, at the reserved amount by the ``recover`` of another or of its next life.
    """

    def __init__(self, state: SharedState, owner: str, clock: Clock) -> None:
        """Begin a life of the worker ``owner``.

        Args:
            state: Shared by all workers of the installation.
            owner: The worker's name, e.g. ``gateway-0``; unique among the running ones.
            clock: All workers must see about the same time.

        Raises:
            Invalid: If the name has a ``/`` or more than 100 characters.
        """
        if not owner.isascii() or "/" in owner or not 1 <= len(owner) <= 100:
            raise Invalid(f"{owner!r} cannot name a worker; use 1 to 100 letters, digits and '-'")
        self._state = state
        self._owner = owner
        self._life = secrets.token_hex(8)
        self._prefix = owner_prefix(owner, self._life)
        self._clock = clock
        self._numbers = itertools.count()
        self._unended: deque[tuple[Ticket, Mapping[str, Settlement]]] = deque()
        self._parts = itertools.cycle(range(PARTS))
        self.failed_ends = 0
        """Times that a call could not be settled at its end: tried again if the state was full, else left as it is."""

    def admit(self, scopes: Sequence[Scope], attempt_id: str, claim: Claim) -> Ticket:
        """Count a call against ``scopes``, reserve for its first attempt, and return what ``end`` must be given.

        Scopes without limits are skipped; the call is held for recovery all the same.

        Raises:
            LimitReached: If a limit does not allow it; of several, the one that lasts longest. Nothing was counted.
            BudgetExhausted: If a hard budget could be passed, or the price is unknown where there is one.
            Overloaded: If the state is full; nothing was counted.
            Invalid: If a budget is not a decimal.
        """
        subjects = tuple({subject_key(scope.subject_id): scope for scope in scopes if scope.is_counted}.items())
        row_key = self._new_row_key()
        with self._state.transaction() as transaction:
            counted = CountedSubjects(transaction, subjects)
            # Read inside the transaction, so that time goes forward from one to the next.
            counted.advance(self._clock.now_ns())
            attempts = [counted.reserve(attempt_id, claim, is_new_call=True)]
            passed = counted.store()
            transaction.put(row_key, _encode(subjects, attempts))
        return Ticket(row_key, subjects, attempts, passed)

    def next_attempt(
        self,
        ticket: Ticket,
        attempt_id: str,
        claim: Claim,
        settled: Mapping[str, Settlement] = NOTHING_SETTLED,
    ) -> list[SoftPassed]:
        """Settle attempts that have ended and reserve for another one: tokens and money, not a call.

        Attempts in ``settled`` that are not open are passed over, so the same mapping may grow until ``end``. Attempts
        that it does not name stay open: a hedge runs beside the first.

        Returns:
            The soft levels that were passed now; they are in ``ticket.soft_passed`` too.

        Raises:
            LimitReached, BudgetExhausted, Overloaded, Invalid: As ``admit``. Nothing was changed, nothing settled: the
                call goes on with the attempts it has, and ``end`` settles.
            Conflict: If the call has ended, or has an attempt of this name.
        """
        with self._state.transaction() as transaction:
            if ticket.is_ended or transaction.get(ticket.row_key) is None:
                raise Conflict(f"attempt {attempt_id} belongs to a call that has ended")
            if any(attempt.attempt_id == attempt_id for attempt in ticket.attempts):
                raise Conflict(f"attempt {attempt_id} is held already; give each its own name")
            counted = CountedSubjects(transaction, ticket.subjects)
            counted.advance(self._clock.now_ns())
            attempts = [
                counted.settle(attempt, settled[attempt.attempt_id]) if attempt.attempt_id in settled else attempt
                for attempt in ticket.attempts
            ]
            attempts.append(counted.reserve(attempt_id, claim, is_new_call=False))
            passed = counted.store()
            transaction.put(ticket.row_key, _encode(ticket.subjects, attempts))
        ticket.attempts = attempts
        ticket.soft_passed += passed
        return passed

    def end(self, ticket: Ticket, settled: Mapping[str, Settlement]) -> list[SoftPassed]:
        """Settle all open attempts and free the call's place. Further calls for the ticket do nothing.

        An attempt that ``settled`` does not name keeps its reservation as spent. Never raises: a call that cannot be
        settled because the state is full is tried again at the next end.

        Returns:
            The soft levels that were passed now; they are in their ticket's ``soft_passed`` too.
        """
        self._unended.append((ticket, settled))
        passed: list[SoftPassed] = []
        while self._unended:
            try:
                unended = self._unended.popleft()
            except IndexError:  # another thread took it
                break
            try:
                passed += self._end(*unended)
            except (Overloaded, OSError):
                self.failed_ends += 1
                self._unended.append(unended)
                _log.exception("a call could not be settled; it is tried again")
                break
            except Exception:  # noqa: BLE001 (the caller has its answer; the reservation stays until recovery)
                self.failed_ends += 1
                _log.exception("a call could not be settled; it stays reserved until this worker starts again")
        return passed

    def recover(self, is_alive: Callable[[str], bool]) -> list[Abandoned]:
        """Make good what dead workers left, earlier lives of this one included; call it at the worker's start.

        Open attempts are settled at what they had reserved and their calls' places are freed, once over all workers.
        What is returned is for the attempts' records. It belongs to this life until ``forget``: should this worker die
        before it has written the records, they are returned again to whoever recovers it, without counting again.

        Args:
            is_alive: Tells of another owner whether it runs. A worker must count as alive before its first ``admit``.

        Raises:
            Corrupt: If an entry is damaged.
            Overloaded: If the state is full; nothing was changed.
        """
        with self._state.transaction() as transaction:
            keys = find_calls(transaction)
        # Asked after its call was seen, and outside the transaction: looking takes time.
        alive: dict[str, bool] = {}
        dead: list[bytes] = []
        for key in keys:
            owner, life = parse_owner(key)
            if owner == self._owner:
                if life != self._life:
                    dead.append(key)
                continue
            if owner not in alive:
                alive[owner] = is_alive(owner)
            if not alive[owner]:
                dead.append(key)
        if not dead:
            return []
        with self._state.transaction() as transaction:
            return [abandoned for key in dead for abandoned in take_over(transaction, key, self._new_row_key())]

    def forget(self, abandoned: Sequence[Abandoned]) -> None:
        """Note that the records of what ``recover`` returned are written."""
        if not abandoned:
            return
        with self._state.transaction() as transaction:
            for row_key in {attempt.row_key for attempt in abandoned}:
                transaction.delete(row_key)

    def prune(self) -> int:
        """Remove subjects that nothing in this month counts against; return how many.

        Looks at one 256th of all subjects; call it every few seconds.
        """
        prefix = SUBJECT_PREFIX + bytes([next(self._parts)])
        with self._state.transaction() as transaction:
            now_ns = self._clock.now_ns()
            entries = list(transaction.scan(prefix))
            idle = [key for key, value in entries if is_idle(decode_subject(key, value), now_ns)]
            for key in idle:
                transaction.delete(key)
        return len(idle)

    def _end(self, ticket: Ticket, settled: Mapping[str, Settlement]) -> list[SoftPassed]:
        if ticket.is_ended:
            return []
        passed: list[SoftPassed] = []
        with self._state.transaction() as transaction:
            if transaction.delete(ticket.row_key):
                counted = CountedSubjects(transaction, ticket.subjects)
                for attempt in ticket.attempts:
                    counted.settle(attempt, settled.get(attempt.attempt_id))
                counted.end_call()
                passed = counted.store()
            else:
                _log.error("a call was taken for a dead worker's and settled by another while it ran here")
        ticket.is_ended = True
        ticket.soft_passed += passed
        return passed

    def _new_row_key(self) -> bytes:
        return self._prefix + next(self._numbers).to_bytes(8, "big")


def _encode(subjects: Sequence[tuple[bytes, Scope]], attempts: list[HeldAttempt]) -> bytes:
    return encode_row(HeldCall([scope.subject_id for _, scope in subjects], attempts))
