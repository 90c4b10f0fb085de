"""``dataset``: named, versioned data sets."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, cast
from urllib.parse import quote

import typer

from zirkel.app.cli.documents import read_text
from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, connect, leave, print_json, say, short
from zirkel.app.cli.search import Since, Until, Where
from zirkel.client.http import Parameters
from zirkel.core import Invalid, Json, iso_utc

dataset_app = typer.Typer(help="Data sets: versions, files, differences, health.", no_args_is_help=True)

Object = Mapping[str, Json]
Form = Literal["jsonl", "csv", "parquet"]
MEDIA_TYPES: Mapping[str, str] = {
    "jsonl": "application/jsonl",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
MOST_SHOWN = 50

Name = Annotated[str, typer.Argument(help="Name of the data set.")]
Version = Annotated[str, typer.Option("--version", help="latest, a number, a label, or the start of a digest.")]
Split = Annotated[str, typer.Option(help="Only items of this split.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="Only items with this tag; may be given several times.")]


@dataset_app.command("list")
def list_datasets(as_json: AsJson = False) -> None:
    """List the project's data sets, each with its newest version."""
    with connect() as client:
        rows = client.get_list("/api/v1/datasets")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"{row['name']:<32} {_version_line(row)}")
    if not rows:
        say("there is none; make one with: zirkel dataset push NAME FILE")


@dataset_app.command("show")
def show(name: Name, version: Version = "latest", as_json: AsJson = False) -> None:
    """Show what is in a version: schema, splits, tags; and which versions there are."""
    with connect() as client:
        found = client.get(_path(name), {"version": version})
        versions = client.get_list(_path(name, "versions"))
    if as_json:
        print_json({**found, "versions": cast(Json, versions)})
        return
    say(f"{name}, {_version_line(cast(Object, found['version']))}")
    say(f"{found['items']} items, {found['labelled']} with an expected output, {found['clusters']} clusters")
    variables = cast("dict[str, Object]", cast(Object, found["schema"])["variables"])
    for variable, spec in variables.items():
        say(f"   {variable:<24} {spec['type']}{'' if spec['required'] else ', optional'}")
    for what in ("splits", "tags"):
        counts = cast("dict[str, int]", found[what])
        if any(counts):
            say(f"{what}: " + ", ".join(f"{key or '(none)'} {count}" for key, count in counts.items()))
    say("versions:")
    for row in versions[:MOST_SHOWN]:
        say(f"   {_version_line(row)}")


