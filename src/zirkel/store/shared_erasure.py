"""Emptying a shared map for good: what was in it is in its file no more."""

from collections.abc import Iterable
from itertools import count, islice

import lmdb

from zirkel.store.shared import LmdbState

_FILLER = b"\xff"
_PAGE_HEAD_BYTES = 16
_AT_ONCE = 256


def empty_shared_state(state: LmdbState) -> int:
    """Remove every entry, and overwrite the pages that held them; return how many entries there were.

    Others may use the map meanwhile. A page that somebody is reading this moment is not overwritten: no reader keeps
    one for longer than it takes to copy a value.

    Raises:
        Overloaded: If the disk is full.
        Corrupt: If the map cannot be used.
    """
    environment = state.environment
    try:
        with environment.begin(write=True) as transaction:
            entries = int(transaction.stat()["entries"])
            # Not one by one: LMDB copies a page that it changes into memory, which later pages are made of.
            transaction.drop(environment.open_db(), delete=False)
        _overwrite_free_pages(environment)
    except lmdb.Error as error:
        raise state.explain(error) from error
    state.sync()
    return entries


def _overwrite_free_pages(environment: lmdb.Environment) -> None:
    """Fill the file's free pages with zeros: LMDB takes them before it makes the file longer."""
    numbers = count()
    try:
        # What a transaction frees is free for the next but one.
        for _ in range(2):
            _fill(environment, islice(numbers, 1))
        size = _AT_ONCE
        while size:
            last_page = environment.info()["last_pgno"]
            try:
                _fill(environment, islice(numbers, size))
            except lmdb.MapFullError:
                size //= 2
                continue
            if environment.info()["last_pgno"] - last_page >= size:
                return
    finally:
        _remove_filler(environment)


def _fill(environment: lmdb.Environment, numbers: Iterable[int]) -> None:
    """Take a page, or few more, for each number."""
    zeros = bytes(environment.stat()["psize"] - _PAGE_HEAD_BYTES)
    with environment.begin(write=True) as transaction:
        for number in numbers:
            transaction.put(_FILLER + number.to_bytes(8, "big"), zeros)


def _remove_filler(environment: lmdb.Environment) -> None:
    is_done = False
    while not is_done:
        with environment.begin(write=True) as transaction, transaction.cursor() as cursor:
            is_done = not cursor.set_range(_FILLER)
            for _ in range(0 if is_done else _AT_ONCE):
                if not cursor.delete():
                    is_done = True
                    break
