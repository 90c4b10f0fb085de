"""Prices as the gateway reads them."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from zirkel.gateway import ModelPrice, PriceTier
from zirkel.observe import ModelPrices, PriceBook

_Direct = Mapping[str, tuple[ModelPrices, ...]]


class PricePress:
    """Turns price books into the snapshot's table. What books share is turned once and kept for the next time."""

    def __init__(self) -> None:
        # By identity; each entry holds its source, so that no other one can have the same identity meanwhile.
        self._kept: dict[int, tuple[_Direct, Mapping[str, list[ModelPrice]]]] = {}

    def table(
        self,
        books: Mapping[str, PriceBook],
        upstreams: Iterable[tuple[str, str]],
        models: Mapping[str, set[str]],
        now_ns: int,
    ) -> dict[str, list[ModelPrice]]:
        """Return prices by ``project/upstream/model``; a model's name may have ``*`` as in file names.

        Args:
            books: By project.
            upstreams: Project and name of each.
            models: By project, what its chains name as ``UPSTREAM/MODEL``: each gets an entry of its own, found with
                all that the price tables know of names.
            now_ns: What ended before is left out.
        """
        kept: dict[int, tuple[_Direct, Mapping[str, list[ModelPrice]]]] = {}
        found: dict[str, list[ModelPrice]] = {}
        for project_id, upstream in upstreams:
            direct = books[project_id].direct(upstream, now_ns)
            entry = kept.get(id(direct)) or self._kept.get(id(direct)) or (direct, _pressed(direct))
            kept[id(direct)] = entry
            found |= {f"{project_id}/{upstream}/{model}": prices for model, prices in entry[1].items()}
        self._kept = kept
        for project_id, named in models.items():
            for model in sorted(named):
                if f"{project_id}/{model}" not in found:
                    prices = press_prices(books[project_id].prices(model, now_ns))
                    found |= {f"{project_id}/{model}": prices} if prices else {}
        return found


def press_prices(prices: Sequence[ModelPrices]) -> list[ModelPrice]:
    """Return a model's prices, newest first."""
    return [_press(found) for found in prices]


def _pressed(direct: _Direct) -> Mapping[str, list[ModelPrice]]:
    # Several names of a model have the same prices: one list for all.
    once: dict[int, list[ModelPrice]] = {}
    return {model: once.setdefault(id(prices), press_prices(prices)) for model, prices in direct.items() if prices}


def _press(found: ModelPrices) -> ModelPrice:
    tiers = {
        bucket: [PriceTier(tier.from_input_tokens, f"{tier.usd_per_million:f}") for tier in values]
        for bucket, values in found.buckets.items()
    }
    return msgspec.convert(
        {
            **msgspec.to_builtins(tiers),
            "digest": found.table_digest,
            "effective_ns": found.effective_ns,
            "max_output_tokens": found.max_output_tokens,
        },
        ModelPrice,
    )
