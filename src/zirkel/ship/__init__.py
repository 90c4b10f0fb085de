"""Environments and rollouts."""

from zirkel.ship.ports import Publisher, ReleaseResolver, ShipMetadata, ShipTransaction
from zirkel.ship.service import DEFAULT_WEIGHT, Move, ShipOrder, Shipping

__all__ = [
    "DEFAULT_WEIGHT",
    "Move",
    "Publisher",
    "ReleaseResolver",
    "ShipMetadata",
    "ShipOrder",
    "ShipTransaction",
    "Shipping",
]
