"""What the doctor finds, over real folders, databases and ports."""

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from zirkel.app.alarm_file import AlarmFile
from zirkel.app.config import Config
from zirkel.app.doctor import Finding, examine
from zirkel.core import Alarm, ManualClock, SystemClock
from zirkel.store.metadata import Metadata


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(data_dir=tmp_path, core_port=free_port(), gateway_port=0, otlp_port=0, otlp_grpc_port=0)


def find(config: Config, subject: str) -> Finding:
    (found,) = [finding for finding in examine(config) if finding.subject == subject]
    return found


def make_database(folder: Path) -> Path:
    Metadata.open(f"sqlite:///{folder}/metadata.sqlite", ManualClock()).close()
    return folder / "metadata.sqlite"


def make_key(config: Config, mode: int) -> None:
    config.master_key_path.parent.mkdir()
    config.master_key_path.write_bytes(b"k" * 32)
    config.master_key_path.chmod(mode)


def test_a_new_installation_has_nothing_to_mend_and_stays_as_it_is(config: Config, tmp_path: Path) -> None:
    findings = examine(config)
    assert {finding.level for finding in findings if finding.subject != "data directory"} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_does_not_exist_is_fine(tmp_path: Path) -> None:
    found = find(
        Config(data_dir=tmp_path / "none", core_port=free_port(), gateway_port=0, otlp_port=0, otlp_grpc_port=0),
        "data directory",
    )
    assert found.level == "ok"
    assert "zirkel up" in found.text


def test_every_problem_says_how_to_mend_it(config: Config, answer_with: Callable[[int, bytes], int]) -> None:
    (config.data_dir / "metadata.sqlite").write_bytes(b"not a database" * 100)
    broken = Config(
        data_dir=config.data_dir, core_port=answer_with(200, b"{}"), gateway_port=0, otlp_port=0, otlp_grpc_port=0
    )
    problems = [finding for finding in examine(broken) if finding.level == "problem"]
    assert {finding.subject for finding in problems} == {"master key", "metadata", "core_port"}
    assert all(finding.remedy for finding in problems)


def test_a_database_without_its_master_key_is_a_problem(config: Config) -> None:
    make_database(config.data_dir)
    found = find(config, "master key")
    assert (found.level, found.remedy) == ("problem", "restore the file from a backup")


@pytest.mark.parametrize(("mode", "level"), [(0o600, "ok"), (0o400, "ok"), (0o640, "problem"), (0o604, "problem")])
def test_a_master_key_is_for_its_owner_only(config: Config, mode: int, level: str) -> None:
    make_key(config, mode)
    assert find(config, "master key").level == level


def test_a_sound_database_is_found_at_its_revision(config: Config) -> None:
    with closing(sqlite3.connect(make_database(config.data_dir))) as connection:
        (revision,) = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    assert find(config, "metadata") == Finding("ok", "metadata", f"sound, at revision {revision}")


def test_a_damaged_database_is_a_problem(config: Config) -> None:
    path = make_database(config.data_dir)
    data = bytearray(path.read_bytes())
    # The first page holds the schema; the rest is tables and indexes.
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    assert find(config, "metadata").level == "problem"


def test_a_database_that_no_migration_has_finished_is_a_problem(config: Config) -> None:
    with closing(sqlite3.connect(make_database(config.data_dir))) as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.commit()
    found = find(config, "metadata")
    assert found.level == "problem"
    assert "no revision" in found.text


def test_a_database_that_cannot_be_opened_is_a_problem(config: Config) -> None:
    (config.data_dir / "metadata.sqlite").mkdir()
    assert find(config, "metadata").level == "problem"


def test_a_folder_whose_name_has_marks_of_a_url_is_read_all_the_same(config: Config) -> None:
    folder = config.data_dir / "a?b#c%20d"
    folder.mkdir()
    (config.data_dir / "plain").mkdir()
    made = make_database(config.data_dir / "plain")
    made.rename(folder / "metadata.sqlite")
    moved = Config(data_dir=folder, core_port=config.core_port, gateway_port=0, otlp_port=0, otlp_grpc_port=0)
    assert find(moved, "metadata").level == "ok"


def test_a_database_elsewhere_is_not_looked_at(config: Config) -> None:
    (config.data_dir / "metadata.sqlite").write_bytes(b"left over")
    elsewhere = Config(
        data_dir=config.data_dir,
        core_port=0,
        gateway_port=0,
        otlp_port=0,
        otlp_grpc_port=0,
        database_url="postgresql://d",
    )
    assert "metadata" not in {finding.subject for finding in examine(elsewhere)}


