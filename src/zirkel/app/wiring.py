"""The only joint: stores, services and faces put together; the type checker proves that each fits its port."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from zirkel.api import Services, create_api
from zirkel.api.otlp_grpc import OtlpGrpcServer
from zirkel.app.budgets import BudgetKeeper, LimitsFile, SharedCounters
from zirkel.app.config import Config, read_variable
from zirkel.app.dataset_sources import ObservedInputs
from zirkel.app.disk_probe import DiskProbe
from zirkel.app.erasing import (
    DrainedFinder,
    ErasedAnswers,
    ErasedExperiments,
    ErasedSpool,
    ErasedTelemetry,
    RewrittenMetadata,
)
from zirkel.app.experiment_answers import SpooledAnswers, SpooledTraces
from zirkel.app.gateway_file import GatewayFile, Upkeep
from zirkel.app.health import CoreHealth, Folders
from zirkel.app.judge_answers import JudgeAnswers
from zirkel.app.judging_wiring import build_judging
from zirkel.app.prompt_costs import GatewayPromptCosts
from zirkel.app.publish import SnapshotPublisher
from zirkel.app.secrets import internal_key, key_pepper
from zirkel.app.telemetry_wiring import Observing, build_observing
from zirkel.app.uploaded_parts import ArtefactParts
from zirkel.console import mount_console
from zirkel.core import Clock, Json, SystemClock
from zirkel.evaluate import (
    Calibration,
    Estimates,
    Evaluation,
    Experiments,
    GatewaySystem,
    Labelling,
    LabelQueue,
    Labels,
    LabelTransfer,
    Planning,
    Runner,
    RunnerPorts,
    RunnerSettings,
    Turns,
    Uploads,
    check_evaluator,
    check_policy,
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
from zirkel.jobs import DurableJobs, JobSettings
from zirkel.jobs.retention import RetentionJob, steady_s
from zirkel.observe import PriceShelf, PriceTables, Status
from zirkel.observe.feedback import Feedback
from zirkel.observe.price_books import PriceBooks
from zirkel.ship import Shipping
from zirkel.store.blobs import Blobs
from zirkel.store.metadata import Metadata
from zirkel.store.replaced_blobs import ReplacedBlobs
from zirkel.store.shared import LmdbState
from zirkel.store.telemetry.subject_queries import SubjectQueries
from zirkel.version import Registry
from zirkel.version.dataset_checkup import DatasetHealth
from zirkel.version.datasets import Datasets


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

    kept = ReplacedBlobs(blobs, metadata)
    observed = ObservedInputs(observing.exports)
    registry = Registry(metadata, kept, clock, observing.maskers, check_evaluator, check_policy)
    publisher = SnapshotPublisher(config.snapshot_path, metadata, registry, vault, clock, shelf)
    gateway_url, own_key = f"http://{config.host_in_url}:{config.gateway_port}", partial(internal_key, vault)
    system = GatewaySystem(gateway_url, own_key, clock)
    judge_answers = JudgeAnswers(config.judge_answers_path, clock, observing.maskers)
    judging = build_judging(gateway_url, own_key, judge_answers)
    recorded = SpooledAnswers(ingest, telemetry)
    settings = RunnerSettings(concurrency=config.experiment_concurrency)
    traces = SpooledTraces(ingest, telemetry)
    ports = RunnerPorts(metadata, registry, system, recorded, clock, asyncio.sleep, judging.tools, traces)
    turns = Turns(metadata, registry, Runner(ports, settings), clock)
    jobs = DurableJobs(JobSettings(config.jobs_url), lambda: turns, clock)
    limits = LmdbState(config.limits_path)
    counters = SharedCounters(limits, clock)
    restoration = Restoration(metadata, telemetry, counters, clock)
    budgets = BudgetKeeper(restoration, LimitsFile(limits), publisher, ingest.drain)
    access = Access(metadata, budgets, vault, partial(hash_key, key_pepper(vault)), clock)
    labelling = Labelling(
        LabelQueue(metadata, registry, clock),
        Labels(metadata, clock),
        LabelTransfer(metadata, registry, clock),
        Calibration(metadata, registry, clock),
    )
    evaluation = Evaluation(metadata, registry, kept, labelling.calibration, clock)
    estimates = Estimates(metadata, registry, GatewayPromptCosts(PriceBooks(metadata, shelf, clock), clock))
    gateway = GatewayConfiguration(metadata, budgets, vault, clock, owner_file=config.gateway_file)
    watched = GatewayFile(Path(config.gateway_file), gateway, read_variable) if config.gateway_file else None
    upkeep = Upkeep(watched, publisher.publish, clock)
    retention = RetentionService(metadata, telemetry, clock)
    retention_job = RetentionJob(retention, clock)
    grpc = OtlpGrpcServer(observing.intake, access.authenticate, f"{config.host_in_url}:{config.otlp_grpc_port}")
    datasets = Datasets(metadata, kept, clock, observing.maskers, observed)
    services = Services(
        access=access,
        registry=registry,
        datasets=datasets,
        dataset_health=DatasetHealth(metadata, kept, registry, clock, observed),
        experiments=Experiments(metadata, registry, publisher, jobs, clock),
        estimates=estimates,
        uploads=Uploads(metadata, registry, ArtefactParts(metadata, kept, datasets, clock), clock),
        evaluation=evaluation,
        planning=Planning(metadata, registry, estimates),
        labelling=labelling,
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
        erasure=_erasure(config, metadata, blobs, observing, judge_answers, vault, clock),
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
        judging.close()
        observing.close()
        health.stop()
        probe.stop()
        limits.close()
        metadata.close()

    return Core(app, access.bootstrap(), start, stop)


class OfflineQuality:
    """What experiments found, for the status."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation

    def quality(self, project_id: str, service: str, release: str) -> Mapping[str, Json] | None:
        """Return the newest experiment of a release, or None if it was never evaluated."""
        found = self._evaluation.latest_summary(project_id, service, release)
        return summary_report(found) if found else None


def _erasure(
    config: Config,
    metadata: Metadata,
    blobs: Blobs,
    observing: Observing,
    judge_answers: JudgeAnswers,
    vault: Vault,
    clock: Clock,
) -> Erasure:
    telemetry = observing.store
    subjects = SubjectQueries(telemetry.engine)
    places: list[ErasurePlace] = [
        ErasedExperiments(metadata, blobs, telemetry, clock),
        ErasedSpool(config.spool_path, config.set_aside_path),
        ErasedAnswers(config.answers_path),
        judge_answers,
        # Behind the others: it knows which traces are the subject's, should an erasure be cut off.
        ErasedTelemetry(telemetry, subjects),
        RewrittenMetadata(metadata),
    ]
    return Erasure(metadata, DrainedFinder(observing.ingest.drain, subjects), places, vault.subkey("erasure"), clock)


def _folders(config: Config) -> Folders:
    return Folders(config.data_dir, config.spool_path, config.set_aside_path, config.metrics_path, config.alarm_path)
