"""Quality: scores a day, alerts, broken references, and quarantine that ages and is repaired."""

from alembic import op

from schemas.tables import METADATA
from schemas.tables.quality import ITEM_STATES, TABLES, quarantine_columns

revision = "0006_quality"
down_revision = "0005_batches"

STATEMENTS = (
    # Items of before are open since their batch was landed; their digest is not known any more.
    "UPDATE library.quarantine q SET source = b.source, last_batch = b.id,"
    " first_seen = coalesce(b.landed_at, q.at) FROM library.batch b WHERE b.id = q.batch",
    "ALTER TABLE library.quarantine ALTER COLUMN source SET NOT NULL,"
    " ALTER COLUMN first_seen SET NOT NULL, ALTER COLUMN last_batch SET NOT NULL,"
    f" ADD CONSTRAINT quarantine_state CHECK (state IN {ITEM_STATES})",
    "CREATE INDEX quarantine_open ON library.quarantine (source) WHERE state = 'open'",
    "CREATE INDEX quarantine_digest ON library.quarantine (source, digest)",
    "CREATE INDEX quarantine_key ON library.quarantine (source, key_digest)",
    "CREATE INDEX quarantine_last_batch ON library.quarantine (last_batch)",
    "CREATE INDEX quarantine_repair ON library.quarantine (repair) WHERE repair IS NOT NULL",
    "GRANT UPDATE ON library.quarantine TO yizhan_ingest",
    # The vault reads the libraries by default; of quality it needs nothing.
    "REVOKE ALL ON library.quality_score, library.alert, library.broken_reference"
    " FROM yizhan_vault",
    "GRANT SELECT, INSERT, UPDATE ON library.quality_score, library.alert TO yizhan_ingest",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON library.broken_reference TO yizhan_ingest",
    "GRANT SELECT ON library.quality_score, library.alert TO yizhan_hub",
)


def upgrade() -> None:
    """Widen the quarantine, create the tables and grant them."""
    for column in quarantine_columns():
        op.add_column("quarantine", column, schema="library")
    METADATA.create_all(op.get_bind(), tables=list(TABLES), checkfirst=False)
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: what was recorded is not unmade by a migration."""
    raise NotImplementedError
