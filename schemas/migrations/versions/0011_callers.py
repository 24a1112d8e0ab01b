"""Callers: kept signatures, keys that follow each other, and the budget of misses.

The hub's own role may give a client its next key only through `hub.add_key`, which asks for a key
of the same client that is in force: registering a client stays an administrator's deed.
"""

from alembic import op

from schemas.tables.callers import TABLES

revision = "0011_callers"
down_revision = "0007_identity"

COLUMNS = (
    "ALTER TABLE hub.ledger_entry ADD COLUMN signature bytea",
    """
    ALTER TABLE hub.client
        ADD COLUMN unsigned_until timestamptz,
        ADD COLUMN misses_per_day integer NOT NULL DEFAULT 1000 CHECK (misses_per_day > 0)
    """,
    """
    ALTER TABLE hub.client_key
        ADD COLUMN follows text REFERENCES hub.client_key (kid),
        ADD COLUMN retires_at timestamptz
    """,
    "CREATE INDEX client_key_follows ON hub.client_key (follows)",
)
ADD_KEY = """
CREATE FUNCTION hub.add_key(present text, next text, next_jwk jsonb, overlap interval)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    owner text;
BEGIN
    SELECT k.client INTO owner FROM hub.client_key k JOIN hub.client c ON c.id = k.client
    WHERE k.kid = present AND k.revoked_at IS NULL AND c.status = 'active'
      AND (k.retires_at IS NULL OR k.retires_at > now())
    FOR UPDATE OF k;
    IF owner IS NULL OR EXISTS (SELECT FROM hub.client_key k WHERE k.kid = next) THEN
        RETURN false;
    END IF;
    INSERT INTO hub.client_key (kid, client, jwk, follows) VALUES (next, owner, next_jwk, present);
    UPDATE hub.client_key SET retires_at = least(retires_at, now() + overlap) WHERE kid = present;
    RETURN true;
END $$
"""
GRANTS = (
    "REVOKE EXECUTE ON FUNCTION hub.add_key FROM PUBLIC",
    "GRANT EXECUTE ON FUNCTION hub.add_key TO yizhan_hub",
    "GRANT SELECT, INSERT, DELETE ON hub.miss TO yizhan_hub",
)


def upgrade() -> None:
    """Add the columns, the table and the function."""
    for table in TABLES:
        table.create(op.get_bind())
    for statement in (*COLUMNS, ADD_KEY, *GRANTS):
        op.execute(statement)


def downgrade() -> None:
    """There is no way back: evidence is not unmade by a migration."""
    raise NotImplementedError
