"""The only joint: stores, services and faces put together; the type checker proves that each fits its port."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import sleep

from starlette.types import ASGIApp

from zirkel.api import Services, create_api
from zirkel.api.otlp_grpc import OtlpGrpcServer
from zirkel.app.budgets import BudgetKeeper, LimitsFile, SharedCounters
from zirkel.app.config import Config, read_variable
from zirkel.app.disk_probe import DiskProbe
from zirkel.app.erasing import (
    DrainedFinder,
    ErasedAnswers,
    ErasedExperiments,
    ErasedSpool,
    ErasedTelemetry,
    RewrittenMetadata,
)
from zirkel.app.gateway_file import GatewayFile, Upkeep
from zirkel.app.health import CoreHealth, Folders
from zirkel.app.publish import SnapshotPublisher
from zirkel.app.secrets import internal_key, key_pepper
from zirkel.app.telemetry_wiring import Observing, build_observing
from zirkel.console import mount_console
from zirkel.core import Clock, Json, SystemClock
from zirkel.evaluate import (
    Answer,
    Evaluation,
    GatewaySystem,
    NoTools,
    Runner,
    RunnerSettings,
    check_evaluator,
    summary_report,
)
from zirkel.gateway import hash_key
from zirkel.govern import Access, Evidence, NewKey, Vault, open_master_key
from zirkel.govern.erasure import Erasure
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.govern.limits_view import LimitsOverview
from zirkel.govern.privacy import PrivacyConfiguration
from zirkel.govern.privacy_ports import ErasurePlace
from zirkel.govern.restoration import Restoration
from zirkel.govern.retention import RetentionService
from zirkel.jobs import DurableJobs, Ingest, JobSettings
from zirkel.jobs.retention import RetentionJob, steady_s
from zirkel.observe import PriceShelf, PriceTables, Status
from zirkel.observe.feedback import Feedback
from zirkel.ship import Shipping
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.replaced_blobs import ReplacedBlobs
from zirkel.store.shared import LmdbState
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.subject_queries import SubjectQueries
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
    shelf = PriceShelf()
    observing = build_observing(config, metadata, shelf, clock)
    telemetry, ingest = observing.store, observing.ingest
    probe = DiskProbe(config.data_dir)
    health = CoreHealth(_folders(config), observing.spool_out, observing.spool_in, ingest, probe, clock, steady_s)

    registry = Registry(metadata, ReplacedBlobs(blobs, metadata), clock, observing.maskers, check_evaluator)
    publisher = SnapshotPublisher(config.snapshot_path, metadata, registry, vault, clock, shelf)
    system = GatewaySystem(f"http://{config.host_in_url}:{config.gateway_port}", partial(internal_key, vault), clock)
    recorded = SpooledAnswers(ingest, telemetry)
    settings = RunnerSettings(concurrency=config.experiment_concurrency)
    runner = Runner(metadata, registry, system, recorded, clock, sleep, settings, NoTools())
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
    retention = RetentionService(metadata, telemetry, clock)
    retention_job = RetentionJob(retention, clock)
    grpc = OtlpGrpcServer(observing.intake, access.authenticate, f"{config.host_in_url}:{config.otlp_grpc_port}")
    services = Services(
        access=access,
        registry=registry,
        evaluation=evaluation,
        shipping=Shipping(metadata, registry, publisher, clock),
        status=Status(metadata, telemetry, OfflineQuality(evaluation), clock),
        traces=observing.traces,
        search=observing.search,
        exports=observing.exports,
        costs=observing.costs,
        intake=observing.intake,
        scores=observing.scores,
        feedback=Feedback(access, observing.scores, clock),
        evidence=Evidence(metadata, vault, clock),
        gateway=gateway,
        prices=PriceTables(metadata, publisher, shelf, clock),
        limits=LimitsOverview(metadata, telemetry, counters, clock),
        privacy=PrivacyConfiguration(metadata, observing.maskers, publisher, clock),
        retention=retention,
        erasure=_erasure(config, metadata, blobs, observing, vault, clock),
        health=health,
        clock=clock,
    )
    app = create_api(services)
    mount_console(app, services, vault.subkey("console session"), clock)

    def start() -> None:
        probe.start()
        health.start()
        budgets.start()
        upkeep.publish_first()
        upkeep.start()
        observing.start()
        jobs.launch()
        if config.otlp_grpc_port:
            grpc.start()
        retention_job.start()

    def stop() -> None:
        retention_job.stop()
        grpc.stop(grace_s=5)
        upkeep.stop()
        budgets.stop()
        jobs.close()
        observing.close()
        health.stop()
        probe.stop()
        limits.close()
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


def _erasure(
    config: Config, metadata: Metadata, blobs: Blobs, observing: Observing, vault: Vault, clock: Clock
) -> Erasure:
    telemetry = observing.store
    subjects = SubjectQueries(telemetry.engine)
    places: list[ErasurePlace] = [
        ErasedExperiments(metadata, blobs, telemetry, clock),
        ErasedSpool(config.spool_path, config.set_aside_path),
        ErasedAnswers(config.answers_path),
        # Behind the others: it knows which traces are the subject's, should an erasure be cut off.
        ErasedTelemetry(telemetry, subjects),
        RewrittenMetadata(metadata),
    ]
    return Erasure(metadata, DrainedFinder(observing.ingest.drain, subjects), places, vault.subkey("erasure"), clock)


def _folders(config: Config) -> Folders:
    return Folders(config.data_dir, config.spool_path, config.set_aside_path, config.metrics_path, config.alarm_path)
