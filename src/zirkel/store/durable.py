"""Files that are there whole or not at all, whenever the machine stops."""

import fcntl
import os
import secrets
from pathlib import Path

from zirkel.core import Held


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
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Held(f"{path.parent} is in use by another process; stop that one first") from None
    return descriptor
