"""Tables of intake: resolutions, their revisions, and the savings receipts.

A resolution is one case of one client; each new answer is a revision, never an edit. A revision's
body holds personal data and is sealed (AES-256-GCM) under a key outside the database; the subject
and the request are keyed hashes; a receipt holds numbers only.
"""

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from schemas.tables import METADATA

MOMENT = TIMESTAMP(timezone=True)

RESOLUTION = Table(
    "resolution",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("client", Text, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("case_number", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False, comment="keyed hash of who applies"),
    Column("since", MOMENT, nullable=False, server_default=func.now()),
    UniqueConstraint("client", "bundle", "case_number", "subject", name="resolution_case"),
    schema="hub",
)

RESOLUTION_REVISION = Table(
    "resolution_revision",
    METADATA,
    Column("resolution", Text, ForeignKey("hub.resolution.id"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("client", Text, nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("request", LargeBinary, nullable=False, comment="keyed hash of the request"),
    Column("state", Text, nullable=False),
    Column("decision_allowed", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="sealed JSON of the answer"),
    Column("at", MOMENT, nullable=False),
    UniqueConstraint("client", "idempotency_key", name="resolution_revision_key"),
    schema="hub",
)

SAVINGS_RECEIPT = Table(
    "savings_receipt",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("resolution", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("bundle", Text, nullable=False),
    Column("savings", JSONB, nullable=False),
    Column("at", MOMENT, nullable=False),
    UniqueConstraint("resolution", "revision", name="savings_receipt_revision"),
    ForeignKeyConstraint(
        ["resolution", "revision"],
        ["hub.resolution_revision.resolution", "hub.resolution_revision.revision"],
    ),
    schema="hub",
)

TABLES = (RESOLUTION, RESOLUTION_REVISION, SAVINGS_RECEIPT)
