"""Vectors of meanings for evaluators, by the local model of the extra ``semantic``."""

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zirkel.core import Unsupported

if TYPE_CHECKING:
    from zirkel.lib.minilm import MiniLmEmbedder

_KEPT_TEXTS = 4096


class LocalEmbedder:
    """all-MiniLM-L6-v2, loaded when it is first asked; it takes about 160 MiB then. May be used by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: MiniLmEmbedder | None = None
        # An expected output is compared with in every trial and of every release.
        self._vector = lru_cache(_KEPT_TEXTS)(self._embed)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text, shape ``(texts, 384)``; long texts are read to their end.

        Raises:
            Unsupported: If the packages of the extra ``semantic`` are missing.
        """
        if not texts:
            return np.zeros((0, 384), np.float32)
        return np.stack([self._vector(text) for text in texts])

    def _embed(self, text: str) -> NDArray[np.float32]:
        with self._lock:
            if self._model is None:
                self._model = _load()
            vector: NDArray[np.float32] = self._model.embed_whole([text])[0]
        return vector


def _load() -> "MiniLmEmbedder":
    try:
        from zirkel.lib.minilm import MiniLmEmbedder, ModelMissing  # noqa: PLC0415 (optional and heavy packages)
    except ModuleNotFoundError as error:
        raise Unsupported(f"the package {error.name} is missing; install zirkel[semantic]") from None
    try:
        return MiniLmEmbedder()
    except ModelMissing as error:
        raise Unsupported(f"{error}; install zirkel[semantic]") from None
