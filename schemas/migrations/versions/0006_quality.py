"""Quality: scores a day, alerts, and quarantine that ages."""

from alembic import op

revision = "0006_quality"
down_revision = "0005_batches"

STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """Widen what is there."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was recorded is not unmade by a migration."""
    raise NotImplementedError
