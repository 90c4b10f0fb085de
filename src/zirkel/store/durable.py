"""Files that are there whole or not at all, whenever the machine stops."""

import fcntl
import os
import secrets
import time
from pathlib import Path

from zirkel.core import Held

_LOCK_TRIES = 5
_LOCK_PAUSE_S = 0.01


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to disk: what was made, renamed or deleted there."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, data: bytes) -> None:
    """Make or replace ``path`` in one step; it is on disk on return. The folder must exist."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def lock_file(path: Path) -> int:
    """Return a descriptor that holds the lock of ``path`` until it is closed, be it by the end of the process.

    Raises:
        Held: If another process, or another object of this one, holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # ``is_locked`` of another process holds it for a moment.
            time.sleep(_LOCK_PAUSE_S)
        else:
            return descriptor
    os.close(descriptor)
    raise Held(f"{path.parent} is in use by another process; stop that one first")


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock of ``path``."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
