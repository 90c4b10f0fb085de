"""The pattern of the beginnings: exactly the beginnings, compared with all texts over a small alphabet."""

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.lib.pattern_prefix import prefix_pattern
from zirkel.lib.patterns import PatternFault, compile_beginnings, compile_pattern

ALPHABET = "ab"
LONGEST = 9
TEXTS = ["".join(letters) for length in range(LONGEST + 1) for letters in product(ALPHABET, repeat=length)]


def patterns() -> st.SearchStrategy[str]:
    """Patterns whose matches, if there are any, begin within ``LONGEST`` characters."""
    atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "(?:ab)", "(a|b)"])
    counted = st.builds(
        lambda atom, sign: atom + sign, atoms, st.sampled_from(["", "?", "*", "+", "{2}", "{0,2}", "*?"])
    )
    sequences = st.lists(counted, min_size=1, max_size=2).map("".join)
    return st.one_of(sequences, st.builds(lambda one, two: f"(?:{one}|{two})", sequences, counted))


@given(patterns())
def test_the_beginnings_of_a_pattern_are_exactly_those_of_its_matches(pattern: str) -> None:
    whole, prefix = re.compile(pattern), re.compile(prefix_pattern(pattern))
    matches = [text for text in TEXTS if whole.fullmatch(text)]
    expected = {text[:end] for text in matches for end in range(len(text) + 1)}
    short = [text for text in TEXTS if len(text) < 3]
    assert {text for text in short if prefix.fullmatch(text)} == {text for text in short if text in expected}


@pytest.mark.parametrize(
    ("pattern", "text", "held"),
    [
        (r"\bsk-[a-z]{3,}", "see sk-ab", "sk-ab"),
        (r"\bsk-[a-z]{3,}", "risk-ab", ""),
        (r"(?i)secret", "the SECr", "SECr"),
        (r"(?i:se)cret", "the SEcr", "SEcr"),
        (r"(?P<name>a\.b)+", "x a.b", "a.b"),
        (r"[]x]y", "a]", "]"),
        (r"[[:digit:]]{3}\pL", "no 12", "12"),
        (r"\x{e9}t\x41", "caf\u00e9", "\u00e9"),
        (r"a{,2}b", "a{,2", "a{,2"),
        (r"(?s:.)x|yz", "a", "a"),
        (r"foo$", "a foo", "foo"),
    ],
)
def test_text_at_the_end_that_may_be_the_beginning_of_a_match_is_found(pattern: str, text: str, held: str) -> None:
    data = text.encode()
    beginnings = compile_beginnings([compile_pattern(pattern)])
    assert data[beginnings.search(data, 0) :].decode() == held


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("(?=a)", "invalid perl operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("a(?i)b", "flags such as"),
        (r"\Qa\E", "not supported"),
        ("a{1001}", "invalid repetition size"),
        ("(" * 60 + "a" + ")" * 60, "nested more than 50 deep"),
        ("[", "missing"),
        ("\ud800", "surrogate"),
    ],
)
def test_what_cannot_be_searched_for_in_a_stream_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(PatternFault, match=re.escape(said)):
        compile_pattern(pattern)


def test_a_long_literal_is_no_deep_pattern() -> None:
    pattern = compile_pattern("x" * 1000)
    assert compile_beginnings([pattern]).search(b"y" + b"x" * 999, 0) == 1
