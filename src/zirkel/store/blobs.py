"""Blobs: immutable bytes under the name of their SHA-256, on any file system that fsspec knows."""

import re
from pathlib import Path

import fsspec

from zirkel.core import Corrupt, Invalid, NotFound, sha256_hex
from zirkel.store.durable import sync_folder, write_file

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A content-addressed store: ``ab/cdef…`` below one folder. Thread safe; open it with ``Blobs.open``."""

    def __init__(self, filesystem: fsspec.AbstractFileSystem, root: str, *, is_local: bool) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._is_local = is_local

    @classmethod
    def open(cls, url: str) -> "Blobs":
        """Return the store at ``url``, e.g. ``file:///var/lib/zirkel/blobs``, ``memory://blobs`` or ``s3://bucket/blobs``.

        Raises:
            Invalid: If the URL's kind is not known here.
        """
        try:
            filesystem, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise Invalid(f"cannot keep blobs at {url!r}: {error}") from error
        return cls(filesystem, root, is_local="file" in filesystem.protocol)

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its digest, 64 hex digits; it is on disk then. Doing so twice changes nothing."""
        digest = sha256_hex(data)
        if self.has(digest):
            return digest
        path = self._path(digest)
        if self._is_local:
            file = Path(path)
            file.parent.mkdir(parents=True, exist_ok=True)
            write_file(file, data)
            sync_folder(file.parent.parent)
        else:
            # Object stores make an object visible whole or not at all.
            self._filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self._filesystem.pipe_file(path, data)
        return digest

    def get(self, digest: str) -> bytes:
        """Return the bytes with this digest.

        Raises:
            NotFound: If there are none.
            Corrupt: If the bytes found are not the ones that were put.
            Invalid: If ``digest`` is not 64 lower-case hex digits.
        """
        path = self._path(digest)
        try:
            data = self._filesystem.cat_file(path)
        except FileNotFoundError:
            raise NotFound(f"no blob with digest {digest}") from None
        if sha256_hex(data) != digest:
            raise Corrupt(f"the blob {path} has the digest {sha256_hex(data)}; restore it from a backup")
        return bytes(data)

    def has(self, digest: str) -> bool:
        """Return whether ``get`` would find bytes under this digest (not whether they are sound).

        Raises:
            Invalid: If ``digest`` is not 64 lower-case hex digits.
        """
        return bool(self._filesystem.exists(self._path(digest)))

    def delete(self, digest: str) -> bool:
        """Remove the bytes with this digest; return whether there were any. A blob is never removed but to be erased.

        Raises:
            Invalid: If ``digest`` is not 64 lower-case hex digits.
        """
        path = self._path(digest)
        try:
            self._filesystem.rm_file(path)
        except FileNotFoundError:
            return False
        if self._is_local:
            sync_folder(Path(path).parent)
        return True

    def _path(self, digest: str) -> str:
        if not _DIGEST.fullmatch(digest):
            raise Invalid(f"{digest!r} is not a digest: 64 lower-case hex digits")
        return f"{self._root}/{digest[:2]}/{digest[2:]}"
