"""``zirkel keys`` and ``zirkel projects`` as a user runs them, against a real server with the real services."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
import typer
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from zirkel.api.auth import Guard, guarded_principal
from zirkel.api.errors import install_error_handlers
from zirkel.api.rest import keys_router
from zirkel.api.services import Services
from zirkel.app.cli.keys import PAGE, keys_app
from zirkel.app.cli.projects import projects_app
from zirkel.core import Conflict, Invalid, Json, NotFound, Role, SystemClock, Unauthenticated, new_id, sha256_hex
from zirkel.govern import SYSTEM, Access, Vault
from zirkel.store.metadata import Metadata


class Silent:
    """Tells no gateway."""

    def publish(self) -> None:
        pass


class OnlyAccess:
    """The services these routes use."""

    def __init__(self, access: Access) -> None:
        self.access = access


@dataclass
class Shell:
    """A user's shell, with an admin key of the server."""

    access: Access
    metadata: Metadata
    url: str
    key: str

    def run(self, app: typer.Typer, *arguments: str) -> Result:
        """Run a command; what it raised is raised."""
        environment = {"ZIRKEL_URL": self.url, "ZIRKEL_API_KEY": self.key}
        return CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)

    def keys(self, *arguments: str) -> str:
        """Return what a command of ``zirkel keys`` printed, having checked that it did well."""
        result = self.run(keys_app, *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout.strip()

    def json(self, *arguments: str) -> dict[str, Json]:
        """Return what a command of ``zirkel keys`` printed as JSON."""
        return cast("dict[str, Json]", json.loads(self.keys(*arguments, "--json")))

    def is_taken(self, text: str) -> bool:
        """Return whether the server takes a secret."""
        try:
            self.access.authenticate(text)
        except Unauthenticated:
            return False
        return True


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", SystemClock())
    access = Access(metadata, Silent(), Vault(b"m" * 32), lambda text: sha256_hex(text.encode()), SystemClock())
    first = access.bootstrap()
    assert first is not None
    app = FastAPI(openapi_url=None)
    install_error_handlers(app)
    app.add_middleware(Guard, authenticate=access.authenticate)
    app.include_router(keys_router(cast(Services, OnlyAccess(access)), guarded_principal))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield Shell(access, metadata, f"http://127.0.0.1:{listening.getsockname()[1]}", first.text)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
        metadata.close()


LIMITED = ("--rpm", "60", "--budget", "month=15:20", "--model", "openai/*", "--user", "ann", "--capture", "masked")


def test_a_key_is_made_with_limits_and_shown(shell: Shell) -> None:
    text = shell.keys("create", "my app", "--role", "call", *LIMITED, "--days", "30")
    who = shell.access.authenticate(text)
    assert (who.label, who.roles) == ("my app", frozenset({Role.CALL}))
    shown = shell.keys("show", who.principal_id)
    for word in ("my app", "valid, expires 20", "ann", "60", "month=15:20", "openai/*", "masked"):
        assert word in shown
    assert text not in shown


def test_the_list_tells_state_and_budgets_of_each_key(shell: Shell) -> None:
    ids = [str(shell.json("create", f"app {n}", "--role", "call", "--budget", f"day={n}")["key_id"]) for n in (1, 2, 3)]
    expired = shell.access.create_key(SYSTEM, "old", frozenset({Role.CALL}), expires_ns=1).record.key_id
    shell.keys("revoke", ids[0])
    shell.keys("rotate", ids[1])
    lines = {line.split()[0]: line for line in shell.keys("list").splitlines()}
    assert len(lines) == 5
    assert " revoked " in lines[ids[0]]
    assert " valid, rotating until 20" in lines[ids[1]]
    assert " valid " in lines[ids[2]]
    assert lines[ids[2]].endswith("app 3  day=3")
    assert " expired 1970-01-01T00:00Z" in lines[expired]


def test_a_change_keeps_what_is_not_given(shell: Shell) -> None:
    key_id = str(shell.json("create", "app", "--role", "call", *LIMITED)["key_id"])
    changed = shell.json("change", key_id, "--rpm", "0", "--concurrency", "2", "--budget", "day=1")
    assert changed["policy"] == {
        "user": "ann",
        "limits": {
            "concurrency": 2,
            "budget": [
                {"window": "day", "hard_usd": "1"},
                {"window": "month", "soft_usd": "15", "hard_usd": "20"},
            ],
            "models": ["openai/*"],
        },
        "capture": "masked",
    }
    assert shell.json("show", key_id)["policy"] == changed["policy"]
    with pytest.raises(Invalid, match="nothing to change"):
        shell.keys("change", key_id)


def test_a_value_that_makes_no_sense_is_refused_by_its_name(shell: Shell) -> None:
    with pytest.raises(Invalid, match=r"policy\.limits\.budget\[0\]\.hard_usd"):
        shell.keys("create", "app", "--role", "call", "--budget", "day=ten")
    key_id = str(shell.json("create", "app", "--role", "call")["key_id"])
    with pytest.raises(Invalid, match=r"limits\.budget\[0\]\.soft_usd"):
        shell.keys("change", key_id, "--budget", "day=2:1")


def test_a_rotation_prints_the_new_secret_and_says_when_the_other_ends(shell: Shell) -> None:
    made = shell.json("create", "app", "--role", "call")
    result = shell.run(keys_app, "rotate", str(made["key_id"]), "--overlap", "30m")
    second = result.stdout.strip()
    assert "the secret before ends at 20" in result.stderr
    assert shell.is_taken(str(made["key"]))
    third = shell.keys("rotate", str(made["key_id"]), "--overlap", "0")
    assert [shell.is_taken(text) for text in (str(made["key"]), second, third)] == [False, False, True]
    with pytest.raises(Invalid, match="lifetime"):
        shell.keys("rotate", str(made["key_id"]), "--overlap", "soon")


def test_a_list_of_more_than_a_page_is_whole(shell: Shell) -> None:
    first = shell.access.create_key(SYSTEM, "app", frozenset({Role.CALL})).record
    copies = [replace(first, key_id=new_id(SystemClock()), key_hash=f"{n:064d}") for n in range(PAGE + 5)]
    with shell.metadata.transaction() as tx:
        for record in copies:
            tx.keys.add(record)
    listed = [line.split()[0] for line in shell.keys("list").splitlines()]
    assert len(listed) == len(set(listed)) == PAGE + 7
    assert {record.key_id for record in copies} < set(listed)


def test_a_project_is_made_with_its_first_key(shell: Shell) -> None:
    result = shell.run(projects_app, "create", "Online Shop")
    chief = shell.access.authenticate(result.stdout.strip())
    assert (chief.project_id, chief.roles) == ("online-shop", frozenset({Role.ADMIN}))
    assert "online-shop" in result.stderr
    listed = shell.run(projects_app, "list").stdout.splitlines()
    assert [line.split(maxsplit=1) for line in listed] == [["default", "default"], ["online-shop", "Online Shop"]]
    with pytest.raises(Conflict):
        shell.run(projects_app, "create", "online shop")


def test_a_key_that_is_not_there_is_told(shell: Shell) -> None:
    for command in (["show"], ["revoke"], ["rotate"], ["change", "--rpm", "1"]):
        with pytest.raises(NotFound, match="no-such-key"):
            shell.keys(*command, "no-such-key")
