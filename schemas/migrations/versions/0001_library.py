"""The libraries' bookkeeping, and who may do what with it."""

from alembic import op

from schemas.tables.library import ALIAS, BATCH, CONSUMED, QUARANTINE

revision = "0001_library"
down_revision = None

GRANTS = (
    "GRANT USAGE ON SCHEMA library TO yizhan_ingest, yizhan_hub, yizhan_vault",
    # Staging tables are made and dropped by the run that fills them.
    "GRANT CREATE ON SCHEMA library TO yizhan_ingest",
    "GRANT SELECT, INSERT, UPDATE ON library.batch, library.alias TO yizhan_ingest",
    "GRANT SELECT, INSERT, DELETE ON library.consumed TO yizhan_ingest",
    "GRANT SELECT, INSERT, DELETE ON library.quarantine TO yizhan_ingest",
    "GRANT SELECT ON library.batch, library.alias TO yizhan_hub, yizhan_vault",
)


def upgrade() -> None:
    """Create the tables and grant them; quarantined rows are for the ingest role alone."""
    op.execute("CREATE SCHEMA IF NOT EXISTS library")
    for table in (BATCH, CONSUMED, QUARANTINE, ALIAS):
        table.create(op.get_bind())
    for grant in GRANTS:
        op.execute(grant)


def downgrade() -> None:
    """There is no way back: a library is not unloaded by a migration."""
    raise NotImplementedError
