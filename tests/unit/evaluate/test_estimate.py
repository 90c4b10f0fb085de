"""What an evaluation would cost: ranges from earlier answers, assumptions where there are none."""

from collections.abc import Callable
from decimal import Decimal
from math import sqrt
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import AnswerSample, DatasetItem, Principal, ReleaseBundle
from zirkel.evaluate import Answer, Estimates, Experiments
from zirkel.evaluate.estimate import (
    FEW,
    Range,
    TokenPrice,
    call_cost,
    judges_range,
    output_range,
    range_of,
)
from zirkel.store.metadata import Metadata
from zirkel.version import Registry

Files = Callable[..., dict[str, bytes]]


def sample(tokens: int | None, release: str = "r", judges: str | None = "0", evaluators: str = "e") -> AnswerSample:
    return AnswerSample(release, evaluators, tokens, Decimal(1), None if judges is None else Decimal(judges))


@given(st.lists(st.floats(min_value=0, max_value=1e6), min_size=FEW, max_size=100))
def test_a_range_lies_around_the_mean_and_is_never_narrower_than_a_tenth_or_below_0(values: list[float]) -> None:
    found = range_of(values)
    assert found is not None
    assert 0 <= found.low <= found.likely <= found.high
    assert found.likely == pytest.approx(fmean(values))
    radius = max(2 * stdev(values) / sqrt(len(values)), 0.1 * fmean(values))
    assert found.high == pytest.approx(fmean(values) + radius)


def test_few_answers_say_nothing() -> None:
    assert range_of([1.0] * (FEW - 1)) is None


def test_a_call_costs_its_prompt_and_its_answer() -> None:
    price = TokenPrice(Decimal(2), Decimal(8))
    found = call_cost(1000, Range(100, 200, 400), price)
    assert (found.low, found.likely, found.high) == pytest.approx((0.0028, 0.0036, 0.0052))
    assert found.times(10).likely == pytest.approx(0.036)
    assert found.plus(found).high == pytest.approx(0.0104)


def test_lengths_are_those_of_the_release_before_those_of_the_service_before_assumptions() -> None:
    own, others = [sample(10, "r")] * FEW, [sample(90, "x")] * FEW
    assert output_range(own + others, "r", None)[0].likely == pytest.approx(10)
    assert output_range(own[:3] + others, "r", None)[0].likely == pytest.approx((90 * FEW + 30) / (FEW + 3))
    assumed, basis = output_range([sample(None)] * 50, "r", None)
    assert (assumed, "assumed" in basis) == (Range(20, 200, 1000), True)
    assert output_range([], "r", 50)[0] == Range(20, 50, 50)
    assert output_range([], "r", 5)[0] == Range(5, 5, 5)


def test_judging_costs_what_it_cost_with_the_same_evaluators() -> None:
    found = judges_range([sample(1, judges="0.5")] * FEW + [sample(1, judges="9", evaluators="x")] * FEW, "e")
    assert found is not None
    assert found[0].likely == pytest.approx(0.5)
    assert judges_range([sample(1, judges=None)] * FEW, "e") is None


class Costs:
    """Ten tokens a prompt, one USD a million tokens; what is called unknown has no price."""

    def input_tokens(self, release: ReleaseBundle, item: DatasetItem) -> int:
        return 10

    def count_tokens(self, text: str, model: str) -> int:
        return 100

    def price(self, project_id: str, model: str, release: ReleaseBundle) -> TokenPrice | None:
        return None if "unknown" in model else TokenPrice(Decimal(1), Decimal(1))


@pytest.fixture
def estimates(metadata: Metadata, registry: Registry) -> Estimates:
    return Estimates(metadata, registry, Costs())


def test_an_estimate_counts_calls_and_those_that_are_there_already(
    estimates: Estimates, experiments: Experiments, admin: Principal, live: str
) -> None:
    before = estimates.estimate(admin, "triage", trials=2)
    assert [(part.calls, part.cached) for part in before.systems] == [(80, 0), (80, 0)]
    assert before.systems[1].name == live
    assert before.total_usd is not None
    assert before.systems[0].cost_usd == call_cost(10, Range(20, 200, 1000), TokenPrice(Decimal(1), Decimal(1))).times(
        80
    )
    experiments.start(admin, "triage", trials=1)
    after = estimates.estimate(admin, "triage", trials=2)
    assert [(part.calls, part.cached) for part in after.systems] == [(40, 40), (40, 40)]
    assert estimates.estimate(admin, "triage", trials=1).total_usd == Range(0, 0, 0)


def test_an_estimate_is_near_what_is_spent_once_answers_are_known(
    estimates: Estimates,
    experiments: Experiments,
    registry: Registry,
    system: object,
    admin: Principal,
    make_files: Files,
) -> None:
    system.script = lambda q: Answer("x", cost_usd=Decimal(40) / 10**6, output_tokens=30)  # type: ignore[attr-defined]
    registry.push(admin, make_files(30))
    experiments.start(admin, "triage", trials=1)
    found = estimates.estimate(admin, "triage", trials=2).total_usd
    (record,) = experiments.start(admin, "triage", trials=2)
    spent = experiments.spending(admin, record.experiment_id).system_usd
    assert found is not None
    assert spent is not None
    assert found.low <= float(spent) <= found.high


def test_an_unknown_price_is_said_and_never_counts_as_nothing(
    estimates: Estimates, registry: Registry, admin: Principal, make_files: Files
) -> None:
    files = make_files(2)
    files["service.toml"] = b'name = "triage"\n[model]\nname = "local/unknown"\n'
    registry.push(admin, files)
    found = estimates.estimate(admin, "triage")
    assert found.systems[0].cost_usd is None
    assert "local/unknown is unknown" in found.systems[0].basis
    assert found.total_usd is None


@pytest.mark.parametrize(("model", "is_known"), [("openai/judge", True), ("local/unknown", False)])
def test_judges_are_estimated_apart(
    estimates: Estimates, registry: Registry, admin: Principal, make_files: Files, model: str, is_known: bool
) -> None:
    files = make_files(3)
    rubric = '[{name = "good", ask = "Is it good?"}]'
    table = f'[[evaluator]]\nname = "judged"\nkind = "judge"\nmodel = "{model}"\nrubric = {rubric}\n'
    files["evaluators.toml"] += table.encode()
    registry.push(admin, files)
    found = estimates.estimate(admin, "triage", trials=2)
    (judge,) = found.judges
    assert (judge.name, judge.calls, judge.cost_usd is not None) == ("judged", 6, is_known)
    assert (found.total_usd is not None) == is_known
