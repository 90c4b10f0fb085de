"""Coefficients of agreement against published numbers, slow definitions and their own symmetries."""

import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zirkel.stats.agreement import Agreement, CoefficientName, agreement
from zirkel.stats.ratings import Rating, Scale, Weights

# Krippendorff (2011), section E: 4 coders, 12 units.
FOUR_CODERS: list[list[Rating | None]] = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
SCALES: list[Scale] = ["nominal", "ordinal", "interval", "ratio"]
MATRICES = st.integers(2, 3).flatmap(
    lambda raters: st.lists(
        st.lists(st.one_of(st.none(), st.integers(1, 4)), min_size=raters, max_size=raters), min_size=4, max_size=9
    )
)


def table(both: int, only_first: int, only_second: int, neither: int) -> list[list[int]]:
    """Return two raters' 0/1 ratings with the counts of a fourfold table."""
    first = [1] * (both + only_first) + [0] * (only_second + neither)
    second = [1] * both + [0] * only_first + [1] * only_second + [0] * neither
    return [first, second]


def estimate(found: Agreement, name: CoefficientName, weights: Weights = "identity") -> float:
    coefficient = found.find(name, weights)
    assert coefficient is not None
    return coefficient.estimate


def by_rater(items: Sequence[Sequence[int | None]]) -> list[list[int | None]]:
    return [list(row) for row in zip(*items, strict=True)]


def enough(items: Sequence[Sequence[int | None]]) -> bool:
    return sum(sum(value is not None for value in item) >= 2 for item in items) >= 2


@pytest.mark.parametrize(
    ("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_equals_the_published_one(scale: Scale, alpha: float) -> None:
    assert estimate(agreement(FOUR_CODERS, scale), "krippendorff") == pytest.approx(alpha, abs=5e-4)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("fleiss", 0.76117, 0.15302),
        ("gwet", 0.77544, 0.14295),
        ("kappa", 0.76207, 0.15011),
        ("brennan_prediger", 0.77273, 0.14472),
    ],
)
def test_coefficients_and_errors_equal_those_of_irrcac(name: CoefficientName, value: float, error: float) -> None:
    found = agreement(FOUR_CODERS).find(name)
    assert found is not None
    assert (found.estimate, found.standard_error) == pytest.approx((value, error), abs=1e-5)
    assert found.n == 11


@pytest.mark.parametrize(
    ("counts", "raw", "kappa", "gwet"), [((118, 5, 2, 0), 0.944, -0.023, 0.941), ((80, 10, 5, 5), 0.85, 0.318, 0.808)]
)
def test_kappa_is_low_and_gwet_high_where_one_category_is_rare(
    counts: tuple[int, int, int, int], raw: float, kappa: float, gwet: float
) -> None:
    found = agreement(table(*counts))
    assert [estimate(found, name) for name in ("raw", "kappa", "gwet")] == pytest.approx([raw, kappa, gwet], abs=5e-4)
    assert "read gwet" in found.warnings[-1]


def test_cohen_kappa_and_weighted_kappas_equal_a_table_computed_by_hand() -> None:
    # Agreement 20 + 15 of 50, marginals .5/.5 and .6/.4: (.7 - .5) / .5.
    assert estimate(agreement(table(20, 5, 10, 15)), "kappa") == pytest.approx(0.4)
    ratings = [[1, 1, 2, 2, 3, 3], [1, 2, 2, 3, 3, 3]]
    found = agreement(ratings, "ordinal")
    # Each weighted kappa is 1 - observed / expected distance; the observed one is 2/6.
    assert estimate(found, "kappa", "linear") == pytest.approx(1 - (1 / 3) / (8 / 9))
    assert estimate(found, "kappa", "quadratic") == pytest.approx(1 - (1 / 3) / (4 / 3))


