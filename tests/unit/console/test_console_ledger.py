"""Finding and paging the newest entries of the ledger."""

from collections.abc import Sequence

from zirkel.console.ledger import PAGE, read_page
from zirkel.core import LedgerEntry


class Chain:
    """A ledger of ``size`` entries that counts how often it is read."""

    def __init__(self, size: int) -> None:
        self.size = size

    def read(self, after: int, limit: int) -> Sequence[LedgerEntry]:
        numbers = range(after + 1, min(after + limit, self.size) + 1)
        return [LedgerEntry("default", number, 0, "ada", "push", "{}", "", "") for number in numbers]


def test_the_first_page_is_the_newest_and_newest_first() -> None:
    page = read_page(Chain(120).read, 120, None)
    assert [entry.sequence for entry in page.entries] == list(range(120, 120 - PAGE, -1))
    assert (page.newer_after, page.older_after) == (None, 120 - 2 * PAGE)


def test_an_empty_ledger_has_one_empty_page() -> None:
    page = read_page(Chain(0).read, 0, None)
    assert (page.entries, page.newer_after, page.older_after) == ((), None, None)


def test_paging_back_and_forth_sees_every_entry() -> None:
    chain = Chain(120)
    seen: set[int] = set()
    after: int | None = None
    for _ in range(3):
        page = read_page(chain.read, 120, after)
        seen |= {entry.sequence for entry in page.entries}
        after = page.older_after
    assert after is None
    assert seen == set(range(1, 121))
    assert read_page(chain.read, 0, 0).newer_after == PAGE


def test_a_page_before_the_beginning_is_the_oldest() -> None:
    assert read_page(Chain(3).read, 3, -5) == read_page(Chain(3).read, 3, 0)
