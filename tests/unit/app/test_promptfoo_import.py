"""promptfoo's configuration as a service: what comes out can be pushed, and nothing is lost silently."""

import json
from pathlib import Path

import msgspec
import pytest

from zirkel.app.promptfoo_asserts import OWN_CODE
from zirkel.app.promptfoo_import import ImportedService, translate_promptfoo
from zirkel.core import Invalid
from zirkel.evaluate import check_evaluator
from zirkel.version.files import ServiceFiles, parse_service

CONFIG = """\
description: Sorts reviews
providers:
  - id: openai:chat:gpt-4o
    config: {temperature: 0.2, max_tokens: 100, apiKey: secret}
  - anthropic:messages:claude
prompts:
  - "Sort this: {{review}}"
  - file://old.txt
defaultTest:
  assert:
    - {type: is-json}
    - {type: latency, threshold: 3000}
tests:
  - vars: {review: good}
    assert:
      - {type: equals, value: positive}
      - {type: icontains, value: POS}
  - description: the bad one
    vars: {review: [bad, worse]}
    assert:
      - {type: not-contains, value: positive}
      - {type: javascript, value: output.length > 3}
    threshold: 0.5
env: {A: b}
"""


def read(name: str) -> str:
    if name == "old.txt":
        return "Old: {{ review }}"
    raise FileNotFoundError(2, "No such file or directory", name)


def translate(text: str, judge: str = "") -> ImportedService:
    return translate_promptfoo(text, "reviews", judge=judge, read=read)


def evaluators(found: ImportedService) -> dict[str, dict[str, object]]:
    tables: list[dict[str, object]] = msgspec.toml.decode(found.files["evaluators.toml"])["evaluator"]
    return {str(table.pop("name")): table for table in tables}


def lines(found: ImportedService) -> list[dict[str, object]]:
    return [json.loads(line) for line in found.files["datasets/golden.jsonl"].splitlines()]


def simple(assertion: str, more: str = "") -> str:
    return f"providers: [openai:m]\nprompts: ['{{{{x}}}}']\ntests:\n- vars: {{x: a}}\n  assert: [{assertion}]\n{more}"


def test_what_comes_out_is_a_service_that_can_be_pushed() -> None:
    found = translate(CONFIG)
    definition = parse_service(ServiceFiles({path: text.encode() for path, text in found.files.items()}))
    for spec in definition.evaluators.evaluator:
        check_evaluator(spec)
    assert (definition.service.name, definition.service.description) == ("reviews", "Sorts reviews")
    assert definition.service.model.name == "openai/gpt-4o"
    assert definition.service.model.parameters == {"temperature": 0.2, "max_tokens": 100}
    assert definition.service.baseline is not None
    assert definition.service.baseline.prompt == "baseline.jinja"
    assert found.files["prompt.jinja"] == "Sort this: {{review}}"
    assert [item.input for item in definition.dataset] == [{"review": "good"}, {"review": "bad"}, {"review": "worse"}]


def test_what_all_tests_ask_is_an_evaluator_and_what_one_asks_is_its_items_own() -> None:
    found = translate(CONFIG)
    tables = evaluators(found)
    assert tables["json_schema"] == {"kind": "json_schema", "schema": {}}
    assert tables["latency"] == {"kind": "latency", "limit": 3000.0}
    assert tables["exact"] == {"kind": "exact"}
    assert tables["promptfoo"] == {"kind": "python", "code": OWN_CODE}
    first, second, third = lines(found)
    assert (first["expected"], first["metadata"]) == (
        "positive",
        {"promptfoo": [{"type": "icontains", "value": "POS"}]},
    )
    own = {"promptfoo": [{"type": "not-contains", "value": "positive"}], "description": "the bad one"}
    assert second["metadata"] == third["metadata"] == own
    assert "expected" not in second


def test_whatever_could_not_be_taken_over_is_listed_with_its_place() -> None:
    lost = dict(translate(CONFIG).not_taken)
    assert set(lost) == {
        "env",
        "providers[0].config.apiKey",
        "providers[1]",
        "tests[1].assert[1]",
        "tests[1].threshold",
    }
    assert "kind python" in lost["tests[1].assert[1]"]


@pytest.mark.parametrize(
    ("assertion", "table"),
    [
        ("{type: contains, value: x}", {"kind": "contains", "all_of": ["x"]}),
        ("{type: icontains-any, value: [x, y]}", {"kind": "contains", "any_of": ["x", "y"], "ignore_case": True}),
        ("{type: not-contains, value: x}", {"kind": "contains", "none_of": ["x"]}),
        ("{type: regex, value: 'a+'}", {"kind": "regex", "pattern": "a+"}),
        ("{type: not-regex, value: 'a+'}", {"kind": "regex", "pattern": "a+", "mode": "absent"}),
        ("{type: starts-with, value: 'a.b'}", {"kind": "regex", "pattern": r"^a\.b"}),
        ("{type: equals, value: 4}", {"kind": "regex", "pattern": r"^\s*4\s*$"}),
        ("{type: cost, threshold: 0.01}", {"kind": "cost", "limit": 0.01}),
        ("{type: is-refusal}", {"kind": "refusal", "should_refuse": True}),
        (
            "{type: is-json, value: {type: object}}",
            {"kind": "json_schema", "schema": {"type": "object"}},
        ),
    ],
)
def test_assertions_are_the_evaluators_that_say_the_same(assertion: str, table: dict[str, object]) -> None:
    found = translate(simple(assertion))
    assert found.not_taken == ()
    assert list(evaluators(found).values()) == [table]


