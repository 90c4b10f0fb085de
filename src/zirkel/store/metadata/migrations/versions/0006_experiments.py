"""How experiments are run, where their answers can be used again, and what judging them cost."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the columns; what was judged before cost nothing, since no evaluator asked a model."""
    for column in (
        sa.Column("origin", sa.String(length=16), server_default="gateway", nullable=False),
        sa.Column("other_experiment_id", sa.String(length=64), server_default="", nullable=False),
        sa.Column("options", sa.Text(), server_default="{}", nullable=False),
        sa.Column("stopped_items", sa.Integer(), nullable=True),
    ):
        op.add_column("experiments", column)
    for column in (
        sa.Column("is_cached", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("answer_key", sa.String(length=64), server_default="", nullable=False),
        sa.Column("tool_calls", sa.Text(), server_default="[]", nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True),
        sa.Column("output_tokens", sa.BigInteger(), nullable=True),
        sa.Column("judges_usd", sa.String(length=40), nullable=True),
        sa.Column("errored_scores", sa.Integer(), server_default="0", nullable=False),
    ):
        op.add_column("trials", column)
    op.execute(sa.text("UPDATE trials SET judges_usd = '0'"))
    op.create_index("trials_by_answer_key", "trials", ["project_id", "answer_key"])
