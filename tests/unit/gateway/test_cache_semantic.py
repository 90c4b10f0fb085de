"""The semantic index, with vectors that a test can foresee: what is near is found, what differs otherwise is not."""

import asyncio
import hashlib
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from tests.contract.memory_state import MemoryState
from zirkel.core import JsonObject, Overloaded
from zirkel.gateway.cache.bounded import BoundedMap
from zirkel.gateway.cache.semantic import Lookup, Question, SemanticIndex, Vectors, split_chat, split_variables

SECOND_NS = 1_000_000_000


class WordEmbedder:
    """Texts are as near as they have words in common: each word is an axis of its own."""

    name = "words"
    dimensions = 64

    def __init__(self) -> None:
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def can_read(self, text: str) -> bool:
        return "unreadable" not in text

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.may_go_on.wait(10)
        rows = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[hashlib.sha256(word.encode()).digest()[0] % self.dimensions] += 1
            row /= np.linalg.norm(row)
        return rows


class Bench:
    """An index, and the shared state below it."""

    def __init__(self, *, most_entries: int = 100, max_bytes: int = 1 << 20) -> None:
        self.state = MemoryState()
        self.entries = BoundedMap(self.state, max_bytes=max_bytes)
        self.most_entries = most_entries
        self.index = self.worker()

    def worker(self) -> SemanticIndex:
        return SemanticIndex(self.entries, WordEmbedder(), most_entries=self.most_entries)

    def find(self, text: str, *, rest: str = "", target: str = "t", now_ns: int = 0, threshold: float = 0.8) -> Lookup:
        question = Question({"rest": rest}, text)
        return asyncio.run(self.index.find("p", target, question, threshold, now_ns))

    def learn(self, text: str, answer: bytes, *, rest: str = "", target: str = "t", ttl_s: float = 60) -> None:
        probe = self.find(text, rest=rest, target=target).probe
        assert probe is not None
        self.index.add(probe, answer.ljust(32), ttl_s, 0)


def test_the_nearest_question_answers_if_it_is_near_enough() -> None:
    bench = Bench()
    bench.learn("how can we reset the password", b"password")
    bench.learn("how can we find the invoice", b"invoice")
    found = bench.find("how can we reset the secret password")
    assert found.answer_key == b"password".ljust(32)
    assert 0.8 < found.similarity < 1
    assert bench.find("how can we reset the secret password", threshold=0.999).answer_key is None
    assert bench.find("something else entirely").answer_key is None


def test_everything_but_the_text_must_be_equal() -> None:
    bench = Bench()
    bench.learn("reset the password", b"x")
    assert bench.find("reset the password").answer_key
    assert bench.find("reset the password", rest="other").answer_key is None
    assert bench.find("reset the password", target="other").answer_key is None
    assert bench.find("reset the password 7").answer_key is None
    assert bench.find("reset the password never").answer_key is None


def test_an_answer_that_has_expired_is_not_found() -> None:
    bench = Bench()
    bench.learn("reset the password", b"x", ttl_s=5)
    assert bench.find("reset the password", now_ns=5 * SECOND_NS - 1).answer_key
    assert bench.find("reset the password", now_ns=5 * SECOND_NS).answer_key is None


def test_another_worker_finds_it_too() -> None:
    bench = Bench()
    assert bench.find("reset the password").answer_key is None
    first, bench.index = bench.index, bench.worker()
    bench.learn("reset the password", b"x")
    bench.index = first
    assert bench.find("reset the password").answer_key


def test_the_oldest_questions_give_way() -> None:
    bench = Bench(most_entries=3)
    texts = ["alpha", "beta", "gamma", "delta", "omega"]
    for text in texts:
        bench.learn(text, text.encode())
    assert [bench.find(text).answer_key is not None for text in texts] == [False, False, True, True, True]
    bench.index = bench.worker()
    assert [bench.find(text).answer_key is not None for text in texts] == [False, False, True, True, True]


