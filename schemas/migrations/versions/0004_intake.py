"""Tables of intake: the hub adds to them and reads them; nobody changes what was answered."""

from alembic import op

from schemas.tables import METADATA
from schemas.tables.intake import TABLES

revision = "0004_intake"
down_revision = "0003_vault"

GRANTS = """
GRANT SELECT, INSERT ON hub.resolution, hub.resolution_revision, hub.savings_receipt TO yizhan_hub
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute("CREATE SCHEMA IF NOT EXISTS hub")
    METADATA.create_all(op.get_bind(), tables=list(TABLES), checkfirst=False)
    op.execute(GRANTS)


def downgrade() -> None:
    """There is no way back: what applicants were told is not unmade by a migration."""
    raise NotImplementedError
