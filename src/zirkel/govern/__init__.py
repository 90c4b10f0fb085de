"""Who may do what, and the proof of what was done."""

from zirkel.govern.access import DEFAULT_PROJECT, SYSTEM, Access, NewKey
from zirkel.govern.evidence import Evidence
from zirkel.govern.ports import GovernMetadata, GovernTransaction, Publisher
from zirkel.govern.vault import Vault, open_master_key

__all__ = [
    "DEFAULT_PROJECT",
    "SYSTEM",
    "Access",
    "Evidence",
    "GovernMetadata",
    "GovernTransaction",
    "NewKey",
    "Publisher",
    "Vault",
    "open_master_key",
]