@pytest.mark.parametrize(
    ("assertion", "why"),
    [
        ("{type: python, value: 'True'}", "kind python"),
        ("{type: select-best, value: shortest}", "pairwise"),
        ("{type: llm-rubric, value: is kind}", "--judge"),
        ("{type: magic}", "no counterpart"),
        ("{type: not-contains-all, value: [a, b]}", "no counterpart"),
    ],
)
def test_assertions_without_a_counterpart_are_listed_with_the_reason(assertion: str, why: str) -> None:
    found = translate(simple("{type: contains, value: x}, " + assertion))
    ((place, reason),) = found.not_taken
    assert place == "tests[0].assert[1]"
    assert why in reason


def test_rubrics_are_judged_by_the_model_that_is_named() -> None:
    one = translate(simple("{type: llm-rubric, value: is kind}"), judge="openai/big")
    (table,) = evaluators(one).values()
    assert (table["kind"], table["model"]) == ("judge", "openai/big")
    assert table["rubric"] == [{"name": "demand", "ask": "is kind"}]

    second = "- vars: {x: b}\n  assert: [{type: llm-rubric, value: is short}]\n"
    several = translate(simple("{type: llm-rubric, value: is kind}", second), judge="openai/big")
    (table,) = evaluators(several).values()
    assert table["reference"] == "required"
    assert [line["expected"] for line in lines(several)] == ["is kind", "is short"]


def test_names_of_metrics_are_kept_and_made_unique() -> None:
    more = "{type: contains, value: x, metric: found}, {type: contains, value: y, metric: found}"
    assert list(evaluators(translate(simple(more)))) == ["found", "found-2"]


def test_a_chat_prompt_is_a_chat() -> None:
    chat = json.dumps([{"role": "system", "content": "Be brief"}, {"role": "user", "content": "{{ x }} {{y}}"}])
    text = json.dumps(
        {
            "providers": ["openai:m"],
            "prompts": [chat],
            "tests": [{"vars": {"x": "1", "y": "2"}, "assert": [{"type": "contains", "value": "a"}]}],
        }
    )
    prompt = msgspec.toml.decode(translate(text).files["chat.toml"])
    assert prompt["variables"] == {"x": "string", "y": "string"}
    assert [message["role"] for message in prompt["messages"]] == ["system", "user"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1, 2]", "no promptfoo configuration"),
        ("a: [", "no YAML"),
        ("prompts: [x]\ntests: [{assert: [{type: contains, value: a}]}]", "no providers"),
        ("providers: [openai:m]\nprompts: [x]\n", "no tests"),
        ("providers: [openai:m]\nprompts: ['file://p.py']\ntests: [{}]", "no prompt"),
        (simple("{type: magic}"), "nothing would be measured"),
    ],
)
def test_what_cannot_become_a_service_is_refused(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        translate(text)


@pytest.mark.parametrize(
    ("kind", "value", "output", "holds"),
    [
        ("contains", "b", "abc", True),
        ("not-contains", "b", "abc", False),
        ("icontains", "B", "abc", True),
        ("contains-all", ["a", "z"], "abc", False),
        ("contains-any", ["a", "z"], "abc", True),
        ("icontains-all", ["A", "C"], "abc", True),
        ("equals", "abc", " abc\n", True),
        ("starts-with", "ab", "abc", True),
        ("regex", "^b", "abc", False),
        ("is-json", "", "[1]", True),
        ("is-json", "", "x [1]", False),
        ("contains-json", "", "x [1] y", True),
        ("contains-json", "", "x", False),
        ("not-is-json", "", "x", True),
    ],
)
def test_items_own_assertions_are_checked_as_promptfoo_does(kind: str, value: object, output: str, holds: bool) -> None:
    names: dict[str, object] = {}
    exec(compile(OWN_CODE, "own", "exec"), names)
    score = names["score"]
    assert callable(score)
    item = {"metadata": {"promptfoo": [{"type": kind, "value": value}]}}
    assert score(item, output, {})["value"] == float(holds)
    assert "unscored" in score({"metadata": {}}, output, {})


def test_tests_of_files_are_read_and_tables_are_listed(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text("- vars: {x: b}\n  assert: [{type: contains, value: x}]\n")
    text = "providers: [openai:m]\nprompts: ['{{x}}']\ntests: ['file://more.yaml', 'file://t.csv']\n"
    found = translate_promptfoo(text, "s", judge="", read=lambda name: (tmp_path / name).read_text())
    assert [line["input"] for line in lines(found)] == [{"x": "b"}]
    assert dict(found.not_taken) == {
        "tests[1]": "tests are taken from YAML and JSON; import tables with: zirkel dataset push"
    }
