"""Pages of the ledger. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zirkel.core import LedgerEntry

PAGE = 50
"""Entries on a page."""

ReadEntries = Callable[[int, int], Sequence[LedgerEntry]]
"""Gives at most so many (second) entries behind a sequence (first), in order."""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A stretch of the ledger, newest first."""

    entries: tuple[LedgerEntry, ...]
    older_after: int | None
    """Where the page of older entries begins; None on the oldest page."""
    newer_after: int | None


def read_page(read: ReadEntries, after: int | None) -> LedgerPage:
    """Return the entries behind sequence ``after``; the newest ones if it is None."""
    start = max(last_sequence(read) - PAGE, 0) if after is None else max(after, 0)
    found = read(start, PAGE + 1)
    entries = tuple(reversed(found[:PAGE]))
    return LedgerPage(
        entries=entries,
        older_after=max(start - PAGE, 0) if start > 0 else None,
        newer_after=start + PAGE if len(found) > PAGE else None,
    )


def last_sequence(read: ReadEntries) -> int:
    """Return the newest entry's sequence, 0 if there is none.

    Sequences count from 1 without gaps, so looking twice as far each time and then halving finds the end in about
    2 log2(n) short reads.
    """
    beyond = 1
    while read(beyond - 1, 1):
        beyond *= 2
    known = beyond // 2
    while beyond - known > 1:
        middle = (known + beyond) // 2
        if read(middle - 1, 1):
            known = middle
        else:
            beyond = middle
    return known
