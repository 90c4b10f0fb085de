"""Items that are there twice or nearly, that contradict each other, or that stand in a prompt. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zirkel.core import DatasetItem
from zirkel.version.dataset_findings import Finding, find
from zirkel.version.dataset_items import input_key
from zirkel.version.dataset_words import (
    NearPair,
    contained_shares,
    group_pairs,
    input_text,
    near_pairs,
    split_words,
    text_sets,
)

SHORTEST_LEAK = 5
"""Words: a shorter input stands in any long text by chance, and counts only if an example is nothing else."""


@dataclass(frozen=True, slots=True)
class ReferenceText:
    """A text that the model is shown."""

    place: str
    """Where, for people: ``release 3, example 2``."""
    text: str
    is_example: bool = False
    """True for the user's turn of a few-shot example."""


def duplicate_findings(items: Sequence[DatasetItem], threshold: float) -> Iterator[Finding]:
    """Yield what is there twice, nearly twice, and what of it contradicts each other.

    Args:
        items: Of one version.
        threshold: Jaccard index of words and pairs of words from which two inputs are nearly the same.
    """
    same: dict[str, list[DatasetItem]] = {}
    for item in items:
        same.setdefault(input_key(item.input), []).append(item)
    for group in same.values():
        if len(group) > 1:
            yield _same_input(group)
    different = [group[0] for group in same.values()]
    yield from _near_findings(different, list(same.values()), threshold)


def leak_findings(
    items: Sequence[DatasetItem], references: Sequence[ReferenceText], threshold: float
) -> Iterator[Finding]:
    """Yield, by text that the model is shown, the items whose input stands in it.

    Args:
        items: Of one version.
        references: Prompts, examples and documents; the same text counts once.
        threshold: Share of an input's words and pairs of words from which it stands in the text.
    """
    texts = [input_text(item.input) for item in items]
    unique: dict[str, ReferenceText] = {}
    for reference in references:
        unique.setdefault(reference.text, reference)
    found = text_sets([*texts, *unique])
    is_long = np.array([length >= SHORTEST_LEAK for length in found.lengths[: len(items)]], np.bool_)
    contained = contained_shares(found, len(items), range(len(items), len(items) + len(unique)))
    spelled: dict[tuple[str, ...], list[int]] = {}
    for place, text in enumerate(texts):
        spelled.setdefault(tuple(split_words(text)), []).append(place)
    for reference, all_shares in zip(unique.values(), contained, strict=True):
        places: list[int] = np.flatnonzero(is_long & (all_shares >= threshold)).tolist()
        shares = {place: float(all_shares[place]) for place in places}
        if reference.is_example and (words := tuple(split_words(reference.text))):
            shares |= dict.fromkeys(spelled.get(words, ()), 1.0)
        if shares:
            ids = [items[place].id for place in sorted(shares)]
            yield find(
                "leak",
                "error",
                f"the input of {_count(ids)} stands in {reference.place}",
                "take them out of the data set or out of what the model is shown: it has seen the question",
                ids,
                max(shares.values()),
            )


def _same_input(group: Sequence[DatasetItem]) -> Finding:
    ids = [item.id for item in group]
    labels = {item.expected for item in group if item.expected is not None}
    if len(labels) > 1:
        return find(
            "label_conflict",
            "error",
            f"{_count(ids)} have the same input and {len(labels)} different expected outputs",
            "decide which expected output is right and keep one item: no system can be right on all of them",
            ids,
            1.0,
        )
    return find(
        "exact_duplicate",
        "warning",
        f"{_count(ids)} have the same input",
        "keep one of them: copies count as independent evidence, and they are not",
        ids,
        1.0,
    )


def _near_findings(
    items: Sequence[DatasetItem], copies: Sequence[Sequence[DatasetItem]], threshold: float
) -> Iterator[Finding]:
    pairs = list(near_pairs(text_sets([input_text(item.input) for item in items]).sets, threshold))
    best = _most_alike(pairs)
    conflicts = [pair for pair in pairs if _contradict(copies[pair.first], copies[pair.second])]
    for group in group_pairs(pairs, len(items)):
        ids = [item.id for place in group for item in copies[place]]
        splits = {item.split for place in group for item in copies[place] if item.split}
        across = f", in the splits {', '.join(sorted(splits))}" if len(splits) > 1 else ""
        yield find(
            "near_duplicate",
            "warning",
            f"{_count(ids)} have nearly the same input{across}",
            "keep one, or give them one cluster, so that intervals count them as one source",
            ids,
            max(best[place] for place in group),
        )
    for group in group_pairs(conflicts, len(items)):
        ids = [item.id for place in group for item in copies[place]]
        yield find(
            "near_label_conflict",
            "warning",
            f"{_count(ids)} have nearly the same input and different expected outputs",
            "look whether the difference between the inputs is what makes the difference between the outputs",
            ids,
            max(best[place] for place in group),
        )


def _most_alike(pairs: Sequence[NearPair]) -> dict[int, float]:
    """Return the highest similarity of each position to another one."""
    best: dict[int, float] = {}
    for pair in pairs:
        for place in (pair.first, pair.second):
            best[place] = max(best.get(place, 0.0), pair.similarity)
    return best


def _contradict(first: Sequence[DatasetItem], second: Sequence[DatasetItem]) -> bool:
    labels = [{item.expected for item in group if item.expected is not None} for group in (first, second)]
    return bool(labels[0]) and bool(labels[1]) and labels[0].isdisjoint(labels[1])


def _count(ids: Sequence[str]) -> str:
    return f"{len(ids)} items" if len(ids) != 1 else "1 item"
