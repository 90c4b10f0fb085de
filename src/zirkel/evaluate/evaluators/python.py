"""A Python function of your own."""

import ast
from dataclasses import replace
from typing import get_args

import msgspec

from zirkel.core import Errored, Score, Scored
from zirkel.evaluate.code_runner import CodeFailed, CodeSpec, Network
from zirkel.evaluate.evaluators.kind import EvaluatorKind, Need, Tools
from zirkel.evaluate.judgements import encode_subject, read_judgement
from zirkel.evaluate.subject import Subject

_FUNCTION = "score"
_LEAST_MEMORY_MIB = 64


class PythonOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of ``python``."""

    code: str
    """Python with a function `score(item, output, context)`. `item` has what the data set's line has, `context` has
    `tool_calls`, `steps`, `contexts`, `other_output`, `cost_usd`, `duration_ms` and `trial`. It returns a number, a
    bool, or a dict with `value` and perhaps `label`, `reason`, `details`; or `{"unscored": "why"}`."""
    cpu_s: int = 10
    """CPU time of a call in seconds."""
    wall_s: float = 30
    """Time of a call in seconds."""
    memory_mib: int = 512
    """Address space of the process."""
    network: Network = "closed_if_possible"
    """`closed` makes each call an error where the system cannot cut a process off (it needs Linux, and root or user
    namespaces); `closed_if_possible` goes on without, and the details of each score say `network: open`."""


def score(options: PythonOptions, subject: Subject, tools: Tools) -> Score:
    """Return what the function says of the answer: any number, a bool as 1 or 0, or a reason why it says nothing.

    It runs in a process of its own with limits on memory, CPU and time, without the server's environment, and cannot
    write to files. It is no sandbox for strangers: it reads what the server's user can read. The process stays for the
    next answer, so what is kept in global variables may or may not be there. An exception, a broken limit, a crash or
    an answer of another form is an error with the reason, never a score.
    """
    spec = CodeSpec(options.code, options.cpu_s, options.wall_s, options.memory_mib << 20, options.network)
    try:
        answer = tools.run_code(spec, encode_subject(subject))
    except CodeFailed as failure:
        return Errored(str(failure))
    judged = read_judgement(answer.json)
    if isinstance(judged, Scored) and options.network == "closed_if_possible" and not answer.is_network_closed:
        return replace(judged, details={**judged.details, "network": "open"})
    return judged


def _check(options: PythonOptions) -> str:
    if options.cpu_s < 1 or not 0 < options.wall_s <= 3600 or options.memory_mib < _LEAST_MEMORY_MIB:
        return f"cpu_s is at least 1, wall_s above 0 and up to 3600, memory_mib at least {_LEAST_MEMORY_MIB}"
    try:
        parsed = ast.parse(options.code)
    except SyntaxError as error:
        return f"code, line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"code: {error or type(error).__name__}"
    has_it = any(isinstance(node, ast.FunctionDef) and node.name == _FUNCTION for node in parsed.body)
    return "" if has_it else f"code has no function {_FUNCTION}(item, output, context)"


def _needs(options: PythonOptions) -> frozenset[Need]:
    # Whatever the code names is looked up; a comment that names it costs a look, too.
    return frozenset(need for need in get_args(Need) if need in options.code)


KIND = EvaluatorKind(
    "python",
    "what a Python function of yours says",
    PythonOptions,
    score,
    check=_check,
    unit="number",
    also_needs=_needs,
)
