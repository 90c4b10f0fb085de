"""``zirkel scores`` as a user runs it, against a real server."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from tests.unit.observe.score_world import MemoryScores
from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import keys_router, scores_router
from zirkel.api.services import Services
from zirkel.app.cli.keys import keys_app
from zirkel.app.cli.scores import scores_app
from zirkel.client import Client
from zirkel.client.http import SCORES_A_REQUEST
from zirkel.core import Invalid, Json, NotFound, Role, SystemClock, sha256_hex
from zirkel.govern import SYSTEM, Access, Vault
from zirkel.observe.scores import Scores
from zirkel.store.metadata import Metadata

TRACE = "ab" * 16


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


@dataclass(frozen=True)
class ScoreServices:
    """The services these routes use."""

    access: Access
    scores: Scores


@dataclass
class Shell:
    """A user's shell, with an admin key of the server."""

    access: Access
    disk: MemoryScores
    url: str
    key: str

    def invoke(self, *arguments: str) -> Result:
        """Run ``zirkel scores``; what it raised is raised."""
        environment = {"ZIRKEL_URL": self.url, "ZIRKEL_API_KEY": self.key}
        return CliRunner().invoke(scores_app, arguments, env=environment, catch_exceptions=False)

    def run(self, *arguments: str) -> str:
        """Return what a command printed, having checked that it did well."""
        result = self.invoke(*arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def json(self, *arguments: str) -> list[dict[str, Json]]:
        """Return the list that a command printed as JSON."""
        return cast("list[dict[str, Json]]", json.loads(self.run(*arguments, "--json")))


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", SystemClock())
    access = Access(metadata, Silent(), Vault(b"m" * 32), lambda text: sha256_hex(text.encode()), SystemClock())
    disk = MemoryScores()
    services = cast(Services, ScoreServices(access, Scores(disk, disk, disk, SystemClock())))
    first = access.create_key(SYSTEM, "ann", frozenset({Role.ADMIN}))
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    for router in (keys_router, scores_router):
        app.include_router(router(services, guarded_principal))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Shell(access, disk, f"http://127.0.0.1:{listening.getsockname()[1]}", first.text)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        metadata.close()


def test_a_score_is_given_by_a_person_corrected_withdrawn_and_its_history_shown(shell: Shell) -> None:
    given = shell.run("add", "helpful", "--trace", TRACE, "--value", "0.5", "--id", "a", "--comment", "short [red]")
    assert given == "accepted a"
    assert shell.run("add", "helpful", "--trace", TRACE, "--value", "0.75", "--id", "a") == "corrected a"
    line = shell.run("list", "--trace", TRACE)
    assert line.endswith(f"a  helpful 0.75 on trace {TRACE} by person ann")
    assert shell.run("withdraw", "a") == "withdrawn a"
    assert shell.run("list") == "no score was given that fits"
    history = shell.run("history", "a").splitlines()
    assert len(history) == 3
    assert "0.5 " in history[0]
    assert history[0].endswith("(short [red])")
    assert history[2].endswith("(withdrawn)")
    assert [version["value"] for version in shell.json("history", "a")] == [0.5, 0.75, 0.75]


def test_each_kind_and_subject_is_given_and_listed(shell: Shell) -> None:
    for options in (
        ("--value", "true", "--trace", TRACE, "--span", "cd" * 8),
        ("--value", "-3", "--session", "s 1"),
        ("--label", "good", "--experiment", "e", "--item", "7", "--origin", "judge", "--author", "gpt-4o"),
        ("--label", "A text.\nTwo lines.", "--kind", "text", "--session", "s 2", "--user", "u"),
    ):
        shell.run("add", "helpful", *options)
    text = shell.run("list")
    assert f"helpful true on span {'cd' * 8} on trace {TRACE} by person ann" in text
    assert "helpful -3 on session s 1 by person ann" in text
    assert "helpful 'good' on item 7 on experiment e by judge gpt-4o" in text
    assert "helpful 'A text.\\nTwo lines.' on session s 2" in text
    assert [score["kind"] for score in shell.json("list", "--origin", "judge")] == ["categorical"]
    assert [score["session_id"] for score in shell.json("list", "--session", "s 1", "--name", "helpful")] == ["s 1"]
    assert shell.json("list", "--since", "2100-01-01") == []
    assert len(shell.json("list", "--limit", "3")) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add", "helpful", "--trace", TRACE, "--value", "good"), "--label"),
        (("add", "helpful", "--trace", TRACE, "--value", "nan"), "finite"),
        (("add", "helpful", "--trace", "x", "--value", "1"), "trace_id"),
        (("add", "helpful", "--trace", TRACE), "label"),
        (("list", "--since", "yesterday"), "since"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_field(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        shell.invoke(*arguments)
    assert shell.disk.spooled == []


def test_what_is_not_there_is_told(shell: Shell) -> None:
    for command in ("history", "withdraw"):
        with pytest.raises(NotFound, match="no score 'ä b'"):
            shell.invoke(command, "ä b")


def test_the_client_sends_many_scores_in_several_requests_and_lists_all_pages(shell: Shell) -> None:
    count = SCORES_A_REQUEST + 5
    with Client(shell.url, shell.key) as client:
        scores: list[dict[str, Json]] = [
            {"name": "n", "value": n, "session_id": "s", "score_id": f"s{n}"} for n in range(count)
        ]
        answers = client.add_scores([*scores, {"name": "n"}])
        listed = list(client.list_scores({"session_id": "s", "limit": 400}))
    assert [answer["outcome"] for answer in answers] == ["accepted"] * count + ["refused"]
    assert {str(score["score_id"]) for score in listed} == {f"s{n}" for n in range(count)}
    assert len(listed) == count


def test_a_feedback_key_is_made_shown_and_given_other_origins(shell: Shell) -> None:
    def run(*arguments: str) -> str:
        environment = {"ZIRKEL_URL": shell.url, "ZIRKEL_API_KEY": shell.key}
        result = CliRunner().invoke(keys_app, arguments, env=environment, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    text = run("create", "page", "--role", "feedback", "--origin", "https://a.example", "--origin", "https://b.example")
    assert text.startswith("zk_pub_")
    key_id = shell.access.open_feedback(text).principal.principal_id
    assert "https://a.example https://b.example" in run("show", key_id)
    run("change", key_id, "--rpm", "5")
    assert shell.access.open_feedback(text).allows("https://a.example")
    run("change", key_id, "--origin", "https://c.example")
    opened = shell.access.open_feedback(text)
    assert (opened.origins, opened.requests_per_minute) == (frozenset({"https://c.example"}), 5)