def test_a_free_port_is_fine(config: Config) -> None:
    assert find(config, "core_port") == Finding("ok", "core_port", f"{config.core_port} is free")


def test_a_port_that_is_switched_off_is_not_looked_at(config: Config) -> None:
    assert "otlp_port" not in {finding.subject for finding in examine(config)}


def test_a_port_that_zirkel_serves_is_fine(config: Config, answer_with: Callable[[int, bytes], int]) -> None:
    port = answer_with(200, b'{"status":"ok"}')
    served = Config(data_dir=config.data_dir, core_port=port, gateway_port=0, otlp_port=0, otlp_grpc_port=0)
    assert find(served, "core_port") == Finding("ok", "core_port", f"{port} is served by Zirkel")


def test_zirkel_is_found_past_a_proxy_for_other_machines(
    config: Config, answer_with: Callable[[int, bytes], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    port = answer_with(200, b'{"status":"ok"}')
    served = Config(data_dir=config.data_dir, core_port=port, gateway_port=0, otlp_port=0, otlp_grpc_port=0)
    assert find(served, "core_port").level == "ok"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>hello</html>"), (200, b'{"status":"starting"}'), (200, b"[1]"), (200, b"\xff\xfe"), (404, b"{}")],
)
def test_a_port_that_another_web_server_has_is_a_problem_that_names_the_setting(
    config: Config, answer_with: Callable[[int, bytes], int], status: int, body: bytes
) -> None:
    taken = Config(
        data_dir=config.data_dir, core_port=answer_with(status, body), gateway_port=0, otlp_port=0, otlp_grpc_port=0
    )
    found = find(taken, "core_port")
    assert found.level == "problem"
    assert "ZIRKEL_CORE_PORT" in found.remedy


def test_a_port_of_a_program_that_does_not_speak_http_is_a_problem(config: Config, mail_port: int) -> None:
    taken = Config(data_dir=config.data_dir, core_port=0, gateway_port=mail_port, otlp_port=0, otlp_grpc_port=0)
    found = find(taken, "gateway_port")
    assert (found.level, found.text) == ("problem", f"{mail_port} is taken by another program")


def test_a_host_that_is_none_is_a_problem(config: Config) -> None:
    nowhere = Config(
        data_dir=config.data_dir,
        host="256.0.0.1",
        core_port=config.core_port,
        gateway_port=0,
        otlp_port=0,
        otlp_grpc_port=0,
    )
    found = find(nowhere, "host")
    assert found.level == "problem"
    assert "ZIRKEL_HOST" in found.remedy


def test_records_that_were_set_aside_are_counted_and_found(config: Config) -> None:
    for path in ("set-aside/one.record", "set-aside/two.record", "spool/core/3.damaged"):
        (config.data_dir / path).parent.mkdir(parents=True, exist_ok=True)
        (config.data_dir / path).write_bytes(b"?")
    found = find(config, "spool")
    assert found.level == "warning"
    assert found.text.startswith("3 files")
    assert "set-aside/one.record, set-aside/two.record, spool/core/3.damaged" in found.text
    assert str(config.data_dir / "set-aside") in found.remedy


def test_without_records_set_aside_nothing_is_said_of_the_spool(config: Config) -> None:
    assert "spool" not in {finding.subject for finding in examine(config)}


def test_what_a_running_core_says_of_itself_is_told_with_its_remedy(config: Config) -> None:
    alarms = [
        Alarm("disk_slow", "problem", "a flush takes 9 s", "use a faster one", 10**18),
        Alarm("clock_leapt", "warning", "the clock was set", "see the time service", 10**18),
    ]
    AlarmFile(config.alarm_path).write(alarms, SystemClock().now_ns())
    slow = find(config, "alarm disk_slow")
    assert (slow.level, slow.remedy) == ("problem", "use a faster one")
    assert slow.text == "a flush takes 9 s, since 2001-09-09T01:46:40.000Z"
    assert find(config, "alarm clock_leapt").level == "warning"


def test_a_running_core_without_alarms_is_fine(config: Config) -> None:
    AlarmFile(config.alarm_path).write([], SystemClock().now_ns())
    assert find(config, "core") == Finding("ok", "core", "runs, without alarms")


def test_what_a_core_left_behind_when_it_ended_is_not_told(config: Config) -> None:
    AlarmFile(config.alarm_path).write([Alarm("disk_slow", "problem", "old", "old", 1)], 10**18)
    assert not [finding for finding in examine(config) if finding.subject.startswith("alarm")]
