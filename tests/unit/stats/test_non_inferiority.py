"""Verdicts of the release gate and the planning of its size."""

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import (
    Direction,
    MeanInterval,
    NonInferiority,
    non_inferiority,
    non_inferiority_binary,
    non_inferiority_interval,
    paired_binary_difference,
    paired_bootstrap,
    paired_difference,
    plan_non_inferiority_binary,
)

MARGINS = st.floats(0.001, 5)
PAIRS = st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=3, max_size=40)


def difference(estimate: float, standard_error: float, n: int = 101, n_clusters: int | None = None) -> MeanInterval:
    """Return a difference with the given numbers; its interval is of no interest to the gate."""
    df = (n_clusters or n) - 1
    method = "cr1_t" if n_clusters else "t"
    return MeanInterval(
        estimate, estimate, estimate, 0.95, method, n, n_clusters, standard_error, standard_error, df, ()
    )


T_100 = float(stats.t.ppf(0.95, 100))


@pytest.mark.parametrize(
    ("estimate", "verdict"),
    [
        (0.03, "SUPERIOR"),
        (0.0, "PASS"),
        (-0.02, "PASS"),
        (-0.04, "INCONCLUSIVE"),
        (-0.06, "INCONCLUSIVE"),
        (-0.08, "FAIL"),
    ],
)
def test_verdict_follows_the_bounds(estimate: float, verdict: str) -> None:
    result = non_inferiority(difference(estimate, 0.01), margin=0.05)
    assert result.verdict == verdict
    assert result.lower == pytest.approx(estimate - T_100 * 0.01)
    assert result.upper == pytest.approx(estimate + T_100 * 0.01)


@given(PAIRS, MARGINS, st.floats(0.01, 0.2))
def test_verdict_is_the_one_of_two_one_sided_t_tests(pairs: list[tuple[int, int]], margin: float, alpha: float) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    d = new - old
    assume(np.ptp(d) > 0)
    result = non_inferiority(paired_difference(new, old), margin=margin, alpha=alpha)
    p_not_worse = float(stats.ttest_1samp(d, -margin, alternative="greater").pvalue)
    p_better = float(stats.ttest_1samp(d, 0.0, alternative="greater").pvalue)
    p_worse = float(stats.ttest_1samp(d, -margin, alternative="less").pvalue)
    assume(min(abs(p - alpha) for p in (p_not_worse, p_better, p_worse)) > 1e-9)
    expected = "INCONCLUSIVE"
    if p_better < alpha:
        expected = "SUPERIOR"
    elif p_not_worse < alpha:
        expected = "PASS"
    elif p_worse < alpha:
        expected = "FAIL"
    assert result.verdict == expected


@given(PAIRS, MARGINS)
def test_lower_is_better_is_the_mirror_image(pairs: list[tuple[int, int]], margin: float) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    higher = non_inferiority(paired_difference(new, old), margin=margin, direction="higher")
    lower = non_inferiority(paired_difference(-new, -old), margin=margin, direction="lower")
    assert (lower.verdict, lower.items_needed) == (higher.verdict, higher.items_needed)
    assert (lower.lower, lower.upper) == pytest.approx((-higher.upper, -higher.lower))


def test_a_slower_candidate_fails_and_a_faster_one_is_superior() -> None:
    assert non_inferiority(difference(30, 2), margin=10, direction="lower").verdict == "FAIL"
    assert non_inferiority(difference(-30, 2), margin=10, direction="lower").verdict == "SUPERIOR"
    assert non_inferiority(difference(0, 2), margin=10, direction="lower").verdict == "PASS"


@given(PAIRS, MARGINS, st.floats(1.1, 10))
def test_a_wider_margin_never_blocks_what_a_narrower_one_lets_through(
    pairs: list[tuple[int, int]], margin: float, factor: float
) -> None:
    order = ["FAIL", "INCONCLUSIVE", "PASS", "SUPERIOR"]
    result = paired_difference(*np.array(pairs, dtype=np.float64).T)
    narrow, wide = (non_inferiority(result, margin=m).verdict for m in (margin, margin * factor))
    assert order.index(wide) >= order.index(narrow)


