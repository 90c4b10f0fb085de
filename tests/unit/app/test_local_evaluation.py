"""``zirkel.evaluate`` in this process: what may be given, what is found, what becomes of faults."""

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

import zirkel
from zirkel.app.local_evaluation import LocalOptions, evaluate_locally
from zirkel.app.local_inputs import open_dataset, open_evaluators, to_score
from zirkel.app.system_file import open_system
from zirkel.core import DatasetItem, Invalid, Scored, TrialState, Unscored
from zirkel.evaluate.local_result import EvaluationResult
from zirkel.evaluate.systems import FunctionSystem, HttpSystem, OpenAiSystem

ITEMS = [{"id": f"i{number}", "input": {"q": str(number)}, "expected": str(number)} for number in range(20)]


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZIRKEL_API_KEY", raising=False)
    monkeypatch.delenv("ZIRKEL_URL", raising=False)


def echo(given: Mapping[str, object]) -> str:
    return str(given["q"])


async def mostly(given: Mapping[str, object]) -> dict[str, object]:
    await asyncio.sleep(0)
    return {"output": given["q"] if int(str(given["q"])) % 4 else "wrong", "cost_usd": "0.25", "contexts": ["c"]}


def run(function: object, evaluators: list[object], **options: object) -> EvaluationResult:
    return evaluate_locally(function, ITEMS, evaluators, LocalOptions(server=False, **options))  # type: ignore[arg-type]


def test_a_function_is_measured_with_intervals() -> None:
    result = zirkel.evaluate(echo, ITEMS, ["exact"], trials=2, server=False)
    interval = result.scores["exact"]
    assert interval is not None
    assert (interval.estimate, interval.n) == (1.0, 20)
    assert interval.low < 1.0
    assert result.errored == 0
    assert result.experiment_id == ""
    assert "echo: 20 items x 2 trials, 0 errored" in str(result)
    assert json.loads(json.dumps(result.to_dict()))["items"] == 20


def test_an_asynchronous_function_can_tell_what_it_cost() -> None:
    result = run(mostly, ["exact"])
    assert result.cost_usd == Decimal(5)
    assert result.scores["exact"] is not None
    assert result.scores["exact"].estimate == pytest.approx(0.75)
    bounds = result.bounds("exact")
    assert bounds is not None
    assert bounds.method == "clopper_pearson"
    with pytest.raises(Invalid, match="'magic' was not measured"):
        result.bounds("magic")


def test_functions_judge_by_output_or_by_output_and_item() -> None:
    def length(output: str) -> float:
        return len(output) * 10

    def same(output: str, item: DatasetItem) -> bool:
        return output == item.expected

    def picky(output: str) -> object:
        return None if output == "1" else {"value": 1, "reason": "fine"}

    def broken(output: str) -> float:
        raise ValueError(output)

    result = run(echo, [length, same, picky, broken])
    assert [result.metrics[name].unit for name in ("length", "same", "picky")] == ["number", "share", "share"]
    assert result.scores["length"] is not None
    assert result.scores["length"].estimate == pytest.approx(15)
    assert result.scores["broken"] is None
    (first, second) = (next(t for t in result.trials if t.item_id == name) for name in ("i1", "i2"))
    assert first.scores is not None
    assert first.scores["picky"]["state"] == "unscored"
    assert first.scores["broken"] == {"state": "errored", "error": "ValueError: 1"}
    assert second.scores is not None
    assert second.scores["picky"] == {"state": "scored", "value": 1.0, "reason": "fine"}


def test_two_results_are_compared_item_by_item() -> None:
    better, worse = run(echo, ["exact", "contains"]), run(mostly, ["exact"])
    found = better.compare(worse)
    assert set(found) == {"exact", "cost_usd", "latency_ms", "error_rate"}
    assert found["exact"].difference is not None
    assert found["exact"].difference.estimate == pytest.approx(0.25)
    assert (found["exact"].better_items, found["exact"].worse_items) == (5, 0)


def test_what_a_function_raises_is_errored_and_not_scored() -> None:
    def half(given: Mapping[str, object]) -> str:
        if given["q"] == "3":
            raise RuntimeError("no")
        return str(given["q"])

    result = run(half, ["exact"])
    assert result.errored == 1
    (failed,) = [trial for trial in result.trials if trial.state == TrialState.ERRORED]
    assert (failed.item_id, failed.error, failed.scores) == ("i3", "RuntimeError: no", None)
    assert result.summary.metrics["exact"].scored_items == 19


def test_at_most_so_many_calls_are_made_at_once() -> None:
    running = most = 0

    async def watched(given: Mapping[str, object]) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1
        return str(given["q"])

    run(watched, ["exact"], concurrency=3)
    assert most == 3


def test_contexts_that_a_function_tells_are_there_for_evaluators(tmp_path: Path) -> None:
    code = "def score(item, output, context):\\n    return context['contexts'] == ['c']\\n"
    file = tmp_path / "evaluators.toml"
    file.write_text(f'[[evaluator]]\nname = "grounded"\nkind = "python"\ncode = "{code}"\n')
    result = evaluate_locally(mostly, ITEMS[:2], file, LocalOptions(server=False))
    assert result.scores["grounded"] is not None
    assert result.scores["grounded"].estimate == 1.0


