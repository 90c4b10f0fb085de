"""Inspect logs as experiments: both forms, both compressions, and what has no counterpart."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pytest

from zirkel.app.inspect_import import translate_inspect
from zirkel.app.inspect_log import read_inspect_log
from zirkel.core import Invalid, Json, TrialState

EVAL: dict[str, Json] = {"task": "sums", "task_version": 2, "model": "mock/m", "eval_id": "id1"}
HEADER: dict[str, Json] = {"version": 2, "status": "success", "eval": EVAL}


def sample(sample_id: Json, epoch: int, value: Json, completion: str = "4", **changes: Json) -> dict[str, Json]:
    found: dict[str, Json] = {
        "id": sample_id,
        "epoch": epoch,
        "input": "2+2",
        "target": "4",
        "output": {"model": "mock/m", "choices": [], "completion": completion},
        "scores": {"match": {"value": value, "answer": completion, "explanation": "because"}},
        "metadata": {"topic": "sum"},
        "model_usage": {"mock/m": {"input_tokens": 7, "output_tokens": 1, "input_tokens_cache_read": 3}},
        "total_time": 0.5,
    }
    return {**found, **changes}


def json_log(samples: Sequence[Mapping[str, Json]]) -> bytes:
    return json.dumps({**HEADER, "samples": list(samples)}).encode()


def eval_log(samples: Sequence[Mapping[str, Json]]) -> bytes:
    """Return the archive as Python writes it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_journal/start.json", "{}")
        for number, one in enumerate(samples):
            archive.writestr(f"samples/{number}_epoch_1.json", json.dumps(one))
        archive.writestr("header.json", json.dumps(HEADER))
    return target.getvalue()


def zstandard_log(samples: Sequence[Mapping[str, Json]]) -> bytes:
    """Return the archive with members of compression method 93, by the format's description."""
    members = {f"samples/{number}_epoch_1.json": json.dumps(one) for number, one in enumerate(samples)}
    members["header.json"] = json.dumps(HEADER)
    body, directory = bytearray(), bytearray()
    for name, text in members.items():
        plain = text.encode()
        packed = pa.compress(plain, codec="zstd", asbytes=True)
        facts = (63, 0, 93, 0, 33, zlib.crc32(plain), len(packed), len(plain), len(name), 0)
        directory += struct.pack("<IH", 0x02014B50, 63) + struct.pack("<HHHHHIIIHH", *facts)
        directory += struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name.encode()
        body += struct.pack("<I", 0x04034B50) + struct.pack("<HHHHHIIIHH", *facts) + name.encode() + packed
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory + end)


SAMPLES = [sample("a", 1, "C"), sample("a", 2, "I", "5"), sample(2, 1, 0.25), sample(2, 2, True)]


@pytest.mark.parametrize("write", [json_log, eval_log, zstandard_log])
def test_a_log_is_an_experiment_of_items_trials_and_scores(write: object) -> None:
    assert callable(write)
    found = translate_inspect(read_inspect_log(write(SAMPLES)))
    assert found.not_taken == ()
    assert (found.version, found.identity) == ("mock/m task 2", "id1")
    record = found.run.experiment
    assert (record.service, record.items, record.trials, record.origin) == ("sums", 2, 2, "imported")
    first_item = found.run.items[0]
    assert (first_item.id, first_item.input, first_item.expected, first_item.metadata) == (
        "a",
        {"input": "2+2"},
        "4",
        {"topic": "sum"},
    )
    values = [(trial.item_id, trial.trial, (trial.scores or {})["match"].get("value")) for trial in found.run.trials]
    assert values == [("a", 0, 1.0), ("a", 1, 0.0), ("2", 0, 0.25), ("2", 1, 1.0)]
    first = found.run.trials[0]
    assert (first.output, first.input_tokens, first.output_tokens, first.duration_ms) == ("4", 10, 1, 500.0)
    assert (first.scores or {})["match"] == {"state": "scored", "value": 1.0, "label": "C", "reason": "because"}
    (evaluator,) = found.run.evaluators
    assert (evaluator.name, evaluator.kind, evaluator.options) == ("match", "reported", {"source": "inspect:match"})


@pytest.mark.parametrize(
    ("value", "number"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), ("Yes", 1.0), ("false", 0.0), ("0.75", 0.75), (3, 3.0)],
)
def test_grades_are_numbers(value: Json, number: float) -> None:
    found = translate_inspect(read_inspect_log(json_log([sample("a", 1, value)])))
    assert (found.run.trials[0].scores or {})["match"]["value"] == number


@pytest.mark.parametrize("value", ["great", None, float("nan"), [1, 2]])
def test_what_is_no_number_is_unscored_and_a_list_is_listed(value: Json) -> None:
    found = translate_inspect(read_inspect_log(json_log([sample("a", 1, value)])))
    assert (found.run.trials[0].scores or {})["match"]["state"] == "unscored"
    assert bool(found.not_taken) == isinstance(value, list)


def test_a_score_of_several_values_is_several_evaluators_and_wide_ones_are_numbers() -> None:
    found = translate_inspect(read_inspect_log(json_log([sample("a", 1, {"style": 7, "truth": "C"})])))
    assert [(spec.name, spec.options.get("share", True)) for spec in found.run.evaluators] == [
        ("match.style", False),
        ("match.truth", True),
    ]


def test_failed_and_missing_samples_are_errored_and_not_scored() -> None:
    failed = sample("b", 1, "C", error={"message": "boom", "traceback": "…"})
    found = translate_inspect(read_inspect_log(json_log([SAMPLES[0], SAMPLES[1], failed])))
    states = {(t.item_id, t.trial): (t.state, t.error, t.scores) for t in found.run.trials}
    assert states["b", 0] == (TrialState.ERRORED, "boom", None)
    assert states["b", 1] == (TrialState.ERRORED, "the log has no such sample", None)


def test_chats_choices_targets_attachments_and_tool_calls_are_kept() -> None:
    call: Json = {"id": "c1", "function": "search", "arguments": {"q": "x"}}
    rich = sample(
        "a",
        1,
        "C",
        input=[{"role": "user", "content": "attachment://f00"}],
        attachments={"f00": "a long text"},
        choices=["x", "y"],
        target=["4", "four"],
        output={"completion": "attachment://f00", "choices": [{"message": {"tool_calls": [call]}}]},
    )
    found = translate_inspect(read_inspect_log(json_log([rich])), "bot")
    (item,), (trial,) = found.run.items, found.run.trials
    assert item.input == {"messages": [{"role": "user", "content": "a long text"}], "choices": ["x", "y"]}
    assert (item.expected, item.metadata["targets"]) == ("4", ["4", "four"])
    assert trial.output == "a long text"
    assert trial.tool_calls == ({"name": "search", "arguments": '{"q": "x"}', "call_id": "c1"},)
    assert found.run.experiment.service == "bot"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no JSON"),
        (b"[]", "no object"),
        (b"{}", "no Inspect log of version 2"),
        (json.dumps({**HEADER, "version": 1, "samples": [{}]}).encode(), "version 1"),
        (json_log([]), "no samples"),
        (b"PK\x03\x04broken", "no Inspect log"),
        (zstandard_log(SAMPLES)[:200], "no Inspect log"),
    ],
)
def test_what_is_no_log_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_inspect_log(data)


def test_a_log_without_a_header_was_cut_off() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("samples/a_epoch_1.json", json.dumps(SAMPLES[0]))
    with pytest.raises(Invalid, match="had not ended"):
        read_inspect_log(target.getvalue())