@pytest.mark.parametrize("side", [-1e-6, 1e-6])
def test_verdict_changes_exactly_at_zero_and_at_the_margin(side: float) -> None:
    radius = T_100 * 0.01
    at_zero, at_margin, at_fail = (
        non_inferiority(difference(place + side, 0.01), margin=0.05).verdict
        for place in (radius, -0.05 + radius, -0.05 - radius)
    )
    assert (at_zero, at_margin) == (("SUPERIOR", "PASS") if side > 0 else ("PASS", "INCONCLUSIVE"))
    assert at_fail == ("INCONCLUSIVE" if side > 0 else "FAIL")


def test_items_needed_follow_the_power_formula() -> None:
    result = non_inferiority(difference(-0.04, 0.01), margin=0.05)
    # Variance of one item: 101 * 0.01^2; distance to the margin: 0.01.
    expected = (stats.norm.ppf(0.95) + stats.norm.ppf(0.8)) ** 2 * 101 * 0.01**2 / 0.01**2
    assert result.items_needed == math.ceil(expected) == 625


def test_items_needed_of_an_even_candidate_are_those_of_the_plan() -> None:
    # 10 regressions and 10 improvements in 200: discordance 0.1.
    n, psi = 200, 0.1
    new, old = [1] * 10 + [0] * 10 + [1] * 180, [0] * 10 + [1] * 10 + [1] * 180
    result = non_inferiority(paired_difference(new, old), margin=0.02)
    assert result.verdict == "INCONCLUSIVE"
    assert result.items_needed == pytest.approx(plan_non_inferiority_binary(0.02, psi) * n / (n - 1), abs=1)


@pytest.mark.nightly
def test_items_needed_reach_the_promised_power() -> None:
    random, runs, passed = np.random.default_rng(7), 4000, 0
    pilot = non_inferiority(difference(-0.01, 0.2 / math.sqrt(50), n=50), margin=0.05)
    assert pilot.items_needed is not None
    for _ in range(runs):
        d = random.normal(-0.01, 0.2, pilot.items_needed)
        result = non_inferiority(paired_difference(d, np.zeros_like(d)), margin=0.05)
        passed += result.verdict in ("PASS", "SUPERIOR")
    assert passed / runs == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / runs) + 0.005)
    print(f"items_needed {pilot.items_needed}: power {passed / runs:.4f}")


@pytest.mark.nightly
@pytest.mark.parametrize("clustered", [False, True])
def test_a_candidate_worse_by_the_margin_passes_no_more_often_than_alpha(clustered: bool) -> None:
    random, runs, passed = np.random.default_rng(8), 4000, 0
    labels = np.repeat(np.arange(30), 5) if clustered else None
    for _ in range(runs):
        d = random.normal(-0.05, 0.2, 150) + (np.repeat(random.normal(0, 0.2, 30), 5) if clustered else 0)
        result = non_inferiority(paired_difference(d, np.zeros_like(d), labels), margin=0.05)
        passed += result.verdict in ("PASS", "SUPERIOR")
    assert passed / runs == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / runs))
    print(f"at the margin, clustered {clustered}: {passed / runs:.4f}")


@given(st.floats(-1, 1), st.floats(1e-9, 10), st.integers(2, 1000), st.floats(1e-6, 1))
def test_items_needed_are_more_than_there_were_or_none(
    estimate: float, standard_error: float, n: int, margin: float
) -> None:
    result = non_inferiority(difference(estimate, standard_error, n), margin=margin)
    if result.verdict != "INCONCLUSIVE" or estimate <= -margin:
        assert result.items_needed is None
    elif result.items_needed is not None:
        assert result.items_needed > n
    assert result.lower <= result.estimate <= result.upper
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


def test_more_items_cannot_help_a_candidate_at_the_margin() -> None:
    assert non_inferiority(difference(-0.05, 0.01), margin=0.05).items_needed is None
    assert non_inferiority(difference(-0.05 + 1e-9, 0.01), margin=0.05).items_needed is None


def same_answers(n: int, clusters: list[int] | None = None, margin: float = 0.05) -> NonInferiority:
    return non_inferiority(paired_difference([1.0] * n, [1.0] * n, clusters), margin=margin)


