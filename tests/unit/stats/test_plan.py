"""Planning the size of a comparison."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from zirkel.stats import (
    DifferenceDesign,
    Sides,
    minimum_detectable_effect,
    non_inferiority,
    non_inferiority_binary,
    paired_difference,
    plan_difference,
    plan_non_inferiority_binary,
    plan_two_proportions,
    power_of_difference,
    two_proportion_interval,
)

NINTH, SIXTH = 1 / 9, 1 / 6
DESIGNS = st.builds(
    DifferenceDesign,
    between=st.floats(0.01, 1),
    within_candidate=st.floats(0, 1),
    within_baseline=st.floats(0, 1),
    trials_candidate=st.integers(1, 10),
    trials_baseline=st.integers(1, 10),
    icc=st.floats(0, 1),
    cluster_size=st.floats(1, 20),
)


@pytest.mark.parametrize(
    ("design", "expected"),
    [
        (DifferenceDesign(NINTH), 969),
        (DifferenceDesign(NINTH, SIXTH, SIXTH), 3876),
        (DifferenceDesign(NINTH, SIXTH, SIXTH, 10, 10), 1260),
    ],
)
def test_items_equal_the_reference(design: DifferenceDesign, expected: int) -> None:
    # Miller (2024), section 5, with its variances.
    assert plan_difference(0.03, design) == expected


@pytest.mark.parametrize(("trials", "expected"), [(1, 0.132733), (10, 0.075670)])
def test_minimum_detectable_effect_equals_the_reference(trials: int, expected: float) -> None:
    design = DifferenceDesign(NINTH, SIXTH, SIXTH, trials, trials)
    assert minimum_detectable_effect(198, design) == pytest.approx(expected, abs=1e-6)


def test_items_of_two_proportions_equal_the_reference() -> None:
    # 898.5 (pooled) and 896.5 (not pooled) before rounding up.
    assert plan_two_proportions(0.02, 0.04, sides=1) == 899
    assert plan_two_proportions(0.02, 0.04, sides=1, pooled=False) == 897


@given(DESIGNS, st.floats(0.02, 0.5), st.floats(0.5, 0.95), st.sampled_from([1, 2]))
def test_the_plan_is_the_inverse_of_the_smallest_effect(
    design: DifferenceDesign, effect: float, power: float, sides: Sides
) -> None:
    n = plan_difference(effect, design, power=power, sides=sides)
    assert minimum_detectable_effect(n, design, power=power, sides=sides) <= effect * (1 + 1e-9)
    clusters = math.ceil(n / design.cluster_size) - 2
    fewer = math.floor(clusters * design.cluster_size)
    # A hundred clusters are where quantiles of t give way to normal ones.
    if clusters > 2 and not 99 <= n / design.cluster_size <= 103:
        assert minimum_detectable_effect(fewer, design, power=power, sides=sides) > effect


@given(DESIGNS, st.floats(0.02, 0.5), st.sampled_from([1, 2]))
def test_power_of_the_planned_size_is_about_what_was_promised(
    design: DifferenceDesign, effect: float, sides: Sides
) -> None:
    n = plan_difference(effect, design, sides=sides)
    if n / design.cluster_size >= 5:
        assert power_of_difference(n, effect, design, sides=sides) >= 0.8 - 0.03


@given(DESIGNS, st.integers(50, 500), st.floats(0, 0.5))
def test_power_grows_with_items_and_effect_and_falls_with_noise(
    design: DifferenceDesign, n: int, effect: float
) -> None:
    power = power_of_difference(n, effect, design)
    assert power_of_difference(n * 2, effect, design) >= power - 1e-9
    assert power_of_difference(n, effect + 0.01, design) >= power - 1e-9
    noisier = DifferenceDesign(design.between * 2 + 1, icc=design.icc, cluster_size=design.cluster_size)
    if noisier.variance > design.variance:
        assert power_of_difference(n, effect, noisier) <= power + 1e-9
    assert 0 <= power <= 1


def test_power_is_the_one_of_the_noncentral_t() -> None:
    expected = float(stats.nct.sf(stats.t.ppf(0.975, 49), 49, 0.1 / math.sqrt(0.04 / 50)))
    assert power_of_difference(50, 0.1, DifferenceDesign(0.04)) == pytest.approx(expected, abs=1e-9)
    assert power_of_difference(50, 0.0, DifferenceDesign(0.04), sides=1) == pytest.approx(0.05, abs=1e-9)


def test_clusters_multiply_by_the_design_effect() -> None:
    alone, clustered = DifferenceDesign(NINTH), DifferenceDesign(NINTH, icc=0.25, cluster_size=5)
    assert clustered.variance == pytest.approx(2 * alone.variance)
    assert plan_difference(0.03, clustered) == math.ceil(2 * 968.997)


def test_few_clusters_need_more_than_the_normal_formula_says() -> None:
    design = DifferenceDesign(0.04, icc=0.5, cluster_size=10)
    normal = (stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) ** 2 * design.variance / 0.15**2
    assert normal / 10 < 10
    assert plan_difference(0.15, design) >= normal + 15


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"between": -0.1}, "variances"),
        ({"between": 0.0}, "nothing would vary"),
        ({"between": 0.1, "trials_baseline": 0}, "trials_baseline"),
        ({"between": 0.1, "icc": 2.0}, "icc"),
        ({"between": 0.1, "cluster_size": 0.0}, "cluster_size"),
        ({"between": math.nan}, "between"),
    ],
)
def test_impossible_designs_are_refused(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DifferenceDesign(**wrong)  # type: ignore[arg-type]


def test_impossible_questions_are_refused() -> None:
    design = DifferenceDesign(0.1)
    with pytest.raises(ValueError, match="effect"):
        plan_difference(0.0, design)
    with pytest.raises(ValueError, match="effect"):
        power_of_difference(10, -0.1, design)
    with pytest.raises(ValueError, match="power is"):
        plan_difference(0.1, design, power=0.04)
    with pytest.raises(ValueError, match="sides is 3"):
        plan_difference(0.1, design, sides=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 2"):
        minimum_detectable_effect(9, DifferenceDesign(0.1, icc=0.1, cluster_size=5))
    for rates in ((0.5, 0.5), (-0.1, 0.5), (0.5, 1.1)):
        with pytest.raises(ValueError, match="rates are"):
            plan_two_proportions(*rates)


def exact_power(n: int, margin: float, discordance: float) -> float:
    """Return the probability that the gate passes an equally good candidate, by enumeration."""
    share, lost, power = discordance / 2, 0, 0.0

    def passes(gained: int, lost: int) -> bool:
        return gained + lost <= n and non_inferiority_binary(gained, lost, n, margin=margin).verdict in (
            "PASS",
            "SUPERIOR",
        )

    for gained in range(int(stats.binom.ppf(1 - 1e-9, n, share)) + 1):
        while lost and not passes(gained, lost):
            lost -= 1
        while passes(gained, lost + 1):
            lost += 1
        if passes(gained, lost):
            power += float(stats.binom.pmf(gained, n, share) * stats.binom.cdf(lost, n - gained, share / (1 - share)))
    return power


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("discordance", [0.02, 0.05, 0.1, 0.2])
def test_a_planned_gate_has_at_least_about_the_promised_power(margin: float, discordance: float) -> None:
    n = plan_non_inferiority_binary(margin, discordance)
    power = exact_power(n, margin, discordance)
    # Where few items change, the number of changes is so coarse that power moves by several points at a time.
    assert power >= 0.8 - (0.03 if n * discordance >= 2 else 0.05)


@pytest.mark.nightly
@pytest.mark.parametrize(("icc", "size"), [(0.0, 1), (0.3, 8)])
def test_a_planned_comparison_keeps_its_promise(icc: float, size: int) -> None:
    random, runs, found = np.random.default_rng(21), 3000, 0
    design = DifferenceDesign(0.05, 0.1, 0.1, 3, 3, icc=icc, cluster_size=size)
    n = plan_difference(0.06, design)
    clusters = math.ceil(n / size)
    whole = math.sqrt(0.05 + 0.2 / 3)
    for _ in range(runs):
        common = np.repeat(random.normal(0, whole * math.sqrt(icc), clusters), size)
        d = 0.06 + common + random.normal(0, whole * math.sqrt(1 - icc), clusters * size)
        labels = np.repeat(np.arange(clusters), size) if size > 1 else None
        found += paired_difference(d, np.zeros_like(d), labels).low > 0
    assert found / runs == pytest.approx(0.8, abs=0.03)
    print(f"icc {icc}, size {size}: n {n}, power {found / runs:.4f}")


@pytest.mark.nightly
@pytest.mark.parametrize(("clusters", "size", "icc"), [(12, 10, 0.4), (60, 5, 0.2)])
def test_a_planned_gate_on_clusters_keeps_its_promise(clusters: int, size: int, icc: float) -> None:
    random, runs, passed = np.random.default_rng(22), 3000, 0
    design = DifferenceDesign(0.04, icc=icc, cluster_size=size)
    margin = minimum_detectable_effect(clusters * size, design, sides=1)
    labels = np.repeat(np.arange(clusters), size)
    for _ in range(runs):
        d = np.repeat(random.normal(0, 0.2 * math.sqrt(icc), clusters), size)
        d += random.normal(0, 0.2 * math.sqrt(1 - icc), clusters * size)
        result = non_inferiority(paired_difference(d, np.zeros_like(d), labels), margin=margin)
        passed += result.verdict in ("PASS", "SUPERIOR")
    assert passed / runs == pytest.approx(0.8, abs=0.03)
    print(f"{clusters} clusters of {size}, icc {icc}: margin {margin:.4f}, power {passed / runs:.4f}")


@pytest.mark.nightly
def test_a_planned_comparison_of_two_rates_keeps_its_promise() -> None:
    n = plan_two_proportions(0.7, 0.8)
    passes = np.arange(n + 1)
    weight = np.outer(stats.binom.pmf(passes, n, 0.8), stats.binom.pmf(passes, n, 0.7))
    z = (passes[:, None] - passes[None, :]) / n
    pooled = (passes[:, None] + passes[None, :]) / (2 * n)
    spread = np.sqrt(2 * pooled * (1 - pooled) / n)
    power = float(np.sum(weight[z > stats.norm.ppf(0.975) * np.where(spread > 0, spread, np.inf)]))
    assert power == pytest.approx(0.8, abs=0.03)
    first = round(0.8 * n)
    assert two_proportion_interval(first, n, round(0.7 * n), n).low > 0
    print(f"two rates: n {n} per side, power {power:.4f}")
