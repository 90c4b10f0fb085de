"""A gateway worker put together, apart from the core's joint so that a worker stays small."""

from collections.abc import Callable
from dataclasses import dataclass

from zirkel.app.config import Config
from zirkel.app.secrets import key_pepper
from zirkel.core import SystemClock
from zirkel.gateway import FileSnapshots, Gateway, GatewaySettings, create_gateway
from zirkel.govern.vault import Vault, open_master_key
from zirkel.store.spool import SpoolWriter


@dataclass(frozen=True, slots=True)
class Worker:
    """A gateway worker, put together but not started."""

    app: Gateway
    stop: Callable[[], None]


def build_gateway(config: Config, worker: str) -> Worker:
    """Return a gateway worker; it needs the data directory's files, and no other process."""
    vault = Vault(open_master_key(config.master_key_path))
    spool = SpoolWriter(config.spool_path, worker)
    settings = GatewaySettings(pepper=key_pepper(vault), worker=worker)
    gateway = create_gateway(settings, FileSnapshots(config.snapshot_path), spool, vault.unseal, SystemClock())
    return Worker(gateway, spool.close)
