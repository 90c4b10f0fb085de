"""Room: gateway. The data plane: admission, routing, upstream, record."""

from zirkel.gateway.asgi import Gateway, GatewayPorts, create_gateway
from zirkel.gateway.limits import SubjectUsage, read_usage
from zirkel.gateway.ports import SharedState, SharedTransaction, SnapshotSource, SpanSink, Unseal
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
    SnapshotLink,
    SnapshotModel,
    SnapshotProject,
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
    "GatewayPorts",
    "GatewaySettings",
    "MessageTemplate",
    "ModelPrice",
    "PriceTier",
    "SharedState",
    "SharedTransaction",
    "Snapshot",
    "SnapshotArm",
    "SnapshotKey",
    "SnapshotLink",
    "SnapshotModel",
    "SnapshotProject",
    "SnapshotRelease",
    "SnapshotRoute",
    "SnapshotSource",
    "SnapshotTarget",
    "SnapshotUpstream",
    "SpanSink",
    "SubjectUsage",
    "Unseal",
    "choose_arm",
    "create_gateway",
    "decode_snapshot",
    "encode_snapshot",
    "hash_key",
    "price_usage",
    "read_usage",
    "unit_point",
]
