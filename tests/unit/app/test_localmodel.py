"""The local model's command, up to where a model would be loaded."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zirkel.app.localmodel import (
    CannotServe,
    LocalModelOptions,
    find_weights,
    main,
    parse_options,
    require_free_port,
    wait_for_the_end,
)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def make_package(folder: Path, name: str, files: list[str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a package that fails when it is imported."""
    package = folder / name
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('was imported')\n")
    for file in files:
        (package / file).write_bytes(b"GGUF")
    monkeypatch.syspath_prepend(str(folder))
    return package


def test_the_options_have_defaults() -> None:
    assert parse_options(["--port", "8099"]) == LocalModelOptions(8099, parallel=4, threads=2, ctx_size=4096)


def test_every_option_is_taken() -> None:
    found = parse_options(["--port", "1", "--parallel", "2", "--threads", "3", "--ctx-size", "64"])
    assert found == LocalModelOptions(1, parallel=2, threads=3, ctx_size=64)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--port"),
        (["--port", "0"], "--port is 0"),
        (["--port", "65536"], "--port is 65536"),
        (["--port", "x"], "--port"),
        (["--port", "1", "--parallel", "0"], "--parallel"),
        (["--port", "1", "--threads", "0"], "--threads"),
        (["--port", "1", "--parallel", "8", "--ctx-size", "7"], "--ctx-size is 7"),
        (["--port", "1", "--gpu"], "--gpu"),
    ],
)
def test_wrong_usage_ends_with_status_2_and_names_the_option(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert named in capsys.readouterr().err


def test_help_ends_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "127.0.0.1" in capsys.readouterr().out


def test_weights_are_found_without_importing_their_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = make_package(tmp_path, "weights_of_one", ["small.gguf", "notes.txt"], monkeypatch)
    assert find_weights("weights_of_one") == package / "small.gguf"


def test_a_missing_package_says_what_to_install() -> None:
    with pytest.raises(CannotServe, match=r"'weights_of_nobody' is not installed; install"):
        find_weights("weights_of_nobody")


@pytest.mark.parametrize("files", [[], ["a.gguf", "b.gguf"]])
def test_a_package_without_exactly_one_file_of_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str]
) -> None:
    name = f"weights_of_{len(files)}_files"
    make_package(tmp_path, name, files, monkeypatch)
    with pytest.raises(CannotServe, match=f"holds {len(files)};"):
        find_weights(name)


def test_a_module_that_is_no_package_holds_no_weights() -> None:
    with pytest.raises(CannotServe, match="not installed"):
        find_weights("this")


def test_a_taken_port_is_refused_with_the_option_that_changes_it(taken_port: int) -> None:
    with pytest.raises(CannotServe, match=f"port {taken_port} on 127.0.0.1 is taken; choose another with --port"):
        require_free_port(taken_port)


def test_a_free_port_is_left_free(taken_port: int) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    require_free_port(port)
    require_free_port(port)


def test_a_command_that_cannot_serve_ends_with_status_1_and_the_reason(
    taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert main(["--port", str(taken_port)]) == 1
    # Either the weights are not installed here, or the port is taken: both come before a model is loaded.
    assert capsys.readouterr().err.startswith("localmodel: p")
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == before


def test_the_wait_ends_when_the_parent_is_gone() -> None:
    wait_for_the_end(os.getppid() + 1, frozenset({signal.SIGTERM}))


def test_the_wait_ends_with_a_signal() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        # To this thread, since the others have not blocked it.
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
        wait_for_the_end(os.getppid(), frozenset({signal.SIGUSR2}))
        assert signal.SIGUSR2 not in signal.sigpending()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