def test_no_change_at_all_passes_only_with_enough_items() -> None:
    few, enough = same_answers(58), same_answers(59)
    assert (few.verdict, few.items_needed) == ("INCONCLUSIVE", 59)
    assert (enough.verdict, enough.items_needed) == ("PASS", None)
    assert enough.lower == pytest.approx(0.05 ** (1 / 59) - 1)
    assert "do not vary" in enough.warnings[-1]


def test_no_change_at_all_counts_clusters_if_there_are_any() -> None:
    few = same_answers(120, [i // 4 for i in range(120)])
    assert (few.verdict, few.items_needed) == ("INCONCLUSIVE", 59 * 4)
    assert same_answers(240, [i // 4 for i in range(240)]).verdict == "PASS"


@given(st.integers(2, 200), st.floats(0.005, 0.5))
def test_items_needed_without_change_are_the_smallest_number_that_passes(n: int, margin: float) -> None:
    result = same_answers(n, margin=margin)
    if result.items_needed is not None:
        assert same_answers(result.items_needed, margin=margin).verdict == "PASS"
        assert same_answers(result.items_needed - 1, margin=margin).verdict == "INCONCLUSIVE"
    else:
        assert result.verdict == "PASS"


def test_the_same_change_everywhere_is_judged_by_its_size() -> None:
    zeros, ones = [0.0] * 100, [1.0] * 100
    assert non_inferiority(paired_difference(ones, zeros), margin=0.05).verdict == "SUPERIOR"
    assert non_inferiority(paired_difference(zeros, ones), margin=0.05).verdict == "FAIL"


def test_unvarying_differences_on_another_scale_need_its_range() -> None:
    stars = paired_difference([4.0] * 100, [4.0] * 100)
    assert non_inferiority(stars, margin=0.05).verdict == "PASS"
    assert non_inferiority(stars, margin=0.05, largest_difference=4).verdict == "INCONCLUSIVE"


def test_warnings_of_the_difference_are_kept() -> None:
    result = non_inferiority(paired_difference([1, 0, 1, 1], [1, 1, 0, 1]), margin=0.05)
    assert any("only 4 items" in warning for warning in result.warnings)


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_that_is_none_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        non_inferiority(difference(0, 1), margin=margin)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 5.0])
def test_an_alpha_that_is_no_error_probability_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        non_inferiority(difference(0, 1), margin=0.1, alpha=alpha)
    with pytest.raises(ValueError, match="alpha"):
        plan_non_inferiority_binary(0.05, 0.1, alpha=alpha)


def test_an_unknown_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="'up'"):
        non_inferiority(difference(0, 1), margin=0.1, direction="up")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("margin", "discordance", "expected"),
    [(0.02, 0.1, 1546), (0.02, 0.2, 3092), (0.03, 0.1, 687), (0.03, 0.2, 1374), (0.05, 0.1, 248), (0.05, 0.2, 495)],
)
def test_plan_equals_the_reference(margin: float, discordance: float, expected: int) -> None:
    assert plan_non_inferiority_binary(margin, discordance) == expected


def test_plan_never_promises_what_a_run_without_change_could_not_show() -> None:
    n = plan_non_inferiority_binary(0.05, 1e-6)
    assert n == 59
    assert same_answers(n).verdict == "PASS"


@given(st.floats(0.01, 0.3), st.floats(0.01, 0.5), st.floats(0.5, 0.95))
def test_plan_grows_with_power_and_discordance_and_shrinks_with_the_margin(
    margin: float, discordance: float, power: float
) -> None:
    n = plan_non_inferiority_binary(margin, discordance, power)
    assert plan_non_inferiority_binary(margin, discordance, power + 0.04) >= n
    assert plan_non_inferiority_binary(margin, discordance * 2, power) >= n
    assert plan_non_inferiority_binary(margin * 2, discordance, power) <= n


@pytest.mark.parametrize("discordance", [0.0, -0.1, 1.1, math.nan])
def test_a_discordance_that_is_no_share_is_refused(discordance: float) -> None:
    with pytest.raises(ValueError, match="discordance"):
        plan_non_inferiority_binary(0.05, discordance)


