"""Queueing of writers, so that reading and then writing is one step."""

import hashlib

from sqlalchemy import Connection, text


def lock_name(connection: Connection, name: str) -> None:
    """Return when this transaction is the only one that holds ``name``; it does until it ends.

    SQLite transactions hold the only write lock from their start; PostgreSQL needs to be asked.
    """
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})
