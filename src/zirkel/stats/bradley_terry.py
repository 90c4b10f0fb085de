"""Who is stronger, from comparisons in pairs: strengths, their errors, and the ranks that cannot be told apart."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csgraph

from zirkel.stats.influence import t_quantile
from zirkel.stats.report import Report
from zirkel.stats.result import Result
from zirkel.stats.samples import Clusters, FloatArray, Samples, check_clusters, check_fraction, check_samples

Ties = Literal["half", "davidson"]
"""Count a tie as half a win of either side, or estimate how likely ties are."""

RIDGE = 0.1
"""Of the penalty ``RIDGE / 2 * sum(strength^2)``; an always winning player of 20 games gets a strength of about 4."""
MOST_STEPS = 100


@dataclass(frozen=True, slots=True)
class Strength(Result):
    """One player: ``exp(a - b) / (1 + exp(a - b))`` is the probability that strength a beats b, ties left out."""

    player: str
    strength: float
    """Logarithm of the odds against the reference player, or against the average of all."""
    low: float
    high: float
    standard_error: float
    """Robust to clusters, if there are any; the reference player's is 0."""
    n_games: int
    best_rank: int
    """1 is the strongest. Players that are surely stronger, plus 1."""
    worst_rank: int
    """All players that are not surely weaker."""


