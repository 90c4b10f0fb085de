"""What the searching commands print, and what they ask for."""

import json
from pathlib import Path

import pytest

from zirkel.app.cli.costs import _print_change, _print_costs
from zirkel.app.cli.datasets import _known
from zirkel.app.cli.search import print_tree, with_service
from zirkel.core import Invalid, Json
from zirkel.core.filter_parser import parse_filter
from zirkel.core.filters import FieldRef, Text
from zirkel.observe.dataset_items import input_digest

Printed = pytest.CaptureFixture[str]


def span(span_id: str, parent: str = "", **fields: Json) -> dict[str, Json]:
    return {"span_id": span_id, "parent_span_id": parent, "name": span_id, "start_ns": 0, "end_ns": 1_500_000, **fields}


def test_a_trace_is_a_tree_in_which_orphans_are_roots(capsys: Printed) -> None:
    print_tree(
        [
            span("root", kind="call", status="ok"),
            span("first", "root", kind="chat", cost_usd="0.5"),
            span("inner", "first", kind="tool", unmapped=["odd.name"]),
            span("second", "root", kind="chat"),
            span("orphan", "gone"),
        ]
    )
    lines = capsys.readouterr().out.splitlines()
    assert [(len(line) - len(line.lstrip()), line.split()[1]) for line in lines] == [
        (0, "root"), (2, "first"), (4, "inner"), (2, "second"), (0, "orphan"),
    ]  # fmt: skip
    assert lines[1].endswith("1.5 ms  0.5 USD")
    assert lines[2].endswith("not understood: odd.name")


@pytest.mark.parametrize("name", ["triage", 'odd "name"', "back\\slash", 'both \\"'])
def test_a_service_of_any_name_is_a_filter_and_keeps_the_other_one_together(name: str) -> None:
    parsed = parse_filter(with_service(name))
    assert (getattr(parsed, "field", None), getattr(parsed, "value", None)) == (FieldRef("service"), Text(name))
    both = with_service(name, 'model = "a" or model = "b"')
    assert parse_filter(both) == parse_filter(f'{with_service(name)} and (model = "a" or model = "b")')
    assert with_service("", "error") == "error"


def test_an_unknown_cost_is_not_printed_as_nothing(capsys: Printed) -> None:
    lines: list[Json] = [
        {"name": "triage", "values": ["triage"], "cost_usd": "0.25", "unknown": 0, "count": 3},
        {"name": "", "values": [""], "cost_usd": None, "unknown": 2, "count": 2},
    ]
    _print_costs({"costs": lines})
    first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["0.25", "USD", "3", "calls", "triage"]
    assert second.split() == ["unknown", "USD", "2", "calls", "-,", "2", "of", "unknown", "price"]
    _print_costs({"costs": []})
    assert "zirkel traces" in capsys.readouterr().out


def test_a_change_is_printed_with_signs_and_without_exponents(capsys: Printed) -> None:
    _print_change(
        {
            "by": "user",
            "before_since": "b", "since": "s", "until": "u",
            "before_usd": "0.000001", "after_usd": "100", "change_usd": "99.999999",
            "calls_before": 1, "calls_after": 2, "unpriced_before": 0, "unpriced_after": 4,
            "parts": {"calls": "100.000000", "price": "-0.000001000000"},
            "meanings": {"calls": "how many", "price": "USD per token"},
            "segments": {"": "99.999999"},
        }
    )  # fmt: skip
    text = capsys.readouterr().out
    assert "+99.999999 USD" in text
    assert "-0.000001  price" in text
    assert "+100  calls" in text
    assert "0 before, 4 after" in text


def test_the_inputs_that_a_dataset_has_are_known_by_what_they_say(tmp_path: Path) -> None:
    inputs: list[dict[str, object]] = [{"review": "a\u2028b", "n": 1}, {"review": "c"}]
    file = tmp_path / "d.jsonl"
    file.write_text("\n".join(json.dumps({"id": "x", "input": one}, ensure_ascii=False) for one in inputs) + "\n\n")
    assert _known(file) == [input_digest(one) for one in inputs]
    assert _known(tmp_path / "none.jsonl") == []
    for faulty in ("{", "[]", '{"id": "1"}', "7"):
        file.write_text('{"input": {}}\n' + faulty)
        with pytest.raises(Invalid, match="line 2"):
            _known(file)
