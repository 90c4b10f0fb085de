"""The watched file: applied when it changes, refused as a whole, and the snapshot's renewal."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from zirkel.app.gateway_file import RENEWAL_NS, GatewayFile, Upkeep
from zirkel.core import ManualClock
from zirkel.govern import SYSTEM, Vault
from zirkel.govern.gateway_config import GatewayConfiguration
from zirkel.store.metadata import Metadata

GOOD = '[[upstream]]\nname = "openai"\nbase_url = "https://api.openai.com/v1"\ncredential_variable = "KEY"\n'


@dataclass
class House:
    """A watched file and what it configures."""

    path: Path
    configuration: GatewayConfiguration
    file: GatewayFile
    variables: dict[str, str]
    clock: ManualClock
    published: list[int] = field(default_factory=list)

    def publish(self) -> None:
        self.published.append(self.clock.now_ns())

    def text(self) -> str | None:
        """Return the document in force."""
        record = self.configuration.current(SYSTEM)
        return record.text if record else None

    def write(self, text: str) -> None:
        """Replace the file as an editor does."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, self.path)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = ManualClock()
    metadata = Metadata.open(f"sqlite:///{tmp_path}/metadata.sqlite", clock)
    path = tmp_path / "gateway.toml"

    class Silent:
        def publish(self) -> None:
            pass

    configuration = GatewayConfiguration(metadata, Silent(), Vault(b"m" * 32), clock, owner_file=str(path))
    variables = {"KEY": "sk-1"}
    file = GatewayFile(path, configuration, lambda name: variables.get(name, ""))
    yield House(path, configuration, file, variables, clock)
    metadata.close()


def test_the_file_is_applied_when_it_is_there_and_again_when_it_changes(house: House) -> None:
    house.write(GOOD)
    assert house.file.look() is True
    assert house.text() == GOOD
    assert house.file.look() is False
    house.write("# changed\n" + GOOD)
    assert house.file.look() is True
    assert house.text() == "# changed\n" + GOOD


def test_a_start_with_the_same_file_changes_nothing(house: House) -> None:
    house.write(GOOD)
    house.file.look()
    again = GatewayFile(house.path, house.configuration, lambda name: house.variables.get(name, ""))
    assert again.look() is False
    assert len(house.configuration.history(SYSTEM)) == 1


@pytest.mark.parametrize("bad", ["x ==", 'capture = "no"\n'])
def test_a_bad_file_is_logged_once_and_the_old_one_stays(
    house: House, caplog: pytest.LogCaptureFixture, bad: str
) -> None:
    house.write(GOOD)
    house.file.look()
    caplog.clear()
    house.write(bad)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert house.file.look() is False
    assert house.text() == GOOD
    assert len(caplog.records) == 1
    assert str(house.path) in caplog.text


def test_the_log_says_where_the_fault_is(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.write('[[model]]\nname = "m"\n[[model.target]]\nname = "nowhere/x"\n')
    house.file.look()
    assert "model[0].target[0].name" in caplog.text


def test_a_file_that_is_no_text_is_refused(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.path.write_bytes(b"\xff\xfe")
    assert house.file.look() is False
    assert "refused" in caplog.text


def test_a_bad_file_that_is_mended_is_applied(house: House) -> None:
    house.write("x ==")
    house.file.look()
    house.write(GOOD)
    assert house.file.look() is True


def test_a_credential_is_read_from_the_variable_that_the_file_names(house: House) -> None:
    house.variables.clear()
    house.write(GOOD)
    assert house.file.look() is False
    house.variables["KEY"] = "sk-1"
    house.write(GOOD + "\n")
    assert house.file.look() is True


def test_a_missing_file_is_logged_once_and_applied_when_it_comes(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    assert [house.file.look() for _ in range(3)] == [False] * 3
    assert len(caplog.records) == 1
    house.write(GOOD)
    assert house.file.look() is True
    house.path.unlink()
    assert house.file.look() is False
    assert house.text() == GOOD


def test_the_snapshot_is_renewed_before_its_prices_end(house: House) -> None:
    upkeep = Upkeep(None, house.publish, house.clock)
    upkeep.step()
    assert house.published == []
    for _ in range(2):
        house.clock.advance(RENEWAL_NS / 1e9)
        upkeep.step()
        upkeep.step()
    assert len(house.published) == 2


def test_a_snapshot_that_the_disk_did_not_take_at_the_start_is_published_later_once(house: House) -> None:
    is_full = True

    def publish() -> None:
        if is_full:
            raise OSError("No space left on device")
        house.publish()

    upkeep = Upkeep(None, publish, house.clock)
    upkeep.publish_first()
    with pytest.raises(OSError, match="No space"):
        upkeep.step()
    is_full = False
    for _ in range(3):
        upkeep.step()
    assert len(house.published) == 1


def test_the_thread_applies_what_changes_and_ends_when_it_is_told(house: House) -> None:
    house.write(GOOD)
    upkeep = Upkeep(house.file, house.publish, house.clock)
    upkeep.start()
    assert house.text() == GOOD
    upkeep.stop()
    assert not upkeep._thread.is_alive()
