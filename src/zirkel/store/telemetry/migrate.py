"""Bringing a telemetry store's schema up to date."""

import msgspec

from zirkel.core import Incompatible
from zirkel.store.telemetry import ddl, queries
from zirkel.store.telemetry.engine import Engine


class _Count(msgspec.Struct, frozen=True):
    value: int


def migrate(engine: Engine) -> None:
    """Apply the steps that the store lacks.

    Raises:
        Incompatible: If it has more steps than this program knows, or is from before the first release.
    """
    newest = ddl.FIRST_VERSION + len(ddl.MIGRATIONS) - 1
    has_version = engine.rows(queries.TABLE_EXISTS, {"name": "schema_version"}, _Count)[0].value > 0
    version = engine.rows(queries.SCHEMA_VERSION, {}, _Count)[0].value if has_version else 0
    if version > newest:
        raise Incompatible(
            f"the telemetry store has schema version {version}, this program knows {newest}; "
            "use the newer program that wrote it"
        )
    if 0 < version < ddl.FIRST_VERSION:
        raise Incompatible(
            f"the telemetry store has schema version {version}, from before the first release; move it away"
        )
    engine.execute(ddl.SCHEMA_VERSION_TABLE)
    done = max(0, version - ddl.FIRST_VERSION + 1)
    for number, step in enumerate(ddl.MIGRATIONS[done:], start=ddl.FIRST_VERSION + done):
        engine.execute(step)
        engine.execute(queries.RECORD_SCHEMA_VERSION.format(version=number))
