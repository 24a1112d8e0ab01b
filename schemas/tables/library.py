"""The libraries' bookkeeping: batches, what they consumed, quarantine and aliases.

The dataset tables themselves are not here: they are made from their contracts
(`exchange/libraries/tables.py`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
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
STATES = ("landing", "landed", "held", "published", "rejected")
OPEN_STATES = ("landing", "landed", "held")


def _among(states: tuple[str, ...]) -> str:
    return "state IN ({})".format(", ".join(f"'{state}'" for state in states))


def _moment(name: str, *, default: bool = False) -> Column[object]:
    if default:
        return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())
    return Column(name, DateTime(timezone=True))


BATCH = Table(
    "batch",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("source", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("window_start", Text),
    Column("window_end", Text, nullable=False),
    Column("state", Text, nullable=False),
    # The fencing token: every run that takes the batch adds one, every write names the one it has.
    Column("lease", BigInteger, nullable=False, server_default=text("1")),
    Column("columns", JSONB),
    Column("file", Text),
    Column("digest", Text),
    Column("source_totals", JSONB),
    Column("notices", JSONB, nullable=False, server_default=text("'{}'")),
    Column("counts", JSONB, nullable=False, server_default=text("'{}'")),
    # By which contract and manifest it was judged: only like snapshots are held against each other.
    Column("fingerprint", Text),
    Column("held", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("released_by", Text),
    Column("released_reason", Text),
    _moment("created_at", default=True),
    _moment("landed_at"),
    _moment("published_at"),
    CheckConstraint(_among(STATES), name="batch_state"),
    CheckConstraint("mode IN ('snapshot', 'changes', 'build')", name="batch_mode"),
    schema=SCHEMA,
)
# A rejected window may be read again; any other is read once, and once whole.
Index(
    "batch_window",
    BATCH.c.source,
    BATCH.c.mode,
    BATCH.c.window_end,
    unique=True,
    postgresql_where=text("state <> 'rejected'"),
)
# One open batch a source: windows are loaded in the order in which the source filled them.
Index("batch_open", BATCH.c.source, unique=True, postgresql_where=text(_among(OPEN_STATES)))
Index("batch_dataset", BATCH.c.dataset, BATCH.c.id)

CONSUMED = Table(
    "consumed",
    METADATA,
    Column("consumer", Text, nullable=False),
    Column("batch", BigInteger, ForeignKey(BATCH.c.id), nullable=False),
    Column("by_batch", BigInteger, ForeignKey(BATCH.c.id), nullable=False),
    PrimaryKeyConstraint("consumer", "batch"),
    schema=SCHEMA,
)

QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("batch", BigInteger, ForeignKey(BATCH.c.id), nullable=False),
    Column("row_number", BigInteger, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("sealed_row", LargeBinary, nullable=False),
    _moment("at", default=True),
    PrimaryKeyConstraint("batch", "row_number"),
    schema=SCHEMA,
)

ALIAS = Table(
    "alias",
    METADATA,
    Column("kind", Text, nullable=False),
    Column("alias", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("source", Text, nullable=False),
    _moment("since", default=True),
    PrimaryKeyConstraint("kind", "alias", "subject"),
    schema=SCHEMA,
)
