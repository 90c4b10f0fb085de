"""What configuring the gateway needs of a store."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from zirkel.core import Json, UpstreamRecord
from zirkel.core.gateway_config import GatewayConfigRecord


class GatewayConfigStore(Protocol):
    """Every version of projects' documents."""

    def lock(self, project_id: str) -> None: ...
    def add(self, record: GatewayConfigRecord) -> None: ...
    def current(self, project_id: str) -> GatewayConfigRecord | None: ...
    def get(self, project_id: str, version: int) -> GatewayConfigRecord | None: ...
    def history(self, project_id: str, limit: int) -> Sequence[GatewayConfigRecord]: ...
    def remove_upstream(self, project_id: str, name: str) -> None: ...


class ConfiguredUpstreams(Protocol):
    """Where models are called."""

    def put(self, record: UpstreamRecord) -> None: ...
    def list(self, project_id: str | None = None) -> Sequence[UpstreamRecord]: ...


class DecisionLog(Protocol):
    """The ledger, for writing."""

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str: ...


class ConfigTransaction(Protocol):
    """What one transaction of configuring reaches."""

    @property
    def gateway_configs(self) -> GatewayConfigStore: ...
    @property
    def upstreams(self) -> ConfiguredUpstreams: ...
    @property
    def ledger(self) -> DecisionLog: ...


class ConfigMetadata(Protocol):
    """Transactions over the metadata store."""

    def transaction(self) -> AbstractContextManager[ConfigTransaction]:
        """Open a read-write transaction; it commits at the end of the block."""
        ...