def slow_alpha(items: Sequence[Sequence[int | None]], scale: Scale) -> float | None:
    """Return alpha by the definition, pair by pair."""
    units = [[v for v in item if v is not None] for item in items]
    units = [unit for unit in units if len(unit) >= 2]
    pool = [v for unit in units for v in unit]

    def difference(a: int, b: int) -> float:
        if scale == "nominal":
            return float(a != b)
        if scale == "interval":
            return float((a - b) ** 2)
        if scale == "ratio":
            return ((a - b) / (a + b)) ** 2
        low, high = min(a, b), max(a, b)
        between = sum(low <= v <= high for v in pool)
        return 0.0 if a == b else (between - (pool.count(a) + pool.count(b)) / 2) ** 2

    observed = sum(
        sum(difference(a, b) for i, a in enumerate(u) for j, b in enumerate(u) if i != j) / (len(u) - 1) for u in units
    ) / len(pool)
    expected = sum(difference(a, b) for i, a in enumerate(pool) for j, b in enumerate(pool) if i != j)
    expected /= len(pool) * (len(pool) - 1)
    return None if expected == 0 else 1 - observed / expected


@given(MATRICES.filter(enough), st.sampled_from(SCALES))
def test_alpha_equals_the_slow_definition(items: list[list[int | None]], scale: Scale) -> None:
    found, slow = agreement(by_rater(items), scale).find("krippendorff"), slow_alpha(items, scale)
    if slow is None:
        assert found is None
    else:
        assert found is not None
        assert found.estimate == pytest.approx(slow, abs=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_error_of_alpha_is_that_of_leaving_out_one_item_at_a_time(scale: Scale) -> None:
    random = np.random.default_rng(2)
    truth = random.integers(1, 5, 300)
    rows = [np.where(random.random(300) < 0.3, random.integers(1, 5, 300), truth).tolist() for _ in range(3)]
    ratings: list[list[Rating | None]] = [
        [None if i % 7 == g else v for i, v in enumerate(row)] for g, row in enumerate(rows)
    ]
    found = agreement(ratings, scale).find("krippendorff")
    assert found is not None
    values = np.array(
        [estimate(agreement([row[:i] + row[i + 1 :] for row in ratings], scale), "krippendorff") for i in range(300)]
    )
    jackknife = math.sqrt(299 / 300 * float(np.sum((values - values.mean()) ** 2)))
    assert found.standard_error == pytest.approx(jackknife, rel=0.01)


@given(MATRICES.filter(enough), st.sampled_from(SCALES), st.data())
def test_order_of_raters_and_items_does_not_matter(
    items: list[list[int | None]], scale: Scale, data: st.DataObject
) -> None:
    moved = [list(item) for item in data.draw(st.permutations(items))]
    columns = data.draw(st.permutations(range(len(items[0]))))
    moved = [[item[column] for column in columns] for item in moved]
    before, after = agreement(by_rater(items), scale), agreement(by_rater(moved), scale)
    assert [(c.name, c.weights) for c in before.coefficients] == [(c.name, c.weights) for c in after.coefficients]
    for one, other in zip(before.coefficients, after.coefficients, strict=True):
        assert (other.estimate, other.low, other.high) == pytest.approx((one.estimate, one.low, one.high), abs=1e-7)


@given(MATRICES.filter(enough), st.sampled_from(SCALES))
def test_intervals_hold_their_estimate_and_results_are_plain_json(items: list[list[int | None]], scale: Scale) -> None:
    found = agreement(by_rater(items), scale, categories=[1, 2, 3, 4])
    for each in found.coefficients:
        assert each.low - 1e-9 <= each.estimate <= each.high + 1e-9
        assert each.high <= 1
    record = found.to_dict()
    assert json.loads(json.dumps(record, allow_nan=False)) == record


@given(st.permutations(["a", "b", "c"]))
def test_names_of_nominal_categories_do_not_matter(names: list[str]) -> None:
    numbers = [[1, 2, 3, 1, 2, 3, 1, 1], [1, 2, 3, 2, 2, 3, 1, 3]]
    words: list[list[Rating]] = [[names[value - 1] for value in row] for row in numbers]
    before, after = agreement(numbers), agreement(words)
    assert [c.estimate for c in after.coefficients] == pytest.approx([c.estimate for c in before.coefficients])


def test_weights_change_nothing_for_two_categories() -> None:
    found = agreement(table(20, 5, 10, 15), "ordinal")
    for name in ("kappa", "gwet", "fleiss"):
        assert estimate(found, name, "quadratic") == pytest.approx(estimate(found, name))


@pytest.mark.parametrize(("n", "low"), [(3, 0.2924), (300, 0.98778)])
def test_agreement_without_a_single_disagreement_is_not_certain(n: int, low: float) -> None:
    found = agreement([[0, 1, 1] * (n // 3)] * 3)
    raw, kappa = found.find("raw"), found.find("kappa")
    assert raw is not None
    assert kappa is not None
    assert (raw.estimate, raw.high, raw.method) == (1, 1, "exact_no_disagreement")
    assert raw.low == pytest.approx(low, abs=1e-4)
    # Chance agreement is 5/9.
    assert kappa.low == pytest.approx((raw.low - 5 / 9) / (4 / 9), abs=1e-9)


def test_two_raters_raw_agreement_has_the_interval_of_wilson() -> None:
    raw = agreement(table(18, 1, 1, 0)).find("raw")
    assert raw is not None
    assert raw.method == "wilson"
    assert (raw.low, raw.high) == pytest.approx((0.69896, 0.97213), abs=1e-4)


def test_ratings_that_are_all_alike_define_no_agreement_beyond_chance() -> None:
    found = agreement([[1] * 5, [1] * 5])
    assert [each.name for each in found.coefficients] == ["raw"]
    assert "all ratings are alike" in found.warnings[1]
    # Gwet's coefficient is defined as soon as one knows what else could have been said.
    assert estimate(agreement([[1] * 5, [1] * 5], categories=[0, 1]), "gwet") == pytest.approx(1)


def test_copies_of_an_item_in_its_cluster_add_no_evidence() -> None:
    clusters = [f"doc-{i}" for i in range(40)] * 5
    once, often = agreement(table(20, 5, 5, 10)), agreement([row * 5 for row in table(20, 5, 5, 10)], clusters=clusters)
    for name in ("kappa", "gwet", "krippendorff"):
        one, other = once.find(name), often.find(name)
        assert one is not None
        assert other is not None
        assert other.standard_error == pytest.approx(one.standard_error, rel=0.02)
        assert (other.n_clusters, other.method) == (40, "cr1_t")


def test_many_items_with_one_rating_are_told() -> None:
    rows: list[list[Rating | None]] = [[0, 1] * 50, [*([0, 1] * 10), *([None] * 80)]]
    assert any("80 items have one rating" in said for said in agreement(rows).warnings)


def test_items_that_nobody_rated_change_nothing() -> None:
    rows = [[*row, None] for row in FOUR_CODERS]
    clusters = [*range(12), 99]
    assert agreement(rows, clusters=clusters).coefficients == agreement(FOUR_CODERS, clusters=range(12)).coefficients


@pytest.mark.parametrize(
    ("ratings", "scale", "categories", "message"),
    [
        ([[1, 2]], "nominal", None, "1 raters"),
        ([[1, 2], [1]], "nominal", None, "2 raters"),
        ([[1, None], [1, 2]], "nominal", None, "1 items have two ratings"),
        ([[1, 9], [1, 2]], "nominal", [1, 2], "9 are not among"),
        ([["good", "bad"], ["bad", "bad"]], "ordinal", None, "give categories in the order"),
        ([["good", "bad"], ["bad", "bad"]], "interval", ["bad", "good"], "'bad' is no number"),
        ([[-1, 2], [1, 2]], "ratio", None, "below 0"),
        ([[1, 2], [1, 2]], "nominal", [1, 2, 1], "given once"),
    ],
)
def test_ratings_that_cannot_be_compared_are_refused(
    ratings: list[list[Rating | None]], scale: Scale, categories: list[Rating] | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        agreement(ratings, scale, categories=categories)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["kappa", "gwet", "krippendorff"])
def test_intervals_cover_the_true_agreement(name: CoefficientName) -> None:
    random, runs, n, covered = np.random.default_rng(5), 2000, 150, 0
    truth = agreement(_draw(np.random.default_rng(6), 400_000)).find(name)
    assert truth is not None
    for _ in range(runs):
        found = agreement(_draw(random, n)).find(name)
        assert found is not None
        covered += found.low <= truth.estimate <= found.high
    print(f"{name}: true {truth.estimate:.3f}, coverage {covered / runs:.3f}")
    assert covered / runs > 0.95 - 4 * math.sqrt(0.95 * 0.05 / runs)
    assert covered / runs < 0.98


def _draw(random: np.random.Generator, n: int) -> list[list[Rating | None]]:
    """Return two raters who each see the same truth and err a sixth of the time."""
    truth = random.random(n) < 0.7
    return [[int(v) for v in np.where(random.random(n) < 1 / 6, ~truth, truth)] for _ in range(2)]
