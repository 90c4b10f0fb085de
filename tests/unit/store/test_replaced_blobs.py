"""Files whose content was erased are read from what stands in for them, and do not come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from zirkel.core import ManualClock, NotFound, Refused, sha256_hex
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.replaced_blobs import ReplacedBlobs


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[Metadata]:
    opened = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", ManualClock())
    yield opened
    opened.close()


def test_a_replaced_file_reads_as_its_replacement_and_is_refused_when_it_is_put_again(
    tmp_path: Path, metadata: Metadata
) -> None:
    blobs = Blobs.open(f"file://{tmp_path}/blobs")
    replaced = ReplacedBlobs(blobs, metadata)
    first = replaced.put(b"with them")
    assert replaced.get(first) == b"with them"
    with metadata.transaction() as tx:
        tx.erasures.replace_file("p", first, blobs.put(b"without"), 1)
    assert blobs.delete(first)

    assert replaced.get(first) == b"without"
    with pytest.raises(Refused, match=first[:12]):
        replaced.put(b"with them")
    assert replaced.put(b"other") == sha256_hex(b"other")
    with pytest.raises(NotFound):
        replaced.get("0" * 64)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_deleted_blob_is_gone_and_deleting_it_again_does_nothing(tmp_path: Path, scheme: str) -> None:
    blobs = Blobs.open(f"{scheme}://{tmp_path}/blobs")
    digest = blobs.put(b"whisper-4711")
    assert blobs.delete(digest)
    assert not blobs.delete(digest)
    assert not blobs.has(digest)
    assert blobs.put(b"whisper-4711") == digest
    assert blobs.get(digest) == b"whisper-4711"
