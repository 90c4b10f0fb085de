"""The program of a process that runs a user's evaluator. A script of the standard library alone.

It reads a line of JSON with the code and its limits and says whether it could be loaded, then reads a line for each
call and answers with a line: ``{"result": …}``, or ``{"error": …}``. It ends when its input does, or when nobody asked
for a while.
"""

import contextlib
import ctypes
import json
import math
import os
import resource
import select
import signal
import sys
import traceback
import types
from collections.abc import Callable
from typing import BinaryIO

IDLE_S = 60
"""A process that nobody asks ends after this time."""
IDLE_EXIT = 75
"""Exit code of one that ended so."""
LOAD_CPU_S = 10
"""CPU time for loading, beyond that of a call: a library may be large."""
ALARM_MARGIN_S = 5
"""The asking side ends a call that takes too long; should it be gone, the alarm does, a little later."""
_NAME = "evaluator"
_FILE = f"<{_NAME}>"
_CLONE_NEWNET, _CLONE_NEWUSER = 0x40000000, 0x10000000


def main() -> None:
    """Serve calls until there are no more."""
    calls, answers = _private_streams()
    setup = json.loads(calls.readline())
    is_closed = setup["network"] != "open" and _close_network()
    if setup["network"] == "closed" and not is_closed:
        _answer(answers, {"error": "this machine does not let a process be cut off from the network"})
        return
    _limit_process(int(setup["memory_bytes"]))
    _limit_call(int(setup["cpu_s"]) + LOAD_CPU_S, float(setup["wall_s"]) + LOAD_CPU_S)
    try:
        score = _load(str(setup["source"]))
    except BaseException as error:  # noqa: BLE001 (whatever a user's code raises is told)
        _answer(answers, {"error": f"cannot be loaded: {_describe(error)}"})
        return
    _answer(answers, {"network_closed": is_closed})
    while select.select([calls], [], [], IDLE_S)[0]:
        line = calls.readline()
        if not line:
            return
        _limit_call(int(setup["cpu_s"]), float(setup["wall_s"]))
        answer = _call(score, json.loads(line), int(setup["answer_bytes"]))
        signal.alarm(0)
        _answer(answers, answer)
        if answer.get("ends"):
            return
    sys.exit(IDLE_EXIT)


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Return the streams of calls and answers; what the user's code reads is empty, what it prints goes nowhere."""
    calls, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return calls, answers


def _close_network() -> bool:
    """Move into a network of its own, with no way out; return whether the system allowed it (Linux only)."""
    try:
        unshare = ctypes.CDLL(None).unshare
    except (OSError, AttributeError):
        return False
    return bool(unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _limit_process(memory_bytes: int) -> None:
    # No files of any size, no core dumps, no further processes or threads (the last has no effect for root).
    for name, value in (("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0), ("RLIMIT_NPROC", 0), ("RLIMIT_AS", memory_bytes)):
        if hasattr(resource, name):
            # A limit that is refused on this system (macOS has none on memory) is one less.
            with contextlib.suppress(ValueError, OSError):
                resource.setrlimit(getattr(resource, name), (value, value))


def _limit_call(cpu_s: int, wall_s: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + cpu_s, hard))
    signal.alarm(math.ceil(wall_s) + ALARM_MARGIN_S)


def _load(source: str) -> Callable[[object, object, object], object]:
    module = types.ModuleType(_NAME)
    # Where libraries look for the module that a class is defined in.
    sys.modules[_NAME] = module
    exec(compile(source, _FILE, "exec"), module.__dict__)  # noqa: S102 (running it is what this process is for)
    score: Callable[[object, object, object], object] | None = getattr(module, "score", None)
    if not callable(score):
        raise TypeError("it has no function score(item, output, context)")
    return score


def _call(
    score: Callable[[object, object, object], object], call: dict[str, object], answer_bytes: int
) -> dict[str, object]:
    try:
        result = score(call["item"], call["output"], call["context"])
        text = json.dumps(result, allow_nan=False, default=_plain)
    except BaseException as error:  # noqa: BLE001 (as above)
        # After a lack of memory the interpreter may be in any state.
        return {"error": _describe(error), "ends": isinstance(error, MemoryError)}
    if len(text) > answer_bytes:
        return {"error": f"answered {len(text)} bytes; at most {answer_bytes} are taken"}
    return {"result": json.loads(text)}


def _plain(value: object) -> object:
    """Return a number of an array library as one of Python's."""
    item = getattr(value, "item", None)
    if callable(item):
        return item()
    raise TypeError(f"answered a {type(value).__name__}, which is no JSON")


def _describe(error: BaseException) -> str:
    """Return what was raised and in which line of the user's code."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == _FILE]
    line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    place = f" (line {line})" if line else ""
    return f"{type(error).__name__}: {said[:1000]}{place}" if said else f"{type(error).__name__}{place}"


def _answer(answers: BinaryIO, answer: dict[str, object]) -> None:
    data = json.dumps(answer).encode() + b"\n"
    while data:
        data = data[answers.write(data) :]


if __name__ == "__main__":
    main()
