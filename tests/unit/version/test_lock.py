"""The lock: whatever changes in a service's files is found and named."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zirkel.core import Invalid, NotFound, sha256_hex
from zirkel.version import LOCK_FILE, encode_lock, lock_service, read_lock, verify_service


@pytest.fixture
def locked(folder: Path) -> Path:
    """A folder whose lock is written."""
    (folder / LOCK_FILE).write_bytes(encode_lock(lock_service(folder)))
    return folder


def change_lock(folder: Path, **changes: object) -> None:
    fields = json.loads((folder / LOCK_FILE).read_bytes())
    (folder / LOCK_FILE).write_text(json.dumps(fields | changes, sort_keys=True, indent=2) + "\n")


def paths(folder: Path) -> list[str]:
    return [difference.path for difference in verify_service(folder)]


def test_a_lock_agrees_with_the_files_it_was_made_from(locked: Path) -> None:
    assert verify_service(locked) == []
    lock = read_lock(locked)
    assert lock == lock_service(locked)
    assert set(lock.artefacts) == {"prompt", "model", "context", "dataset", "evaluators", "gate", "prices"}
    assert lock.baseline not in (None, lock.release)


def test_the_same_files_written_elsewhere_in_another_order_give_the_same_lock(locked: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    for path in sorted((path for path in locked.rglob("*") if path.is_file()), reverse=True):
        target = other / path.relative_to(locked)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    assert encode_lock(lock_service(other)) == (locked / LOCK_FILE).read_bytes()


def test_any_single_byte_changed_in_any_file_is_found_and_named(locked: Path) -> None:
    for path in [path for path in locked.rglob("*") if path.is_file()]:
        original = path.read_bytes()
        for position in range(0, len(original), 7 if path.name != LOCK_FILE else 31):
            changed = bytearray(original)
            changed[position] ^= 0x01
            path.write_bytes(changed)
            assert_found(locked, path.relative_to(locked).as_posix(), position)
        path.write_bytes(original)
    assert verify_service(locked) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(data=st.data())
def test_any_byte_changed_to_any_other_is_found_and_named(locked: Path, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(path for path in locked.rglob("*") if path.is_file())))
    original = path.read_bytes()
    changed = bytearray(original)
    position = data.draw(st.integers(0, len(original) - 1))
    changed[position] ^= data.draw(st.integers(1, 255))
    try:
        path.write_bytes(changed)
        assert_found(locked, path.relative_to(locked).as_posix(), position)
    finally:
        path.write_bytes(original)


def assert_found(folder: Path, path: str, position: int) -> None:
    if path != LOCK_FILE:
        assert paths(folder) == [path], (path, position)
        return
    try:
        named = paths(folder)
    except Invalid as error:
        named = [error.path or ""]
    # A digest or a path that was changed in the lock is told by the path it stands beside.
    assert named, position


def test_a_file_that_is_missing_is_named(locked: Path) -> None:
    (locked / "context" / "policy.md").unlink()
    assert paths(locked) == ["context/policy.md"]


def test_a_file_that_was_added_is_named(locked: Path) -> None:
    (locked / "context" / "new.md").write_text("new")
    assert [(d.path, d.problem) for d in verify_service(locked)] == [("context/new.md", "is not in the lock")]


def test_a_file_that_does_not_belong_to_the_service_changes_nothing(locked: Path) -> None:
    (locked / "README.md").write_text("# read me")
    assert verify_service(locked) == []


def test_a_lock_that_names_a_file_of_no_concern_is_found(locked: Path) -> None:
    (locked / "README.md").write_text("# read me")
    change_lock(locked, files={**read_lock(locked).files, "README.md": sha256_hex(b"# read me")})
    assert [(d.path, d.problem) for d in verify_service(locked)] == [
        ("README.md", "is locked, but is not a file of the service")
    ]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"release": "0" * 64}, "another release digest"),
        ({"baseline": None}, "another release digest"),
        ({"service": "other"}, "names the service 'other', not 'triage'"),
        ({"artefacts": {}}, "another digest for the context"),
    ],
)
def test_a_lock_that_was_edited_is_found(locked: Path, changes: dict[str, object], said: str) -> None:
    change_lock(locked, **changes)
    found = verify_service(locked)
    assert {difference.path for difference in found} == {LOCK_FILE}
    assert any(said in difference.problem for difference in found)


def test_a_lock_with_an_artefact_too_many_is_found(locked: Path) -> None:
    change_lock(locked, artefacts={**read_lock(locked).artefacts, "weights": "0" * 64})
    assert [d.problem for d in verify_service(locked)] == ["names artefacts that the files do not have"]


def test_a_lock_that_is_only_written_differently_is_told_apart(locked: Path) -> None:
    (locked / LOCK_FILE).write_text(json.dumps(json.loads((locked / LOCK_FILE).read_bytes())))
    assert [d.problem.partition(";")[0] for d in verify_service(locked)] == ["is not as it was written"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", LOCK_FILE),
        ('{"format": 2}', LOCK_FILE),
        (
            '{"format":2,"service":"a","release":"b","baseline":null,"artefacts":{},"files":{}}',
            "has format 2; this program reads 1",
        ),
        (
            '{"format":1,"service":"a","release":"b","baseline":null,"artefacts":{},"files":{},"more":1}',
            "unknown field `more`",
        ),
    ],
)
def test_a_malformed_lock_is_refused(folder: Path, text: str, said: str) -> None:
    (folder / LOCK_FILE).write_text(text)
    with pytest.raises(Invalid, match=said):
        verify_service(folder)


def test_a_service_that_was_never_locked_says_how(folder: Path) -> None:
    with pytest.raises(NotFound, match="zirkel lock"):
        verify_service(folder)
