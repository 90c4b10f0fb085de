"""Disks that fill up, hang or are not there: small file systems that a test mounts. Needs the right to mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted_disk(image: Path, folder: Path, size_bytes: int) -> Iterator[None]:
    """Have a disk of its own in ``folder``, which is made; skip the test where that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run_or_skip("mkfs.ext4", "-q", "-m", "0", str(image))
    _run_or_skip("mount", "-o", "loop", str(image), str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        image.unlink()


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no space at all on the disk of ``folder`` within the block."""
    ballast = folder / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file:
            for size_bytes in (1024 * 1024, 4096):
                _write_until_full(file.fileno(), size_bytes)
            os.fsync(file.fileno())
        yield
    finally:
        ballast.unlink()


@contextmanager
def hanging(folder: Path) -> Iterator[None]:
    """Have the disk of ``folder`` take nothing within the block, without an error: writes wait."""
    _run_or_skip("fsfreeze", "--freeze", str(folder))
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(folder)], check=True)


@contextmanager
def missing(folder: Path) -> Iterator[None]:
    """Have an empty and tiny disk in the place of ``folder`` within the block, as if its own were not mounted."""
    _run_or_skip("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    try:
        yield
    finally:
        # Lazily: a program may have a file open there this moment.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _write_until_full(descriptor: int, size_bytes: int) -> None:
    try:
        while os.write(descriptor, bytes(size_bytes)) == size_bytes:
            pass
    except OSError:
        return


def _run_or_skip(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip(f"there is no {command[0]}")
    if done.returncode != 0:
        pytest.skip(f"{' '.join(command)} is not possible here: {done.stderr.strip()}")
