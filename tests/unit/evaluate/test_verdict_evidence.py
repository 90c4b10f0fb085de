"""A verdict reached again from its pack, and shown to people and CI servers."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import altair
import numpy as np
import pytest
import vl_convert
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.evaluate.measured import gate_inputs, plain_items, trials_of
from zirkel.core import (
    EvidencePack,
    GatePolicy,
    Incompatible,
    Invalid,
    Json,
    ManualClock,
    MetricPolicy,
    NotFound,
    Principal,
    Role,
    canonical_json,
)
from zirkel.evaluate import (
    Evaluation,
    Experiments,
    GatePack,
    ReportView,
    check_gate_pack,
    encode_gate_pack,
    forest_plot,
    junit_xml,
    markdown_summary,
    read_report,
    recompute,
)
from zirkel.evaluate.gate_inputs import decode_inputs, encode_inputs
from zirkel.evaluate.recompute import Computed, compute
from zirkel.store.metadata import Metadata

POLICY = GatePolicy(
    metric=[
        MetricPolicy(evaluator="a", margin=0.05, floor=0.5),
        MetricPolicy(evaluator="b|<c>", margin=0.05),
        MetricPolicy(evaluator="latency_ms", relative_margin=0.1),
    ]
)


def computed(policy: GatePolicy = POLICY, *, has_baseline: bool = True, planned: int | None = None) -> Computed:
    random = np.random.default_rng(3)
    good, bad = (random.random((2, 90, 2)) < [[[0.9]], [[0.6]]]).astype(float)
    ours, theirs = (
        trials_of({"a": good.tolist(), "b|<c>": bad.tolist()}),
        trials_of({"a": bad.tolist(), "b|<c>": good.tolist()}),
    )
    return compute(gate_inputs(policy, ours, theirs if has_baseline else None, plain_items(90, 3), planned=planned))


def parsed(value: Json) -> Any:
    """Return a JSON value as one that can be changed."""
    return json.loads(canonical_json(value))


def view(found: Computed | None = None) -> ReportView:
    return read_report(parsed((found or computed()).report))


@given(
    st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=3), min_size=3, max_size=8),
    st.lists(st.floats(0, 1), min_size=8, max_size=8),
    st.integers(1, 3),
)
def test_inputs_survive_being_written_down(ours: list[list[float]], theirs: list[float], size: int) -> None:
    items = plain_items(len(ours), size)
    policy = GatePolicy(metric=[MetricPolicy(evaluator="m", margin=0.1)])
    inputs = gate_inputs(policy, trials_of({"m": ours}), trials_of({"m": theirs[: len(ours)]}), items)
    again = decode_inputs(parsed(encode_inputs(inputs)))
    assert canonical_json(encode_inputs(again)) == canonical_json(encode_inputs(inputs))
    assert canonical_json(compute(again).report) == canonical_json(compute(inputs).report)


def test_a_verdict_is_reached_again_byte_for_byte() -> None:
    found = computed()
    again = recompute(parsed(found.inputs), parsed(found.report))
    assert (again.verdict, again.recorded, again.difference) == ("FAIL", "FAIL", "")


def test_the_first_difference_is_named() -> None:
    found = computed()
    inputs, report = parsed(found.inputs), parsed(found.report)
    report["decision"]["verdict"] = "PASS"
    again = recompute(inputs, report)
    assert (again.verdict, again.recorded) == ("FAIL", "PASS")
    assert again.difference == "decision.verdict is 'PASS' in the kept report, 'FAIL' recomputed"
    missing = parsed(found.report)
    del missing["decision"]["notes"]
    assert recompute(inputs, missing).difference == "decision.notes is only in the recomputed report"


def test_another_score_gives_another_digest_and_is_seen() -> None:
    found = computed()
    inputs = parsed(found.inputs)
    values = inputs["candidate"]["columns"]["a"]["values"]
    values[0][0] = 1.0 - values[0][0]
    assert recompute(inputs, parsed(found.report)).difference


def test_statistics_of_another_major_version_are_refused_and_named() -> None:
    found = computed()
    inputs = parsed(found.inputs)
    inputs["versions"]["statistics"] = "2.3"
    inputs["versions"]["program"] = "9.1.0"
    with pytest.raises(Incompatible, match=r"statistics 2\.3.*recompute it with zirkel 9\.1\.0"):
        recompute(inputs, parsed(found.report))


@pytest.mark.parametrize("fields", [{}, {"format": "zirkel-gate-inputs-1"}, {"format": "zirkel-gate-inputs-0"}])
def test_what_are_no_inputs_is_refused(fields: dict[str, Json]) -> None:
    with pytest.raises(Invalid):
        recompute(fields, {})


@pytest.fixture
def pack(
    evaluation: Evaluation,
    experiments: Experiments,
    metadata: Metadata,
    admin: Principal,
    live: str,
    clock: ManualClock,
) -> bytes:
    experiments.start(admin, "triage", trials=2)
    result = evaluation.gate(admin, "triage")
    clock.advance(1)
    evidence = evaluation.evidence(admin, result.record.verdict_id)
    with metadata.transaction() as tx:
        entries = tuple(tx.ledger.entries("p"))
    return encode_gate_pack(
        GatePack(result.record.verdict_id, evidence.inputs, evidence.report, EvidencePack("p", entries, ()))
    )


def test_a_pack_alone_gives_the_verdict_again(pack: bytes) -> None:
    found = check_gate_pack(pack)
    assert found.problem == ""
    assert found.recomputation is not None
    assert (found.recomputation.verdict, found.recomputation.recorded) == ("PASS", "PASS")
    assert found.chain.entries > 0


@pytest.mark.parametrize(
    ("line", "old", "new", "said"),
    [
        (1, b'"answered":80', b'"answered":81', "the inputs are not those that the ledger names"),
        (2, b'"verdict":"PASS"', b'"verdict":"FAIL"', "the report are not those that the ledger names"),
        (-2, b"PASS", b"FAIL", "the ledger does not hold"),
    ],
)
def test_a_pack_that_was_changed_is_seen_to_be(pack: bytes, line: int, old: bytes, new: bytes, said: str) -> None:
    lines = pack.split(b"\n")
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new)
    found = check_gate_pack(b"\n".join(lines))
    assert said in found.problem
    assert found.recomputation is None


@pytest.mark.parametrize(
    "change",
    [lambda data: b"", lambda data: b"x\n" + data, lambda data: data.split(b"\n", 1)[1], lambda data: data[:200]],
)
def test_what_is_no_pack_is_refused(pack: bytes, change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(Invalid):
        check_gate_pack(change(pack))


def test_a_pack_of_another_verdict_is_seen_to_be(pack: bytes) -> None:
    header, rest = pack.split(b"\n", 1)
    other = json.loads(header) | {"verdict_id": "other"}
    assert "has no verdict other" in check_gate_pack(canonical_json(other) + b"\n" + rest).problem


def test_who_may_not_read_gets_no_evidence(evaluation: Evaluation, admin: Principal) -> None:
    with pytest.raises(NotFound, match="ask a gate with: zirkel gate"):
        evaluation.evidence(admin, "none")


def test_junit_has_one_case_a_metric_and_ci_stops_at_failures_and_errors() -> None:
    suite = ET.fromstring(junit_xml(view())).find("testsuite")
    assert suite is not None
    assert {name: suite.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "3",
        "failures": "1",
        "errors": "0",
    }
    cases = {case.get("name"): [child.tag for child in case] for case in suite.findall("testcase")}
    assert cases == {"a": ["system-out"], "b|<c>": ["failure"], "latency_ms": ["system-out"]}


def test_missing_answers_are_an_error_in_junit_and_a_sentence_in_markdown() -> None:
    incomplete = view(computed(planned=91))
    case = ET.fromstring(junit_xml(incomplete)).find("testsuite/testcase")
    assert case is not None
    assert (case.get("name"), case[0].tag, case[0].get("type")) == ("evidence", "error", "INCONCLUSIVE")
    assert "answers of the candidate are missing or errored" in markdown_summary(incomplete)


def test_markdown_shows_each_test_with_its_limit_and_stays_a_table() -> None:
    text = markdown_summary(view(), "gate.svg")
    assert text.startswith("## ❌ FAIL: s\n")
    assert "b\\|&lt;c>" in text
    assert "| mean |" in text
    assert "floor 0.500" in text
    assert "margin 10.0%" in text
    assert "![What differs, beside the margins](gate.svg)" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in table} == {6}
    plot = [line for line in text.splitlines() if "●" in line]
    assert len(plot) == 3
    assert len({line.index("¦") if "¦" in line else None for line in plot} - {None}) <= 1


def test_the_plot_is_a_specification_that_draws_without_the_network() -> None:
    specification = forest_plot(view())
    altair.Chart.from_dict(json.loads(canonical_json(specification)))
    svg = vl_convert.vegalite_to_svg(json.dumps(specification))
    for word in ("latency_ms", "PASS", "FAIL", "difference from the baseline"):
        assert word in svg
    nothing = forest_plot(view(computed(planned=91)))
    assert "missing or errored" in vl_convert.vegalite_to_svg(json.dumps(nothing))


def test_without_a_baseline_the_floor_alone_is_shown() -> None:
    found = view(computed(GatePolicy(metric=[MetricPolicy(evaluator="a", floor=0.5)]), has_baseline=False))
    assert "There is nothing to compare with." in markdown_summary(found)
    assert found.decision.metrics[0].difference is None
    assert "mean of the candidate" in vl_convert.vegalite_to_svg(json.dumps(forest_plot(found)))


def test_the_verdict_of_a_gate_is_kept_with_the_digest_of_what_it_rests_on(
    evaluation: Evaluation, experiments: Experiments, metadata: Metadata, admin: Principal, live: str
) -> None:
    experiments.start(admin, "triage", trials=1)
    result = evaluation.gate(admin, "triage")
    evidence = evaluation.evidence(admin, result.record.verdict_id)
    report = json.loads(result.record.report)
    with metadata.transaction() as tx:
        entry = list(tx.ledger.entries("p"))[-1]
    payload = json.loads(entry.payload)
    assert payload["inputs_digest"] == report["inputs_digest"]
    assert payload["policy_digest"] == report["policy_digest"]
    assert evidence.inputs["versions"] == report["versions"]
    reader = Principal("p", "k", "bob", frozenset({Role.READ}))
    assert evaluation.verdict(reader, result.record.verdict_id) == result.record
