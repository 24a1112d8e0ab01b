"""Tables of the hub room, and who may do what with them."""

revision = "0002_hub"
down_revision = "0001_library"


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """There is no way back: a library is not unloaded by a migration."""
    raise NotImplementedError
