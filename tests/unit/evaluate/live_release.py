"""What is live, for tests of experiments and gates."""

from zirkel.core import EnvironmentRecord
from zirkel.store.metadata import Metadata


def put_live(metadata: Metadata, release: str) -> None:
    """Make a release what is stable in production, whatever was before."""
    with metadata.transaction() as tx:
        before = tx.environments.get("p", "triage", "production")
        version = before.version + 1 if before else 1
        tx.environments.put(EnvironmentRecord("p", "triage", "production", version, release, 1, "ann", "salt"))