def test_a_fault_of_the_server_does_not_lose_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIRKEL_API_KEY", "zk_test")
    monkeypatch.setenv("ZIRKEL_URL", "http://127.0.0.1:9")
    result = evaluate_locally(echo, ITEMS, ["exact"], LocalOptions())
    assert "did not answer" in result.upload_error
    assert (result.experiment_id, result.errored) == ("", 0)


def test_a_server_without_a_key_is_refused() -> None:
    with pytest.raises(Invalid, match="ZIRKEL_API_KEY"):
        zirkel.evaluate(echo, ITEMS, ["exact"], server="http://127.0.0.1:9")


# What may be given


def test_items_are_given_as_mappings_files_or_items(tmp_path: Path) -> None:
    expected = open_dataset(ITEMS, None)
    lines = "".join(json.dumps(item) + "\n" for item in ITEMS)
    (tmp_path / "items.jsonl").write_text(lines)
    assert open_dataset(tmp_path / "items.jsonl", None) == expected
    assert open_dataset(str(tmp_path / "items.jsonl"), None) == expected
    assert open_dataset(expected, None) == expected
    (short,) = open_dataset([{"input": "hello", "expected": 3}], None)
    assert (short.input, short.expected, bool(short.id)) == ({"input": "hello"}, "3", True)


def test_items_of_a_table_are_read(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("id,input.q,expected\na,1,x\n")
    (item,) = open_dataset(tmp_path / "items.csv", None)
    assert (item.id, item.expected) == ("a", "x")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"id": "a"}], "item 1"),
        ([{"input": {}, "extra": 1}], "item 1"),
        ([{"id": "a", "input": {}}, {"id": "a", "input": {"x": 1}}], "'a'"),
        ("nowhere", "no server is set"),
        (Path("nowhere.jsonl"), "there is no file"),
    ],
)
def test_a_data_set_that_will_not_do_is_refused(given: object, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        open_dataset(given, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["magic"],
        ["exact", "exact"],
        [{"kind": "exact", "nonsense": 1}],
        [3],
        Path("nowhere.toml"),
    ],
)
def test_evaluators_that_will_not_do_are_refused(given: object) -> None:
    with pytest.raises(Invalid):
        open_evaluators(given)  # type: ignore[arg-type]


def test_evaluators_are_given_as_names_tables_and_functions() -> None:
    table = {"name": "near", "kind": "edit_similarity", "threshold": 0.8}
    specs, judges = open_evaluators(["exact", table, echo])
    assert [(spec.name, spec.kind) for spec in specs] == [
        ("exact", "exact"),
        ("near", "edit_similarity"),
        ("echo", "reported"),
    ]
    assert specs[1].options == {"threshold": 0.8}
    assert list(judges) == ["echo"]


@pytest.mark.parametrize(
    ("said", "score"),
    [
        (True, Scored(1.0)),
        (0.5, Scored(0.5)),
        (None, Unscored("the evaluator says nothing of it")),
        ({"value": 2, "label": "x", "reason": "y"}, Scored(2.0, "x", "y")),
        (Unscored("z"), Unscored("z")),
    ],
)
def test_what_a_function_says_is_a_score(said: object, score: object) -> None:
    assert to_score(said) == score


@pytest.mark.parametrize("said", ["good", [1], {"score": 1}])
def test_what_is_no_score_is_a_fault_of_the_evaluator(said: object) -> None:
    with pytest.raises(TypeError, match="an evaluator says a number"):
        to_score(said)


# system.toml


def test_a_file_describes_a_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOT_KEY", "k")
    file = tmp_path / "system.toml"
    file.write_text('kind = "python"\nfunction = "json:dumps"\n')
    assert isinstance(open_system(file, threads=2), FunctionSystem)
    file.write_text(
        'kind = "http"\nurl = "http://localhost/ask"\nanswer = "/text"\nrequest = { q = "{{ q }}" }\n'
        'header_variables = { x-api-key = "BOT_KEY" }\n'
    )
    assert isinstance(open_system(file, threads=2), HttpSystem)
    file.write_text(
        'kind = "openai"\nurl = "http://localhost/v1"\nmodel = "small"\nkey_variable = "BOT_KEY"\n'
        '[[messages]]\nrole = "user"\ncontent = "{{ q }}"\n'
    )
    assert isinstance(open_system(file, threads=2), OpenAiSystem)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'kind = "magic"\n',
        'kind = "python"\n',
        'kind = "python"\nfunction = "json:nothing"\n',
        'kind = "python"\nfunction = "json:dumps"\nextra = 1\n',
        'kind = "http"\nurl = "u"\nrequest = {}\nanswer = "text"\n',
        'kind = "openai"\nurl = "u"\nmodel = "m"\nmessages = []\nkey_variable = "NOT_SET_ANYWHERE"\n',
    ],
)
def test_a_file_that_will_not_do_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "system.toml"
    file.write_text(text)
    with pytest.raises(Invalid):
        open_system(file, threads=1)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        open_system(tmp_path / "system.toml", threads=1)
