"""Pairing what is expected with what was found, so that as many as possible fit. Pure."""

from collections.abc import Mapping, Sequence

Fits = Sequence[Sequence[bool]]
"""Whether expected ``i`` and found ``j`` may be paired, as ``fits[i][j]``."""


def match_in_order(fits: Fits) -> Mapping[int, int]:
    """Return the pairs of a longest common subsequence, found index by expected index."""
    rows, columns = len(fits), len(fits[0]) if fits else 0
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in reversed(range(rows)):
        for j in reversed(range(columns)):
            paired = best[i + 1][j + 1] + 1 if fits[i][j] else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs: dict[int, int] = {}
    i = j = 0
    while i < rows and j < columns:
        if fits[i][j] and best[i][j] == best[i + 1][j + 1] + 1:
            pairs[i] = j
            i, j = i + 1, j + 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            i += 1
    return pairs


def match_any_order(fits: Fits) -> Mapping[int, int]:
    """Return a largest pairing whatever the order, found index by expected index.

    Source: Kuhn (1955), by augmenting paths.
    """
    expected_of: dict[int, int] = {}
    for i in range(len(fits)):
        _augment(fits, i, expected_of, set())
    return {i: j for j, i in sorted(expected_of.items(), key=lambda pair: pair[1])}


def _augment(fits: Fits, i: int, expected_of: dict[int, int], tried: set[int]) -> bool:
    """Pair ``i``, moving others to another partner where that helps; return whether it worked."""
    for j, fit in enumerate(fits[i]):
        if fit and j not in tried:
            tried.add(j)
            if j not in expected_of or _augment(fits, expected_of[j], expected_of, tried):
                expected_of[j] = i
                return True
    return False
