"""``evaluators``, and the check of a service's own."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zirkel.app.cli.output import AsJson, err, has_server, print_json, require_server, say
from zirkel.core import Invalid, Json
from zirkel.version import parse_service, read_service

if TYPE_CHECKING:
    from zirkel.evaluate.evaluators.describe import KindDescription, OptionDescription


def evaluators(
    kind: Annotated[str, typer.Argument(help="Show this kind only, with what its values mean.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the kinds of evaluators, with their options: those built in, and those that installed packages bring."""
    require_server()
    from zirkel.evaluate.evaluators import known_kinds  # noqa: PLC0415 (the client's install lacks numpy)
    from zirkel.evaluate.evaluators.describe import describe_kind  # noqa: PLC0415 (as above)

    found = {name: describe_kind(known) for name, known in known_kinds().items()}
    if kind and kind not in found:
        raise Invalid(f"no evaluator is of the kind {kind!r}; known are {', '.join(found)}")
    shown = [found[kind]] if kind else list(found.values())
    if as_json:
        print_json([_described(description) for description in shown])
        return
    for description in shown:
        say(f"{description.name}: {description.summary}{_remarks(description)}")
        for paragraph in description.text if kind else ():
            say(f"  {paragraph}")
        _say_options(description.options, with_meaning=bool(kind))
        for table in description.tables if kind else ():
            say(f"  {table.name}: {table.meaning}")
            _say_options(table.options, with_meaning=True)


def check_evaluators(folder: Path) -> None:
    """Check the evaluators of a service's folder as a push would; where only the client is installed, say so instead.

    Raises:
        Invalid: If a kind is unknown, or its options are wrong.
    """
    if not has_server():
        err.print("evaluators.toml is checked at push: this installation is the client only", markup=False)
        return
    from zirkel.evaluate import check_evaluator  # noqa: PLC0415 (as above)

    for spec in parse_service(read_service(folder)).evaluators.evaluator:
        check_evaluator(spec)


def _say_options(options: "tuple[OptionDescription, ...]", *, with_meaning: bool) -> None:
    for option in options:
        default = f"= {option.default}" if option.default else "(required)"
        say(f"    {option.name} {default}" + (f"  [{option.type}] {option.meaning}" if with_meaning else ""))


def _remarks(description: "KindDescription") -> str:
    remarks = [] if description.unit == "share" else [f"in {description.unit}"]
    if not description.is_higher_better:
        remarks.append("lower is better")
    if description.uses_model:
        remarks.append("asks a model")
    return f" ({', '.join(remarks)})" if remarks else ""


def _described(description: "KindDescription") -> Mapping[str, Json]:
    return {
        "name": description.name,
        "summary": description.summary,
        "unit": description.unit,
        "is_higher_better": description.is_higher_better,
        "uses_model": description.uses_model,
        "meaning": "\n".join(description.text),
        "options": [_option(option) for option in description.options],
        "tables": [
            {"name": table.name, "meaning": table.meaning, "options": [_option(option) for option in table.options]}
            for table in description.tables
        ],
    }


def _option(option: "OptionDescription") -> Mapping[str, Json]:
    return {
        "name": option.name,
        "type": option.type,
        "default": option.default or None,
        "meaning": option.meaning,
    }
