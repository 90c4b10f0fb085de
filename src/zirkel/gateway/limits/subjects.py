"""The subjects that one call counts against, inside one transaction."""

from collections.abc import Sequence

from zirkel.gateway.limits.checks import Need, Refusal, find_refusals, find_soft_passed
from zirkel.gateway.limits.claims import Claim, HeldAttempt, Scope, Settlement, SoftPassed, to_pico_usd
from zirkel.gateway.limits.counters import advance, begin_call, end_call, reserve, settle, steady_now
from zirkel.gateway.limits.rows import decode_subject, encode_row
from zirkel.gateway.ports import SharedTransaction


class CountedSubjects:
    """Counters that were read, are changed in memory, and written by ``store``."""

    __slots__ = ("_counters", "_now_ns", "_subjects", "_transaction")

    def __init__(self, transaction: SharedTransaction, subjects: Sequence[tuple[bytes, Scope]]) -> None:
        """Read the counters of ``subjects``, given by their keys.

        Raises:
            Corrupt: If an entry is damaged.
        """
        self._transaction = transaction
        self._subjects = subjects
        self._counters = [decode_subject(key, transaction.get(key)) for key, _ in subjects]
        self._now_ns = 0

    def advance(self, now_ns: int) -> None:
        """Bring the counters to the present. All get the same time, which is then the reservation's."""
        self._now_ns = steady_now(now_ns, self._counters)
        for counters in self._counters:
            advance(counters, self._now_ns)

    def reserve(self, attempt_id: str, claim: Claim, *, is_new_call: bool) -> HeldAttempt:
        """Reserve for an attempt at the time of ``advance``, and count its call if it is the first.

        Raises:
            LimitReached, BudgetExhausted: If a limit refuses; of several, the one that lasts longest.
            Invalid: If a budget is not a decimal.
        """
        pico_usd = None if claim.usd is None else to_pico_usd(claim.usd)
        need = Need(claim.tokens, pico_usd, claim.model, is_new_call)
        refusals: list[Refusal] = []
        for (_, scope), counters in zip(self._subjects, self._counters, strict=True):
            refusals += find_refusals(scope, counters, need, self._now_ns)
        if refusals:
            raise max(refusals, key=lambda refusal: refusal.wait_s).error
        for counters in self._counters:
            reserve(counters, need.tokens, pico_usd or 0)
            if is_new_call:
                begin_call(counters)
        return HeldAttempt(attempt_id, self._now_ns, need.tokens, pico_usd, claim.note)

    def settle(self, attempt: HeldAttempt, settlement: Settlement | None) -> HeldAttempt:
        """Settle an attempt if it is open, and return it as it is then. ``None`` spends what it reserved."""
        if not attempt.is_open:
            return attempt
        tokens, pico_usd = attempt.tokens, attempt.pico_usd
        if settlement is not None:
            tokens, usd = max(0, settlement.tokens), settlement.usd
            if usd is not None and usd.is_finite() and usd >= 0:
                pico_usd = to_pico_usd(usd)
        used = HeldAttempt(attempt.attempt_id, attempt.reserved_ns, tokens, pico_usd, attempt.note, is_open=False)
        for counters in self._counters:
            settle(counters, attempt, used)
        return used

    def end_call(self) -> None:
        """Free the call's place."""
        for counters in self._counters:
            end_call(counters)

    def store(self) -> list[SoftPassed]:
        """Write the counters; return the soft levels that were passed for the first time in their window."""
        passed: list[SoftPassed] = []
        for (key, scope), counters in zip(self._subjects, self._counters, strict=True):
            if scope.limits.budget:
                passed += find_soft_passed(scope, counters)
            self._transaction.put(key, encode_row(counters))
        return passed
