"""What is measured: Zirkel, Phoenix and MLflow, each as its users start it; what takes spans in is kept on one core."""

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.processes import Unavailable, answers, end_of, start, stop, tree, wait_for
from zirkel import __version__
from zirkel.app.config import read_variable
from zirkel.app.demo.processes import KEY, free_ports

_START_S = 180.0
_CORE = 0
_PINNED = (
    "import os, sys; os.sched_setaffinity(0, map(int, sys.argv[1].split(','))); os.execvp(sys.argv[2], sys.argv[2:])"
)


@dataclass(frozen=True, slots=True)
class System:
    """A running system that takes OTLP."""

    name: str
    version: str
    url: str
    headers: Mapping[str, str]
    """For every request."""
    list_newest: Callable[[httpx.Client], httpx.Response]
    """Asks for the newest 50 traces, or what comes nearest."""
    read_trace: Callable[[httpx.Client, str], httpx.Response]
    """Asks for all spans of a trace by its id, 32 hex digits."""
    is_stored: Callable[[httpx.Client, str], bool]
    """Whether a trace can be read, and with it all that was accepted before it."""
    pid: int
    """The root of its processes."""
    folder: Path
    stop: Callable[[], None] = field(repr=False)

    def client(self) -> httpx.Client:
        """Return a client for its address."""
        return httpx.Client(base_url=self.url, headers=dict(self.headers), timeout=120, trust_env=False)

    def storing_pid(self) -> int:
        """Return the process that stores: of Zirkel the core, of the others the largest."""
        members = list(tree(self.pid))
        core = [pid for pid in members if b"zirkel.app.serve\0core" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        return core[0] if core else members[-1]


def start_zirkel(folder: Path, *, on_one_core: bool = True) -> System:
    """Start ``zirkel up`` with one gateway worker.

    Raises:
        Unavailable: If it does not come up.
    """
    folder.mkdir()
    core, gateway = free_ports(2)
    log = folder / "zirkel.log"
    command = [sys.executable, "-m", "zirkel.app", "up", "--data-dir", str(folder / "data"), "--gateway-workers", "1"]
    command += ["--otlp-port", "0", "--otlp-grpc-port", "0", "--core-port", str(core), "--gateway-port", str(gateway)]
    process = start(_on_cores(command, {_CORE} if on_one_core else {_CORE, *other_cores()}), log)
    try:
        wait_for(lambda: "ready; stop with" in log.read_text(), process, log, _START_S)
        found = KEY.search(log.read_text())
        if found is None:
            raise Unavailable(f"no first admin key was printed:\n{end_of(log)}")
    except BaseException:
        stop(process)
        raise

    def is_stored(client: httpx.Client, trace_id: str) -> bool:
        is_empty = client.get("/api/v1/health").json()["spool_pending_bytes"] == 0
        return is_empty and client.get(f"/api/v1/traces/{trace_id}").status_code == 200

    return System(
        "zirkel",
        __version__,
        f"http://127.0.0.1:{core}",
        {"authorization": f"Bearer {found.group()}"},
        lambda client: client.get("/api/v1/traces", params={"limit": 50}),
        lambda client, trace_id: client.get(f"/api/v1/traces/{trace_id}"),
        is_stored,
        process.pid,
        folder / "data",
        lambda: stop(process),
    )


def start_phoenix(folder: Path, python: Path) -> System:
    """Start Arize Phoenix on SQLite.

    Raises:
        Unavailable: If it does not come up.
    """
    folder.mkdir()
    port, grpc_port = free_ports(2)
    log = folder / "phoenix.log"
    changes = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    process = start(_on_cores([str(python.with_name("phoenix")), "serve"], {_CORE}), log, changes, folder)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(f"{url}/healthz"), process, log, _START_S)
    except BaseException:
        stop(process)
        raise

    def read_trace(client: httpx.Client, trace_id: str) -> httpx.Response:
        return client.get("/v1/projects/default/spans/otlpv1", params={"trace_id": trace_id, "limit": 100})

    return System(
        "phoenix",
        _version(python, "arize-phoenix"),
        url,
        {},
        lambda client: client.get("/v1/projects/default/traces", params={"limit": 50}),
        read_trace,
        lambda client, trace_id: bool(read_trace(client, trace_id).json()["data"]),
        process.pid,
        folder,
        lambda: stop(process),
    )


def start_mlflow(folder: Path, python: Path) -> System:
    """Start an MLflow tracking server with one worker on SQLite.

    Raises:
        Unavailable: If it does not come up.
    """
    folder.mkdir()
    (port,) = free_ports(1)
    log = folder / "mlflow.log"
    command = [str(python.with_name("mlflow")), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    process = start(_on_cores(command, {_CORE}), log, {"MLFLOW_DISABLE_TELEMETRY": "true"}, folder)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: answers(f"{url}/health"), process, log, _START_S)
    except BaseException:
        stop(process)
        raise

    def read_trace(client: httpx.Client, trace_id: str) -> httpx.Response:
        return client.get("/api/3.0/mlflow/traces/get", params={"trace_id": f"tr-{trace_id}"})

    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    wanted = {"locations": [place], "max_results": 50, "order_by": ["timestamp_ms DESC"]}
    return System(
        "mlflow",
        _version(python, "mlflow"),
        url,
        {"x-mlflow-experiment-id": "0"},
        lambda client: client.post("/api/3.0/mlflow/traces/search", json=wanted),
        read_trace,
        lambda client, trace_id: read_trace(client, trace_id).status_code == 200,
        process.pid,
        folder,
        lambda: stop(process),
    )


STARTS: Mapping[str, Callable[[Path, Path], System]] = {
    "zirkel": lambda folder, _python: start_zirkel(folder),
    "phoenix": start_phoenix,
    "mlflow": start_mlflow,
}


def find_peers(python: Path | None) -> Path:
    """Return the interpreter of an environment with Phoenix and MLflow: the given one, or one in the user's cache.

    Raises:
        Unavailable: If there is none and none can be made.
    """
    if python is None:
        cache = Path(read_variable("XDG_CACHE_HOME") or Path.home() / ".cache")
        python = cache / "zirkel-bench" / "telemetry-peers" / "bin" / "python"
        if not python.with_name("phoenix").exists() or not python.with_name("mlflow").exists():
            _install(python.parent.parent)
    if not python.with_name("phoenix").exists() or not python.with_name("mlflow").exists():
        raise Unavailable(f"{python.parent} lacks phoenix or mlflow; install there: pip install arize-phoenix mlflow")
    return python


def _install(folder: Path) -> None:
    print(f"installing arize-phoenix and mlflow in {folder} …", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder.parent / "telemetry-peers.log"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "arize-phoenix", "mlflow"],
    ):
        if start(command, log).wait():
            raise Unavailable(f"{' '.join(command)} failed:\n{end_of(log)}")


def _on_cores(command: Sequence[str], cores: Collection[int]) -> list[str]:
    return [sys.executable, "-c", _PINNED, ",".join(map(str, sorted(cores))), *command]


def _version(python: Path, name: str) -> str:
    metadata = next(python.parent.parent.glob(f"lib/*/site-packages/{name.replace('-', '_')}-*.dist-info"), None)
    found = re.search(r"-([0-9][^-]*)\.dist-info$", metadata.name) if metadata is not None else None
    return found.group(1) if found else "?"


def other_cores() -> set[int]:
    """Return the cores that the generator may use: not the one of what is measured, if there are several."""
    return os.sched_getaffinity(0) - {_CORE} or os.sched_getaffinity(0)


def folder_bytes(folder: Path) -> int:
    """Return what the files of a folder hold; files that vanish meanwhile count nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total
