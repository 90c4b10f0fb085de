"""Files whose content was erased: what is read in their place, and that they do not come back."""

from zirkel.core import NotFound, Refused, sha256_hex
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata


class ReplacedBlobs:
    """Blobs in which some were erased. A release goes on naming such a file, and reads what was put in its place."""

    def __init__(self, blobs: Blobs, metadata: Metadata) -> None:
        self._blobs = blobs
        self._metadata = metadata

    def put(self, data: bytes) -> str:
        """Keep ``data`` and return its digest, 64 hex digits.

        Raises:
            Refused: If it is a file of which something was erased.
        """
        digest = sha256_hex(data)
        if digest in self._replaced():
            raise Refused(
                f"the file with SHA-256 {digest[:12]} holds items that were erased; take them out of it and push again"
            )
        return self._blobs.put(data)

    def get(self, digest: str) -> bytes:
        """Return the bytes with this digest, or those that stand in for them.

        Raises:
            NotFound: If there are none.
            Corrupt: If the bytes found are not the ones that were put.
        """
        try:
            return self._blobs.get(digest)
        except NotFound:
            replacement = self._replaced().get(digest)
            if replacement is None:
                raise
        return self._blobs.get(replacement)

    def _replaced(self) -> dict[str, str]:
        with self._metadata.transaction() as tx:
            return dict(tx.erasures.replaced_files())
