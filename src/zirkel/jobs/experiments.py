"""Experiments as durable workflows: started once, taken up again after every crash."""

import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from dbos import DBOS, DBOSConfig, SetWorkflowID
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.pool import ConnectionPoolEntry

from zirkel.core import Clock

SQLITE_WITH_SUBSEC = (3, 42, 0)
JOBS_VERSION = "1"
"""The form of the workflows below; a workflow is only taken up again by a program that has the same."""


class SliceRunner(Protocol):
    """Takes an experiment one slice further."""

    def run_slice(self, project_id: str, experiment_id: str) -> bool:
        """Return False when nothing is left to do."""
        ...


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Where the job engine keeps its state."""

    database_url: str


class DurableJobs:
    """Background work that survives restarts, on DBOS."""

    def __init__(self, settings: JobSettings, runner: Callable[[], SliceRunner], clock: Clock) -> None:
        # The runner needs the job queue and the queue the runner: the runner is asked for when it is first needed.
        self._runner = runner
        self._turn = threading.Lock()
        self._engine = _open_engine(settings.database_url, clock)
        config: DBOSConfig = {
            "name": "zirkel",
            "system_database_engine": self._engine,
            "application_version": JOBS_VERSION,
            "executor_id": "core",
            "enable_otlp": False,
            "log_level": "ERROR",
        }
        DBOS(config=config)

        def run_experiment(project_id: str, experiment_id: str) -> None:
            while DBOS.run_step({"name": "slice"}, self._run_slice, project_id, experiment_id):
                pass

        self._run_experiment = DBOS.workflow(name="run_experiment")(run_experiment)

    def launch(self) -> None:
        """Start the engine; work that was cut off goes on."""
        DBOS.launch()

    def close(self) -> None:
        """Stop the engine; work under way is taken up at the next launch."""
        DBOS.destroy(workflow_completion_timeout_sec=0)
        self._engine.dispose()

    def run_experiment(self, project_id: str, experiment_id: str) -> None:
        """Make sure that an experiment is being run; return at once."""
        # A workflow's id can be used once, so a further run of the same experiment gets the next number.
        run = 0
        while (status := DBOS.get_workflow_status(f"{experiment_id}.{run}")) is not None:
            if status.status in ("PENDING", "ENQUEUED"):
                return
            run += 1
        with SetWorkflowID(f"{experiment_id}.{run}"):
            DBOS.start_workflow(self._run_experiment, project_id, experiment_id)

    def _run_slice(self, project_id: str, experiment_id: str) -> bool:
        # One slice at a time over all experiments: the bound on concurrent calls holds for all of them together, and
        # an upstream that caches prompt prefixes is not made to switch between two prompts at every call.
        with self._turn:
            return self._runner().run_slice(project_id, experiment_id)


def _open_engine(url: str, clock: Clock) -> Engine:
    """Return the job engine's database; on SQLite with what DBOS expects of a connection."""
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url)

    def prepare(connection: sqlite3.Connection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA busy_timeout=30000")
        connection.execute("PRAGMA foreign_keys=ON")
        if sqlite3.sqlite_version_info < SQLITE_WITH_SUBSEC:
            # DBOS takes it that Python 3.12 and newer come with such an SQLite; Debian 12 has an older one, where
            # unixepoch('subsec') is NULL.
            connection.create_function("unixepoch", 1, lambda _modifier: clock.now_ns() / 1e9)

    event.listen(engine, "connect", prepare)
    return engine
