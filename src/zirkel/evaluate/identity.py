"""What makes two experiments, or two answers, the same. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from random import Random

from zirkel.core import DatasetItem, Json, digest

_ANSWERING_PARTS = ("prompt", "model", "context", "guardrails")
"""Parts of a release that an answer depends on; what it is measured by is not among them."""


def experiment_id(
    release: str, dataset: str, evaluators: str, trials: int, *, other: str = "", repetition: str = ""
) -> str:
    """Return the id of an experiment: the same plan is the same experiment.

    Args:
        release: Digest of the release.
        dataset: Digest of the data set.
        evaluators: Digest of the evaluators.
        trials: Answers per item.
        other: Experiment that evaluators compare with; empty if none does.
        repetition: What tells an experiment from others of the same plan, if it is to be run anew.
    """
    identity: dict[str, Json] = {"release": release, "dataset": dataset, "evaluators": evaluators, "trials": trials}
    identity.update({name: value for name, value in (("other", other), ("repetition", repetition)) if value})
    return digest(identity)[:32]


def system_digest(service: str, artefacts: Mapping[str, str]) -> str:
    """Return the digest of all of a release that its answers depend on.

    Args:
        service: Name of the service.
        artefacts: Digests of the release's artefacts by kind.
    """
    parts: dict[str, Json] = {kind: artefacts[kind] for kind in _ANSWERING_PARTS if kind in artefacts}
    return digest({"service": service, "artefacts": parts})


def input_digests(items: Sequence[DatasetItem]) -> Mapping[str, str]:
    """Return for each item's id what its answers depend on: its input, and how many items before it have the same.

    So an item keeps its answers when others are added, and two items of one input are asked twice: their answers stay
    independent of each other.
    """
    found: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for item in items:
        text = digest(_plain(item.input))
        found[item.id] = f"{text}.{seen[text]}"
        seen[text] += 1
    return found


def answer_key(system: str, input_digest: str, trial: int) -> str:
    """Return under which key an answer is found again."""
    return digest([system, input_digest, trial])


def item_order(items: Sequence[DatasetItem], seed: int | None) -> list[DatasetItem]:
    """Return the items in the order they are asked: the data set's own, or a random one by a seed."""
    ordered = list(items)
    if seed is not None:
        Random(f"{seed}").shuffle(ordered)  # noqa: S311 (an order that anyone can repeat)
    return ordered


def cells(items: Sequence[DatasetItem], trials: int) -> Iterator[tuple[str, int]]:
    """Yield item and trial of each answer, item by item."""
    for item in items:
        for trial in range(trials):
            yield item.id, trial


def _plain(value: object) -> Json:
    # The input was parsed from JSON, so that it is JSON.
    return value  # type: ignore[return-value]
