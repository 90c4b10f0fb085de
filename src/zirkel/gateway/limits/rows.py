"""How counters and running calls are kept in the shared state: keys, values and their codec.

``1s`` + hash of the subject → its counters; ``1c`` + owner ``/`` life ``/`` number → a call that has not ended. The 1
is the format. Hashes make every subject's key 18 bytes, and cut all subjects into 256 parts by their first byte.
"""

from functools import lru_cache
from hashlib import blake2b

import msgspec

from zirkel.core import Corrupt
from zirkel.gateway.limits.claims import HeldAttempt
from zirkel.gateway.limits.counters import SubjectCounters

SUBJECT_PREFIX = b"1s"
CALL_PREFIX = b"1c"
PARTS = 256


class HeldCall(msgspec.Struct, frozen=True, array_like=True):
    """A call that has not ended."""

    subjects: list[str]
    """Ids of the subjects that count it, each once; empty once its worker's death was made good."""
    attempts: list[HeldAttempt]


# JSON holds whole numbers of any size.
_encoder = msgspec.json.Encoder()
_subject_decoder = msgspec.json.Decoder(SubjectCounters)
_call_decoder = msgspec.json.Decoder(HeldCall)
encode_row = _encoder.encode


@lru_cache(maxsize=65_536)
def subject_key(subject_id: str) -> bytes:
    """Return the key of a subject's counters."""
    return SUBJECT_PREFIX + blake2b(subject_id.encode(), digest_size=16).digest()


def owner_prefix(owner: str, life: str) -> bytes:
    """Return what the keys of all calls of one life of a worker begin with."""
    return b"%b%b/%b/" % (CALL_PREFIX, owner.encode(), life.encode())


def parse_owner(key: bytes) -> tuple[str, str]:
    """Return owner and life of a call's key."""
    owner, life, _ = key[len(CALL_PREFIX) :].split(b"/", 2)
    return owner.decode(), life.decode()


def decode_subject(key: bytes, value: bytes | None) -> SubjectCounters:
    """Return a subject's counters; new ones if there are none.

    Raises:
        Corrupt: If the value is not what was written.
    """
    if value is None:
        return SubjectCounters()
    try:
        return _subject_decoder.decode(value)
    except msgspec.DecodeError as error:
        raise _damaged(key, error) from error


def decode_call(key: bytes, value: bytes) -> HeldCall:
    """Return a call.

    Raises:
        Corrupt: If the value is not what was written.
    """
    try:
        return _call_decoder.decode(value)
    except msgspec.DecodeError as error:
        raise _damaged(key, error) from error


def _damaged(key: bytes, error: msgspec.DecodeError) -> Corrupt:
    return Corrupt(f"the shared state holds a damaged entry {key!r}: {error}")