def test_many_questions_are_found_each_with_its_own_answer() -> None:
    bench = Bench(most_entries=300)
    for number in range(300):
        bench.learn(f"word {number}", b"%d" % number)
    assert all(bench.find(f"word {number}").answer_key == (b"%d" % number).ljust(32) for number in range(300))


def test_a_scope_that_was_driven_out_begins_anew() -> None:
    bench = Bench(max_bytes=3000)
    for text in ("alpha", "beta", "gamma"):
        bench.learn(text, text.encode(), ttl_s=1)
    for number in range(12):
        with bench.entries.edit(0) as edit:
            edit.put(b"%d" % number, b"x" * 200, 10 * SECOND_NS)
    bench.learn("omega", b"omega")
    assert bench.find("omega").answer_key == b"omega".ljust(32)
    assert bench.find("alpha").answer_key is None


@pytest.mark.parametrize("text", ["", "x" * 2001, "an unreadable text"])
def test_what_cannot_be_compared_is_not_looked_for(text: str) -> None:
    assert Bench().find(text).probe is None


def test_a_busy_worker_does_not_wait_for_its_cache() -> None:
    embedder = WordEmbedder()
    index = SemanticIndex(BoundedMap(MemoryState(), max_bytes=1 << 20), embedder, most_waiting=2)
    question = Question({}, "reset the password")

    async def work() -> list[Lookup]:
        embedder.may_go_on.clear()
        waiting = [asyncio.ensure_future(index.find("p", "t", question, 0.9, 0)) for _ in range(2)]
        await asyncio.sleep(0)
        third = await index.find("p", "t", question, 0.9, 0)
        embedder.may_go_on.set()
        return [third, *await asyncio.gather(*waiting), await index.find("p", "t", question, 0.9, 0)]

    assert [found.probe is not None for found in asyncio.run(work())] == [False, True, True, True]
    index.close()


def test_a_state_or_a_model_that_fails_is_a_miss(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(MemoryState):
        def get(self, key: bytes) -> bytes | None:
            raise Overloaded("too many readers")

    index = SemanticIndex(BoundedMap(Broken(), max_bytes=1 << 20), WordEmbedder())
    assert asyncio.run(index.find("p", "t", Question({}, "text"), 0.9, 0)) == Lookup(None)
    bench = Bench()
    probe = bench.find("text").probe
    assert probe is not None
    bench.state.is_full = True
    bench.index.add(probe, b"k" * 32, 60, 0)
    assert (index.failures, bench.index.failures) == (1, 1)
    assert len(caplog.records) == 2


CHAT: JsonObject = {
    "model": "m",
    "stream": True,
    "temperature": 0,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}],
}


def test_a_chat_is_split_at_its_last_message() -> None:
    found = split_chat(CHAT)
    assert found is not None
    assert found.text == "What is it?"
    system = {"role": "system", "content": "Be brief."}
    assert found.rest == {"temperature": 0, "messages": [system, {"role": "user", "content": None}]}
    parts: JsonObject = {
        **CHAT,
        "messages": [system, {"role": "user", "content": [{"type": "text", "text": "What is it?"}]}],
    }
    assert split_chat(parts) == found


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        [{"role": "assistant", "content": "It is."}],
        [{"role": "tool", "content": "It is."}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
    ],
)
def test_what_does_not_end_with_a_users_text_is_no_question(messages: object) -> None:
    assert split_chat({**CHAT, "messages": messages}) is None


def test_a_services_call_is_split_at_its_only_text() -> None:
    found = split_variables(CHAT, {"ticket": "It burns.", "count": 3})
    assert found is not None
    assert found.text == "It burns."
    assert found.rest == {"temperature": 0, "messages": None, "variables": {"ticket": None, "count": 3}}
    assert split_variables(CHAT, {"ticket": "It burns.", "place": "kitchen"}) is None
    assert split_variables(CHAT, {"count": 3}) is None
