"""Durable background work; each step calls one service method."""

from zirkel.jobs.experiments import DurableJobs, JobSettings, SliceRunner
from zirkel.jobs.ingest import Ingest, SpanStore, Spool

__all__ = ["DurableJobs", "Ingest", "JobSettings", "SliceRunner", "SpanStore", "Spool"]
