"""Masking texts and JSON by rules: nothing but what is found changes, whatever the text."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.lib.masking_rules import KINDS, RuleOf
from zirkel.lib.recognisers import Masker, RuleFault, compile_masker

ALL = compile_masker([RuleOf(kind) for kind in KINDS] + [RuleOf(names=("Anna Meier",))])
MAIL = "anna@example.ch"
VALUES = (MAIL, "079 123 45 67", "4111 1111 1111 1111", "CH93 0076 2011 6238 5295 7", "Anna Meier", "192.0.2.17")

plain = st.text(st.characters(codec="utf-8"), max_size=30)
texts = st.one_of(plain, st.builds(lambda a, v, b: f"{a} {v} {b}", plain, st.sampled_from(VALUES), plain))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(plain, inner, max_size=4),
        st.builds(lambda value: json.dumps(value), inner),
    ),
    max_leaves=12,
)


def strings(value: object) -> Iterator[str]:
    """Every string that is a value, also those of JSON inside of strings."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        yield value
        if value.lstrip()[:1] in ("{", "[", '"'):
            with suppress(ValueError):
                yield from strings(json.loads(value))


def shape(value: object) -> object:
    """What masking must not change: everything but strings."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return "" if isinstance(value, str) else value


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_json_stays_json_of_the_same_shape_without_what_is_masked(value: object, ascii_only: bool, indent: int) -> None:
    masked = ALL.mask_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent))
    found = json.loads(masked)
    assert shape(found) == shape(value)
    assert not [text for text in strings(found) for secret in VALUES if f" {secret} " in text]


@given(values)
def test_masking_twice_changes_nothing_more(value: object) -> None:
    once = ALL.mask_json(json.dumps(value))
    assert ALL.mask_json(once) == once


@given(texts)
@example("a\ud800" + MAIL)
@example(f"{MAIL}\x00{MAIL}")
def test_any_text_is_masked_and_what_is_around_stays(text: str) -> None:
    masked = ALL.mask_text(text)
    pattern = re.escape(masked)
    for name in (*KINDS, "name"):
        pattern = pattern.replace(re.escape(f"[{name}]"), r"(?:.+?)")
    assert re.fullmatch(pattern, text, re.DOTALL)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f'{{"{MAIL}": "{MAIL}", "n": 4111111111111111}}', f'{{"{MAIL}": "[email]", "n": 4111111111111111}}'),
        (f'"Tel\\n079 123 45 67 {MAIL}"', '"Tel\\n[phone] [email]"'),
        ('["anna\\u0040example.ch", 1.50, 1e400]', '["[email]", 1.50, 1e400]'),
        ('{"a" : [ "\\ud83d\\ude00" , "x@y.ch" ] }', '{"a" : [ "\\ud83d\\ude00" , "[email]" ] }'),
        (
            json.dumps({"arguments": json.dumps({"to": f"a\n{MAIL}"})}),
            '{"arguments": "{\\"to\\": \\"a\\\\n[email]\\"}"}',
        ),
        (f'[{{"content": "Tel\\n079 123 45 67, \\"{MAIL}', '[{"content": "Tel\\n[phone], \\"[email]'),
        (f"{MAIL} is no JSON", "[email] is no JSON"),
        ("4111111111111111", "4111111111111111"),
        ("", ""),
    ],
)
def test_strings_are_masked_where_they_stand_and_bytes_beside_them_stay(text: str, masked: str) -> None:
    assert ALL.mask_json(text) == masked


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "[" * 5_000 + f'"{MAIL}"' + "]" * 5_000, '"' * 10_001, "\\" * 10_001, "a@" * 50_000, "1." * 20_000],
)
def test_hostile_texts_are_masked_like_any_other(text: str) -> None:
    assert MAIL not in ALL.mask_json(text)
    assert ALL.mask_text(text).count("[") >= text.count("[")


def test_overlapping_finds_become_one_placeholder() -> None:
    masker = compile_masker([RuleOf(pattern="abc"), RuleOf(pattern="bcd+", placeholder="[d]")])
    assert masker.mask_text("xabcddy bcd") == "x[masked]y [d]"


def test_own_patterns_see_each_string_by_itself() -> None:
    masker = compile_masker([RuleOf(pattern=r"^order-[0-9]+$", placeholder="[order]")])
    assert masker.mask_json('["order-17", "my order-17"]') == '["[order]", "my order-17"]'


def at(masker: Masker, field: str, service: str = "", environment: str = "") -> str:
    rules = masker.at(field, service, environment)
    return rules.mask_text(MAIL) if rules else MAIL


def test_a_rule_holds_where_it_says() -> None:
    masker = compile_masker([RuleOf("email", fields=["input"], services=["a"], environments=["production"])])
    assert at(masker, "input", "a", "production") == "[email]"
    for place in (("output", "a", "production"), ("input", "b", "production"), ("input", "a", "staging")):
        assert at(masker, *place) == MAIL
    # It may be the service that the rule names.
    assert at(masker, "input") == "[email]"


def test_rules_for_other_places_do_not_keep_each_other_off() -> None:
    masker = compile_masker([RuleOf("email", fields=["input"]), RuleOf(pattern="anna", fields=["output"])])
    assert (at(masker, "input"), at(masker, "output"), at(masker, "name")) == ("[email]", "[masked]@example.ch", MAIL)
    assert masker.mask_text(f"{MAIL} anna") == "[email] [masked]"


def test_values_by_name_come_back_as_they_are_if_nothing_is_found() -> None:
    rules = ALL.at("attributes")
    assert rules is not None
    clean = {"a": '"x"', "b": "[1,2]", "c": '"x\\ny"'}
    assert rules.mask_values(clean) is clean
    assert rules.mask_values(clean | {"d": f'"{MAIL}"'}) == clean | {"d": '"[email]"'}


@pytest.mark.parametrize(
    ("rule", "field"),
    [(RuleOf(pattern="("), "pattern"), (RuleOf(pattern="x*"), "pattern"), (RuleOf("passport"), "recogniser")],
)
def test_a_rule_that_cannot_be_used_is_named(rule: RuleOf, field: str) -> None:
    with pytest.raises(RuleFault) as fault:
        compile_masker([RuleOf("email"), rule])
    assert (fault.value.index, fault.value.field) == (1, field)


def test_thousands_of_names_are_one_rule() -> None:
    names = [f"Vorname{number} Nachname{number}" for number in range(5000)]
    masker = compile_masker([RuleOf(names=names)])
    assert masker.mask_text("x VORNAME4711  nachname4711, Vorname4711 Nachname4712") == (
        "x [name], Vorname4711 Nachname4712"
    )