@dataset_app.command("push")
def push(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file.")],
    append: Annotated[bool, typer.Option("--append", help="Put the items to the newest version's.")] = False,
    schema: Annotated[Path | None, typer.Option(help="A JSON file with the schema from now on.")] = None,
    infer_schema: Annotated[
        bool, typer.Option("--infer-schema", help="Forget the schema there is; take the one that the items fit.")
    ] = False,
    form: Annotated[
        Form | None, typer.Option("--format", help="What the file is, if its name does not say it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a version of a file's items. The same items again change nothing."""
    media_type = MEDIA_TYPES[form or _form_of(file)]
    asked: Parameters = {
        "append": str(append).lower(),
        "infer_schema": str(infer_schema).lower(),
        "schema": read_text(schema) if schema else "",
    }
    with connect() as client:
        done = client.upload(_path(name, "versions"), _read(file), media_type, asked)
    if as_json:
        print_json(done)
        return
    say(f"{name} version {done['version']}" + ("" if done["is_new"] else " has these items already"))
    say(f"   {done['items']} items: {done['added']} added, {done['changed']} changed, {done['removed']} removed")
    if done["duplicates"]:
        say(f"   {done['duplicates']} inputs were there already")


@dataset_app.command("export")
def export(
    name: Name,
    file: Annotated[str, typer.Argument(help="Where to; - is the standard output.")] = "-",
    form: Annotated[Form | None, typer.Option("--format", help="As the file's name says, else jsonl.")] = None,
    version: Version = "latest",
    split: Split = "",
    tags: Tags = None,
    as_json: AsJson = False,
) -> None:
    """Write items of a version to a file. With --json also say what was written, which needs a file."""
    if as_json and file == "-":
        raise Invalid("--json says what was written; name a file to write to")
    chosen = form or ("jsonl" if file == "-" else _form_of(Path(file)))
    with connect() as client:
        parts = client.download(_path(name, "export", chosen), _selected(version, split, tags))
        data = b"".join(parts)
    if file == "-":
        sys.stdout.buffer.write(data)
        return
    Path(file).write_bytes(data)
    print_json({"file": file, "format": chosen, "bytes": len(data)}) if as_json else say(f"{file}: {len(data)} bytes")


@dataset_app.command("collect")
def collect(
    name: Name,
    where: Where = "",
    since: Since = "",
    until: Until = "",
    limit: Annotated[int, typer.Option(help="Look at so many traces at most, the newest.")] = 1000,
    sample: Annotated[int, typer.Option(help="Take so many of the new inputs; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the sample; the same traces and seed give the same one.")] = 0,
    variable: Annotated[
        str, typer.Option(help="The variable that takes the user's message, for calls of no service.")
    ] = "input",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be taken.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put items made of traces to a data set: inputs that it has not got yet."""
    body: dict[str, Json] = {
        "filter": where, "since": since, "until": until, "limit": limit,
        "variable": variable, "sample": sample or None, "seed": seed, "dry_run": dry_run,
    }  # fmt: skip
    with connect() as client:
        found = client.post(_path(name, "collect"), body)
    if as_json:
        print_json(found)
        return
    pushed = cast("Object | None", found["pushed"])
    into = f"{name} version {pushed['version']}" if pushed else f"{name} is as it was"
    taken, unusable = len(cast("list[Json]", found["items"])), cast("list[Json]", found["unusable"])
    say(f"{into}: {taken} new inputs; {found['duplicates']} were there already; {len(unusable)} traces unusable")


@dataset_app.command("label")
def label(
    name: Name,
    label: Annotated[str, typer.Argument(help="Name of the label.")],
    version: Version = "latest",
    remove: Annotated[bool, typer.Option("--remove", help="Remove the label; the version stays.")] = False,
    as_json: AsJson = False,
) -> None:
    """Have a label point to a version, whatever it pointed to before."""
    path = _path(name, "labels", label)
    with connect() as client:
        if remove:
            client.delete(path)
            print_json({"removed": label}) if as_json else say(f"{name} has no label {label} any more")
            return
        found = client.put(path, {"version": version})
    print_json(found) if as_json else say(f"{name}@{label} is version {found['version']}")


@dataset_app.command("diff")
def diff(
    name: Name,
    before: Annotated[str, typer.Argument(help="A version.")],
    after: Annotated[str, typer.Argument(help="Another one.")] = "latest",
    as_json: AsJson = False,
) -> None:
    """Say what differs between two versions, item by item."""
    with connect() as client:
        found = client.get(_path(name, "diff"), {"before": before, "after": after})
    if as_json:
        print_json(found)
        return
    changes = cast("list[Object]", found["changes"])
    for change in changes:
        _say_change(change)
    if not changes:
        say("all items are the same")


@dataset_app.command("history")
def history(
    name: Name,
    item: Annotated[str, typer.Argument(help="An item's id: what became of it. Else: what each version did.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say what each version did: to all items in numbers, or to one in detail."""
    with connect() as client:
        rows = client.get_list(_path(name, "history", item) if item else _path(name, "history"))
    if as_json:
        print_json(rows)
        return
    for row in rows:
        say(f"version {row['version']}, {iso_utc(cast(int, row['created_ns']))}, by {row['pushed_by'] or 'unknown'}")
        if item:
            _say_change(cast(Object, row["change"]))
        else:
            counts = f"{row['added']} added, {row['changed']} changed, {row['removed']} removed"
            say(f"   {row['items']} items: {counts}")


@dataset_app.command("health")
def health(
    name: Name,
    version: Version = "latest",
    service: Annotated[str, typer.Option(help="Whose prompts, examples and traffic; else the data set's name.")] = "",
    since: Annotated[str, typer.Option(help="From when live traffic is looked at: a time, or e.g. -7d.")] = "-7d",
    live: Annotated[int, typer.Option(help="Traces at most, the newest; 0 for none.")] = 1000,
    as_json: AsJson = False,
) -> None:
    """Say what is wrong with the items, and what to do about it; exit 1 if it makes results wrong."""
    asked: Parameters = {"version": version, "service": service, "since": since, "live": live}
    with connect() as client:
        found = client.get(_path(name, "health"), asked)
    if as_json:
        print_json(found)
    else:
        _say_health(found)
    leave(0 if found["is_sound"] else EXIT_CHECK_FAILED)


def _say_health(found: Object) -> None:
    report = cast("dict[str, Json]", found["report"])
    say(f"{found['name']} version {found['version']}: {report['items']} items")
    compared = f"with {report['references']} texts of {found['service']}" if found["service"] else "with no service"
    say(f"   compared {compared} and {report['answers']} answers of {report['releases']} releases")
    coverage = cast("dict[str, Json] | None", report["coverage"])
    if coverage is None:
        say("   no live traffic to compare with")
    else:
        share = cast("dict[str, float]", coverage["far_share"])
        bounds = f"{share['low']:.1%} to {share['high']:.1%}"
        say(f"   {coverage['far']} of {coverage['inputs']} live inputs are far from any item (95 % interval {bounds})")
    findings = cast("list[Object]", report["findings"])
    for finding in findings:
        say(f"{finding['level']}: {finding['said']}")
        ids = cast("list[str]", finding["item_ids"]) or cast("list[str]", finding["trace_ids"])
        say(f"   {', '.join(ids[:8])}{', …' if len(ids) > 8 else ''}")
        say(f"   {finding['advice']}")
    if not findings:
        say("nothing was found")


def _say_change(change: Object) -> None:
    say(f"   {change['change']:<8} {change['item_id']}")
    for field in cast("list[Object]", change["fields"]):
        say(f"      {field['field']}: {_brief(field['before'])} -> {_brief(field['after'])}")


def _brief(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _version_line(row: Object) -> str:
    labels = cast("list[str]", row["labels"])
    items = "?" if row["items"] is None else row["items"]
    at = iso_utc(cast(int, row["created_ns"]))
    named = f"  [{', '.join(labels)}]" if labels else ""
    return f"version {row['version']}  {short(row['digest'])}  {at}  {items} items{named}"


def _selected(version: str, split: str, tags: Sequence[str] | None) -> Parameters:
    return {"version": version, "split": split, "tag": list(tags or ())}


def _path(name: str, *parts: str) -> str:
    return "/".join(["/api/v1/datasets", *(quote(part, safe="") for part in (name, *parts))])


def _form_of(file: Path) -> Form:
    endings: Mapping[str, Form] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
    if file.suffix.lower() not in endings:
        raise Invalid(f"{file} is neither .jsonl, .csv nor .parquet; say what it is with --format")
    return endings[file.suffix.lower()]


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Invalid(f"{file}: {error.strerror}", path=str(file)) from error
