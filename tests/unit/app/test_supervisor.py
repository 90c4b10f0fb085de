"""What the supervisor takes before it starts a process: ports and the data directory."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zirkel.app.config import Config
from zirkel.app.supervisor import DirectoryLock, Supervisor, answers, bind
from zirkel.core import Held, ManualClock


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0, "core_port") as made:
        yield made


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


def test_a_bound_port_takes_connections_before_anybody_serves_it(listener: socket.socket) -> None:
    with socket.create_connection(listener.getsockname(), timeout=5) as connection:
        assert connection.getpeername() == listener.getsockname()


def test_an_address_of_version_6_is_bound_as_one() -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        made = bind("::1", 0, "core_port")
    except Held as error:
        pytest.skip(str(error))
    with made:
        assert made.family == socket.AF_INET6


def test_a_taken_port_names_the_option_and_the_variable_that_change_it(listener: socket.socket) -> None:
    with pytest.raises(Held, match=r"--gateway-port or ZIRKEL_GATEWAY_PORT") as caught:
        bind("127.0.0.1", port_of(listener), "gateway_port")
    assert f"port {port_of(listener)} on 127.0.0.1" in str(caught.value)


def test_a_host_that_is_none_cannot_be_used() -> None:
    with pytest.raises(Held, match=r"256\.0\.0\.1"):
        bind("256.0.0.1", 0, "core_port")


def test_a_held_directory_says_by_whom_and_since_when(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path, Config(core_port=4141, gateway_port=4001), ManualClock(0))
    with pytest.raises(Held) as caught:
        DirectoryLock(tmp_path, Config(), ManualClock(1))
    assert f"process {os.getpid()} on {socket.gethostname()} since 1970-01-01T00:00:00.000Z" in str(caught.value)
    assert "(core port 4141, gateway port 4001)" in str(caught.value)
    lock.release()


def test_a_refused_holder_leaves_the_first_one_named(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path, Config(), ManualClock())
    for _ in range(2):
        with pytest.raises(Held, match=f"process {os.getpid()} "):
            DirectoryLock(tmp_path, Config(), ManualClock())
    lock.release()


def test_a_holder_that_cannot_be_read_is_another_process(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path, Config(), ManualClock())
    (tmp_path / "holder.json").write_text("{")
    with pytest.raises(Held, match="held by another process"):
        DirectoryLock(tmp_path, Config(), ManualClock())
    lock.release()


def test_a_released_directory_can_be_held_again(tmp_path: Path) -> None:
    DirectoryLock(tmp_path, Config(), ManualClock()).release()
    assert (tmp_path / "holder.json").read_text() == ""
    DirectoryLock(tmp_path, Config(), ManualClock()).release()


def test_what_a_holder_that_was_killed_left_behind_does_not_hold(tmp_path: Path) -> None:
    (tmp_path / "holder.json").write_text('{"pid": 1}')
    DirectoryLock(tmp_path, Config(), ManualClock()).release()


def test_a_new_data_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    DirectoryLock(tmp_path / "new", Config(), ManualClock()).release()
    assert (tmp_path / "new").stat().st_mode & 0o077 == 0


def test_a_supervisor_that_finds_a_port_taken_gives_everything_back(tmp_path: Path, listener: socket.socket) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gateway_port = port_of(probe)
    config = Config(data_dir=tmp_path, gateway_port=gateway_port, core_port=port_of(listener), otlp_port=0)
    said: list[str] = []
    with pytest.raises(Held, match="ZIRKEL_CORE_PORT"):
        Supervisor(config, said.append).run()
    assert said == []
    bind("127.0.0.1", gateway_port, "gateway_port").close()
    DirectoryLock(tmp_path, config, ManualClock()).release()


@pytest.mark.parametrize(("status", "is_up"), [(200, True), (503, False)])
def test_the_core_is_asked_past_a_proxy_for_other_machines(
    answer_with: Callable[[int, bytes], int], monkeypatch: pytest.MonkeyPatch, status: int, is_up: bool
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert answers(f"http://127.0.0.1:{answer_with(status, b'{}')}/healthz") is is_up


def test_a_program_that_does_not_speak_http_is_not_the_core(mail_port: int) -> None:
    assert not answers(f"http://127.0.0.1:{mail_port}/healthz")
