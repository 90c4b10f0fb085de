"""A real Zirkel with one live service, and Chromium."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "from zirkel.app.cli import main; main()")
START_S = 60.0
FILES = {
    "service.toml": 'name = "review-triage"\ndescription = "Sorts customer reviews."\nunit = "user"\n'
    '[model]\nname = "local/small"\n[baseline]\nprompt = "baseline.toml"\n',
    "chat.toml": '[variables]\nreview = "string"\n[[messages]]\nrole = "user"\ncontent = "Label: {{ review }}"\n',
    "baseline.toml": '[variables]\nreview = "string"\n[[messages]]\nrole = "user"\ncontent = "{{ review }}"\n',
    "evaluators.toml": '[[evaluator]]\nname = "label_match"\nkind = "exact"\n',
    "gate.toml": '[[metric]]\nevaluator = "label_match"\nmargin = 0.05\n',
    "datasets/golden.jsonl": '{"id": "1", "input": {"review": "good"}, "expected": "positive"}\n',
}


@dataclass(frozen=True)
class RunningZirkel:
    """Where the console is, and a key for it."""

    url: str
    api_key: str


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Chromium's path; the test is skipped where there is none."""
    pytest.importorskip("playwright", reason="the package playwright is not installed")
    found = Path("/usr/bin/chromium")
    if not found.exists():
        pytest.skip(f"there is no Chromium at {found}")
    return found


@pytest.fixture(scope="session")
def zirkel(tmp_path_factory: pytest.TempPathFactory, chromium: Path) -> Iterator[RunningZirkel]:
    """``zirkel up`` in a directory of its own, with a service whose baseline is live."""
    folder = tmp_path_factory.mktemp("zirkel")
    with ExitStack() as stack:
        core, gateway = (stack.enter_context(socket.socket()) for _ in range(2))
        for listener in (core, gateway):
            listener.bind(("127.0.0.1", 0))
        core_port, gateway_port = core.getsockname()[1], gateway.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ZIRKEL_")}  # noqa: TID251
    environment |= {"ZIRKEL_DATA_DIR": str(folder / "data"), "ZIRKEL_OTLP_PORT": "0", "ZIRKEL_GATEWAY_WORKERS": "1"}
    environment |= {"ZIRKEL_OTLP_GRPC_PORT": "0"}
    environment |= {"ZIRKEL_CORE_PORT": str(core_port), "ZIRKEL_GATEWAY_PORT": str(gateway_port)}
    with (folder / "output").open("w") as output:
        server = subprocess.Popen((*COMMAND, "up"), env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        api_key = _wait_for_key(server, folder / "output")
        url = f"http://127.0.0.1:{core_port}"
        _push(folder / "service", environment | {"ZIRKEL_URL": url, "ZIRKEL_API_KEY": api_key})
        yield RunningZirkel(url, api_key)
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for_key(server: "subprocess.Popen[bytes]", output: Path) -> str:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and server.poll() is None:
        text = output.read_text()
        key = re.search(r"zk_[\w-]+", text)
        if key and "ready" in text:
            return key.group()
        time.sleep(0.1)
    raise AssertionError(f"zirkel up did not start:\n{output.read_text()}")


def _push(folder: Path, environment: Mapping[str, str]) -> None:
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    subprocess.run((*COMMAND, "push", str(folder)), env=environment, check=True, timeout=60)
    ship = ("ship", "review-triage", "--release", "baseline", "--break-glass", "already live")
    subprocess.run((*COMMAND, *ship), env=environment, check=True, timeout=60)
