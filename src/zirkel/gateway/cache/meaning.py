"""The way to the semantic cache for a gateway that may lack its packages."""

from typing import TYPE_CHECKING

from zirkel.core import Unsupported
from zirkel.gateway.cache.bounded import BoundedMap

if TYPE_CHECKING:
    from zirkel.gateway.cache.semantic import SemanticIndex


def open_semantic_index(entries: BoundedMap) -> "SemanticIndex":
    """Return an index over all-MiniLM-L6-v2, which is loaded now: 0.3 s and about 160 MiB.

    Raises:
        Unsupported: If the packages of the extra ``semantic`` are missing.
    """
    try:
        from zirkel.gateway.cache.semantic import SemanticIndex  # noqa: PLC0415 (optional and heavy packages)
        from zirkel.lib.minilm import MiniLmEmbedder, ModelMissing  # noqa: PLC0415 (as above)
    except ModuleNotFoundError as error:
        raise Unsupported(f"the semantic cache needs the package {error.name}; install zirkel[semantic]") from None
    try:
        return SemanticIndex(entries, MiniLmEmbedder())
    except ModelMissing as error:
        raise Unsupported(f"the semantic cache: {error}; install zirkel[semantic]") from None
