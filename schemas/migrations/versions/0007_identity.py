"""Identity: aliases with their evidence, and what people decided about them."""

from alembic import op

revision = "0007_identity"
down_revision = "0006_quality"

STATEMENTS: tuple[str, ...] = ()


def upgrade() -> None:
    """Widen what is there."""
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was recorded is not unmade by a migration."""
    raise NotImplementedError
