"""Texts as sets of words and of pairs of neighbouring words, and which of them are nearly the same. Pure."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zirkel.core import JsonObject

# Scripts without spaces between words: each character counts as one.
_ALONE = "぀-ヿ㐀-鿿가-힣"
_WORD = re.compile(rf"[{_ALONE}]|[^\W_{_ALONE}]+")
_PAIR = 1 << 31
MOST_INDEXED = 32
"""Members of a group of near-duplicates that others are compared with: a thousand copies are not a million pairs."""

Features = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class NearPair:
    """Two texts that are nearly the same."""

    first: int
    """Position of the one."""
    second: int
    similarity: float
    """Jaccard index of their words and pairs of words, 0 to 1."""


@dataclass(frozen=True, slots=True)
class TextSets:
    """Texts as sets of features; features are numbered, the rarest first."""

    sets: Sequence[Features]
    """Sorted and without repetition; empty for a text without a word."""
    lengths: Sequence[int]
    """Words of each text."""
    features: int
    """How many different ones there are."""


def input_text(item_input: JsonObject) -> str:
    """Return all texts and numbers of an input, those of its variables in the order of their names."""
    return "\n".join(_texts(item_input))


def split_words(text: str) -> list[str]:
    """Return the words of a text in small letters, without punctuation."""
    return _WORD.findall(text.casefold())


def text_sets(texts: Sequence[str]) -> TextSets:
    """Return texts as sets of their words and pairs of neighbouring words."""
    numbers: dict[str, int] = {}
    raw: list[Features] = []
    lengths = []
    for text in texts:
        found = split_words(text)
        words = np.fromiter((numbers.setdefault(word, len(numbers)) for word in found), np.int64, len(found))
        raw.append(np.unique(np.concatenate([words, (words[:-1] + 1) * _PAIR + words[1:]])))
        lengths.append(len(found))
    if not any(len(found) for found in raw):
        return TextSets(raw, lengths, 0)
    _, places, counts = np.unique(np.concatenate(raw), return_inverse=True, return_counts=True)
    ranks = np.empty(len(counts), np.int64)
    ranks[np.argsort(counts, kind="stable")] = np.arange(len(counts))
    ends = np.cumsum([len(found) for found in raw])[:-1]
    sets = [np.sort(found) for found in np.split(ranks[places], ends)]
    return TextSets(sets, lengths, len(counts))


def near_pairs(sets: Sequence[Features], threshold: float) -> Iterator[NearPair]:
    """Yield the pairs of sets whose Jaccard index is at least ``threshold``.

    Exact, but for this: of a group of more than 32 sets that are alike, others are compared with 32. Sets without a
    member are like nothing.

    Args:
        sets: Sorted, the rarest features first.
        threshold: Above 0, up to 1.

    Source: prefix filtering, Chaudhuri, Ganti, Kaushik (2006), ICDE, and Bayardo, Ma, Srikant (2007), WWW: two sets
        with a Jaccard index of at least t share one of the first ``n - ceil(t n) + 1`` members of each, in any common
        order.
    """
    index: dict[int, list[int]] = {}
    groups = _Groups(len(sets))
    is_mine = np.zeros(max((int(members[-1]) for members in sets if len(members)), default=0) + 1, np.bool_)
    for place in sorted((place for place in range(len(sets)) if len(sets[place])), key=lambda place: len(sets[place])):
        mine = sets[place]
        shortest = math.ceil(threshold * len(mine) - 1e-9)
        prefix: list[int] = mine[: len(mine) - shortest + 1].tolist()
        candidates = {other for feature in prefix for other in index.get(feature, ()) if len(sets[other]) >= shortest}
        is_mine[mine] = True
        for other in sorted(candidates):
            common = int(np.count_nonzero(is_mine[sets[other]]))
            similarity = common / (len(mine) + len(sets[other]) - common)
            if similarity >= threshold - 1e-9:
                groups.join(place, other)
                yield NearPair(min(place, other), max(place, other), similarity)
        is_mine[mine] = False
        if groups.take_seat(place):
            for feature in prefix:
                index.setdefault(feature, []).append(place)


def contained_shares(found: TextSets, inside: int, references: Sequence[int]) -> Iterator[NDArray[np.float64]]:
    """Yield for each reference which share of the features of each of the first ``inside`` texts it has.

    Args:
        found: All texts.
        inside: How many of them, from the first, are looked for.
        references: Positions of the texts that they are looked for in.
    """
    sizes = np.array([len(members) for members in found.sets[:inside]], np.int64)
    members = np.concatenate([np.empty(0, np.int64), *found.sets[:inside]])
    ends = np.cumsum(sizes)
    for reference in references:
        is_there = np.zeros(found.features, np.bool_)
        is_there[found.sets[reference]] = True
        counted = np.concatenate([[0], np.cumsum(is_there[members])])
        yield (counted[ends] - counted[ends - sizes]) / np.maximum(sizes, 1)


def group_pairs(pairs: Sequence[NearPair], size: int) -> list[list[int]]:
    """Return the groups that pairs make of positions below ``size``: of two or more, the largest first."""
    groups = _Groups(size)
    for pair in pairs:
        groups.join(pair.first, pair.second)
    members: dict[int, list[int]] = {}
    for place in sorted({place for pair in pairs for place in (pair.first, pair.second)}):
        members.setdefault(groups.root(place), []).append(place)
    return sorted(members.values(), key=lambda group: (-len(group), group))


class _Groups:
    """Disjoint sets of positions.

    Source: Tarjan (1975), JACM 22(2), with path halving.
    """

    def __init__(self, size: int) -> None:
        self._parents = list(range(size))
        self._seats: dict[int, int] = {}

    def root(self, place: int) -> int:
        parents = self._parents
        while parents[place] != place:
            parents[place] = parents[parents[place]]
            place = parents[place]
        return place

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.root(first), self.root(second)))
        if low != high:
            self._parents[high] = low
            self._seats[low] = self._seats.get(low, 0) + self._seats.pop(high, 0)

    def take_seat(self, place: int) -> bool:
        """Return whether the place's group had fewer than ``MOST_INDEXED`` that took one."""
        root = self.root(place)
        taken = self._seats.get(root, 0)
        self._seats[root] = taken + 1
        return taken < MOST_INDEXED


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case bool() | int() | float():
            yield str(value)
        case list():
            for part in value:
                yield from _texts(part)
        case dict():
            for name in sorted(value):
                yield from _texts(value[name])
