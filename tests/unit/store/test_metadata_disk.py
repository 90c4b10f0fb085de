"""The metadata database on a disk that takes nothing more."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zirkel.core import ManualClock, Overloaded
from zirkel.store.metadata import Metadata


@contextmanager
def no_file_grows_beyond(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_change_refuses_it_as_a_whole_until_it_does_again(tmp_path: Path) -> None:
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", ManualClock())
    with (
        no_file_grows_beyond(4096),
        pytest.raises(Overloaded, match="nothing was changed"),
        metadata.transaction() as tx,
    ):
        tx.ledger.append("default", "system", "test.made", {"text": "x" * 100_000})
    with metadata.transaction() as tx:
        assert tx.ledger.entries("default") == []
        tx.ledger.append("default", "system", "test.made", {})
    with metadata.transaction() as tx:
        assert len(tx.ledger.entries("default")) == 1
    metadata.close()
