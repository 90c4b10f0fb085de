"""What is derived from a snapshot: kept as long as it is served, and no more of it than its configuration is large."""

from zirkel.gateway.prepared import Prepared
from zirkel.gateway.snapshot import ModelPrice, PriceTier, Snapshot, SnapshotTarget, SnapshotUpstream


def prepare() -> Prepared:
    upstreams = {
        "p1/openai": SnapshotUpstream("openai", "http://one/v1"),
        "p2/openai": SnapshotUpstream("openai", "http://two/v1", model_override="stand-in"),
    }
    tiers = [PriceTier(0, "1")]
    prices = {"p1/openai/gpt-4o": [ModelPrice(tiers, output=tiers)]}
    return Prepared(Snapshot(1, 1, {}, upstreams, {}, {}, prices), str)


def test_the_same_target_is_another_place_in_another_project() -> None:
    prepared, target = prepare(), SnapshotTarget("openai", "gpt-4o")
    one, two = prepared.place("p1", target), prepared.place("p2", target)

    assert [place.upstream.base_url for place in (one, two) if place.upstream] == ["http://one/v1", "http://two/v1"]
    assert (one.model, two.model) == ("gpt-4o", "stand-in")
    assert (len(one.prices), len(two.prices)) == (1, 0)
    assert prepared.place("p1", target) is one


def test_places_that_callers_make_up_are_told_apart_though_not_all_are_remembered() -> None:
    prepared = prepare()
    for number in range(10_000):
        name = f"m{number}" * (1 if number % 2 else 100)
        (link,) = prepared.direct_chain("openai", name)
        place = prepared.place("p1", link.pool[0])
        assert (place.model, bytes(place.members["model"])) == (name, f'"{name}"'.encode())

    assert max(len(prepared._places), len(prepared._direct)) <= 4096
    assert all(len(place.model) <= 200 for place in prepared._places.values())
