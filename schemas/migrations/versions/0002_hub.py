"""Tables of the hub room, and who may do what with them.

The hub may only INSERT evidence; giving it a place in the tree is the ledger role's business, and
changing or removing it is nobody's: a trigger refuses even the owner.
"""

from alembic import op

from schemas.tables.hub import APPEND_ONLY, TABLES

revision = "0002_hub"
down_revision = "0001_library"

REFUSE = """
CREATE FUNCTION hub.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'hub.% is only ever added to', TG_TABLE_NAME USING ERRCODE = '42501';
END $$
"""
GUARD = """
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON hub.{table}
    FOR EACH ROW EXECUTE FUNCTION hub.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON hub.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION hub.refuse_change();
REVOKE UPDATE, DELETE, TRUNCATE ON hub.{table} FROM PUBLIC, yizhan_hub, yizhan_ledger;
"""
NODES = """
CREATE VIEW hub.ledger_node AS
    SELECT 0::smallint AS level, position AS index, hash FROM hub.ledger_leaf
    UNION ALL SELECT level, index, hash FROM hub.ledger_inner
"""
GRANTS = """
GRANT USAGE ON SCHEMA hub TO yizhan_hub, yizhan_ledger, yizhan_signer;
GRANT USAGE ON SCHEMA library TO yizhan_hub;
GRANT SELECT ON hub.client, hub.client_key, hub.resource, hub."grant" TO yizhan_hub;
GRANT SELECT, UPDATE ON hub.grant_spend TO yizhan_hub;
GRANT SELECT, INSERT, DELETE ON hub.seen TO yizhan_hub;
GRANT SELECT, INSERT ON hub.ledger_entry TO yizhan_hub;
GRANT SELECT ON hub.ledger_entry, hub.ledger_head, hub.client TO yizhan_ledger;
GRANT SELECT, INSERT ON hub.ledger_leaf, hub.ledger_inner, hub.checkpoint TO yizhan_ledger;
GRANT SELECT ON hub.ledger_node TO yizhan_ledger;
GRANT UPDATE ON hub.ledger_head TO yizhan_ledger;
GRANT SELECT ON hub.ledger_leaf, hub.ledger_node, hub.ledger_head, hub.checkpoint
    TO yizhan_hub, yizhan_signer;
"""


def upgrade() -> None:
    """Create the tables."""
    op.execute("CREATE SCHEMA IF NOT EXISTS library; CREATE SCHEMA IF NOT EXISTS hub")
    for table in TABLES:
        table.create(op.get_bind())
    op.execute(REFUSE)
    for name in APPEND_ONLY:
        op.execute(GUARD.format(table=name))
    op.execute("INSERT INTO hub.ledger_head DEFAULT VALUES")
    op.execute(NODES)
    op.execute(GRANTS)


def downgrade() -> None:
    """There is no way back: evidence is not unmade by a migration."""
    raise NotImplementedError
