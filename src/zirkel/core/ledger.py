"""The hash chain's rule: what an entry's hash is taken of."""

from zirkel.core.canonical import digest
from zirkel.core.records import LedgerEntry

GENESIS_HASH = "0" * 64
"""The previous hash of a chain's first entry."""


def entry_hash(entry: LedgerEntry) -> str:
    """Return the hash an entry must have: SHA-256 over the canonical JSON of all its other fields, 64 hex digits."""
    return digest(
        {
            "project_id": entry.project_id,
            "sequence": entry.sequence,
            "at_ns": entry.at_ns,
            "actor": entry.actor,
            "action": entry.action,
            "payload": entry.payload,
            "previous_hash": entry.previous_hash,
        }
    )
