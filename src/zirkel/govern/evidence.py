"""Evidence: reading, signing and exporting the ledger."""

from zirkel.core import Checkpoint, Clock, EvidencePack, LedgerEntry, Principal, Role, checkpoint_message
from zirkel.govern.ports import GovernMetadata
from zirkel.govern.vault import Vault


class Evidence:
    """The ledger of a project."""

    def __init__(self, metadata: GovernMetadata, vault: Vault, clock: Clock) -> None:
        self._metadata = metadata
        self._vault = vault
        self._clock = clock

    def entries(self, actor: Principal, after: int = 0, limit: int = 100) -> list[LedgerEntry]:
        """Return entries in order, those behind sequence ``after``."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return list(tx.ledger.entries(actor.project_id, after, limit))

    def last_sequence(self, actor: Principal) -> int:
        """Return the sequence of the newest entry, 0 if there is none."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            return tx.ledger.last_sequence(actor.project_id)

    def export(self, actor: Principal) -> EvidencePack:
        """Return the whole chain with its signed checkpoints, the last of them over the newest entry."""
        actor.require(Role.READ)
        with self._metadata.transaction() as tx:
            # Checkpoints first: one that is made meanwhile would sign an entry that the pack does not hold.
            checkpoints = list(tx.ledger.checkpoints(actor.project_id))
            entries = list(tx.ledger.entries(actor.project_id))
            if entries and (not checkpoints or checkpoints[-1].sequence < entries[-1].sequence):
                checkpoint = self._sign(entries[-1])
                tx.ledger.put_checkpoint(checkpoint)
                checkpoints.append(checkpoint)
        return EvidencePack(actor.project_id, tuple(entries), tuple(checkpoints))

    def _sign(self, entry: LedgerEntry) -> Checkpoint:
        at_ns = self._clock.now_ns()
        message = checkpoint_message(entry.project_id, entry.sequence, at_ns, entry.hash)
        signature, public_key = self._vault.sign(message)
        return Checkpoint(entry.project_id, entry.sequence, at_ns, entry.hash, signature, public_key)
