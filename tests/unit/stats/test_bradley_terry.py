"""Strengths from comparisons in pairs."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats.bradley_terry import BradleyTerry, Ties, bradley_terry

TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
# Agresti, American League 1987: wins of the row's team over the column's.
WINS = [
    [0, 7, 9, 7, 7, 9, 11],
    [6, 0, 7, 5, 11, 9, 9],
    [4, 6, 0, 7, 7, 8, 12],
    [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12],
    [4, 4, 5, 6, 6, 0, 6],
    [2, 4, 1, 3, 1, 7, 0],
]
Game = tuple[str, str, float]
SEASON: list[Game] = [
    (first, second, 1.0) for i, first in enumerate(TEAMS) for j, second in enumerate(TEAMS) for _ in range(WINS[i][j])
]
GAMES = st.lists(
    st.tuples(st.permutations("abcd").map(lambda p: (p[0], p[1])), st.sampled_from([0.0, 0.5, 1.0])),
    min_size=1,
    max_size=40,
).map(lambda found: [(first, second, score) for (first, second), score in found])


def play(
    games: Sequence[Game],
    *,
    ties: Ties = "half",
    reference: str | None = None,
    clusters: Sequence[int] | None = None,
    confidence: float = 0.95,
) -> BradleyTerry:
    first, second, score = zip(*games, strict=True)
    return bradley_terry(first, second, score, ties=ties, reference=reference, clusters=clusters, confidence=confidence)


def strengths(found: BradleyTerry) -> dict[str, float]:
    return {each.player: each.strength for each in found.strengths}


def test_baseball_league_has_the_published_strengths_and_errors() -> None:
    found = play(SEASON, reference="Baltimore")
    assert [each.player for each in found.strengths] == TEAMS
    assert [each.strength for each in found.strengths] == pytest.approx(
        [1.581, 1.436, 1.294, 1.248, 1.108, 0.684, 0], abs=5e-4
    )
    assert [each.standard_error for each in found.strengths] == pytest.approx(
        [0.343, 0.340, 0.337, 0.336, 0.334, 0.332, 0], abs=5e-4
    )
    assert found.warnings == ()
    assert {each.n_games for each in found.strengths} == {78}


def test_ranks_are_apart_only_where_differences_are_sure() -> None:
    found = play(SEASON)
    ranks = {each.player: (each.best_rank, each.worst_rank) for each in found.strengths}
    # Cleveland's lead of .68 has an error of .33: not sure for 21 differences at once.
    assert ranks["Cleveland"] == (1, 7)
    assert ranks["Baltimore"] == (6, 7)
    assert ranks["Milwaukee"] == (1, 6)


@given(GAMES, st.sampled_from(["half", "davidson"]))
def test_the_likelihood_is_at_its_top(games: list[Game], ties: Ties) -> None:
    found = play(games, ties=ties)
    assert sum(strengths(found).values()) == pytest.approx(0, abs=1e-6)
    top = _likelihood(games, found, {})
    for each in found.strengths:
        for step in (-1e-3, 1e-3):
            assert _likelihood(games, found, {each.player: step}) <= top + 1e-9


def _likelihood(games: Sequence[Game], found: BradleyTerry, moved: dict[str, float]) -> float:
    """Return the logarithm of the likelihood (with the ridge, if it was used), game by game."""
    at = {name: value + moved.get(name, 0.0) for name, value in strengths(found).items()}
    total = 0.0
    for first, second, score in games:
        one, other = math.exp(at[first] / 2), math.exp(at[second] / 2)
        middle = found.tie_strength or 0.0
        whole = one / other + other / one + middle
        if score == 0.5 and not middle:
            total += 0.5 * math.log(one / other / whole) + 0.5 * math.log(other / one / whole)
        else:
            total += math.log({1.0: one / other, 0.0: other / one, 0.5: middle}[score] / whole)
    ridge = 0.1 if any("ridge" in said for said in found.warnings) else 0.0
    return total - ridge / 2 * sum(value**2 for value in at.values())


@given(GAMES, st.data())
def test_order_of_games_and_sides_does_not_matter(games: list[Game], data: st.DataObject) -> None:
    moved = [(b, a, 1 - s) if data.draw(st.booleans()) else (a, b, s) for a, b, s in data.draw(st.permutations(games))]
    before, after = play(games), play(moved)
    for one in before.strengths:
        other = next(each for each in after.strengths if each.player == one.player)
        assert (other.strength, other.standard_error) == pytest.approx((one.strength, one.standard_error), abs=1e-6)


@given(GAMES)
def test_turning_every_result_round_turns_strengths_round(games: list[Game]) -> None:
    before, after = strengths(play(games)), strengths(play([(a, b, 1 - s) for a, b, s in games]))
    assert [after[name] for name in sorted(before)] == pytest.approx(
        [-before[name] for name in sorted(before)], abs=1e-6
    )


@given(GAMES)
def test_ranks_hold_the_order_and_results_are_plain_json(games: list[Game]) -> None:
    found = play(games)
    for place, each in enumerate(found.strengths, start=1):
        assert each.best_rank <= place <= each.worst_rank
    record = found.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_two_players_have_the_log_odds_of_their_games() -> None:
    found = play([("x", "y", 1.0)] * 30 + [("x", "y", 0.0)] * 10, reference="y")
    assert strengths(found)["x"] == pytest.approx(math.log(3))
    assert found.strengths[0].standard_error == pytest.approx(math.sqrt(1 / 30 + 1 / 10))


def test_davidson_estimates_how_often_equals_tie() -> None:
    games = [("x", "y", 1.0)] * 30 + [("x", "y", 0.0)] * 30 + [("x", "y", 0.5)] * 60
    found = play(games, ties="davidson")
    assert found.tie_strength == pytest.approx(2)
    assert strengths(found)["x"] == pytest.approx(0)
    assert play(games).tie_strength is None


def test_half_wins_do_not_pretend_that_ties_vary_as_wins_do() -> None:
    decided = [("x", "y", 1.0)] * 20 + [("x", "y", 0.0)] * 20
    with_ties = play([*decided, *[("x", "y", 0.5)] * 40], reference="y")
    # The mean of 80 scores of which 40 vary: variance 40 * .25 / 80^2, on the scale of log odds 16 times that.
    assert with_ties.strengths[0].standard_error == pytest.approx(math.sqrt(16 * 10 / 80**2), rel=0.02)


def test_copies_of_a_game_in_its_cluster_add_no_evidence() -> None:
    once = play(SEASON, reference="Baltimore", clusters=range(len(SEASON)))
    often = play(SEASON * 5, reference="Baltimore", clusters=[*range(len(SEASON))] * 5)
    plain = play(SEASON, reference="Baltimore")
    for one, other, model in zip(once.strengths, often.strengths, plain.strengths, strict=True):
        assert other.standard_error == pytest.approx(one.standard_error, rel=1e-6)
        assert one.standard_error == pytest.approx(model.standard_error, rel=0.25)
    assert often.n_clusters == len(SEASON)


@pytest.mark.parametrize(
    "games",
    [
        [("a", "b", 1.0)] * 20,
        [("a", "b", 1.0), ("b", "a", 1.0), ("c", "d", 1.0), ("d", "c", 1.0)],
        [("a", "b", 1.0), ("b", "a", 1.0), ("a", "c", 1.0)],
    ],
)
def test_players_that_nothing_connects_are_held_by_a_ridge_and_told(games: list[Game]) -> None:
    found = play(games)
    assert "held by a ridge" in found.warnings[0]
    assert all(abs(each.strength) < 5 for each in found.strengths)
    assert all(each.worst_rank == len(found.strengths) for each in found.strengths[1:])


@pytest.mark.parametrize(
    ("games", "reference", "message"),
    [
        ([("a", "a", 1.0)], None, "'a' on both sides"),
        ([("a", "b", 0.7)], None, "scores must be"),
        ([("a", "b", 1.0)], "z", "'z' is none of the players a, b"),
    ],
)
def test_games_that_make_no_sense_are_refused(games: list[Game], reference: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        play(games, reference=reference)


def test_no_games_are_refused() -> None:
    with pytest.raises(ValueError, match="each game needs all"):
        bradley_terry([], [], [])


@pytest.mark.nightly
def test_clustered_intervals_cover_and_true_ranks_lie_within_theirs() -> None:
    random, runs, truth = np.random.default_rng(12), 600, np.array([0.8, 0.3, 0.3, -0.2, -1.2])
    covered = naive = ranked = 0
    for _ in range(runs):
        games: list[Game] = []
        clusters = []
        for item in range(60):
            # Items favour some systems: the games on one of them go together.
            here = truth + random.normal(0, 1.0, 5)
            for _ in range(6):
                i, j = random.choice(5, 2, replace=False)
                games.append((str(i), str(j), float(random.random() < 1 / (1 + math.exp(here[j] - here[i])))))
                clusters.append(item)
        found, plain = play(games, reference="3", clusters=clusters), play(games, reference="3")
        target = MARGINAL_DIFFERENCE
        first = next(each for each in found.strengths if each.player == "0")
        alone = next(each for each in plain.strengths if each.player == "0")
        covered += first.low <= target <= first.high
        naive += alone.low <= target <= alone.high
        ranked += all(
            each.best_rank <= 1 + sum(truth > truth[int(each.player)])
            and each.worst_rank >= 5 - sum(truth < truth[int(each.player)])
            for each in found.strengths
        )
    print(f"cluster coverage {covered / runs:.3f}, naive {naive / runs:.3f}, all ranks right {ranked / runs:.3f}")
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs) + 0.01)
    assert ranked / runs > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)


MARGINAL_DIFFERENCE = 0.733
"""What likelihood estimates for player 0 over player 3 from 50,000 items of the simulation above."""
