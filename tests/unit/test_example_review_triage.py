"""What the example service promises: the data its gate needs, and files that agree with each other."""

import json
import tomllib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

SERVICE = Path(__file__).parents[2] / "examples" / "review-triage"
LABELS = {"positive", "negative"}


def read_toml(name: str) -> dict[str, Any]:
    return tomllib.loads((SERVICE / name).read_text(encoding="utf-8"))


def read_lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SERVICE / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def items() -> list[dict[str, Any]]:
    return read_lines("datasets/golden.jsonl")


def normal(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def test_every_item_has_exactly_the_documented_fields(items: list[dict[str, Any]]) -> None:
    assert {frozenset(item) for item in items} == {frozenset({"id", "input", "expected", "cluster", "metadata"})}
    assert all(set(item["input"]) == {"review"} for item in items)


def test_the_data_set_is_large_enough_for_its_own_gate(items: list[dict[str, Any]]) -> None:
    assert len(items) >= 216
    assert len(items) >= read_toml("gate.toml")["minimum_items"] >= 200
    assert len({item["cluster"] for item in items}) >= 24


def test_ids_are_unique_and_in_order(items: list[dict[str, Any]]) -> None:
    assert [item["id"] for item in items] == [f"r-{number:03d}" for number in range(1, len(items) + 1)]


def test_no_review_occurs_twice(items: list[dict[str, Any]]) -> None:
    assert [text for text, count in Counter(normal(i["input"]["review"]) for i in items).items() if count > 1] == []


def test_reviews_are_short_texts_of_six_to_thirty_words(items: list[dict[str, Any]]) -> None:
    words = {item["id"]: len(item["input"]["review"].split()) for item in items}
    assert {name: count for name, count in words.items() if not 6 <= count <= 30} == {}


def test_labels_are_balanced_overall_and_both_occur_in_every_cluster(items: list[dict[str, Any]]) -> None:
    labels = Counter(item["expected"] for item in items)
    assert set(labels) == LABELS
    assert labels["positive"] == labels["negative"]
    by_cluster: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        by_cluster[item["cluster"]].add(item["expected"])
    assert {cluster for cluster, found in by_cluster.items() if found != LABELS} == set()


def test_the_style_of_an_item_is_a_known_one(items: list[dict[str, Any]]) -> None:
    assert {item["metadata"]["style"] for item in items} == {"plain", "mixed", "negated"}


def test_few_shot_examples_answer_in_the_asked_format_with_both_labels() -> None:
    answers = [json.loads(example["assistant"]) for example in read_lines("context/examples.jsonl")]
    assert all(set(answer) == {"label"} for answer in answers)
    assert {answer["label"] for answer in answers} == LABELS


def test_no_few_shot_example_is_a_review_of_the_data_set(items: list[dict[str, Any]]) -> None:
    shown = [normal(example["user"]) for example in read_lines("context/examples.jsonl")]
    assert [item["id"] for item in items if any(normal(item["input"]["review"]) in text for text in shown)] == []


def test_response_format_evaluators_and_data_know_the_same_labels() -> None:
    response_format = read_toml("service.toml")["model"]["parameters"]["response_format"]
    assert set(response_format["json_schema"]["schema"]["properties"]["label"]["enum"]) == LABELS
    evaluators = {evaluator["name"]: evaluator for evaluator in read_toml("evaluators.toml")["evaluator"]}
    assert set(evaluators["valid_output"]["one_of"]) == LABELS


def test_every_gated_metric_has_an_evaluator() -> None:
    evaluators = {evaluator["name"] for evaluator in read_toml("evaluators.toml")["evaluator"]}
    assert {metric["evaluator"] for metric in read_toml("gate.toml")["metric"]} == evaluators


def test_every_model_the_service_may_call_has_a_price() -> None:
    service = read_toml("service.toml")
    called = {service["model"]["name"], *(fallback["name"] for fallback in service["fallback"])}
    assert called == {price["model"] for price in read_toml("prices.toml")["price"]}


@pytest.mark.parametrize("prompt", ["chat.toml", "baseline.toml"])
def test_both_prompts_take_the_review_as_their_only_variable(prompt: str) -> None:
    chat = read_toml(prompt)
    assert chat["variables"] == {"review": "string"}
    assert "{{ review }}" in chat["messages"][-1]["content"]
    assert chat["messages"][-1]["role"] == "user"


def test_the_baseline_is_a_bare_prompt_without_examples() -> None:
    assert read_toml("service.toml")["baseline"]["prompt"] == "baseline.toml"
    assert read_toml("baseline.toml")["examples"] is False
    assert read_toml("chat.toml").get("examples", True) is True
