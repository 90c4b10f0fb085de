"""The list of kinds: what packages may and may not add, what each says of itself, and what is not loaded for it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from zirkel.core import DatasetItem, Errored, EvaluatorSpec, Invalid, JsonObject
from zirkel.evaluate.evaluators import EvaluatorKind, Subject, check_evaluator, kind_of, known_kinds, score_subject
from zirkel.evaluate.evaluators.describe import describe_kind
from zirkel.evaluate.evaluators.kinds import built_in_kinds
from zirkel.evaluate.tools import NoTools

MODULE = """
import msgspec
from zirkel.core import Scored
from zirkel.evaluate.evaluators import EvaluatorKind
class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass
def score(options, subject, tools):
    return Scored(0.5)
EXACT = EvaluatorKind("exact", "mine", Options, score)
HALF = EvaluatorKind("half", "always half", Options, score)
NOT_ONE = score
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the file of entry points of a package that is installed in a folder."""
    metadata = tmp_path / "others-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (tmp_path / "other_evaluators.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    known_kinds.cache_clear()
    yield metadata / "entry_points.txt"
    known_kinds.cache_clear()


def add(file: Path, name: str, target: str) -> None:
    file.write_text(f"[zirkel.evaluators]\n{name} = other_evaluators:{target}\n")


def test_a_package_adds_a_kind(installed: Path) -> None:
    add(installed, "half", "HALF")
    assert known_kinds()["half"].summary == "always half"
    assert list(known_kinds())[:2] == ["exact", "contains"]


def test_a_built_in_kind_is_never_replaced(installed: Path) -> None:
    add(installed, "exact", "EXACT")
    assert known_kinds()["exact"].summary == "equals the expected output"


@pytest.mark.parametrize(("target", "said"), [("MISSING", "cannot be loaded"), ("NOT_ONE", "is no EvaluatorKind")])
def test_a_package_whose_kind_is_broken_is_named(installed: Path, target: str, said: str) -> None:
    add(installed, "half", target)
    with pytest.raises(Invalid, match=f"'half' of other_evaluators:{target} {said}"):
        known_kinds()
    subject = Subject(DatasetItem(id="1", input={}), "")
    score = score_subject(EvaluatorSpec(name="x", kind="exact"), subject, NoTools())
    assert isinstance(score, Errored)
    assert said in score.error


def test_an_unknown_kind_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(Invalid, match=r"kind 'exactly' is unknown; known are .*contains, .*exact"):
        check_evaluator(EvaluatorSpec(name="x", kind="exactly"))


@pytest.mark.parametrize("kind", [kind.name for kind in built_in_kinds()])
def test_every_kind_refuses_a_misspelt_option(kind: str) -> None:
    known = kind_of(EvaluatorSpec(name="x", kind=kind))
    assert known.options.__struct_config__.frozen
    required: JsonObject = {
        field.name: "x" for field in msgspec.structs.fields(known.options) if field.required and field.type is str
    }
    with pytest.raises(Invalid, match=rf"evaluators\.toml: 'x' \({kind}\): Object contains unknown field `feild`"):
        check_evaluator(EvaluatorSpec(name="x", kind=kind, options={"feild": "x", **required}))


@pytest.mark.parametrize("kind", built_in_kinds(), ids=lambda kind: str(kind.name))
def test_every_kind_says_what_its_values_and_options_mean(kind: EvaluatorKind[msgspec.Struct]) -> None:
    found = describe_kind(kind)
    assert found.summary
    assert found.text
    assert found.text[0].startswith("Return ")
    assert found.unit in ("share", "ms", "usd", "number")
    tables = [table.name for table in found.tables]
    assert all(table.meaning for table in found.tables)
    said = [option.name for option in found.options if option.meaning or any(name in option.type for name in tables)]
    assert said == [option.name for option in found.options]


def test_types_and_defaults_are_told_in_the_words_of_the_file() -> None:
    options = {option.name: option for option in describe_kind(known_kinds()["trajectory"]).options}
    assert options["max_steps"].type == "whole number | none"
    assert options["max_steps"].default == "none"
    assert options["kinds"].default == '["tool"]'
    assert options["order"].type == '"any" | "in_order" | "exact"'
    assert {option.name: option.default for option in describe_kind(known_kinds()["regex"]).options}["pattern"] == ""


def test_listing_the_kinds_loads_no_library_that_only_judging_needs() -> None:
    program = (
        "import sys, zirkel.evaluate\n"
        "from zirkel.evaluate.evaluators import known_kinds\n"
        "known_kinds()\n"
        "heavy = {'nltk', 'rouge_score', 'sacrebleu', 'rapidfuzz', 'onnxruntime', 'tokenizers'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
