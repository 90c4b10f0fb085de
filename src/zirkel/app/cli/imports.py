"""``import promptfoo`` and ``import inspect``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, connect, leave, print_json, require_server, say
from zirkel.core import Conflict, Invalid, Json, sha256_hex

Strict = Annotated[bool, typer.Option(help="Exit 1 if something could not be taken over.")]


def import_promptfoo(
    file: Annotated[Path, typer.Argument(help="A promptfooconfig.yaml.")],
    output: Annotated[Path, typer.Option(help="Folder for the service's files; it must not have a service.toml yet.")],
    name: Annotated[str, typer.Option(help="What the service is called; the folder's name if empty.")] = "",
    judge: Annotated[str, typer.Option(help="UPSTREAM/MODEL that judges rubrics.")] = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Make a service's files of a promptfoo configuration, and list everything that could not be taken over."""
    require_server()
    from zirkel.app.promptfoo_import import translate_promptfoo  # noqa: PLC0415 (a client's install lacks what it needs)

    if (output / "service.toml").exists():
        raise Conflict(f"{output} has a service.toml; name another folder")
    found = translate_promptfoo(
        _read(file).decode("utf-8", "replace"),
        name or output.name,
        judge=judge,
        read=lambda path: (file.parent / path).read_text(encoding="utf-8"),
    )
    for path, text in found.files.items():
        target = output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    _tell({"files": sorted(found.files)}, f"{output}: {len(found.files)} files", found.not_taken, as_json, strict)


def import_inspect(
    file: Annotated[Path, typer.Argument(help="A log that Inspect wrote: .eval or .json.")],
    name: Annotated[str, typer.Option(help="What the system is called; the task's name if empty.")] = "",
    strict: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Take an Inspect log over as an experiment, with its answers and scores; the same log twice is one experiment."""
    require_server()
    from zirkel.app.inspect_import import translate_inspect  # noqa: PLC0415 (as above)
    from zirkel.app.inspect_log import read_inspect_log  # noqa: PLC0415 (as above)
    from zirkel.app.local_evaluation import LocalOptions, upload_run  # noqa: PLC0415 (as above)

    data = _read(file)
    found = translate_inspect(read_inspect_log(data), name)
    options = LocalOptions(version=found.version)
    with connect() as client:
        repetition = found.identity or sha256_hex(data)
        experiment_id = upload_run(client, found.run, options, repetition=repetition, origin="imported")
    record = found.run.experiment
    said = f"{record.service}: {record.items} items x {record.trials} trials, experiment {experiment_id}"
    _tell({"experiment_id": experiment_id}, said, found.not_taken, as_json, strict)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", path=str(file)) from error


def _tell(facts: dict[str, Json], said: str, not_taken: Sequence[tuple[str, str]], as_json: bool, strict: bool) -> None:
    if as_json:
        print_json({**facts, "not_taken": [{"path": path, "why": why} for path, why in not_taken]})
    else:
        say(said)
    for path, why in not_taken:
        sys.stderr.write(f"not taken: {path}: {why}\n")
    if strict and not_taken:
        leave(EXIT_CHECK_FAILED)
