"""Tables of the library room, and who may do what with them."""

revision = "0001_library"
down_revision = None


def upgrade() -> None:
    """Create the tables."""


def downgrade() -> None:
    """There is no way back: a library is not unloaded by a migration."""
    raise NotImplementedError
