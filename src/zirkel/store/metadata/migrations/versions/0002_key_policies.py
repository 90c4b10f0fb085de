"""What a key may use, and the secret that it had before."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add both to the keys; those that exist have no limits and no earlier secret."""
    op.add_column("api_keys", sa.Column("policy", sa.Text(), server_default="{}", nullable=False))
    op.add_column("api_keys", sa.Column("previous_hash", sa.String(length=64), nullable=True))
    op.add_column("api_keys", sa.Column("previous_expires_ns", sa.BigInteger(), nullable=True))
    op.create_index("api_keys_by_previous_hash", "api_keys", ["previous_hash"], unique=True)
    # Lists are read in pages, project by project in the order of the ids.
    op.create_index("api_keys_by_project", "api_keys", ["project_id", "key_id"], unique=False)
    op.drop_index("ix_api_keys_project_id", table_name="api_keys")
