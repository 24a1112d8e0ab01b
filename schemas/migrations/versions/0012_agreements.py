"""Agreements: systems, channels, published resources, applications, consents, imported catalogues.

The clerk's role does what the exchange's own deeds need, and reads no library. What is published
or happened is only ever added to, by whomever: the trigger of the ledger's tables refuses the rest.
"""

from alembic import op

from schemas.tables import METADATA
from schemas.tables.agreements import NEEDS, ONLY_ADDED_TO, TABLES, grant_columns
from schemas.tables.identity import among

revision = "0012_agreements"
down_revision = "0011_callers"

GUARD = """
CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE ON hub.{table}
    FOR EACH ROW EXECUTE FUNCTION hub.refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON hub.{table}
    FOR EACH STATEMENT EXECUTE FUNCTION hub.refuse_change();
"""
CLERK = """
GRANT USAGE ON SCHEMA hub TO yizhan_clerk;
GRANT SELECT ON hub.client, hub.client_key, hub.resource, hub."grant", hub.grant_spend
    TO yizhan_clerk;
GRANT INSERT, UPDATE ON hub.resource TO yizhan_clerk;
GRANT INSERT ON hub."grant", hub.grant_spend, hub.ledger_entry TO yizhan_clerk;
GRANT UPDATE (purposes, bases, items, modes, fields, row_filter, per_minute, per_day, max_uses,
              valid_to, file_number, version, revision, needs, suspended_at, suspended_because,
              sunset_at, revoked_at, revoked_because) ON hub."grant" TO yizhan_clerk;
GRANT SELECT, INSERT, UPDATE ON hub.system, hub.channel, hub.channel_day, hub.application,
    hub.mandate, hub.consent, hub.listed, hub.crosswalk TO yizhan_clerk;
GRANT SELECT, INSERT ON hub.resource_version, hub.resource_ending, hub.clock_warning,
    hub.agreement_event, hub.consent_spend, hub.catalogue_import TO yizhan_clerk;
GRANT SELECT, INSERT, UPDATE, DELETE ON hub.resource_draft TO yizhan_clerk;
"""
HUB = """
GRANT SELECT ON hub.system, hub.resource_version, hub.resource_ending, hub.mandate, hub.consent,
    hub.listed, hub.crosswalk TO yizhan_hub;
GRANT SELECT, UPDATE ON hub.consent_spend TO yizhan_hub;
"""


def upgrade() -> None:
    """Create the tables, widen the grant, and say who may do what."""
    for column in grant_columns():
        op.add_column("grant", column, schema="hub")
    op.execute(
        f'ALTER TABLE hub."grant" ADD CONSTRAINT grant_needs CHECK ({among("needs", NEEDS)})'
    )
    METADATA.create_all(op.get_bind(), tables=list(TABLES), checkfirst=False)
    for table in ONLY_ADDED_TO:
        op.execute(GUARD.format(table=table))
    op.execute(CLERK)
    op.execute(HUB)


def downgrade() -> None:
    """There is no way back: what was agreed is not unmade by a migration."""
    raise NotImplementedError
