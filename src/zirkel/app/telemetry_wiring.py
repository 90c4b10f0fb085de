"""The joints of observing: from the faces to the spool, from the spool to the store, and back."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from zirkel.app.config import Config
from zirkel.core import Clock, sha256_hex
from zirkel.jobs import Ingest
from zirkel.jobs.sealing import Sealing
from zirkel.observe import Intake, PriceShelf, Traces
from zirkel.observe.book_pricer import BookPricer
from zirkel.observe.costs import Costs
from zirkel.observe.exporting import Exports
from zirkel.observe.masking import ProjectMaskers
from zirkel.observe.price_books import PriceBooks
from zirkel.observe.refining import Refiner
from zirkel.observe.scores import Scores
from zirkel.observe.search import Search
from zirkel.store.durable import write_file
from zirkel.store.metadata import Metadata
from zirkel.store.spool import SpoolReader, SpoolWriter
from zirkel.store.telemetry import TelemetryStore
from zirkel.store.telemetry.cost_queries import TelemetryCosts
from zirkel.store.telemetry.export_queries import TelemetryExport
from zirkel.store.telemetry.score_queries import ScoreQueries
from zirkel.store.telemetry.search import TelemetrySearch


@dataclass(frozen=True, slots=True)
class Observing:
    """Telemetry's services over one store and one spool."""

    store: TelemetryStore
    spool_in: SpoolWriter
    spool_out: SpoolReader
    ingest: Ingest
    sealing: Sealing
    maskers: ProjectMaskers
    intake: Intake
    scores: Scores
    traces: Traces
    search: Search
    exports: Exports
    costs: Costs

    def start(self) -> None:
        """Begin to store what is in the spool, and to seal past days."""
        self.ingest.start()
        self.sealing.start()

    def close(self) -> None:
        """Store what is there, and let go of everything."""
        self.sealing.stop()
        self.ingest.stop()
        self.spool_in.close()
        self.spool_out.close()
        self.store.close()


def build_observing(config: Config, metadata: Metadata, shelf: PriceShelf, clock: Clock) -> Observing:
    """Return telemetry's services, put together but not started.

    Raises:
        Incompatible: If the store was written by a newer program.
        Held: If another process has the store or the spool open.
    """
    store = _open_store(config)
    spool_in, spool_out = SpoolWriter(config.spool_path, "core"), SpoolReader(config.spool_path)
    books = PriceBooks(metadata, shelf, clock)
    refiner = Refiner(store, BookPricer(books))
    ingest = Ingest(spool_out, store, clock, partial(_set_aside, config.set_aside_path), refiner.refine)
    maskers = ProjectMaskers(metadata)
    search = Search(TelemetrySearch(store.engine), clock)
    return Observing(
        store=store,
        spool_in=spool_in,
        spool_out=spool_out,
        ingest=ingest,
        sealing=Sealing(store),
        maskers=maskers,
        intake=Intake(spool_in, maskers),
        scores=Scores(spool_in, ScoreQueries(store.engine), store, clock, maskers),
        traces=Traces(store),
        search=search,
        exports=Exports(search, TelemetryExport(store.engine)),
        costs=Costs(TelemetryCosts(store.engine), books, clock),
    )


def _open_store(config: Config) -> TelemetryStore:
    if config.telemetry_url:
        return TelemetryStore.open(url=config.telemetry_url)
    return TelemetryStore.open(path=config.data_dir.resolve() / "telemetry")


def _set_aside(folder: Path, record: bytes) -> None:
    folder.mkdir(exist_ok=True)
    write_file(folder / f"{sha256_hex(record)[:16]}.record", record)
