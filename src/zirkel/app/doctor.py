"""What is wrong with an installation, and how to mend it."""

import http.client
import importlib.util
import json
import os
import shutil
import socket
import sqlite3
import stat
import sys
import urllib.request
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from zirkel.app.alarm_file import read_alarms
from zirkel.app.alarms import FULL_BYTES, LEAST_FREE_BYTES
from zirkel.app.config import Config
from zirkel.core import SystemClock, iso_utc

Level = Literal["ok", "warning", "problem"]
SERVER_LIBRARIES = (
    "alembic",
    "argon2",
    "chdb",
    "clickhouse_connect",
    "dbos",
    "fastapi",
    "httptools",
    "lmdb",
    "sqlalchemy",
    "uvicorn",
)
LEAST_SQLITE = (3, 35, 0)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    subject: str
    text: str
    remedy: str = ""


def examine(config: Config) -> list[Finding]:
    """Return what was found, in the order in which a person would mend it. Changes nothing."""
    checks: Iterable[Callable[[Config], list[Finding]]] = (
        _check_python,
        _check_libraries,
        _check_data_dir,
        _check_secrets,
        _check_database,
        _check_ports,
        _check_spool,
        _check_core,
    )
    return [finding for check in checks for finding in check(config)]


def _check_python(_config: Config) -> list[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.platform != "linux":
        text = f"{version} on {sys.platform}: the server runs on Linux"
        return [Finding("problem", "Python", text, "use Linux, also in a virtual machine or a container")]
    return [Finding("ok", "Python", version)]


def _check_libraries(_config: Config) -> list[Finding]:
    missing = [name for name in SERVER_LIBRARIES if importlib.util.find_spec(name) is None]
    if missing:
        text = f"{', '.join(missing)} missing: this is the client only"
        return [Finding("problem", "server libraries", text, "pip install 'zirkel[server]'")]
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        text = f"SQLite {sqlite3.sqlite_version} is too old"
        return [Finding("problem", "server libraries", text, "use a Python with SQLite 3.35 or newer")]
    return [Finding("ok", "server libraries", "all there")]


def _check_data_dir(config: Config) -> list[Finding]:
    folder = config.data_dir
    if not folder.exists():
        return [Finding("ok", "data directory", f"{folder} does not exist yet; `zirkel up` makes it")]
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return [Finding("problem", "data directory", f"{folder} cannot be written", f"chown it to {os.getuid()}")]
    free = shutil.disk_usage(folder).free
    if free < FULL_BYTES:
        text = f"{free / 1024**2:.0f} MiB free on its disk: nothing more is recorded"
        return [Finding("problem", "data directory", text, "make room; recording goes on by itself")]
    if free < LEAST_FREE_BYTES:
        text = f"{free / 1024**3:.1f} GiB free on its disk"
        return [Finding("warning", "data directory", text, "make room: a full disk stops recording")]
    return [Finding("ok", "data directory", f"{folder}, {free / 1024**3:.0f} GiB free")]


def _check_secrets(config: Config) -> list[Finding]:
    path = config.master_key_path
    if not path.exists():
        if (config.data_dir / "metadata.sqlite").exists():
            text = f"{path} is missing, but there is a database: keys and credentials cannot be read"
            return [Finding("problem", "master key", text, "restore the file from a backup")]
        return [Finding("ok", "master key", "made at the first start")]
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return [Finding("problem", "master key", f"{path} can be read by others", f"chmod 600 {path}")]
    return [Finding("ok", "master key", "readable by its owner only")]


def _check_database(config: Config) -> list[Finding]:
    path = config.data_dir / "metadata.sqlite"
    if config.database_url or not path.exists():
        return []
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            (state,) = connection.execute("PRAGMA quick_check").fetchone()
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        return [Finding("problem", "metadata", f"{path}: {error}", "restore it from a backup")]
    if state != "ok" or revision is None:
        text = f"{path} is damaged: {state if revision else 'it has no revision'}"
        return [Finding("problem", "metadata", text, "restore it from a backup")]
    return [Finding("ok", "metadata", f"sound, at revision {revision[0]}")]


def _check_ports(config: Config) -> list[Finding]:
    findings = []
    for name in ("gateway_port", "core_port", "otlp_port", "otlp_grpc_port"):
        port = getattr(config, name)
        if port == 0:
            continue
        try:
            is_taken = _is_taken(config.host, port)
        except OSError as error:
            return [Finding("problem", "host", f"{config.host}: {error.strerror}", "set another one with ZIRKEL_HOST")]
        if not is_taken:
            findings.append(Finding("ok", name, f"{port} is free"))
        elif _is_ours(config, port):
            findings.append(Finding("ok", name, f"{port} is served by Zirkel"))
        else:
            remedy = f"stop that program, or set another port with ZIRKEL_{name.upper()}"
            findings.append(Finding("problem", name, f"{port} is taken by another program", remedy))
    return findings


def _check_spool(config: Config) -> list[Finding]:
    aside = sorted(config.set_aside_path.glob("*")) + sorted(config.spool_path.glob("*/*.damaged"))
    if aside:
        named = ", ".join(str(path.relative_to(config.data_dir)) for path in aside[:3])
        text = f"{len(aside)} files of records could not be read and were set aside: {named}"
        text += ", …" if len(aside) > 3 else ""
        return [Finding("warning", "spool", text, f"keep {aside[0].parent} and report it; nothing else was lost")]
    return []


def _check_core(config: Config) -> list[Finding]:
    """Return what a running core says of itself."""
    alarms = read_alarms(config.alarm_path, SystemClock().now_ns())
    if alarms == []:
        return [Finding("ok", "core", "runs, without alarms")]
    return [
        Finding(alarm.level, f"alarm {alarm.name}", f"{alarm.text}, since {iso_utc(alarm.since_ns)}", alarm.what_to_do)
        for alarm in alarms or ()
    ]


def _is_taken(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _is_ours(config: Config, port: int) -> bool:
    try:
        # Without proxies: a setting like http_proxy is not meant for this machine's own ports.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{config.host_in_url}:{port}/healthz", timeout=2) as response:
            return bool(json.load(response).get("status") == "ok")
    except (http.client.HTTPException, OSError, ValueError, AttributeError):
        return False
