"""Users' code in processes of their own: limits, crashes, garbage, and that processes stay for the next call."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from zirkel.evaluate.code_runner import CodeFailed, CodeRunner, CodeSpec

CALL = json.dumps({"item": {"id": "1"}, "output": "hi", "context": {"trial": 2}}).encode()


@pytest.fixture
def runner() -> Iterator[CodeRunner]:
    opened = CodeRunner(workers=2)
    yield opened
    opened.close()


def function(*lines: str) -> str:
    """Return a function ``score`` of these lines."""
    return "\n".join(["def score(item, output, context):", *[f"    {line}" for line in lines]])


def _state(process: int) -> str:
    """Return the letter of a process's state, as Linux gives it; Z is one that has ended."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def said(runner: CodeRunner, spec: CodeSpec) -> object:
    return json.loads(runner.run(spec, CALL).json)


def test_the_function_is_told_item_output_and_context(runner: CodeRunner) -> None:
    code = CodeSpec(function("return {'value': 1, 'details': [item, output, context]}"))
    assert said(runner, code) == {"value": 1, "details": [{"id": "1"}, "hi", {"trial": 2}]}


def test_a_process_stays_for_the_next_call_of_the_same_code(runner: CodeRunner) -> None:
    code = CodeSpec(function("import os", "return os.getpid()"))
    first = said(runner, code)
    assert said(runner, code) == first
    assert first != os.getpid()
    assert said(runner, replace(code, cpu_s=5)) != first


def test_calls_at_once_have_processes_of_their_own_up_to_the_number_of_workers(runner: CodeRunner) -> None:
    code = CodeSpec(function("import os, time", "time.sleep(0.05)", "return os.getpid()"))
    with ThreadPoolExecutor(8) as pool:
        processes = set(pool.map(lambda _: said(runner, code), range(24)))
    assert len(processes) <= 2


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["return 1 / 0"], r"ZeroDivisionError: division by zero \(line 2\)"),
        (["return object()"], "answered a object, which is no JSON"),
        (["return float('nan')"], "not JSON compliant"),
        (["return 'x' * 100_000"], "answered 100002 bytes; at most 65536"),
        (["import sys", "sys.exit(1)"], "SystemExit"),
        (["import os", "os._exit(3)"], "ended with exit code 3 and without an answer"),
        (["import ctypes", "ctypes.string_at(0)"], "ended by SIGSEGV"),
        (["import os, signal", "os.kill(os.getpid(), signal.SIGKILL)"], "ended by SIGKILL"),
        (["'a' * 10**9", "return 1"], "MemoryError"),
        (["return input()"], "EOFError"),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_call_works(runner: CodeRunner, lines: list[str], reason: str) -> None:
    with pytest.raises(CodeFailed, match=reason):
        runner.run(CodeSpec(function(*lines), memory_bytes=256 << 20), CALL)
    assert said(runner, CodeSpec(function("return True"))) is True


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def score(:", r"cannot be loaded: SyntaxError: .* \(line 1\)"),
        ("\nraise ValueError('no')", r"cannot be loaded: ValueError: no \(line 2\)"),
        ("import nothing_of_that_name", "cannot be loaded: ModuleNotFoundError"),
        ("score = 3", "has no function score"),
        ("", "has no function score"),
    ],
)
def test_code_that_cannot_be_loaded_says_why(runner: CodeRunner, source: str, reason: str) -> None:
    with pytest.raises(CodeFailed, match=reason):
        runner.run(CodeSpec(source), CALL)


def test_the_code_cannot_write_to_files(runner: CodeRunner, tmp_path: Path) -> None:
    path = tmp_path / "written"
    with pytest.raises(CodeFailed, match="File too large"):
        runner.run(CodeSpec(function(f"open({str(path)!r}, 'w').write('a' * 100_000)", "return 1")), CALL)
    assert not path.exists() or path.stat().st_size == 0


def test_a_call_ends_when_its_cpu_time_is_used_up(runner: CodeRunner) -> None:
    with pytest.raises(CodeFailed, match="used more than 1 s of CPU time"):
        runner.run(CodeSpec(function("while True: pass"), cpu_s=1), CALL)


def test_cpu_time_is_counted_by_call_and_not_by_process(runner: CodeRunner) -> None:
    busy = function(
        "import time", "end = time.process_time() + 0.6", "while time.process_time() < end: pass", "return 1"
    )
    assert [said(runner, CodeSpec(busy, cpu_s=1)) for _ in range(3)] == [1, 1, 1]


def test_a_call_that_only_waits_ends_in_time(runner: CodeRunner) -> None:
    with pytest.raises(CodeFailed, match=r"took longer than 0.3 s"):
        runner.run(CodeSpec(function("import time", "time.sleep(60)"), wall_s=0.3), CALL)


def test_a_process_that_was_killed_while_idle_is_replaced(runner: CodeRunner) -> None:
    code = CodeSpec(function("import os", "return os.getpid()"))
    process = said(runner, code)
    assert isinstance(process, int)
    os.kill(process, signal.SIGKILL)
    while _state(process) != "Z":
        time.sleep(0.01)
    assert said(runner, code) != process


def test_what_the_code_prints_is_no_answer(runner: CodeRunner) -> None:
    code = function("import os", "print('hi')", "os.write(1, b'garbage')", "os.write(2, b'garbage')", "return 1")
    assert said(runner, CodeSpec(code)) == 1


def test_garbage_where_answers_go_is_an_error_and_no_score(runner: CodeRunner) -> None:
    code = function("import os", "[os.write(n, b'garbage\\n') for n in range(3, 9) if not os.set_blocking(n, True)]")
    with pytest.raises(CodeFailed):
        runner.run(CodeSpec(code), CALL)


def test_the_servers_environment_is_not_the_codes(runner: CodeRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIRKEL_SECRET", "s3cret")
    found = said(runner, CodeSpec(function("import os", "return {'value': 1, 'details': dict(os.environ)}")))
    assert "s3cret" not in json.dumps(found)


def test_the_code_cannot_reach_the_network_where_the_answer_says_so(runner: CodeRunner) -> None:
    code = function("import socket", "socket.create_connection(('127.0.0.1', 9), 1)")
    with pytest.raises(CodeFailed) as raised:
        runner.run(CodeSpec(code), CALL)
    is_closed = runner.run(CodeSpec(function("return 1")), CALL).is_network_closed
    assert ("unreachable" in str(raised.value)) == is_closed
    assert not runner.run(CodeSpec(function("return 1"), network="open"), CALL).is_network_closed


def test_a_large_call_gets_through(runner: CodeRunner) -> None:
    call = json.dumps({"item": {}, "output": "x" * 5_000_000, "context": {}}).encode()
    assert runner.run(CodeSpec(function("return len(output)")), call).json == b"5000000"


def test_closing_ends_the_processes(runner: CodeRunner) -> None:
    process = said(runner, CodeSpec(function("import os", "return os.getpid()")))
    runner.close()
    assert not Path(f"/proc/{process}").exists()


def test_a_process_ends_when_whoever_asks_is_gone(tmp_path: Path) -> None:
    program = tmp_path / "asks.py"
    program.write_text(
        "import os, sys\n"
        "from zirkel.evaluate.code_runner import CodeRunner, CodeSpec\n"
        f"answer = CodeRunner().run(CodeSpec({function('import os', 'return os.getpid()')!r}), {CALL!r})\n"
        "print(answer.json.decode(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    process = Path(f"/proc/{int(done.stdout)}")
    for _ in range(100):
        if not process.exists():
            return
        time.sleep(0.1)
    pytest.fail("the process is still there")
