"""``collect``: items for a dataset, made of traces."""

import json
from pathlib import Path
from typing import Annotated, cast

import typer

from zirkel.app.cli.output import AsJson, connect, print_json, say
from zirkel.app.cli.search import Object, Since, Until, Where
from zirkel.core import Invalid, Json, digest


def collect(
    file: Annotated[Path, typer.Argument(help="A dataset's JSONL file; new items are put at its end.")],
    where: Where = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(help="Look at so many traces at most, the newest.")] = 100,
    variable: Annotated[
        str, typer.Option(help="The prompt's variable that takes the user's message, for calls of no service.")
    ] = "input",
    as_json: AsJson = False,
) -> None:
    """Make items of traces for a dataset: each input once, and each item says where it came from."""
    wish: dict[str, Json] = {"filter": where, "since": since, "until": until, "limit": limit, "variable": variable}
    with connect() as client:
        found = client.post("/api/v1/dataset-items", {**wish, "known": cast(Json, _known(file))})
    items = cast("list[Object]", found["items"])
    if items:
        file.parent.mkdir(parents=True, exist_ok=True)
        is_open = file.exists() and file.stat().st_size and not file.read_bytes().endswith(b"\n")
        with file.open("a", encoding="utf-8") as target:
            target.write("\n" if is_open else "")
            target.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items)
    if as_json:
        print_json(found)
        return
    unusable = cast("list[Object]", found["unusable"])
    say(f"{file}: {len(items)} new items; {found['duplicates']} inputs were there already; {len(unusable)} unusable")
    for one in unusable[:10]:
        say(f"   {one['trace_id']}: {one['reason']}")


def _known(file: Path) -> list[str]:
    """Return the digests of the inputs that a dataset has."""
    if not file.exists():
        return []
    digests = []
    # JSON text may hold characters at which str.splitlines would cut it.
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n"), start=1):
        if line.strip():
            try:
                digests.append(digest(json.loads(line)["input"]))
            except (ValueError, KeyError, TypeError) as error:
                raise Invalid(f"{file}, line {number} is no item of a dataset: {error!r}") from None
    return digests
