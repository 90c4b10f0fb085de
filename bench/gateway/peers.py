"""The peers: nginx as a reverse proxy, and LiteLLM's proxy in its cheapest configuration."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.gateway.exchange import PACED_MODEL, PLAIN_MODEL
from bench.gateway.system import System
from bench.processes import Unavailable, answers, start, stop, wait_for
from zirkel.app.config import clean_environment, read_variable

LITELLM_REQUIREMENT = "litellm[proxy]"
_MASTER_KEY = "sk-bench"
_LITELLM_START_S = 180.0

_NGINX = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  tcp_nodelay on;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  upstream mock {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


def start_nginx(folder: Path, port: int, upstream: int) -> System:
    """Start nginx with one worker, keep-alive on both sides, without buffering.

    Raises:
        Unavailable: If it is not installed, or does not start.
    """
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("nginx is not installed; on Debian: apt-get install nginx-light")
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    user = "user root;" if os.getuid() == 0 else ""
    config, log = folder / "nginx.conf", folder / "nginx.log"
    config.write_text(_NGINX.format(folder=folder, user=user, port=port, upstream=upstream))
    process = start([program, "-p", str(folder), "-c", str(config)], log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/v1/models"), process, log, 20)
    except BaseException:
        stop(process)
        raise
    version = said.strip().rpartition("/")[2]
    return System("nginx", version, port, lambda: stop(process), gateway_pids=(process.pid,))


def start_litellm(folder: Path, port: int, upstream: int, python: Path) -> System:
    """Start LiteLLM with one worker: master key, production mode, no database, no callbacks, logs at ERROR.

    Raises:
        Unavailable: If it does not come up.
    """
    config, log = folder / "litellm.json", folder / "litellm.log"
    config.write_text(json.dumps(_litellm_config(upstream)))  # JSON is YAML
    command = [str(python.with_name("litellm")), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    changes = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    process = start([*command, "--num_workers", "1"], log, changes, folder)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"), process, log, _LITELLM_START_S)
    except BaseException:
        stop(process)
        raise
    return System(
        "litellm",
        _litellm_version(python),
        port,
        lambda: stop(process),
        keys=(_MASTER_KEY,),
        gateway_pids=(process.pid,),
    )


def find_litellm(python: Path | None) -> Path:
    """Return the interpreter of a virtual environment with LiteLLM: the given one, or one made in the user's cache.

    Raises:
        Unavailable: If there is none and none can be made.
    """
    if python is None:
        python = _cache_folder() / "litellm" / "bin" / "python"
        if not python.with_name("litellm").exists():
            _install_litellm(python.parent.parent)
    if not python.with_name("litellm").exists():
        raise Unavailable(f"{python.parent} has no command litellm; install there: pip install '{LITELLM_REQUIREMENT}'")
    return python


def _install_litellm(folder: Path) -> None:
    print(f"installing {LITELLM_REQUIREMENT} in {folder} …", flush=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", LITELLM_REQUIREMENT],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=clean_environment({}))
        if done.returncode:
            raise Unavailable(f"LiteLLM cannot be installed: {' '.join(command)}\n{done.stderr[-1500:]}")


def _cache_folder() -> Path:
    return Path(read_variable("XDG_CACHE_HOME") or Path.home() / ".cache") / "zirkel-bench"


def _litellm_version(python: Path) -> str:
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _litellm_config(upstream: int) -> dict[str, object]:
    base_url = f"http://127.0.0.1:{upstream}/v1"
    return {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {"model": f"openai/{model}", "api_base": base_url, "api_key": "sk-upstream"},
            }
            for model in (PLAIN_MODEL, PACED_MODEL)
        ],
        "general_settings": {"master_key": _MASTER_KEY},
        "litellm_settings": {"telemetry": False, "set_verbose": False, "request_timeout": 600},
    }
