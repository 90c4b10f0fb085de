"""Which texts are nearly the same, and which stand in another one."""

import random
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.version.dataset_vectors import WordVectors
from zirkel.version.dataset_words import (
    MOST_INDEXED,
    contained_shares,
    group_pairs,
    input_text,
    near_pairs,
    split_words,
    text_sets,
)

PHRASES = st.lists(st.lists(st.sampled_from("abcdef"), max_size=7).map(" ".join), max_size=12)


def features(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {(word,) for word in words} | set(pairwise(words))


def slow_jaccard(first: str, second: str) -> float:
    one, other = features(first), features(second)
    return len(one & other) / len(one | other) if one | other else 0.0


@given(PHRASES, st.sampled_from([0.3, 0.5, 0.7, 0.8, 1.0]))
def test_near_pairs_are_those_that_comparing_all_with_all_finds(texts: list[str], threshold: float) -> None:
    found = {(pair.first, pair.second): pair.similarity for pair in near_pairs(text_sets(texts).sets, threshold)}
    pairs = [(i, j) for j in range(len(texts)) for i in range(j)]
    expected = {(i, j): s for i, j in pairs if (s := slow_jaccard(texts[i], texts[j])) >= threshold - 1e-9}
    assert found == pytest.approx(expected)


def test_a_thousand_copies_are_one_group_without_a_million_pairs() -> None:
    noise = random.Random(1)
    texts = [f"please tell me the state of my order number {noise.randrange(9)}" for _ in range(1000)]
    pairs = list(near_pairs(text_sets(texts).sets, 0.7))
    assert len(pairs) <= 1000 * (MOST_INDEXED + 1)
    assert group_pairs(pairs, 1000) == [list(range(1000))]


def test_groups_join_what_pairs_join() -> None:
    pairs = [pair for pair in near_pairs(text_sets(["a b c d", "x y", "a b c d e", "x y", "q"]).sets, 0.7)]
    assert group_pairs(pairs, 5) == [[0, 2], [1, 3]]


@given(PHRASES)
def test_the_share_that_stands_in_a_text_is_that_of_its_features(texts: list[str]) -> None:
    places = ["a b c d e f", "", "f e"]
    found = text_sets([*texts, *places])
    shares = list(contained_shares(found, len(texts), [len(texts) + number for number in range(3)]))
    for place, share in zip(places, shares, strict=True):
        whole = features(place)
        slow = [len(features(text) & whole) / len(features(text)) if features(text) else 0.0 for text in texts]
        assert share.tolist() == pytest.approx(slow)


def test_words_are_told_apart_in_scripts_with_and_without_spaces() -> None:
    assert split_words("Straße, STRASSE! 3.5") == ["strasse", "strasse", "3", "5"]
    assert split_words("東京abc한") == ["東", "京", "abc", "한"]
    assert text_sets(["", "?!"]).features == 0


def test_the_text_of_an_input_is_all_of_its_texts_by_name() -> None:
    assert input_text({"b": "x", "a": [1, {"z": "y", "c": None}], "d": True}) == "1\ny\nx\nTrue"


@given(PHRASES)
def test_vectors_have_length_1_unless_there_is_no_word(texts: list[str]) -> None:
    if not texts:
        return
    rows = WordVectors().vectors(texts).toarray()
    lengths = np.sqrt((rows**2).sum(axis=1))
    assert lengths.tolist() == pytest.approx([1.0 if text.split() else 0.0 for text in texts])


def test_rare_words_in_common_make_texts_alike_and_frequent_ones_do_not() -> None:
    texts = ["the refund of the order", "the refund for an order", "the colour of the sea", *["the of"] * 20]
    rows = WordVectors().vectors(texts).toarray()
    assert rows[0] @ rows[1] > 0.4 > rows[0] @ rows[2]
