"""Prompts at hand: only the very first fetch waits, and a server that is down changes nothing."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from zirkel.client import prompt_shelf
from zirkel.client.http import Unreachable
from zirkel.client.prompt_shelf import Fetched, PromptKey, PromptShelf
from zirkel.client.prompts import PromptMessage, ServedPrompt
from zirkel.core import NotFound, ZirkelError

KEY = PromptKey("reviews")
LONG_S = 20.0


@dataclass
class Server:
    """A server of one prompt."""

    version: int = 1
    error: ZirkelError | None = None
    asked: list[str] = field(default_factory=list)
    """The entity tags of the requests."""
    gate: threading.Event = field(default_factory=threading.Event)
    done: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released when a request has been answered."""

    def __post_init__(self) -> None:
        self.gate.set()

    def fetch(self, key: PromptKey, etag: str) -> Fetched | None:
        self.asked.append(etag)
        self.gate.wait(LONG_S)
        try:
            if self.error:
                raise self.error
            mine = f'"{self.version}"'
            return None if etag == mine else Fetched(served(key.name, self.version), mine)
        finally:
            self.done.release()


def served(name: str, version: int) -> ServedPrompt:
    return ServedPrompt(
        name=name,
        version=str(version),
        digest="d" * 64,
        release="r" * 64,
        release_number=version,
        messages=[PromptMessage("user", "Review: {{ review }}")],
        variables={"review": "string"},
    )


def make_shelf(server: Server, folder: Path) -> PromptShelf:
    return PromptShelf(lambda: server, folder / "prompts", Random(1))


def wait_until(found: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(2000):
        if found():
            return
        waiting.wait(0.005)
    raise AssertionError("it did not happen")


@pytest.fixture
def always_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every copy is old at once, and a failure is worth repeating at once."""
    monkeypatch.setattr(prompt_shelf, "FRESH_S", 0.0)
    monkeypatch.setattr(prompt_shelf, "RETRY_S", 0.0)


def test_a_fresh_copy_is_given_without_asking_again(tmp_path: Path) -> None:
    server = Server()
    shelf = make_shelf(server, tmp_path)
    assert [shelf.get(KEY).version for _ in range(5)] == ["1"] * 5
    assert server.asked == [""]


def test_many_threads_that_want_a_new_prompt_make_one_request(tmp_path: Path) -> None:
    server = Server()
    server.gate.clear()
    shelf = make_shelf(server, tmp_path)
    with ThreadPoolExecutor(8) as pool:
        wanted = [pool.submit(shelf.get, KEY) for _ in range(8)]
        wait_until(lambda: bool(server.asked))
        server.gate.set()
        assert {future.result(LONG_S).version for future in wanted} == {"1"}
    assert server.asked == [""]


@pytest.mark.usefixtures("always_old")
def test_an_old_copy_is_given_at_once_while_a_slow_server_is_asked_once(tmp_path: Path) -> None:
    server = Server()
    shelf = make_shelf(server, tmp_path)
    shelf.get(KEY)
    server.gate.clear()
    server.version = 2
    # The server answers none of these before the last of them is done.
    assert [shelf.get(KEY).version for _ in range(20)] == ["1"] * 20
    wait_until(lambda: len(server.asked) == 2)
    server.gate.set()
    wait_until(lambda: shelf.get(KEY).version == "2")
    assert server.asked[1] == '"1"'


@pytest.mark.usefixtures("always_old")
def test_an_unchanged_prompt_stays_without_being_sent_again(tmp_path: Path) -> None:
    server = Server()
    shelf = make_shelf(server, tmp_path)
    first = shelf.get(KEY)
    shelf.get(KEY)
    wait_until(lambda: len(server.asked) >= 2)
    assert server.done.acquire(timeout=LONG_S)
    assert shelf.get(KEY) is first


def test_the_last_known_prompt_is_there_in_a_new_process_whose_server_never_answers(tmp_path: Path) -> None:
    make_shelf(Server(), tmp_path).get(KEY)
    silent = Server()
    silent.gate.clear()
    shelf = make_shelf(silent, tmp_path)
    assert [shelf.get(KEY).version for _ in range(3)] == ["1"] * 3
    wait_until(lambda: silent.asked == ['"1"'])
    assert not silent.done.acquire(blocking=False)
    silent.gate.set()


@pytest.mark.usefixtures("always_old")
@pytest.mark.parametrize("error", [Unreachable("down"), NotFound("gone"), ZirkelError("odd")])
def test_whatever_goes_wrong_later_the_last_known_prompt_stays(tmp_path: Path, error: ZirkelError) -> None:
    server = Server()
    shelf = make_shelf(server, tmp_path)
    shelf.get(KEY)
    server.error = error
    shelf.get(KEY)
    wait_until(lambda: len(server.asked) >= 2)
    assert shelf.get(KEY).version == "1"
    server.error, server.version = None, 2
    wait_until(lambda: shelf.get(KEY).version == "2")


def test_without_a_copy_the_error_is_told_and_not_fetched_again_at_once(tmp_path: Path) -> None:
    server = Server(error=Unreachable("down"))
    shelf = make_shelf(server, tmp_path)
    for _ in range(5):
        with pytest.raises(Unreachable, match="down"):
            shelf.get(KEY)
    assert server.asked == [""]


@pytest.mark.parametrize("content", [b"", b"{", b'{"served": {}, "etag": 1}'])
def test_a_copy_that_a_disk_has_damaged_is_fetched_anew(tmp_path: Path, content: bytes) -> None:
    make_shelf(Server(), tmp_path).get(KEY)
    (path,) = (tmp_path / "prompts").iterdir()
    path.write_bytes(content)
    server = Server(version=2)
    assert make_shelf(server, tmp_path).get(KEY).version == "2"


def test_environments_and_releases_are_prompts_of_their_own(tmp_path: Path) -> None:
    server = Server()
    shelf = make_shelf(server, tmp_path)
    for key in (KEY, PromptKey("reviews", "staging"), PromptKey("reviews", "", "candidate"), PromptKey("other")):
        shelf.get(key)
    assert len(server.asked) == len(list((tmp_path / "prompts").iterdir())) == 4
