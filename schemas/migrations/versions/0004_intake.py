"""Tables of the intake room, and who may do what with them."""

revision = "0004_intake"
down_revision = "0003_vault"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """There is no way back: a library is not unloaded by a migration."""
    raise NotImplementedError