@pytest.mark.parametrize(
    ("gained", "lost", "n", "verdict"),
    [
        (10, 2, 100, "SUPERIOR"),
        (0, 0, 52, "PASS"),
        (0, 0, 51, "INCONCLUSIVE"),
        (5, 5, 300, "PASS"),
        (0, 2, 100, "INCONCLUSIVE"),
        (2, 30, 200, "FAIL"),
    ],
)
def test_pass_fail_items_are_judged_by_their_changes(gained: int, lost: int, n: int, verdict: str) -> None:
    result = non_inferiority_binary(gained, lost, n, margin=0.05)
    assert result.verdict == verdict
    assert non_inferiority_binary(lost, gained, n, margin=0.05, direction="lower").verdict == verdict
    assert (result.items_needed is None) is (verdict != "INCONCLUSIVE")


def test_a_few_losses_that_t_bounds_let_through_are_inconclusive() -> None:
    scores = paired_difference([0.0] * 2 + [1.0] * 98, [1.0] * 100)
    assert non_inferiority(scores, margin=0.05).verdict == "PASS"
    assert non_inferiority_binary(0, 2, 100, margin=0.05).verdict == "INCONCLUSIVE"


@pytest.mark.parametrize("margin", [0.02, 0.03, 0.05])
@pytest.mark.parametrize("gain_rate", [0.0, 0.02, 0.05])
@pytest.mark.parametrize("n", [100, 300])
def test_pass_fail_candidate_worse_by_the_margin_passes_about_as_often_as_alpha(
    margin: float, gain_rate: float, n: int
) -> None:
    # Exact enumeration, not a simulation. A score test is approximate: .06 is its known order of excess.
    loss_rate, false_pass = gain_rate + margin, 0.0
    for gained in range(int(stats.binom.ppf(1 - 1e-6, n, gain_rate)) + 1):
        weight = float(stats.binom.pmf(gained, n, gain_rate))
        given_gained = stats.binom(n - gained, loss_rate / (1 - gain_rate))
        # More losses never help, so the passing ones are the smallest.
        lost = 0
        while non_inferiority_binary(gained, lost, n, margin=margin).verdict in ("PASS", "SUPERIOR"):
            lost += 1
        false_pass += weight * float(given_gained.cdf(lost - 1))
    assert false_pass < 0.0605


def test_binary_items_needed_of_an_even_candidate_are_those_of_the_plan() -> None:
    # Discordance 0.1 and 0.2 with no difference: the reference's 1546 and 495.
    assert non_inferiority_binary(10, 10, 200, margin=0.02).items_needed == 1546
    assert non_inferiority_binary(20, 20, 200, margin=0.05).items_needed == 495


@given(st.integers(1, 300), st.data(), st.floats(0.01, 0.3))
def test_binary_items_needed_are_more_than_there_were(n: int, data: st.DataObject, margin: float) -> None:
    gained = data.draw(st.integers(0, n))
    lost = data.draw(st.integers(0, n - gained))
    result = non_inferiority_binary(gained, lost, n, margin=margin)
    if result.items_needed is not None:
        assert result.verdict == "INCONCLUSIVE"
        assert result.estimate > -margin
        assert result.items_needed > n
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False)) == result.to_dict()


@given(st.integers(1, 200), st.floats(0.005, 0.5))
def test_binary_items_needed_without_change_are_the_smallest_number_that_passes(n: int, margin: float) -> None:
    needed = non_inferiority_binary(0, 0, n, margin=margin).items_needed
    if needed is not None:
        assert non_inferiority_binary(0, 0, needed, margin=margin).verdict == "PASS"
        assert non_inferiority_binary(0, 0, needed - 1, margin=margin).verdict == "INCONCLUSIVE"


def test_a_binary_margin_in_percent_is_refused() -> None:
    with pytest.raises(ValueError, match="margin is 5"):
        non_inferiority_binary(1, 1, 100, margin=5)


