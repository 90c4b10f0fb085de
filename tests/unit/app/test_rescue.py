from functools import partial
from pathlib import Path

import pytest

from zirkel.app.config import Config
from zirkel.app.rescue import make_admin_key
from zirkel.app.secrets import key_pepper
from zirkel.core import NotFound, Role, SystemClock
from zirkel.gateway import decode_snapshot, hash_key
from zirkel.govern import Vault, open_master_key
from zirkel.store.metadata import Metadata


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = Config(data_dir=tmp_path / "data")
    made.data_dir.mkdir()
    open_master_key(made.master_key_path)
    return made


def test_a_rescue_key_is_an_admin_key_that_the_gateway_knows_and_the_ledger_names(config: Config) -> None:
    make_admin_key(config)
    text = make_admin_key(config)
    vault = Vault(open_master_key(config.master_key_path))
    hashed = partial(hash_key, key_pepper(vault))(text)
    metadata = Metadata.open(config.metadata_url, SystemClock())
    with metadata.transaction() as tx:
        record = tx.keys.by_hash(hashed)
        entries = tx.ledger.entries("default")
    metadata.close()
    assert record is not None
    assert (record.label, record.roles) == ("rescue key", frozenset({Role.ADMIN}))
    assert [(entry.actor, entry.action) for entry in entries] == [("system", "key.created")] * 2
    assert hashed in decode_snapshot(config.snapshot_path.read_bytes()).keys


def test_a_rescue_key_for_a_project_that_does_not_exist_is_refused(config: Config) -> None:
    with pytest.raises(NotFound, match="there are: default"):
        make_admin_key(config, "shop")


def test_a_folder_without_an_installation_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no installation"):
        make_admin_key(Config(data_dir=tmp_path / "nothing"))
    assert list(tmp_path.iterdir()) == []
