"""Versions: files to artefacts to releases, by content."""

from zirkel.version.files import (
    LOCK_FILE,
    ServiceDefinition,
    ServiceFiles,
    parse_dataset,
    parse_service,
    read_service,
    select_files,
)
from zirkel.version.lock import Difference, Lock, encode_lock, lock_service, read_lock, verify_service
from zirkel.version.ports import Blobs, VersionMetadata, VersionTransaction
from zirkel.version.registry import PushedArtefact, PushResult, Registry
from zirkel.version.release import Artefact, Release, build_releases

__all__ = [
    "LOCK_FILE",
    "Artefact",
    "Blobs",
    "Difference",
    "Lock",
    "PushResult",
    "PushedArtefact",
    "Registry",
    "Release",
    "ServiceDefinition",
    "ServiceFiles",
    "VersionMetadata",
    "VersionTransaction",
    "build_releases",
    "encode_lock",
    "lock_service",
    "parse_dataset",
    "parse_service",
    "read_lock",
    "read_service",
    "select_files",
    "verify_service",
]