@given(PAIRS, MARGINS, st.sampled_from(["higher", "lower"]), st.floats(0.01, 0.2))
def test_an_interval_of_twice_alpha_gives_the_verdict_of_its_bounds(
    pairs: list[tuple[int, int]], margin: float, direction: Direction, alpha: float
) -> None:
    new, old = np.array(pairs, dtype=np.float64).T
    assume(np.ptp(new - old) > 0)
    by_t = non_inferiority(paired_difference(new, old), margin=margin, direction=direction, alpha=alpha)
    interval = paired_difference(new, old, confidence=1 - 2 * alpha)
    by_interval = non_inferiority_interval(interval, margin=margin, direction=direction)
    assert (by_interval.lower, by_interval.upper) == pytest.approx((by_t.lower, by_t.upper))
    assert by_interval.alpha == pytest.approx(alpha)
    if min(abs(b - edge) for b in (by_t.lower, by_t.upper) for edge in (-margin, 0, margin)) > 1e-9:
        assert by_interval.verdict == by_t.verdict


@pytest.mark.parametrize(("gained", "lost", "n"), [(10, 2, 100), (0, 0, 52), (0, 2, 100), (2, 30, 200)])
def test_an_interval_of_tango_gives_the_verdict_of_pass_fail_items(gained: int, lost: int, n: int) -> None:
    counted = non_inferiority_binary(gained, lost, n, margin=0.05)
    interval = paired_binary_difference(gained, lost, n, confidence=0.9)
    by_interval = non_inferiority_interval(interval, margin=0.05)
    assert (by_interval.verdict, by_interval.method) == (counted.verdict, "tango")


def test_items_needed_by_an_interval_are_about_those_by_its_standard_error() -> None:
    new = np.random.default_rng(3).normal(0, 0.3, 60)
    by_t = non_inferiority(paired_difference(new, np.zeros(60)), margin=0.06)
    by_bootstrap = non_inferiority_interval(paired_bootstrap(new, np.zeros(60), confidence=0.9), margin=0.06)
    assert by_t.verdict == by_bootstrap.verdict == "INCONCLUSIVE"
    assert by_t.items_needed is not None
    assert by_bootstrap.items_needed == pytest.approx(by_t.items_needed, rel=0.25)


def test_the_record_says_what_its_bounds_are() -> None:
    pair = [1.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0]
    assert non_inferiority(paired_difference(*pair), margin=0.1).method == "t"
    clustered = non_inferiority(paired_difference(*pair, [0, 0, 1, 1]), margin=0.1)
    assert (clustered.method, clustered.assumptions) == (
        "cr1_t",
        ("clusters are independent; items of one cluster need not be",),
    )
    assert same_answers(3).method == "no_change"
    assert non_inferiority_binary(1, 1, 4, margin=0.1).method == "tango"


@pytest.mark.nightly
@pytest.mark.parametrize(("n", "discordance"), [(300, 0.15), (150, 0.3)])
def test_a_pass_fail_candidate_at_the_margin_is_passed_about_as_often_as_alpha(n: int, discordance: float) -> None:
    random, runs = np.random.default_rng(63), 20_000
    gain, loss = (discordance - 0.05) / 2, (discordance + 0.05) / 2
    counts = random.multinomial(n, [gain, loss, 1 - gain - loss], size=runs)
    verdicts = {}
    for gained, lost, _ in counts.tolist():
        if (gained, lost) not in verdicts:
            verdicts[gained, lost] = non_inferiority_binary(gained, lost, n, margin=0.05).verdict
    passed = sum(verdicts[gained, lost] in ("PASS", "SUPERIOR") for gained, lost, _ in counts.tolist()) / runs
    assert passed == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / runs) + 0.005)
    print(f"Tango at the margin, n {n}, discordance {discordance}: {passed:.4f}")


@pytest.mark.nightly
def test_clusters_taken_for_independent_items_pass_far_too_often() -> None:
    random, runs = np.random.default_rng(64), 4000
    labels = np.repeat(np.arange(30), 10)
    robust = naive = 0
    for _ in range(runs):
        d = np.repeat(random.normal(0, math.sqrt(0.5), 30), 10) + random.normal(0, math.sqrt(0.5), 300) - 0.2
        pair = d, np.zeros(300)
        robust += non_inferiority(paired_difference(*pair, labels), margin=0.2).verdict in ("PASS", "SUPERIOR")
        naive += non_inferiority(paired_difference(*pair), margin=0.2).verdict in ("PASS", "SUPERIOR")
    assert robust / runs == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / runs))
    assert naive / runs > 0.1
    print(f"at the margin with ICC .5: CR1-t {robust / runs:.4f}, naive {naive / runs:.4f}")
