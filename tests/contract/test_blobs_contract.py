"""What a blob store promises, on each file system that is used."""

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from zirkel.core import Corrupt, Invalid, NotFound
from zirkel.store.blobs import Blobs


@pytest.fixture(params=["file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "file":
        yield f"file://{tmp_path}/blobs"
        return
    name = f"memory://{secrets.token_hex(8)}"
    yield name
    filesystem, root = fsspec.core.url_to_fs(name)
    if filesystem.exists(root):
        filesystem.rm(root, recursive=True)


def overwrite(url: str, digest: str, data: bytes) -> None:
    filesystem, root = fsspec.core.url_to_fs(url)
    filesystem.pipe_file(f"{root}/{digest[:2]}/{digest[2:]}", data)


@pytest.mark.parametrize("data", [b"", b"text", bytes(range(256)) * 5000])
def test_what_was_put_is_found_under_its_sha256(url: str, data: bytes) -> None:
    digest = Blobs.open(url).put(data)
    assert digest == hashlib.sha256(data).hexdigest()
    assert Blobs.open(url).get(digest) == data
    assert Blobs.open(url).has(digest)


def test_putting_twice_changes_nothing(url: str) -> None:
    blobs = Blobs.open(url)
    assert blobs.put(b"same") == blobs.put(b"same")
    assert blobs.get(blobs.put(b"same")) == b"same"


def test_a_digest_nobody_put_is_not_found(url: str) -> None:
    blobs = Blobs.open(url)
    assert not blobs.has("a" * 64)
    with pytest.raises(NotFound, match="aaaa"):
        blobs.get("a" * 64)


def test_bytes_changed_underneath_are_never_returned(url: str) -> None:
    blobs = Blobs.open(url)
    digest = blobs.put(b"the truth")
    overwrite(url, digest, b"a lie")
    with pytest.raises(Corrupt, match="backup"):
        blobs.get(digest)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n"])
def test_only_a_digest_names_a_blob(url: str, name: str) -> None:
    blobs = Blobs.open(url)
    for ask in (blobs.get, blobs.has):
        with pytest.raises(Invalid):
            ask(name)


def test_files_lie_in_folders_of_two_digits_and_nothing_else_is_left(tmp_path: Path) -> None:
    digest = Blobs.open(f"file://{tmp_path}/blobs").put(b"data")
    files = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    assert files == [tmp_path / "blobs" / digest[:2] / digest[2:]]


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(Invalid, match="nosuchkind"):
        Blobs.open("nosuchkind://x")
