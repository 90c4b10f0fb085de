"""Texts as vectors, by the words that they have in common. Pure."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from zirkel.version.dataset_words import split_words


class TextVectors(Protocol):
    """Turns texts into vectors that can be compared: by words here, by an embedding model elsewhere."""

    @property
    def name(self) -> str:
        """What compares, for people."""
        ...

    @property
    def threshold(self) -> float:
        """Cosine below which two texts are about different things, where nothing better is known."""
        ...

    def vectors(self, texts: Sequence[str]) -> csr_array:
        """Return a row for each text, of length 1 or, if nothing is known of it, 0."""
        ...


class WordVectors:
    """Words weighted by how rare they are among the texts.

    Source: Salton, Buckley (1988), Information Processing & Management 24(5), with ``1 + ln tf``, and the inverse
        document frequency ``1 + ln((1 + n) / (1 + df))``.
    """

    name = "words (TF-IDF)"
    threshold = 0.1

    def vectors(self, texts: Sequence[str]) -> csr_array:
        """Return a row for each text."""
        numbers: dict[str, int] = {}
        rows, columns = [], []
        for row, text in enumerate(texts):
            words = [numbers.setdefault(word, len(numbers)) for word in split_words(text)]
            columns += words
            rows += [row] * len(words)
        shape = (len(texts), max(1, len(numbers)))
        counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
        counts.sum_duplicates()
        frequency = np.bincount(counts.indices, minlength=shape[1])
        weights = 1 + np.log((1 + shape[0]) / (1 + frequency))
        counts.data = (1 + np.log(counts.data)) * weights[counts.indices]
        lengths = np.sqrt(counts.multiply(counts).sum(axis=1))
        counts.data /= np.repeat(np.where(lengths > 0, lengths, 1), np.diff(counts.indptr))
        return counts


class Embedder(Protocol):
    """An embedding model."""

    @property
    def name(self) -> str: ...
    def embed_whole(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one row for each text, of length 1."""
        ...


class EmbeddedVectors:
    """Texts as an embedding model sees them: what means the same is near, whatever its words."""

    threshold = 0.3

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.name = embedder.name

    def vectors(self, texts: Sequence[str]) -> csr_array:
        """Return a row for each text."""
        return csr_array(self._embedder.embed_whole(texts).astype(np.float64))
