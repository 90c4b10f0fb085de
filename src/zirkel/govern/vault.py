"""The installation's secrets: one master key, a subkey for each purpose."""

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from zirkel.core import Corrupt

KEY_BYTES = 32
_NONCE_BYTES = 12


class Vault:
    """Seals credentials at rest, signs checkpoints, and gives other rooms their keys."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes, this one {len(master)}")
        self._master = master

    def subkey(self, purpose: str) -> bytes:
        """Return the 32-byte key for a purpose.

        Source: HMAC-SHA256 as a pseudorandom function, RFC 5869 section 2.3 with one block.
        """
        return hmac.new(self._master, purpose.encode() + b"\x01", hashlib.sha256).digest()

    def seal(self, plain: str) -> str:
        """Return ``plain`` encrypted and authenticated (AES-256-GCM, random nonce), as text."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = AESGCM(self.subkey("credentials")).encrypt(nonce, plain.encode(), None)
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, sealed: str) -> str:
        """Return what was sealed.

        Raises:
            Corrupt: If the text was changed or sealed under another master key.
        """
        try:
            data = base64.b64decode(sealed, validate=True)
            plain = AESGCM(self.subkey("credentials")).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None)
        except (InvalidTag, ValueError) as error:
            raise Corrupt(
                "a stored credential cannot be read with this installation's master key; set it again with: "
                "zirkel upstreams set"
            ) from error
        return plain.decode()

    def sign(self, message: bytes) -> tuple[str, str]:
        """Return the Ed25519 signature of ``message`` and the public key, both hex.

        Source: RFC 8032.
        """
        key = Ed25519PrivateKey.from_private_bytes(self.subkey("ledger signature"))
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return key.sign(message).hex(), public.hex()


def open_master_key(path: Path) -> bytes:
    """Return the master key kept in ``path``; a new random one is made, readable by its owner only, if there is none.

    Raises:
        Corrupt: If the file is not a key.
    """
    if not path.exists():
        _write_master_key(path)
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError as error:
        raise Corrupt(f"{path} is not a master key (64 hex digits); restore it from a backup") from error
    if len(key) != KEY_BYTES:
        raise Corrupt(f"{path} is not a master key (64 hex digits); restore it from a backup")
    return key


def _write_master_key(path: Path) -> None:
    # Whole or not at all: half a key would look like a lost one. A link, unlike a rename, never replaces a key.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(KEY_BYTES) + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)
    except FileExistsError:
        return  # Somebody else was faster; theirs is the key.
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
