"""Tables of the vault room, and who may do what with them."""

revision = "0003_vault"
down_revision = "0002_hub"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """There is no way back: a library is not unloaded by a migration."""
    raise NotImplementedError