@dataclass(frozen=True, slots=True)
class BradleyTerry(Report):
    """Strengths of all players, strongest first."""

    strengths: tuple[Strength, ...]
    reference: str | None
    tie_strength: float | None
    """Davidson's nu: two equal players tie with odds nu against either winning. None with half-wins."""
    confidence: float
    n_games: int
    n_clusters: int | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Games:
    """Every comparison as codes."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    score: FloatArray
    n_players: int
    has_ties: bool
    """Ties are an outcome of their own (Davidson)."""
    ridge: float

    def scores(self, beta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the score of each game in its difference of strengths, and in the tie parameter."""
        win, loss, tie = self._probabilities(beta)
        return (self.score - 0.5) - (win - loss) / 2, (self.score == 0.5) - tie

    def information(self, beta: FloatArray) -> FloatArray:
        """Return minus the second derivative of the penalised likelihood, players first, then the tie parameter."""
        win, loss, tie = self._probabilities(beta)
        lean = (win - loss) / 2
        of_difference = (win + loss) / 4 - lean**2
        k = self.n_players
        information = np.zeros((len(beta), len(beta)))
        pairs = np.zeros((k, k))
        np.add.at(pairs, (self.first, self.second), of_difference)
        pairs = pairs + pairs.T
        information[:k, :k] = np.diag(pairs.sum(axis=1) + self.ridge) - pairs
        if self.has_ties:
            cross = self._by_player(-lean * tie)
            information[:k, k] = information[k, :k] = cross
            information[k, k] = float(np.sum(tie * (1 - tie)))
        return information

    def gradient(self, beta: FloatArray) -> FloatArray:
        """Return the first derivative of the penalised likelihood."""
        of_difference, of_tie = self.scores(beta)
        k = self.n_players
        players = self._by_player(of_difference) - self.ridge * beta[:k]
        return np.append(players, of_tie.sum()) if self.has_ties else players

    def _by_player(self, values: FloatArray) -> FloatArray:
        k = self.n_players
        return np.asarray(np.bincount(self.first, values, k) - np.bincount(self.second, values, k))

    def _probabilities(self, beta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return how likely the first player wins, loses and ties in each game."""
        half = (beta[self.first] - beta[self.second]) / 2
        level = beta[self.n_players] if self.has_ties else -math.inf
        top = np.maximum(np.abs(half), level)
        win, loss, tie = np.exp(half - top), np.exp(-half - top), np.exp(level - top)
        total = win + loss + tie
        return win / total, loss / total, tie / total


def bradley_terry(
    first: Sequence[str],
    second: Sequence[str],
    score: Samples,
    *,
    ties: Ties = "half",
    reference: str | None = None,
    clusters: Clusters | None = None,
    confidence: float = 0.95,
) -> BradleyTerry:
    """Return the strengths of players (systems, prompts, models) that met in pairs, by maximum likelihood.

    Standard errors come from the information for independent games without ties, from the sandwich by cluster where
    ``clusters`` are given (t with clusters - 1 degrees of freedom) and by game where ties count as halves. Ranks rest
    on all differences of two players at once (Bonferroni): with probability ``confidence`` every true rank lies
    within its bounds. If some players never lost to, or never met, the others, likelihood alone would push them to
    infinity; a ridge holds them then, with a warning.

    Args:
        first: One player of each game.
        second: The other; never the same.
        score: What ``first`` got: 1 for a win, 0 for a loss, 0.5 for a tie.
        ties: What a tie means.
        reference: The player whose strength is 0; None makes the average 0.
        clusters: One label per game; games on the same item or source share one.
        confidence: Coverage as a fraction (0.95, not 95).

    Raises:
        ValueError: If a bound above is broken or there is no game.

    Source: Bradley and Terry (1952), Biometrika 39, 324-345; ties: Davidson (1970), JASA 65(329), 317-328; sandwich:
        White (1982), Econometrica 50(1), 1-25.
    """
    check_fraction(confidence, "confidence")
    games, names = _games(first, second, score, ties)
    if reference is not None and reference not in names:
        raise ValueError(f"reference {reference!r} is none of the players {', '.join(names)}")
    codes = None if clusters is None else check_clusters(clusters, len(games.score))
    beta = _fit(games)
    contrast = _contrast(len(names), None if reference is None else names.index(reference))
    covariance = _covariance(games, beta, codes)
    df = math.inf if codes is None else float(codes.max())
    played = np.bincount(np.concatenate([games.first, games.second]), minlength=len(names))
    centred = contrast @ beta[: len(names)]
    errors = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", contrast, covariance, contrast), 0))
    best, worst = _ranks(centred, covariance, confidence, df)
    radius = t_quantile(confidence, df) * errors
    strengths = [
        Strength(
            player=name,
            strength=float(centred[i]),
            low=float(centred[i] - radius[i]),
            high=float(centred[i] + radius[i]),
            standard_error=float(errors[i]),
            n_games=int(played[i]),
            best_rank=int(best[i]),
            worst_rank=int(worst[i]),
        )
        for i, name in enumerate(names)
    ]
    return BradleyTerry(
        strengths=tuple(sorted(strengths, key=lambda each: (-each.strength, each.player))),
        reference=reference,
        tie_strength=math.exp(beta[-1]) if games.has_ties else None,
        confidence=float(confidence),
        n_games=len(games.score),
        n_clusters=None if codes is None else int(codes.max()) + 1,
        warnings=_warnings(games, codes),
    )


def _games(first: Sequence[str], second: Sequence[str], score: Samples, ties: Ties) -> tuple[_Games, list[str]]:
    points = check_samples(score, "score")
    if not len(first) == len(second) == len(points) or not len(points):
        raise ValueError(f"{len(first)} first, {len(second)} second players, {len(points)} scores; each game needs all")
    for place, (one, other) in enumerate(zip(first, second, strict=True)):
        if one == other:
            raise ValueError(f"game {place} has {one!r} on both sides")
    if not set(np.unique(points)) <= {0.0, 0.5, 1.0}:
        raise ValueError("scores must be 1 (first wins), 0 (second wins) or 0.5 (tie)")
    names = sorted({*first, *second})
    place_of = {name: i for i, name in enumerate(names)}
    ours = np.array([place_of[name] for name in first], dtype=np.intp)
    theirs = np.array([place_of[name] for name in second], dtype=np.intp)
    has_ties = ties == "davidson" and bool(np.any(points == 0.5)) and bool(np.any(points != 0.5))
    ridge = 0.0 if _is_connected(ours, theirs, points, len(names)) else RIDGE
    return _Games(ours, theirs, points, len(names), has_ties, ridge), names


def _is_connected(first: NDArray[np.intp], second: NDArray[np.intp], score: FloatArray, k: int) -> bool:
    """Return whether every player got a point off every other, over others if need be: then strengths are finite."""
    got, gave = score > 0, score < 1
    winners, losers = np.concatenate([first[got], second[gave]]), np.concatenate([second[got], first[gave]])
    graph = coo_array((np.ones(len(winners)), (winners, losers)), shape=(k, k)).tocsr()
    return bool(csgraph.connected_components(graph, connection="strong")[0] == 1)


def _fit(games: _Games) -> FloatArray:
    """Return the strengths (sum 0), then the logarithm of the tie parameter, by Newton's method with halved steps."""
    k = games.n_players
    beta = np.zeros(k + games.has_ties)
    for _ in range(MOST_STEPS):
        step = np.linalg.pinv(games.information(beta), hermitian=True) @ games.gradient(beta)
        beta = beta + step / max(1.0, float(np.max(np.abs(step))) / 2)
        if float(np.max(np.abs(step))) < 1e-10:
            break
    beta[:k] -= np.mean(beta[:k])
    return beta


def _covariance(games: _Games, beta: FloatArray, codes: NDArray[np.intp] | None) -> FloatArray:
    """Return the covariance of the strengths: inverse information, or the sandwich by cluster or by game."""
    k = games.n_players
    inverse = np.linalg.pinv(games.information(beta), hermitian=True)
    are_halves = not games.has_ties and bool(np.any(games.score == 0.5))
    if codes is None and not are_halves:
        return np.asarray(inverse[:k, :k])
    units = np.arange(len(games.score)) if codes is None else codes
    n = int(units.max()) + 1
    sums = np.zeros((n, len(beta)))
    of_difference, of_tie = games.scores(beta)
    np.add.at(sums, (units, games.first), of_difference)
    np.add.at(sums, (units, games.second), -of_difference)
    if games.has_ties:
        np.add.at(sums[:, k], units, of_tie)
    sandwich = inverse @ (sums.T @ sums) @ inverse * n / max(n - 1, 1)
    return np.asarray(sandwich[:k, :k])


def _contrast(k: int, reference: int | None) -> FloatArray:
    """Return the matrix that takes the reference's strength, or the average, from every strength."""
    if reference is None:
        return np.eye(k) - 1 / k
    contrast = np.eye(k)
    contrast[:, reference] -= 1
    return contrast


def _ranks(
    strengths: FloatArray, covariance: FloatArray, confidence: float, df: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the best and the worst rank of each player, right for all at once."""
    k = len(strengths)
    pairs = max(k * (k - 1) // 2, 1)
    own = np.diag(covariance)
    errors = np.sqrt(np.maximum(own[:, None] + own - 2 * covariance, 0))
    bound = t_quantile(1 - (1 - confidence) / pairs, df) * errors
    ahead = strengths[:, None] - strengths > np.maximum(bound, 1e-12)
    return 1 + ahead.sum(axis=0), k - ahead.sum(axis=1)


def _warnings(games: _Games, codes: NDArray[np.intp] | None) -> tuple[str, ...]:
    said = []
    if games.ridge:
        said.append("some players never lost to, or never met, some others: their strengths are held by a ridge")
    if codes is not None and codes.max() + 1 < 20:
        said.append(f"only {int(codes.max()) + 1} clusters: below 20 the intervals may be too narrow")
    return tuple(said)
