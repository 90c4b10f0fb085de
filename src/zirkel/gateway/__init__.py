"""Room: gateway. The data plane: admission, routing, upstream, record."""

from zirkel.gateway.asgi import Gateway, create_gateway
from zirkel.gateway.ports import SnapshotSource, SpanSink, Unseal, UpstreamAnswer, UpstreamBroken, UpstreamClient
from zirkel.gateway.pricing import price_usage
from zirkel.gateway.record import GatewayCounters
from zirkel.gateway.routing import choose_arm, unit_point
from zirkel.gateway.settings import GatewaySettings
from zirkel.gateway.snapshot import (
    FORMAT,
    MessageTemplate,
    ModelPrice,
    PriceTier,
    Snapshot,
    SnapshotArm,
    SnapshotKey,
    SnapshotRelease,
    SnapshotRoute,
    SnapshotTarget,
    SnapshotUpstream,
    decode_snapshot,
    encode_snapshot,
    hash_key,
)
from zirkel.gateway.snapshot_file import FileSnapshots

__all__ = [
    "FORMAT",
    "FileSnapshots",
    "Gateway",
    "GatewayCounters",
    "GatewaySettings",
    "MessageTemplate",
    "ModelPrice",
    "PriceTier",
    "Snapshot",
    "SnapshotArm",
    "SnapshotKey",
    "SnapshotRelease",
    "SnapshotRoute",
    "SnapshotSource",
    "SnapshotTarget",
    "SnapshotUpstream",
    "SpanSink",
    "Unseal",
    "UpstreamAnswer",
    "UpstreamBroken",
    "UpstreamClient",
    "choose_arm",
    "create_gateway",
    "decode_snapshot",
    "encode_snapshot",
    "hash_key",
    "price_usage",
    "unit_point",
]
