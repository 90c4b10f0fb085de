"""The kind ``python``: what users' functions may answer, and what is told before a push."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from tests.unit.evaluate.judged import judge_subject
from zirkel.core import DatasetItem, Errored, Invalid, JsonObject, Score, Scored, SpanKind, Unscored
from zirkel.evaluate.code_runner import CodeAnswer, CodeRunner, CodeSpec
from zirkel.evaluate.subject import Step, Subject, ToolCall
from zirkel.evaluate.tools import NoTools

SUBJECT = Subject(
    DatasetItem(id="1", input={"q": "?"}, expected="yes", metadata={"lang": "de"}),
    "yes \ud800",
    tool_calls=(ToolCall("find", "{}", "c1"),),
    steps=(Step(SpanKind.TOOL, "find", "in", "out"),),
    contexts=("text",),
    cost_usd=Decimal("0.1"),
    duration_ms=12.5,
    trial=3,
)


class Processes(NoTools):
    """Code in real processes."""

    def __init__(self, runner: CodeRunner) -> None:
        self._runner = runner

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        return self._runner.run(spec, call)


class OpenProcesses(Processes):
    """As on a machine where no process can be cut off from the network."""

    def run_code(self, spec: CodeSpec, call: bytes) -> CodeAnswer:
        return CodeAnswer(super().run_code(spec, call).json, is_network_closed=False)


@pytest.fixture(scope="module")
def runner() -> Iterator[CodeRunner]:
    opened = CodeRunner()
    yield opened
    opened.close()


def run(runner: CodeRunner, answer: str, options: JsonObject | None = None) -> Score:
    code = f"def score(item, output, context):\n    return {answer}\n"
    return judge_subject("python", SUBJECT, {"code": code, **(options or {})}, Processes(runner))


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("True", Scored(1.0)),
        ("False", Scored(0.0)),
        ("0.25", Scored(0.25)),
        ("7", Scored(7.0)),
        ("{'value': True, 'label': 'good', 'reason': 'because'}", Scored(1.0, "good", "because")),
        ("{'value': 0.5, 'details': {'a': [1]}}", Scored(0.5, details={"a": [1]})),
        ("{'unscored': 'not German'}", Unscored("not German")),
        ("item['expected'] == output[:3]", Scored(1.0)),
        ("item['metadata']['lang'] == 'de' and item['input']['q'] == '?'", Scored(1.0)),
        ("ord(output[-1]) == 0xd800", Scored(1.0)),
        ("context['tool_calls'] == [{'name': 'find', 'arguments': '{}', 'id': 'c1'}]", Scored(1.0)),
        ("context['steps'][0]['kind'] == 'tool' and context['contexts'] == ['text']", Scored(1.0)),
        ("(context['cost_usd'], context['duration_ms'], context['trial']) == ('0.1', 12.5, 3)", Scored(1.0)),
    ],
)
def test_a_function_answers_a_number_a_bool_or_an_object(runner: CodeRunner, answer: str, score: Score) -> None:
    assert run(runner, answer) == score


@pytest.mark.parametrize(
    "answer", ["None", "'0.5'", "[1]", "{}", "{'label': 'good'}", "{'value': 1, 'other': 2}", "1 / 0", "float('inf')"]
)
def test_any_other_answer_is_an_error_and_no_score(runner: CodeRunner, answer: str) -> None:
    assert isinstance(run(runner, answer), Errored)


def test_a_score_that_was_made_with_an_open_network_says_so(runner: CodeRunner) -> None:
    code: JsonObject = {"code": "def score(item, output, context): return 1"}
    tools = OpenProcesses(runner)
    assert judge_subject("python", SUBJECT, code, tools) == Scored(1.0, details={"network": "open"})
    assert judge_subject("python", SUBJECT, {**code, "network": "open"}, tools) == Scored(1.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"code": "def score(:"}, "line 1"),
        ({"code": "def judge(item, output, context): pass"}, "no function score"),
        ({"code": "\0"}, "null bytes"),
        ({"code": "def score(item, output, context): pass", "cpu_s": 0}, "cpu_s"),
        ({"code": "def score(item, output, context): pass", "memory_mib": 1}, "memory_mib"),
        ({"code": "def score(item, output, context): pass", "network": "shut"}, "network"),
        ({}, "code"),
    ],
)
def test_a_mistake_is_told_before_anything_is_run(options: JsonObject, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        judge_subject("python", SUBJECT, options)
