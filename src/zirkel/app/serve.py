"""``python -m zirkel.app.serve core|gateway``: the processes that the supervisor starts."""

import argparse
import ctypes
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import uvicorn
import uvloop
from starlette.types import ASGIApp

from zirkel.app.config import Config, load_config
from zirkel.core import ZirkelError

DRAIN_S = 10
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one process until SIGTERM; the listening sockets are inherited from the supervisor."""
    parser = argparse.ArgumentParser(prog="zirkel.app.serve")
    parser.add_argument("role", choices=("core", "gateway"))
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--fd", type=int, action="append", required=True, help="a listening socket")
    parser.add_argument("--worker", default="gateway-0")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s {options.role} %(levelname)s %(name)s: %(message)s")
    _end_with_parent()
    # uvicorn raises the signal again once it has stopped serving; without this the process would end there, its stores
    # still open.
    signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        config = load_config(overrides={"data_dir": options.data_dir})
        sockets = [socket.socket(fileno=fd) for fd in options.fd]
        if options.role == "core":
            _serve_core(config, sockets)
        else:
            _serve_gateway(config, sockets, options.worker)
    except ZirkelError as error:
        print(f"zirkel: {error}", file=sys.stderr)
        return 1
    return 0


def _serve_core(config: Config, sockets: list[socket.socket]) -> None:
    from zirkel.app.wiring import build_core  # noqa: PLC0415 (a gateway worker does without the core's libraries)

    core = build_core(config)
    if core.first_key is not None:
        print(f"first admin key (shown only now): {core.first_key.text}", flush=True)
    _collect_seldom()
    core.start()
    try:
        uvloop.run(_serve(core.app, sockets))
    finally:
        core.stop()


def _collect_seldom() -> None:
    """Let the garbage collector look past what lives as long as the process, and not at every batch of spans.

    What is taken in are trees without cycles; looking for some costs a tenth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _serve_gateway(config: Config, sockets: list[socket.socket], name: str) -> None:
    from zirkel.app.gateway_wiring import build_gateway  # noqa: PLC0415 (as above)

    worker = build_gateway(config, name)
    try:
        uvloop.run(_serve(cast(ASGIApp, worker.app), sockets))
    finally:
        worker.stop()


async def _serve(app: ASGIApp, sockets: list[socket.socket]) -> None:
    settings = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
    )
    await uvicorn.Server(settings).serve(sockets=sockets)


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor is gone, so that no orphan keeps ports and stores."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        raise SystemExit("the supervisor is gone")


if __name__ == "__main__":
    sys.exit(main())
