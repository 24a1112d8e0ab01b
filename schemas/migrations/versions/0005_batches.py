"""Batches remember by which contract and manifest they were judged."""

from alembic import op

revision = "0005_batches"
down_revision = "0004_intake"

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE library.batch ADD COLUMN IF NOT EXISTS fingerprint text",
    "DROP INDEX library.batch_window",
    "CREATE UNIQUE INDEX batch_window ON library.batch (source, mode, window_end)"
    " WHERE state <> 'rejected'",
)


def upgrade() -> None:
    """Widen what is there."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was recorded is not unmade by a migration."""
    raise NotImplementedError
