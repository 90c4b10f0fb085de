"""Counters and telemetry in memory, and documents in a real database."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from zirkel.core import BudgetWindow, Clock, GatewayConfig, Json, KeyPolicy, KeyRecord, Role
from zirkel.core.gateway_check import config_json, convert_gateway_config
from zirkel.core.gateway_config import GatewayConfigRecord
from zirkel.core.windows import WINDOWS
from zirkel.store.metadata import Metadata


@dataclass(frozen=True)
class Money:
    """What one window holds."""

    spent_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)


@dataclass(frozen=True)
class Counts:
    """What one subject has used."""

    running: int = 0
    requests_last_minute: int = 0
    tokens_last_minute: int = 0
    windows: Mapping[BudgetWindow, Money] = field(default_factory=lambda: dict.fromkeys(WINDOWS, Money()))


@dataclass
class MemoryCounters:
    """Satisfies ``govern.limit_ports.Counters``."""

    counts: dict[str, Counts] = field(default_factory=dict)

    def usage(self, subject_id: str) -> Counts:
        return self.counts.get(subject_id, Counts())

    def restore(self, subject_id: str, spent_usd: Mapping[BudgetWindow, Decimal]) -> None:
        before = self.usage(subject_id)
        raised = {
            window: dataclasses.replace(money, spent_usd=max(money.spent_usd, spent_usd.get(window, Decimal(0))))
            for window, money in before.windows.items()
        }
        self.counts[subject_id] = dataclasses.replace(before, windows=raised)

    def set(self, subject_id: str, spent: str, held: str = "0") -> None:
        """Have a subject spent and hold as much in every window."""
        money = Money(Decimal(spent), Decimal(held))
        self.counts[subject_id] = Counts(1, 2, 3, dict.fromkeys(WINDOWS, money))

    def spent(self, subject_id: str) -> list[Decimal]:
        """Return what a subject spent this hour, day and month."""
        return [self.usage(subject_id).windows[window].spent_usd for window in WINDOWS]


@dataclass(frozen=True)
class Attempt:
    """A recorded attempt; also what a sum of such is."""

    spent_usd: Decimal
    key_id: str = ""
    user_id: str = ""
    service: str = ""
    project_id: str = "default"
    start_ns: int = 0


@dataclass
class MemoryRecords:
    """Satisfies ``govern.limit_ports.SpentRecords``."""

    attempts: list[Attempt] = field(default_factory=list)

    def spent_since(self, project_id: str, since_ns: int, users: Collection[str] | None) -> Sequence[Attempt]:
        found = [a for a in self.attempts if a.project_id == project_id and a.start_ns >= since_ns]
        return [a if users is None or a.user_id in users else dataclasses.replace(a, user_id="") for a in found]


def put_document(metadata: Metadata, document: Mapping[str, Json], project_id: str = "default") -> None:
    """Put a project's document in force."""
    config: GatewayConfig = convert_gateway_config(document)
    with metadata.transaction() as tx:
        current = tx.gateway_configs.current(project_id)
        version = current.version + 1 if current else 1
        tx.gateway_configs.add(GatewayConfigRecord(project_id, version, "d", "", config_json(config), 1, "ann"))


def put_key(
    metadata: Metadata,
    clock: Clock,
    key_id: str,
    policy: KeyPolicy,
    *,
    project_id: str = "default",
    revoked_ns: int | None = None,
) -> None:
    """Keep a key."""
    record = KeyRecord(
        key_id=key_id,
        project_id=project_id,
        label=f"label of {key_id}",
        roles=frozenset({Role.CALL}),
        key_hash=f"hash of {key_id}",
        hint="…",
        created_ns=clock.now_ns(),
        revoked_ns=revoked_ns,
        policy=policy,
    )
    with metadata.transaction() as tx:
        tx.keys.add(record)
