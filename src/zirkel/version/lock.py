"""``zirkel.lock``: every digest of a release, written out; recomputed offline from the files alone."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from zirkel.core import Invalid, NotFound, sha256_hex
from zirkel.version.files import LOCK_FILE, parse_service, read_folder, read_service
from zirkel.version.release import build_releases, file_hashes

LOCK_FORMAT = 1


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The lock file's content."""

    format: int
    service: str
    release: str
    """Digest of the candidate."""
    baseline: str | None
    artefacts: dict[str, str]
    """Digest of each artefact of the candidate, by kind."""
    files: dict[str, str]
    """SHA-256 of each file of the service, by path."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One way in which files and lock disagree."""

    path: str
    problem: str


def lock_service(folder: Path) -> Lock:
    """Return the lock of the service in ``folder`` as its files are now.

    Raises:
        Invalid: If a file is malformed.
        NotFound: If there is no service.
    """
    files = read_service(folder)
    releases = build_releases(files, parse_service(files))
    candidate = releases[0]
    return Lock(
        format=LOCK_FORMAT,
        service=candidate.service,
        release=candidate.digest,
        baseline=releases[1].digest if len(releases) > 1 else None,
        artefacts={artefact.kind: artefact.digest for artefact in candidate.artefacts},
        files=file_hashes(files),
    )


def encode_lock(lock: Lock) -> bytes:
    """Return the lock file's bytes: JSON, sorted keys, two spaces, one final newline."""
    return (json.dumps(msgspec.to_builtins(lock), sort_keys=True, indent=2) + "\n").encode()


def read_lock(folder: Path) -> Lock:
    """Return the lock written in ``folder``.

    Raises:
        NotFound: If there is none.
        Invalid: If it is malformed or of another format.
    """
    path = folder / LOCK_FILE
    if not path.is_file():
        raise NotFound(f"{path} does not exist; write it with: zirkel lock {folder}")
    try:
        lock = msgspec.json.decode(path.read_bytes(), type=Lock)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path}: {error}", path=LOCK_FILE) from error
    if lock.format != LOCK_FORMAT:
        raise Invalid(f"{path} has format {lock.format}; this program reads {LOCK_FORMAT}", path=LOCK_FILE)
    return lock


def verify_service(folder: Path) -> list[Difference]:
    """Recompute every digest from the files and return how they differ from the lock; empty if they agree.

    Raises:
        NotFound: If there is no service or no lock.
        Invalid: If the lock is malformed, or a file that it does not name is.
    """
    locked = read_lock(folder)
    contents = read_folder(folder)
    # Bytes first: a change that makes a file unreadable is a difference like any other.
    differences = _changed_files(locked, contents)
    if differences:
        return differences
    current = lock_service(folder)
    differences = _changed_digests(locked, current)
    if not differences and contents[LOCK_FILE] != encode_lock(current):
        differences.append(Difference(LOCK_FILE, f"is not as it was written; write it with: zirkel lock {folder}"))
    return differences


def _changed_files(locked: Lock, contents: Mapping[str, bytes]) -> list[Difference]:
    differences = []
    for path, expected in sorted(locked.files.items()):
        if path not in contents:
            differences.append(Difference(path, "is locked and missing"))
        elif (sha := sha256_hex(contents[path])) != expected:
            differences.append(Difference(path, f"has SHA-256 {sha[:12]}…, locked is {expected[:12]}…"))
    return differences


def _changed_digests(locked: Lock, current: Lock) -> list[Difference]:
    differences = [Difference(path, "is not in the lock") for path in sorted(set(current.files) - set(locked.files))]
    others = sorted(set(locked.files) - set(current.files))
    differences += [Difference(path, "is locked, but is not a file of the service") for path in others]
    if differences:
        return differences
    for kind, value in sorted(current.artefacts.items()):
        if locked.artefacts.get(kind) != value:
            differences.append(Difference(LOCK_FILE, f"names another digest for the {kind} than its files give"))
    if current.service != locked.service:
        differences.append(Difference(LOCK_FILE, f"names the service {locked.service!r}, not {current.service!r}"))
    if set(locked.artefacts) - set(current.artefacts):
        differences.append(Difference(LOCK_FILE, "names artefacts that the files do not have"))
    if current.release != locked.release or current.baseline != locked.baseline:
        differences.append(Difference(LOCK_FILE, "names another release digest than its files give"))
    return differences
