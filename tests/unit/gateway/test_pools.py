"""Places that share a link: who is asked how often, and who is next."""

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.unit.gateway.resilience_stage import asked, link, refuses, serve
from zirkel.core import Resilience
from zirkel.gateway import SnapshotTarget
from zirkel.gateway.hedging import shuffled
from zirkel.gateway.plan import Target

if TYPE_CHECKING:
    from tests.unit.gateway.conftest import Stage


def _pool(*weights: float) -> list[Target]:
    return [Target(0, "u", None, str(n), "chat", {}, is_hub=True, prices=(), weight=w) for n, w in enumerate(weights)]


@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0), (0.7, 0.2, 0.1), (10.0, 1.0, 0.5, 0.001)])
def test_in_the_long_run_each_place_is_first_as_often_as_its_weight_says(weights: tuple[float, ...]) -> None:
    random, pool, draws = Random(3), _pool(*weights), 20_000
    firsts = Counter(shuffled(pool, random)[0].model for _ in range(draws))

    for number, weight in enumerate(weights):
        share = weight / sum(weights)
        five_sigma = 5 * (share * (1 - share) / draws) ** 0.5
        assert abs(firsts[str(number)] / draws - share) < five_sigma + 1 / draws


def test_if_the_first_fails_the_others_are_next_by_their_weights() -> None:
    random, draws = Random(3), 20_000
    orders = [shuffled(_pool(6.0, 3.0, 1.0), random) for _ in range(draws)]
    after_the_first = Counter(order[1].model for order in orders if order[0].model == "0")

    assert after_the_first["1"] / after_the_first.total() == pytest.approx(0.75, abs=0.02)
    assert all(sorted(target.model for target in order) == ["0", "1", "2"] for order in orders)


def test_a_failed_place_leads_to_the_next_of_its_pool_before_any_fallback(stage: "Stage") -> None:
    stage.upstream.handlers["sick"] = refuses(500)
    pool = link(SnapshotTarget("stub", "sick", weight=1e9), SnapshotTarget("stub", "well", weight=1e-9))
    serve(stage, pool, link("good"))
    reply = stage.ask_service()

    assert (reply.status, reply.headers["x-zirkel-model"]) == (200, "stub/well")
    assert (reply.headers["x-zirkel-fallback"], reply.headers["x-zirkel-attempts"]) == ("0", "2")
    assert [(span.attempt, span.attempt_reason) for span in stage.only_call()[1:]] == [(0, "first"), (0, "pool")]


def test_if_the_whole_pool_fails_the_fallback_answers(stage: "Stage") -> None:
    for name in ("a", "b", "c"):
        stage.upstream.handlers[name] = refuses(503)
    serve(stage, link("a", "b", "c"), link("good"))

    assert stage.ask_service().headers["x-zirkel-fallback"] == "1"
    assert [span.attempt_reason for span in stage.only_call()[1:]] == ["first", "pool", "pool", "fallback"]


def test_a_fallbacks_pool_is_tried_to_its_end_too(stage: "Stage") -> None:
    for name in ("a", "b", "c"):
        stage.upstream.handlers[name] = refuses(503)
    serve(stage, link("a"), link("b", "c"), link("good"))

    assert stage.ask_service().headers["x-zirkel-fallback"] == "2"
    reasons = [span.attempt_reason for span in stage.only_call()[1:]]
    assert reasons == ["first", "fallback", "pool", "fallback"]


def test_a_callers_own_fault_is_not_tried_at_the_next_place(stage: "Stage") -> None:
    stage.upstream.handlers["a"] = stage.upstream.handlers["b"] = refuses(422)
    serve(stage, link("a", "b"), link("good"))

    assert stage.ask_service().status == 422
    assert len(asked(stage)) == 1


def test_while_a_place_rests_the_others_of_its_pool_answer(stage: "Stage") -> None:
    stage.upstream.handlers["sick"] = refuses(500)
    serve(stage, link("sick", "well"), resilience=Resilience(retries=0, failures=2, rest_s=600))

    assert {stage.ask_service().status for _ in range(30)} == {200}
    assert asked(stage).count("sick") == 2
