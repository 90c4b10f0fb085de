"""The examples of the page on judges can be pushed, and it names every kind and option there is."""

import re
from pathlib import Path

import pytest

from zirkel.core import EvaluatorSpec
from zirkel.evaluate.evaluators import check_evaluator, known_kinds
from zirkel.version.files import ServiceFiles, parse_evaluators

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "judges.md").read_text()
EXAMPLES: list[str] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
JUDGES = [kind for kind in known_kinds().values() if kind.uses_model]


def examples() -> list[EvaluatorSpec]:
    return [
        spec
        for text in EXAMPLES
        for spec in parse_evaluators(ServiceFiles({"evaluators.toml": text.encode()})).evaluator
    ]


def test_each_example_can_be_pushed() -> None:
    assert len(EXAMPLES) >= 6
    for spec in examples():
        check_evaluator(spec)


def test_each_kind_that_asks_a_model_has_an_example() -> None:
    assert {kind.name for kind in JUDGES} <= {spec.kind for spec in examples()}


@pytest.mark.parametrize("kind", JUDGES, ids=lambda kind: kind.name)
def test_each_option_is_on_the_page(kind: object) -> None:
    options = next(found.options for found in JUDGES if found is kind)
    assert [name for name in options.__struct_fields__ if not re.search(rf"\b{name}\b", PAGE)] == []
