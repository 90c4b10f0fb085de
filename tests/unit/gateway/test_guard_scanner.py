"""Searching text that arrives piece by piece: the same result however it is cut, and little is held back."""

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zirkel.core.guardrails import PiiEntity
from zirkel.gateway.guardrails.personal_data import personal_data_matchers
from zirkel.gateway.guardrails.scanner import MAX_HELD_BYTES, Matcher, MatcherSet, Scanner, compile_matchers
from zirkel.gateway.guardrails.secret_forms import secret_matchers
from zirkel.gateway.guardrails.wording import pattern_matchers, word_matchers
from zirkel.lib.patterns import compile_pattern

ENTITIES: list[PiiEntity] = [
    "email", "phone", "iban", "credit_card", "ipv4", "ipv6", "us_ssn", "de_tax_id", "de_social_security",
]  # fmt: skip
PERSONAL = [
    "ann@example.org", "jürgen.o+x@mail.exämple.de", "+49 (0)170 1234567", "0049 170 1234567",
    "DE89 3704 0044 0532 0130 00", "4111 1111 1111 1111", "10.1.2.3", "2001:db8::8a2e:370:7334", "078-05-1120",
    "86095742719", "15 070649 C 103",
]  # fmt: skip
PRIVATE_KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIabc/+\n-----END RSA PRIVATE KEY-----"
SECRETS = [
    "sk-" + "a1B2" * 8, "AKIA" + "ABCD" * 4, "ghp_" + "a1" * 18, "eyJhbGciOiJI.eyJzdWIiOiIx.abc_-1",
    'api_key = "' + "x9Y8z7W6" * 3 + '"', PRIVATE_KEY,
]  # fmt: skip
JOINTS = [
    "",
    " ",
    "  ",
    ".",
    ", ",
    "\n",
    "@",
    ":",
    "-",
    "é",
    "漢",
    "1",
    "49",
    "DE",
    "sk-",
    "-----BEGIN ",
    "[",
    "]",
    "x",
]
SETS: dict[str, MatcherSet] = {
    "personal data": compile_matchers(personal_data_matchers(ENTITIES)),
    "secrets": compile_matchers(secret_matchers()),
    "words": compile_matchers(word_matchers(["x", "größe", "ann example", "é"])),
    "patterns": compile_matchers(pattern_matchers(["(?i)ab+c", "a.{0,3}x", r"\bdé\b", "x$", "c(?:d|d e f)"])),
}
texts = st.lists(
    st.one_of(st.sampled_from(PERSONAL + SECRETS), st.sampled_from(JOINTS), st.text("ab cdéfx AB größe\n", max_size=6)),
    max_size=12,
).map("".join)


def scan(matchers: MatcherSet, pieces: list[str], max_held_bytes: int = MAX_HELD_BYTES) -> tuple[str, list[str]]:
    found: list[str] = []

    def replace(label: str, text: str) -> str:
        found.append(f"{label}={text}")
        return f"<{label}>"

    scanner = Scanner(matchers, replace, max_held_bytes=max_held_bytes)
    released = []
    for piece in pieces:
        released.append(scanner.feed(piece))
        assert scanner.held_bytes <= max_held_bytes
    return "".join([*released, scanner.finish()]), found


def cut(text: str, data: st.DataObject) -> list[str]:
    ends = data.draw(st.lists(st.integers(0, len(text)), max_size=len(text)).map(sorted))
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@pytest.mark.parametrize("name", SETS)
@given(text=texts, max_held_bytes=st.sampled_from([4, 9, 30, MAX_HELD_BYTES]), data=st.data())
def test_however_a_text_is_cut_the_same_is_found_and_released(
    name: str, text: str, max_held_bytes: int, data: st.DataObject
) -> None:
    whole = scan(SETS[name], [text], max_held_bytes)
    assert scan(SETS[name], cut(text, data), max_held_bytes) == whole
    assert scan(SETS[name], list(text), max_held_bytes) == whole


@given(
    text=st.text("abcdx e\né", max_size=60), pattern=st.sampled_from(["ab+c", "a.{0,3}x", "c(d|d e)", "(?m)^b", "é.?"])
)
def test_one_pattern_replaces_what_the_standard_library_would(text: str, pattern: str) -> None:
    matchers = compile_matchers([Matcher("m", compile_pattern(pattern))])
    assert scan(matchers, list(text))[0] == re.sub(pattern, "<m>", text)


@given(before=texts, after=texts, value=st.sampled_from(PERSONAL))
def test_no_value_of_personal_data_that_stands_by_itself_leaves(before: str, after: str, value: str) -> None:
    assume(value not in before + after)
    released, _ = scan(SETS["personal data"], list(f"{before}\n{value}\n{after}"))
    assert value not in released


@given(before=texts, after=texts, value=st.sampled_from(SECRETS))
def test_no_secret_that_stands_by_itself_leaves(before: str, after: str, value: str) -> None:
    assume(value not in before + after)
    released, _ = scan(SETS["secrets"], list(f"{before}\n{value}\n{after}"))
    assert value not in released


@given(text=texts)
def test_searching_what_was_released_for_words_finds_none(text: str) -> None:
    released, found = scan(SETS["words"], [text])
    assert len(re.findall("<words>", released)) == len(found)
    assert scan(SETS["words"], [released.replace("<words>", "|")])[1] == []


@given(text=st.text("ab", max_size=40))
def test_what_is_held_back_is_no_longer_than_matches_that_overlap(text: str) -> None:
    scanner = Scanner(compile_matchers(pattern_matchers(["ab{2,4}a", "bab"])), lambda label, _: label)
    for character in text:
        scanner.feed(character)
        # Two that overlap, and a third that may begin within them.
        assert scanner.held_bytes <= len("abbbba") + len("bab") - 1 + len("abbbb")


def test_ordinary_text_is_held_back_by_a_word_at_most() -> None:
    scanner = Scanner(compile_matchers(personal_data_matchers(["email", "phone", "iban"])), lambda label, _: label)
    assert scanner.feed("Dear customer, we have sent your par") == "Dear customer, we have sent your "
    assert scanner.feed("cel today.\n") == "parcel today.\n"


def test_matches_that_overlap_are_replaced_as_one_so_that_no_part_is_left() -> None:
    released, found = scan(SETS["personal data"], ["Call +49 170 123456 4111 1111 1111 1111 now"])
    assert released == "Call <phone> now"
    assert found == ["phone=+49 170 123456 4111 1111 1111 1111"]


def test_what_may_still_match_after_the_longest_wait_counts_as_a_match() -> None:
    begun = "-----BEGIN PRIVATE KEY-----" + "A" * (2 * MAX_HELD_BYTES)
    released, found = scan(SETS["secrets"], list(begun))
    assert released.startswith("<overlong>")
    assert found[0] == f"overlong={begun[:MAX_HELD_BYTES]}"


def test_a_private_key_without_its_end_is_found() -> None:
    assert scan(SETS["secrets"], ["my key: -----BEGIN PRIVATE KEY-----\nMIIabc"])[0] == "my key: <private_key>"


def test_halves_of_surrogate_pairs_pass_unchanged() -> None:
    text = "a\ud800 ann@example.org \udfff"
    assert scan(SETS["personal data"], list(text))[0] == "a\ud800 <email> \udfff"
