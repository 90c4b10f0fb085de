"""The append-only, hash-chained ledger."""

import dataclasses
from collections.abc import Sequence

from sqlalchemy import Connection, func, insert, select

from zirkel.core import GENESIS_HASH, Checkpoint, Clock, Json, LedgerEntry, canonical_json, entry_hash
from zirkel.store.metadata.locks import lock_name
from zirkel.store.metadata.schema import checkpoints, ledger


class Ledger:
    """One chain per project. Writers queue on the project, so the chain cannot fork."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def append(self, project_id: str, actor: str, action: str, payload: Json) -> str:
        """Append an entry in the running transaction and return its hash."""
        lock_name(self._connection, project_id)
        last = self._connection.execute(
            select(ledger.c.sequence, ledger.c.hash)
            .where(ledger.c.project_id == project_id)
            .order_by(ledger.c.sequence.desc())
            .limit(1)
        ).first()
        draft = LedgerEntry(
            project_id=project_id,
            sequence=last.sequence + 1 if last else 1,
            at_ns=self._clock.now_ns(),
            actor=actor,
            action=action,
            payload=canonical_json(payload).decode(),
            previous_hash=last.hash if last else GENESIS_HASH,
            hash="",
        )
        entry = dataclasses.replace(draft, hash=entry_hash(draft))
        self._connection.execute(insert(ledger).values(**dataclasses.asdict(entry)))
        return entry.hash

    def entries(self, project_id: str, after: int = 0, limit: int | None = None) -> Sequence[LedgerEntry]:
        """Return entries in order, those behind sequence ``after``."""
        query = select(ledger).where(ledger.c.project_id == project_id, ledger.c.sequence > after)
        rows = self._connection.execute(query.order_by(ledger.c.sequence).limit(limit))
        return [LedgerEntry(*row) for row in rows]

    def last_sequence(self, project_id: str | None = None) -> int:
        """Return the number of entries; over all projects if none is given."""
        if project_id is None:
            return self._connection.execute(select(func.count()).select_from(ledger)).scalar() or 0
        query = select(func.max(ledger.c.sequence)).where(ledger.c.project_id == project_id)
        return self._connection.execute(query).scalar() or 0

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Keep a signed checkpoint; the first one over an entry stays."""
        lock_name(self._connection, checkpoint.project_id)
        known = select(checkpoints.c.sequence).where(
            checkpoints.c.project_id == checkpoint.project_id, checkpoints.c.sequence == checkpoint.sequence
        )
        if self._connection.execute(known).first() is not None:
            return
        self._connection.execute(insert(checkpoints).values(**dataclasses.asdict(checkpoint)))

    def checkpoints(self, project_id: str) -> Sequence[Checkpoint]:
        """Return a project's checkpoints in order."""
        query = select(checkpoints).where(checkpoints.c.project_id == project_id).order_by(checkpoints.c.sequence)
        return [Checkpoint(*row) for row in self._connection.execute(query)]
