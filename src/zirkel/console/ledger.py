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


def read_page(read: ReadEntries, last_sequence: int, after: int | None) -> LedgerPage:
    """Return the entries behind sequence ``after``; the newest ones, up to ``last_sequence``, if it is None."""
    start = max(last_sequence - PAGE, 0) if after is None else max(after, 0)
    found = read(start, PAGE + 1)
    entries = tuple(reversed(found[:PAGE]))
    return LedgerPage(
        entries=entries,
        older_after=max(start - PAGE, 0) if start > 0 else None,
        newer_after=start + PAGE if len(found) > PAGE else None,
    )
