"""``up``, ``demo``, ``doctor``, ``config check``."""

import dataclasses
import re
from pathlib import Path
from typing import Annotated

import typer

from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, leave, print_json, require_server, say
from zirkel.app.config import Config, load_config
from zirkel.core import Json

config_app = typer.Typer(help="Settings.", no_args_is_help=True)

DataDir = Annotated[Path | None, typer.Option(help="Data directory.")]
Port = Annotated[int | None, typer.Option(help="Port; see `zirkel config check` for the default.")]


def up(
    data_dir: DataDir = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    core_port: Port = None,
    gateway_port: Port = None,
    otlp_port: Port = None,
    otlp_grpc_port: Port = None,
    gateway_workers: Annotated[int | None, typer.Option(help="Gateway processes.")] = None,
) -> None:
    """Start Zirkel: core and gateway under one supervisor, in one data directory."""
    require_server()
    from zirkel.app.supervisor import Supervisor  # noqa: PLC0415 (the client's install lacks the server's libraries)

    overrides: dict[str, object] = {
        "data_dir": data_dir,
        "host": host,
        "core_port": core_port,
        "gateway_port": gateway_port,
        "otlp_port": otlp_port,
        "otlp_grpc_port": otlp_grpc_port,
        "gateway_workers": gateway_workers,
    }
    Supervisor(load_config(overrides=overrides), say).run()


def demo(
    keep: Annotated[bool, typer.Option(help="Leave everything running at the end.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data; made anew.")] = Path(".zirkel-demo"),
    upstream: Annotated[str, typer.Option(help="An OpenAI-compatible base URL instead of the local model.")] = "",
    model: Annotated[str, typer.Option(help="The model's name at that upstream.")] = "",
    key_variable: Annotated[str, typer.Option(help="Environment variable with its key.")] = "",
    picture: Annotated[Path | None, typer.Option(help="Save a picture of the console here.")] = None,
) -> None:
    """Run the whole loop end to end on a real model, and say what happens."""
    require_server()
    from zirkel.app.demo import DemoOptions, run_demo  # noqa: PLC0415 (as above)

    run_demo(DemoOptions(folder, keep, upstream, model, key_variable, picture), say)


def doctor(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Say what is wrong with an installation, and how to mend it; exit 1 if something is."""
    from zirkel.app.doctor import examine  # noqa: PLC0415 (looks at libraries that may be missing)

    findings = examine(load_config(overrides={"data_dir": data_dir}))
    if as_json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    for finding in [] if as_json else findings:
        mark = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}[finding.level]
        say(
            f"{mark}  {finding.subject}: {finding.text}"
            + (f"\n         mend it: {finding.remedy}" if finding.remedy else "")
        )
    if any(finding.level == "problem" for finding in findings):
        leave(EXIT_CHECK_FAILED)


@config_app.command("check")
def check_config(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Check the settings and print what is in force, with what each means."""
    config = load_config(overrides={"data_dir": data_dir})
    values: dict[str, Json] = {name: _shown(value) for name, value in dataclasses.asdict(config).items()}
    if as_json:
        print_json(values)
        return
    for setting in dataclasses.fields(Config):
        say(f"{setting.name:<24} {values[setting.name]!s:<28} {setting.metadata['help']}")


def _shown(value: int | str | Path) -> int | str:
    """Return a setting as it may be printed: a password in an address is masked."""
    return value if isinstance(value, int) else re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", str(value))
