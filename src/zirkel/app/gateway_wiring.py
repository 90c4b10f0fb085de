"""A gateway worker put together, apart from the core's joint so that a worker stays small."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random

from zirkel.app.config import Config
from zirkel.app.secrets import key_pepper
from zirkel.core import SystemClock
from zirkel.gateway import FileSnapshots, Gateway, GatewayPorts, GatewaySettings, create_gateway
from zirkel.govern.vault import Vault, open_master_key
from zirkel.store.shared import LmdbState
from zirkel.store.spool import SpoolWriter, writer_is_alive


@dataclass(frozen=True, slots=True)
class Worker:
    """A gateway worker, put together but not started."""

    app: Gateway
    stop: Callable[[], None]


def build_gateway(config: Config, worker: str) -> Worker:
    """Return a gateway worker; it needs the data directory's files, and no other process."""
    vault = Vault(open_master_key(config.master_key_path))
    spool = SpoolWriter(config.spool_path, worker)
    limits, answers = LmdbState(config.limits_path), LmdbState(config.answers_path)
    ports = GatewayPorts(
        snapshots=FileSnapshots(config.snapshot_path),
        sink=spool,
        unseal=vault.unseal,
        clock=SystemClock(),
        limits=limits,
        answers=answers,
        is_alive=partial(writer_is_alive, config.spool_path),
        metrics_folder=config.metrics_path,
        random=Random(),  # noqa: S311 (spreads load, guards nothing)
    )

    def stop() -> None:
        spool.close()
        limits.close()
        answers.close()

    return Worker(create_gateway(GatewaySettings(pepper=key_pepper(vault), worker=worker), ports), stop)
