"""Tables of the vault room, and who may do what with them.

The vault's role owns the rows, the hub reads what pages and verification show, and the signer reads
digests, states and log nodes, never a record or a name. Nobody may change or delete a log entry.
"""

from alembic import op

from schemas.tables import METADATA
from schemas.tables.vault import HOLDING, TABLES

revision = "0003_vault"
down_revision = "0002_hub"

_GRANTS = (
    "GRANT USAGE ON SCHEMA vault TO yizhan_vault, yizhan_hub, yizhan_signer",
    "GRANT USAGE ON SEQUENCE vault.serial TO yizhan_vault",
    "GRANT SELECT, INSERT, UPDATE ON vault.sealing, vault.license, vault.status_list,"
    " vault.status_slot TO yizhan_vault",
    "GRANT SELECT, INSERT ON vault.license_holder, vault.file, vault.log_entry, vault.log_node,"
    " vault.checkpoint, vault.outbox, vault.usage TO yizhan_vault",
    "GRANT SELECT ON vault.holding TO yizhan_vault",
    "GRANT SELECT ON vault.license, vault.license_holder, vault.file, vault.status_list,"
    " vault.status_slot, vault.log_entry, vault.log_node, vault.checkpoint, vault.outbox,"
    " vault.holding TO yizhan_hub",
    "GRANT INSERT ON vault.checkpoint TO yizhan_hub",
    "GRANT SELECT (id, state, license_id, pdf_digest, sd_jwt_digest) ON vault.sealing"
    " TO yizhan_signer",
    "GRANT SELECT ON vault.status_list, vault.status_slot, vault.log_node TO yizhan_signer",
    # Issuing picks from the libraries; their tables are made later, from contracts, by this owner.
    "GRANT USAGE ON SCHEMA library TO yizhan_vault",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA library GRANT SELECT ON TABLES TO yizhan_vault",
)


def upgrade() -> None:
    """Create the tables, the view of holdings and the first status list."""
    op.execute("CREATE SCHEMA IF NOT EXISTS vault")
    op.execute("CREATE SEQUENCE vault.serial")
    METADATA.create_all(op.get_bind(), tables=TABLES, checkfirst=False)
    op.execute(HOLDING)
    op.execute("INSERT INTO vault.status_list (id) VALUES (1)")
    for column in ("pdf_prepared", "record"):
        # Sealed bytes are compressed already: compressing them again only costs time.
        op.execute(f"ALTER TABLE vault.sealing ALTER {column} SET STORAGE EXTERNAL")
    op.execute("ALTER TABLE vault.file ALTER bytes SET STORAGE EXTERNAL")
    for grant in _GRANTS:
        op.execute(grant)


def downgrade() -> None:
    """There is no way back: a library is not unloaded by a migration."""
    raise NotImplementedError
