"""Starting models and Zirkel."""

from functools import partial

from zirkel.app.demo.processes import KEY
from zirkel.app.demo.setting import Setting
from zirkel.app.supervisor import answers

MODEL_START_S = 60
SERVER_START_S = 60


def start_models(demo: Setting) -> None:
    """Start the primary and the backup model on loopback; an upstream of the user's own replaces the primary."""
    for name, port, parallel in (("model", demo.model_port, 4), ("backup", demo.backup_port, 1)):
        if name == "model" and demo.options.upstream:
            demo.say(f"primary: {demo.options.upstream}")
            continue
        demo.stack.start(
            name, ["zirkel.app.localmodel", "--port", str(port), "--parallel", str(parallel), "--threads", "2"]
        )
        demo.stack.wait_until(name, partial(answers, f"http://127.0.0.1:{port}/v1/models"), MODEL_START_S)
        demo.say(f"{name}: SmolLM2-135M-Instruct at http://127.0.0.1:{port}/v1")


def start_zirkel(demo: Setting) -> None:
    """Start ``zirkel up`` on a data directory of its own; a second one on it is refused."""
    stack = demo.stack
    arguments = [
        "zirkel.app",
        "up",
        *("--data-dir", str(data_dir := stack.folder / "data")),
        *("--core-port", str(demo.core_port)),
        *("--gateway-port", str(demo.gateway_port)),
        *("--otlp-port", str(demo.otlp_port)),
        *("--otlp-grpc-port", "0"),
    ]
    stack.start("zirkel", arguments)
    stack.wait_until("zirkel", lambda: "ready" in stack.log("zirkel"), SERVER_START_S)
    gateway_health = f"http://127.0.0.1:{demo.gateway_port}/healthz"
    stack.wait_until("zirkel", lambda: answers(gateway_health), SERVER_START_S)
    for line in stack.log("zirkel").splitlines():
        demo.say(KEY.sub("zk_… (kept by the demo)", line))
    found = KEY.search(stack.log("zirkel"))
    demo.require(found is not None, "the first admin key was printed")
    demo.api_key = found.group() if found else ""
    stack.environment = {"ZIRKEL_URL": demo.core_url, "ZIRKEL_API_KEY": demo.api_key}
    second = stack.command("up", "--data-dir", str(data_dir), "--core-port", "0", "--gateway-port", "0")
    demo.require(second.exit_code == 1 and "is held by process" in second.errors, "a second `zirkel up` is refused")
    demo.say(f"a second one is refused: {second.errors.strip()}")
    _set_upstreams(demo)
    demo.gateway_key = str(stack.run("keys", "create", "demo traffic", "--role", "call", "--json").json()["key"])


def _set_upstreams(demo: Setting) -> None:
    options = demo.options
    local = ["upstreams", "set", "local", "--base-url", options.upstream or f"http://127.0.0.1:{demo.model_port}/v1"]
    if options.key_variable:
        local += ["--key-variable", options.key_variable]
    if options.model:
        local += ["--model", options.model]
    demo.stack.run(*local)
    demo.stack.run("upstreams", "set", "backup", "--base-url", f"http://127.0.0.1:{demo.backup_port}/v1")
