"""The metadata store: artefacts, releases, environments, experiments, keys, ledger."""

from zirkel.store.metadata.database import Metadata, Transaction, migrate

__all__ = ["Metadata", "Transaction", "migrate"]
