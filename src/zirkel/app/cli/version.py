"""``push``, ``lock``, ``verify``, ``releases``."""

from pathlib import Path
from typing import Annotated

import typer

from zirkel.app.cli.evaluators import check_evaluators
from zirkel.app.cli.output import EXIT_CHECK_FAILED, AsJson, connect, leave, print_json, say, short
from zirkel.core import iso_utc
from zirkel.version import LOCK_FILE, encode_lock, lock_service, read_service, verify_service

Folder = Annotated[Path, typer.Argument(help="Folder of the service (with service.toml).")]


def push(folder: Folder, as_json: AsJson = False) -> None:
    """Register a service's files, content-addressed. The same files again change nothing."""
    files = read_service(folder)
    with connect() as client:
        result = client.push(files.contents)
    if as_json:
        print_json(result)
        return
    if not result["is_changed"]:
        say(f"nothing changed: {result['service']} is at release {short(result['release'])}")
        return
    say(f"pushed {result['service']}: release {result['release_number']} ({short(result['release'])})")
    artefacts = result["artefacts"]
    assert isinstance(artefacts, list)
    for artefact in artefacts:
        mark = "new" if artefact["is_new"] else "known"
        say(f"  {artefact['kind']:<10} v{artefact['version']:<3} {short(artefact['digest'])}  {mark}")
    if result["baseline"]:
        say(f"  baseline to compare with while nothing is live: {short(result['baseline'])}")


def lock(folder: Folder, as_json: AsJson = False) -> None:
    """Write zirkel.lock: every digest of the release, from the files alone."""
    locked = lock_service(folder)
    check_evaluators(folder)
    data = encode_lock(locked)
    path = folder / LOCK_FILE
    is_same = path.is_file() and path.read_bytes() == data
    path.write_bytes(data)
    if as_json:
        print_json({"path": str(path), "release": locked.release, "is_changed": not is_same})
        return
    done = "is up to date" if is_same else "written"
    say(f"{path} {done}: release {short(locked.release)}, {len(locked.files)} files")


def verify(folder: Folder, as_json: AsJson = False) -> None:
    """Recompute every digest from the files and compare with zirkel.lock; exit 1 and name the file if one differs."""
    differences = verify_service(folder)
    if not differences:
        check_evaluators(folder)
    if as_json:
        print_json({"differences": [{"path": d.path, "problem": d.problem} for d in differences]})
    elif not differences:
        say(f"{folder} is what {LOCK_FILE} says")
    for difference in [] if as_json else differences:
        say(f"{difference.path} {difference.problem}")
    if differences:
        leave(EXIT_CHECK_FAILED)


def releases(service: str, as_json: AsJson = False) -> None:
    """List a service's releases, newest first."""
    with connect() as client:
        rows = client.get_list(f"/api/v1/services/{service}/releases")
    if as_json:
        print_json(rows)
        return
    for row in rows:
        created_ns = row["created_ns"]
        assert isinstance(created_ns, int)
        say(f"{row['number']!s:>4}  {short(row['digest'])}  {iso_utc(created_ns)}  by {row['created_by']}")
