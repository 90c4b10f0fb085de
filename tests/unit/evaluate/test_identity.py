"""What makes two answers the same: properties of keys and orders."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import DatasetItem
from zirkel.evaluate.identity import answer_key, cells, experiment_id, input_digests, item_order, system_digest

INPUTS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12)
ARTEFACTS = {"prompt": "1", "model": "2", "context": "3", "dataset": "4", "evaluators": "5", "gate": "6", "prices": "7"}


def items(texts: list[str]) -> list[DatasetItem]:
    return [DatasetItem(id=f"i{number}", input={"text": text}) for number, text in enumerate(texts)]


@given(INPUTS)
def test_no_two_items_share_an_answer(texts: list[str]) -> None:
    found = input_digests(items(texts))
    assert len(set(found.values())) == len(texts)


@given(INPUTS, INPUTS)
def test_items_put_behind_change_no_key(texts: list[str], more: list[str]) -> None:
    before, after = input_digests(items(texts)), input_digests(items(texts + more))
    assert {item_id: after[item_id] for item_id in before} == before


@given(INPUTS, st.integers())
def test_an_order_has_every_item_once_and_is_the_same_for_the_same_seed(texts: list[str], seed: int) -> None:
    given_items = items(texts)
    ordered = item_order(given_items, seed)
    assert Counter(item.id for item in ordered) == Counter(item.id for item in given_items)
    assert item_order(given_items, seed) == ordered
    assert item_order(given_items, None) == given_items


def test_seeds_give_different_orders() -> None:
    given_items = items(["a"] * 50)
    orders = {tuple(item.id for item in item_order(given_items, seed)) for seed in range(10)}
    assert len(orders) == 10


def test_cells_go_item_by_item() -> None:
    assert list(cells(items(["a", "b"]), 2)) == [("i0", 0), ("i0", 1), ("i1", 0), ("i1", 1)]


def test_an_answer_depends_on_prompt_model_context_and_guardrails_and_on_nothing_else_of_a_release() -> None:
    digest = system_digest("triage", ARTEFACTS)
    for kind in ("prompt", "model", "context"):
        assert system_digest("triage", {**ARTEFACTS, kind: "x"}) != digest
    assert system_digest("triage", {**ARTEFACTS, "guardrails": "x"}) != digest
    assert system_digest("other", ARTEFACTS) != digest
    for kind in ("dataset", "evaluators", "gate", "prices"):
        assert system_digest("triage", {**ARTEFACTS, kind: "x"}) == digest


def test_each_part_of_a_key_counts() -> None:
    assert len({answer_key(s, i, t) for s in "ab" for i in "cd" for t in (0, 1)}) == 8


def test_the_same_plan_is_the_same_experiment_and_each_part_of_it_counts() -> None:
    plan = ("r", "d", "e", 2)
    first = experiment_id(*plan)
    assert experiment_id(*plan) == first
    others = [
        experiment_id("x", "d", "e", 2),
        experiment_id("r", "x", "e", 2),
        experiment_id("r", "d", "x", 2),
        experiment_id("r", "d", "e", 3),
        experiment_id(*plan, other="x"),
        experiment_id(*plan, repetition="x"),
    ]
    assert len({first, *others}) == 7
