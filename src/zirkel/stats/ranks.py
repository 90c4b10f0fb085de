"""Which place something takes, when all that is known are intervals."""

from zirkel.stats.samples import Samples, check_samples


def rank_ranges(lows: Samples, highs: Samples) -> tuple[tuple[int, int], ...]:
    """Return the best and the worst place each can have; 1 is the place of the highest.

    The best place is 1 and one more for each other interval that lies wholly above, the worst is the last less one for
    each that lies wholly below. Intervals that hold all at once (simultaneous coverage) give places that do.

    Args:
        lows: Lower bounds, one each.
        highs: Upper bounds, one each, none below its lower bound.

    Raises:
        ValueError: If the lengths differ, a bound is not finite, or an interval is turned round.

    Source: Goldstein and Spiegelhalter (1996), JRSS A 159(3), 385-443; Mogstad, Romano, Shaikh and Wilhelm (2024),
        Review of Economic Studies 91(1), 476-518, section 3.
    """
    low, high = check_samples(lows, "lows"), check_samples(highs, "highs")
    if len(low) != len(high) or (high < low).any():
        raise ValueError("each interval needs a lower bound and an upper one that is not below it")
    above = (low[None, :] > high[:, None]).sum(axis=1)
    below = (high[None, :] < low[:, None]).sum(axis=1)
    return tuple((int(a) + 1, len(low) - int(b)) for a, b in zip(above, below, strict=True))
