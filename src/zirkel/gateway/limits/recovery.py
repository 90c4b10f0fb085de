"""What happens to the calls of a worker that died."""

from zirkel.gateway.limits.claims import Abandoned, HeldAttempt, from_pico_usd
from zirkel.gateway.limits.counters import end_call, settle
from zirkel.gateway.limits.rows import CALL_PREFIX, HeldCall, decode_call, decode_subject, encode_row, subject_key
from zirkel.gateway.ports import SharedTransaction


def find_calls(transaction: SharedTransaction) -> list[bytes]:
    """Return the keys of all calls that have not ended, of whichever worker."""
    return [key for key, _ in transaction.scan(CALL_PREFIX)]


def take_over(transaction: SharedTransaction, key: bytes, new_key: bytes) -> list[Abandoned]:
    """Settle a dead worker's call, keep it under ``new_key`` for the records, and return its attempts.

    Returns nothing if somebody else has done so. A call that was settled already, by a recovery that died in turn, is
    handed on without counting again.

    Raises:
        Corrupt: If the entry is damaged.
    """
    value = transaction.get(key)
    if value is None:
        return []
    call = decode_call(key, value)
    for subject_id in call.subjects:
        _settle_for(transaction, subject_id, call.attempts)
    transaction.delete(key)
    transaction.put(new_key, encode_row(HeldCall([], call.attempts)))
    return [
        Abandoned(
            row_key=new_key,
            attempt_id=attempt.attempt_id,
            note=attempt.note,
            reserved_ns=attempt.reserved_ns,
            tokens=attempt.tokens,
            usd=None if attempt.pico_usd is None else from_pico_usd(attempt.pico_usd),
            is_settled=not attempt.is_open,
        )
        for attempt in call.attempts
    ]


def _settle_for(transaction: SharedTransaction, subject_id: str, attempts: list[HeldAttempt]) -> None:
    key = subject_key(subject_id)
    value = transaction.get(key)
    if value is None:
        return
    counters = decode_subject(key, value)
    for attempt in attempts:
        if attempt.is_open:
            settle(counters, attempt, attempt)
    end_call(counters)
    transaction.put(key, encode_row(counters))
