"""E-values: evidence that may be looked at any time, multiplied and averaged."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from zirkel.stats.samples import FloatArray, check_samples

Combination = Literal["mean", "product"]


def p_to_e(p_value: float) -> float:
    """Return an e-value for a p-value, ``0.5 / sqrt(p)``: its mean is at most 1 if nothing is going on.

    Args:
        p_value: Above 0, at most 1.

    Raises:
        ValueError: If it is not.

    Source: Vovk and Wang (2021), Annals of Statistics 49(3), 1736-1754, equation (1) with kappa = 1/2.
    """
    if not 0 < p_value <= 1:
        raise ValueError(f"p_value is {p_value}; it must be above 0 and at most 1")
    return 0.5 / math.sqrt(p_value)


def e_to_p(e_value: float) -> float:
    """Return the p-value that an e-value warrants, ``min(1, 1 / e)``.

    Args:
        e_value: At least 0; may be infinite.

    Raises:
        ValueError: If it is negative or not a number.

    Source: Vovk and Wang (2021), Annals of Statistics 49(3), 1736-1754, proposition 2.2 (Markov's inequality).
    """
    if not e_value >= 0:
        raise ValueError(f"e_value is {e_value}; it must be at least 0")
    return 1 / e_value if e_value > 1 else 1.0


def combine_e_values(
    e_values: Sequence[float] | FloatArray,
    *,
    method: Combination = "mean",
    weights: Sequence[float] | FloatArray | None = None,
) -> float:
    """Return one e-value for several of the same null hypothesis.

    ``mean`` holds whatever their dependence. ``product`` is stronger, and holds only if each is an e-value given the
    ones before it, as for independent data.

    Args:
        e_values: At least one, each at least 0.
        method: ``mean`` or ``product``.
        weights: For ``mean``: one per e-value, at least 0, fixed before the data; equal if None.

    Raises:
        ValueError: If a bound above is broken, weights are given for a product, or the product is too large.

    Source: Vovk and Wang (2021), Annals of Statistics 49(3), 1736-1754, sections 3 and 4.
    """
    e = check_samples(e_values, "e_values")
    if len(e) == 0 or e.min() < 0:
        raise ValueError("e_values must be at least one number from 0 up")
    if method == "product":
        if weights is not None:
            raise ValueError("weights are for the mean of e-values; a product has none")
        with np.errstate(over="ignore"):
            product = float(np.prod(e))
        if not math.isfinite(product):
            raise ValueError("the product of the e-values is too large for a number; combine their logarithms")
        return product
    if method != "mean":
        raise ValueError(f"method is {method!r}; it must be 'mean' or 'product'")
    w = np.ones(len(e)) if weights is None else check_samples(weights, "weights")
    if len(w) != len(e) or w.min() < 0 or w.sum() == 0:
        raise ValueError(f"{len(w)} weights for {len(e)} e-values; one each is needed, at least 0 and not all 0")
    return float(w @ e / w.sum())
