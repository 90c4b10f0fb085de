"""Durable background work; each step calls one service method."""

from zirkel.jobs.experiments import DurableJobs, JobSettings, SliceRunner
from zirkel.jobs.ingest import Ingest, IngestFault, IngestStore, Spool

__all__ = ["DurableJobs", "Ingest", "IngestFault", "IngestStore", "JobSettings", "SliceRunner", "Spool"]
