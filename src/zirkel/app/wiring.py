"""The only joint: stores, services and faces put together; the type checker proves that each fits its port."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep

from starlette.types import ASGIApp

from zirkel import __version__
from zirkel.api import Services, create_api
from zirkel.app.budgets import BudgetKeeper, LimitsFile, SharedCounters
from zirkel.app.config import Config, read_variable
from zirkel.app.gateway_file import GatewayFile, Upkeep
from zirkel.app.publish import SnapshotPublisher
from zirkel.app.secrets import internal_key, key_pepper
from zirkel.console import mount_console
from zirkel.core import Json, SystemClock, sha256_hex
from zirkel.evaluate import Answer, Evaluation, GatewaySystem, Runner, RunnerSettings, summary_report
from zirkel.gateway import hash_key
from zirkel.govern import Access, Evidence, NewKey, Vault, open_master_key
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.govern.restoration import Restoration
from zirkel.jobs import DurableJobs, Ingest, JobSettings
from zirkel.observe import Intake, PriceShelf, PriceTables, Status, Traces
from zirkel.ship import Shipping
from zirkel.store.blobs import Blobs
from zirkel.store.durable import write_file
from zirkel.store.metadata import Metadata
from zirkel.store.shared import LmdbState
from zirkel.store.spool import SpoolReader, SpoolWriter
from zirkel.store.telemetry import TelemetryStore
from zirkel.version import Registry


@dataclass(frozen=True, slots=True)
class Core:
    """The core process, put together but not started."""

    app: ASGIApp
    first_key: NewKey | None
    """The installation's first admin key, if this start made it."""
    start: Callable[[], None]
    stop: Callable[[], None]


def build_core(config: Config) -> Core:
    """Return the core over a data directory.

    Raises:
        Incompatible: If a database was written by a newer program.
        Held: If another process has the directory's stores open.
    """
    clock = SystemClock()
    vault = Vault(open_master_key(config.master_key_path))
    metadata = Metadata.open(config.metadata_url, clock)
    blobs = Blobs.open(config.blobs_url)
    telemetry = _open_telemetry(config)
    spool_in = SpoolWriter(config.spool_path, "core")
    spool_out = SpoolReader(config.spool_path)
    ingest = Ingest(spool_out, telemetry, clock, partial(_set_aside, config.data_dir / "set-aside"))

    registry = Registry(metadata, blobs, clock)
    shelf = PriceShelf()
    publisher = SnapshotPublisher(config.snapshot_path, metadata, registry, vault, clock, shelf)
    system = GatewaySystem(f"http://{config.host_in_url}:{config.gateway_port}", partial(internal_key, vault), clock)
    recorded = SpooledAnswers(ingest, telemetry)
    settings = RunnerSettings(concurrency=config.experiment_concurrency)
    runner = Runner(metadata, registry, system, recorded, clock, sleep, settings)
    jobs = DurableJobs(JobSettings(config.jobs_url), lambda: runner, clock)
    limits = LmdbState(config.limits_path)
    counters = SharedCounters(limits, clock)
    restoration = Restoration(metadata, telemetry, counters, clock)
    budgets = BudgetKeeper(restoration, LimitsFile(limits), publisher, ingest.drain)
    access = Access(metadata, budgets, vault, partial(hash_key, key_pepper(vault)), clock)
    evaluation = Evaluation(metadata, registry, publisher, jobs, clock)
    gateway = GatewayConfiguration(metadata, budgets, vault, clock, owner_file=config.gateway_file)
    watched = GatewayFile(Path(config.gateway_file), gateway, read_variable) if config.gateway_file else None
    upkeep = Upkeep(watched, publisher.publish, clock)
    services = Services(
        access=access,
        registry=registry,
        evaluation=evaluation,
        shipping=Shipping(metadata, registry, publisher, clock),
        status=Status(metadata, telemetry, OfflineQuality(evaluation), clock),
        traces=Traces(telemetry),
        intake=Intake(spool_in),
        evidence=Evidence(metadata, vault, clock),
        gateway=gateway,
        prices=PriceTables(metadata, publisher, shelf, clock),
        limits=LimitsOverview(metadata, telemetry, counters, clock),
        health=CoreHealth(spool_out, ingest),
    )
    app = create_api(services)
    mount_console(app, services, vault.subkey("console session"), clock)

    def start() -> None:
        budgets.start()
        publisher.publish()
        upkeep.start()
        ingest.start()
        jobs.launch()

    def stop() -> None:
        upkeep.stop()
        budgets.stop()
        jobs.close()
        ingest.stop()
        limits.close()
        spool_in.close()
        spool_out.close()
        telemetry.close()
        metadata.close()

    return Core(app, access.bootstrap(), start, stop)


class SpooledAnswers:
    """An experiment's answers in the telemetry, after everything that is on its way there has arrived."""

    def __init__(self, ingest: Ingest, telemetry: TelemetryStore) -> None:
        self._ingest = ingest
        self._telemetry = telemetry

    def recorded(self, project_id: str, experiment_id: str) -> Mapping[str, Answer]:
        """Return the answers of the release's own model by trace id; a fallback's answer is none of the release's."""
        self._ingest.drain()
        answers = self._telemetry.experiment_answers(project_id, experiment_id)
        return {
            answer.trace_id: Answer(
                _text(answer.output), cost_usd=answer.cost_usd, duration_ms=answer.duration_ns / 1e6
            )
            for answer in answers
            if answer.status != "error" and answer.attempt == 0
        }


def _text(output: str) -> str:
    """Return an answer's text: the gateway records it as JSON text, a string for a pure text answer."""
    message = json.loads(output) if output else ""
    return message if isinstance(message, str) else str(message.get("content") or "")


class OfflineQuality:
    """What experiments found, for the status."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation

    def quality(self, project_id: str, service: str, release: str) -> Mapping[str, Json] | None:
        """Return the newest experiment of a release, or None if it was never evaluated."""
        found = self._evaluation.latest_summary(project_id, service, release)
        return summary_report(found) if found else None


class CoreHealth:
    """The core's own state."""

    def __init__(self, spool: SpoolReader, ingest: Ingest) -> None:
        self._spool = spool
        self._ingest = ingest

    def report(self) -> dict[str, int | str]:
        """Return plain facts."""
        return {
            "version": __version__,
            "spool_pending_bytes": self._spool.pending_bytes(),
            "records_set_aside": self._ingest.records_set_aside,
        }


def _open_telemetry(config: Config) -> TelemetryStore:
    if config.telemetry_url:
        return TelemetryStore.open(url=config.telemetry_url)
    return TelemetryStore.open(path=config.data_dir.resolve() / "telemetry")


def _set_aside(folder: Path, record: bytes) -> None:
    folder.mkdir(exist_ok=True)
    write_file(folder / f"{sha256_hex(record)[:16]}.record", record)
