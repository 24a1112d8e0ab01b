"""What is known of the libraries' quality: quarantined rows that age, scores, alerts, references.

`library.quarantine` itself is in `library.py`; its columns here came later. Nobody but the ingest
role reads quarantined rows or broken references; scores and alerts hold figures alone.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    Identity,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from schemas.tables import METADATA

SCHEMA = "library"
ITEM_STATES = ("open", "resubmitted", "repaired", "gone", "waived")


def quarantine_columns() -> tuple[Column[Any], ...]:
    """What a quarantined row came to be known by, and what became of it."""
    return (
        Column("source", Text),
        # MD5 of the row's source columns: by it a row is known again in a later batch.
        Column("digest", LargeBinary),
        # Keyed digest of the natural key, by which a later row of the same key is found.
        Column("key_digest", LargeBinary),
        Column("first_seen", DateTime(timezone=True)),
        Column("last_batch", BigInteger),
        Column("state", Text, nullable=False, server_default=text("'open'")),
        Column("settled_at", DateTime(timezone=True)),
        Column("settled_batch", BigInteger),
        Column("settled_by", Text),
        Column("settled_reason", Text),
        # The repair that an item was resubmitted in: its batch, the row in it, what it says.
        Column("repair", BigInteger),
        Column("repair_row", BigInteger),
        Column("repair_digest", LargeBinary),
        Column("repair_key", LargeBinary),
    )


QUALITY_SCORE = Table(
    "quality_score",
    METADATA,
    Column("dataset", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("score", Float, nullable=False),
    Column("dimensions", JSONB, nullable=False),
    # Of each rule: rows that broke it and rows that were looked at, over the day's batches.
    Column("rules", JSONB, nullable=False),
    Column("batches", ARRAY(BigInteger), nullable=False),
    Column("landed", BigInteger, nullable=False),
    Column("score_before", Float),
    Column("moved_by", Text),
    Column("moved_points", Float),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("dataset", "day"),
    schema=SCHEMA,
)

ALERT = Table(
    "alert",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("batch", BigInteger),
    Column("message", Text, nullable=False),
    Column("opened_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("acknowledged_at", DateTime(timezone=True)),
    Column("acknowledged_by", Text),
    Column("closed_at", DateTime(timezone=True)),
    Column("told_at", DateTime(timezone=True)),
    schema=SCHEMA,
)
# One open alert a kind and source: it is opened once, however often one looks.
Index(
    "alert_open",
    ALERT.c.kind,
    ALERT.c.source,
    unique=True,
    postgresql_where=text("closed_at IS NULL"),
)
Index("alert_opened", ALERT.c.opened_at)

BROKEN_REFERENCE = Table(
    "broken_reference",
    METADATA,
    Column("dataset", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("row_key", ARRAY(Text), nullable=False),
    Column("referenced", Text, nullable=False),
    Column("referenced_column", Text, nullable=False),
    Column("kind", Text),
    Column("value", Text, nullable=False),
    Column("batch", BigInteger),
    Column("since", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("dataset", "field", "row_key"),
    CheckConstraint("cardinality(row_key) > 0", name="broken_reference_key"),
    schema=SCHEMA,
)
Index(
    "broken_reference_value",
    BROKEN_REFERENCE.c.referenced,
    BROKEN_REFERENCE.c.referenced_column,
    BROKEN_REFERENCE.c.value,
)

TABLES = (QUALITY_SCORE, ALERT, BROKEN_REFERENCE)
