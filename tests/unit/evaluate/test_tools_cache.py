"""Kept answers: the same question costs nothing the second time, and another question never gets its answer."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from zirkel.core import JsonObject
from zirkel.evaluate.chat import ChatAnswer, ChatMessage, ChatRequest, TransientFailure
from zirkel.evaluate.tools_cache import CachedChat, KeptAnswer, request_key

REQUEST = ChatRequest("p", "up/m", (ChatMessage("user", "Q"),), {"temperature": 0.0})


class Shelf:
    """Keeps everything."""

    def __init__(self) -> None:
        self.kept: dict[str, KeptAnswer] = {}
        self.projects: list[str] = []

    def get(self, key: str) -> KeptAnswer | None:
        return self.kept.get(key)

    def put(self, project_id: str, key: str, answer: KeptAnswer) -> None:
        self.projects.append(project_id)
        self.kept[key] = answer


class Model:
    """Counts what it is asked."""

    def __init__(self, text: str = "A") -> None:
        self.text = text
        self.asked = 0
        self._lock = threading.Lock()

    def chat(self, _: ChatRequest) -> ChatAnswer:
        with self._lock:
            self.asked += 1
            return ChatAnswer(self.text, Decimal("0.5"), f"trace {self.asked}")


def test_the_second_time_costs_nothing_and_says_so() -> None:
    model, shelf = Model(), Shelf()
    chat = CachedChat(model, shelf)
    assert chat.chat(REQUEST) == ChatAnswer("A", Decimal("0.5"), "trace 1")
    assert chat.chat(REQUEST) == ChatAnswer("A", Decimal(0), "trace 1", is_cached=True)
    assert shelf.kept[request_key(REQUEST)] == KeptAnswer("A", Decimal("0.5"), "trace 1")
    assert (model.asked, shelf.projects) == (1, ["p"])


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, project_id="q"),
        replace(REQUEST, model="up/n"),
        replace(REQUEST, messages=(ChatMessage("system", "Q"),)),
        replace(REQUEST, messages=(ChatMessage("user", "Q "),)),
        replace(REQUEST, messages=()),
        replace(REQUEST, parameters={"temperature": 1}),
        replace(REQUEST, parameters={}),
        replace(REQUEST, attempt=1),
    ],
)
def test_another_question_is_asked(other: ChatRequest) -> None:
    model = Model()
    chat = CachedChat(model, Shelf())
    chat.chat(REQUEST)
    assert not chat.chat(other).is_cached
    assert model.asked == 2


@pytest.mark.parametrize(
    "same",
    [
        replace(REQUEST, purpose="other", experiment_id="x", item_id="i", trial=4, subject_trace_id="t"),
        replace(REQUEST, messages=[ChatMessage("user", "Q")]),
    ],
)
def test_who_asks_and_about_what_makes_no_other_question(same: ChatRequest) -> None:
    chat = CachedChat(Model(), Shelf())
    chat.chat(REQUEST)
    assert chat.chat(same).is_cached


def test_the_order_of_parameters_makes_no_other_question() -> None:
    first: JsonObject = {"a": 1, "b": {"c": [1, None, "ü"]}}
    second: JsonObject = {"b": {"c": [1, None, "ü"]}, "a": 1}
    assert request_key(replace(REQUEST, parameters=first)) == request_key(replace(REQUEST, parameters=second))


def test_an_answer_that_cannot_be_used_is_not_kept_and_one_that_was_is_asked_again() -> None:
    model, shelf = Model(), Shelf()
    chat = CachedChat(model, shelf)
    picky = replace(REQUEST, is_usable=lambda text: text == "B")
    assert chat.chat(picky).text == "A"
    assert not shelf.kept
    chat.chat(REQUEST)
    model.text = "B"
    assert chat.chat(picky) == ChatAnswer("B", Decimal("0.5"), "trace 3")
    assert chat.chat(picky).is_cached


def test_an_empty_answer_is_not_kept() -> None:
    model = Model("")
    chat = CachedChat(model, Shelf())
    chat.chat(REQUEST)
    chat.chat(REQUEST)
    assert model.asked == 2


def test_a_service_is_always_asked_as_its_release_may_have_changed() -> None:
    model, shelf = Model(), Shelf()
    chat = CachedChat(model, shelf)
    for _ in range(2):
        assert not chat.chat(replace(REQUEST, model="service:judge")).is_cached
    assert (model.asked, shelf.kept) == (2, {})


def test_a_failure_is_raised_and_not_kept() -> None:
    class Failing:
        def chat(self, _: ChatRequest) -> ChatAnswer:
            raise TransientFailure("busy")

    shelf = Shelf()
    with pytest.raises(TransientFailure):
        CachedChat(Failing(), shelf).chat(REQUEST)
    assert not shelf.kept


def test_of_many_that_ask_the_same_at_once_one_pays() -> None:
    model = Model()
    chat = CachedChat(model, Shelf())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(chat.chat, [REQUEST] * 32))
    assert model.asked == 1
    assert sum(answer.cost_usd or 0 for answer in found) == Decimal("0.5")
