"""The installation's secrets."""

import base64
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from zirkel.core import Corrupt
from zirkel.govern import Vault, open_master_key

VAULT = Vault(bytes(range(32)))


@given(st.text())
def test_what_was_sealed_comes_back(plain: str) -> None:
    sealed = VAULT.seal(plain)
    assert VAULT.unseal(sealed) == plain
    assert VAULT.seal(plain) != sealed


@given(st.data())
def test_any_bit_changed_is_found(data: st.DataObject) -> None:
    sealed = bytearray(base64.b64decode(VAULT.seal("sk-secret")))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(Corrupt, match="zirkel upstreams set"):
        VAULT.unseal(base64.b64encode(sealed).decode())


@given(st.text(max_size=60))
def test_what_was_never_sealed_is_corrupt_and_nothing_worse(text: str) -> None:
    with pytest.raises(Corrupt):
        VAULT.unseal(text)


def test_another_master_key_opens_nothing() -> None:
    with pytest.raises(Corrupt, match="master key"):
        Vault(bytes(32)).unseal(VAULT.seal("sk-secret"))


def test_each_purpose_has_a_key_of_its_own() -> None:
    keys = {VAULT.subkey(purpose) for purpose in ("a", "b", "credentials")} | {Vault(bytes(32)).subkey("a")}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)
    assert VAULT.subkey("a") == Vault(bytes(range(32))).subkey("a")


def test_a_signature_holds_for_its_message_only() -> None:
    signature, public_key = VAULT.sign(b"message")
    assert VAULT.sign(b"message") == (signature, public_key)
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
    key.verify(bytes.fromhex(signature), b"message")
    with pytest.raises(InvalidSignature):
        key.verify(bytes.fromhex(signature), b"another")


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, this one 31"):
        Vault(bytes(31))


def test_a_master_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "master.key"
    key = open_master_key(path)
    assert len(key) == 32
    assert open_master_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["master.key"]


def test_of_keys_made_at_once_one_is_kept_by_all(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(open_master_key, [tmp_path / "master.key"] * 8))
    assert len(keys) == 1
    assert open_master_key(tmp_path / "master.key") in keys


@pytest.mark.parametrize("text", ["", "no hex", "ab" * 31])
def test_a_file_that_is_no_key_is_corrupt_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "master.key"
    path.write_text(text)
    with pytest.raises(Corrupt, match="restore it from a backup"):
        open_master_key(path)
    assert path.read_text() == text
