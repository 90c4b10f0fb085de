"""Zirkel as a user installs it: ``zirkel up`` on a fresh data directory, set up through its API."""

import http.client
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from bench.gateway.exchange import PACED_MODEL, PATH, PLAIN_MODEL
from bench.gateway.system import System
from bench.processes import Unavailable, end_of, start, stop, tree, wait_for
from zirkel import __version__
from zirkel.app.config import load_config
from zirkel.app.demo.processes import KEY, free_ports
from zirkel.app.secrets import key_pepper
from zirkel.client import Client
from zirkel.core import Budget, Json, KeyPolicy, Limits, NotFound, Role, SystemClock
from zirkel.gateway import hash_key
from zirkel.govern import Vault, open_master_key
from zirkel.govern.keys import Keys
from zirkel.govern.projects import SYSTEM
from zirkel.store.metadata import Metadata

_START_S = 90.0
_STORED_S = 60.0
_CALLER = frozenset({Role.CALL})
_POLICY = KeyPolicy(limits=Limits(budget=[Budget(window="month", hard_usd="100000")]))
"""A hard budget that no run reaches: every call is reserved and settled against it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How large an installation is."""

    name: str
    workers: int = 1
    keys: int = 1
    routes: int = 1
    """Aliases of each of the two models."""


def start_zirkel(folder: Path, upstream: int, size: Size) -> System:
    """Start an installation in which every call has a virtual key, a hard monthly budget, a price and a record.

    Raises:
        Unavailable: If it does not come up, or a call is not answered with its cost and recorded.
    """
    folder.mkdir()
    core_port, gateway_port, _ = free_ports(3)
    log = folder / f"{size.name}.log"
    command = [sys.executable, "-m", "zirkel.app", "up", "--data-dir", str(folder / "data"), "--otlp-port", "0"]
    command += ["--otlp-grpc-port", "0"]
    command += ["--core-port", str(core_port), "--gateway-port", str(gateway_port)]
    process = start([*command, "--gateway-workers", str(size.workers)], log)
    try:
        wait_for(lambda: "ready; stop with" in log.read_text(), process, log, _START_S)
        admin_key = _first_key(log)
        with Client(f"http://127.0.0.1:{core_port}", admin_key) as client:
            keys = _set_up(client, folder / "data", upstream, size)
            wait_for(partial(_accepts, gateway_port, keys[-1]), process, log, _START_S)
            trace_id = _priced_call(gateway_port, keys[0], log)
            wait_for(partial(_is_stored, client, trace_id), process, log, _STORED_S)
        workers = [pid for pid in tree(process.pid) if _role(pid) == "gateway"]
        core = [pid for pid in tree(process.pid) if _role(pid) == "core"]
    except BaseException:
        stop(process)
        raise
    return System(
        size.name,
        __version__,
        gateway_port,
        lambda: stop(process),
        keys=keys,
        plain_models=[f"quick-{number}" for number in range(size.routes)],
        paced_models=[f"steady-{number}" for number in range(size.routes)],
        gateway_pids=workers,
        storing_pids=core,
    )


def _set_up(client: Client, data_dir: Path, upstream: int, size: Size) -> Sequence[str]:
    """Apply the gateway's document and make the keys; return their texts."""
    client.put("/api/v1/gateway", {"toml": _document(upstream, size.routes), "credentials": {}, "version": 0})
    keys = _add_keys(data_dir, size.keys - 1)
    policy: Json = {"limits": {"budget": [{"window": "month", "hard_usd": "100000"}]}}
    # The last one through the API, which publishes them all to the gateway.
    made = client.post("/api/v1/keys", {"label": "bench", "roles": ["call"], "policy": policy})
    return [*keys, str(made["key"])]


def _add_keys(data_dir: Path, count: int) -> list[str]:
    """Make many keys in one transaction; through the API each would publish a snapshot of all."""
    if not count:
        return []
    config, clock = load_config({}, {"data_dir": data_dir}), SystemClock()
    pepper = key_pepper(Vault(open_master_key(config.master_key_path)))
    metadata = Metadata.open(config.metadata_url, clock)
    try:
        keys = Keys(metadata, _Silent(), partial(hash_key, pepper), clock)
        with metadata.transaction() as tx:
            return [keys.add(tx, SYSTEM, f"bench {number}", _CALLER, None, _POLICY).text for number in range(count)]
    finally:
        metadata.close()


class _Silent:
    """Publishes nothing."""

    def publish(self) -> None:
        """Do nothing."""


def _document(upstream: int, routes: int) -> str:
    parts = [f'[[upstream]]\nname = "mock"\nbase_url = "http://127.0.0.1:{upstream}/v1"\n']
    for alias, model in (("quick", PLAIN_MODEL), ("steady", PACED_MODEL)):
        parts.append(f'[[price]]\nmodel = "mock/{model}"\neffective = "2026-01-01"\ninput = "0.15"\noutput = "0.60"\n')
        parts += [
            f'[[model]]\nname = "{alias}-{number}"\n[[model.target]]\nname = "mock/{model}"\n'
            for number in range(routes)
        ]
    return "\n".join(parts)


def _first_key(log: Path) -> str:
    found = KEY.search(log.read_text())
    if found is None:
        raise Unavailable(f"no first admin key was printed:\n{end_of(log)}")
    return found.group()


def _accepts(port: int, key: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/models", headers={"authorization": f"Bearer {key}"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _priced_call(port: int, key: str, log: Path) -> str:
    """Make a call and return its trace, once its answer says what it cost: what is measured has all that on."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        body = {"model": "quick-0", "messages": [{"role": "user", "content": "Good morning!"}]}
        connection.request("POST", PATH, msgspec.json.encode(body), {"authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        said = answer.read()
    finally:
        connection.close()
    if answer.status != 200 or not float(answer.headers.get("x-zirkel-cost-usd") or 0):
        raise Unavailable(f"the gateway answered {answer.status} without a cost: {said[:500]!r}\n{end_of(log)}")
    return str(answer.headers["x-zirkel-trace-id"])


def _is_stored(client: Client, trace_id: str) -> bool:
    try:
        return bool(client.get_list(f"/api/v1/traces/{trace_id}"))
    except NotFound:
        return False


def _role(pid: int) -> str:
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\x00")
    return words[words.index("zirkel.app.serve") + 1] if "zirkel.app.serve" in words else ""
