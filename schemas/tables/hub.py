"""Tables of the hub room: who may ask, what was spent, which proofs were seen, and the ledger.

`ledger_entry` is what was committed before each answer left; `ledger_leaf` gives an entry its place
in the tree, `ledger_inner` holds the complete nodes above (RFC 6962 section 2.1), and the view
`ledger_node` shows both. The four ledger tables are only ever inserted into; triggers refuse
anything else.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TIMESTAMP, UUID
from sqlalchemy.types import UserDefinedType

from schemas.tables import METADATA

MOMENT = TIMESTAMP(timezone=True)


class Xid8(UserDefinedType[int]):
    """PostgreSQL's 64-bit transaction identifier, which never wraps."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """The name PostgreSQL knows it by."""
        return "xid8"


CLIENT = Table(
    "client",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="active"),
    Column("registered_at", MOMENT, nullable=False, server_default=func.now()),
    CheckConstraint("status IN ('active', 'suspended')", name="client_status"),
    schema="hub",
)

CLIENT_KEY = Table(
    "client_key",
    METADATA,
    Column("kid", Text, primary_key=True, comment="RFC 7638 thumbprint of the key"),
    Column("client", Text, ForeignKey("hub.client.id"), nullable=False),
    Column("jwk", JSONB, nullable=False),
    Column("registered_at", MOMENT, nullable=False, server_default=func.now()),
    Column("revoked_at", MOMENT),
    schema="hub",
)

RESOURCE = Table(
    "resource",
    METADATA,
    Column("code", Text, primary_key=True, comment="the dataset's contract id"),
    Column("offered", Boolean, nullable=False, server_default=text("true")),
    Column("since", MOMENT, nullable=False, server_default=func.now()),
    schema="hub",
)

GRANT = Table(
    "grant",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("client", Text, ForeignKey("hub.client.id"), nullable=False),
    Column("resource", Text, ForeignKey("hub.resource.code"), nullable=False),
    Column("purposes", ARRAY(Text), nullable=False),
    Column("bases", ARRAY(Text), nullable=False),
    Column("items", ARRAY(Text), nullable=False),
    Column("modes", ARRAY(Text), nullable=False),
    Column("fields", JSONB, nullable=False, comment="field → plain | masked | compare"),
    Column("row_filter", JSONB, nullable=False, server_default="{}"),
    Column("per_minute", Integer, nullable=False),
    Column("per_day", Integer, nullable=False),
    Column("max_uses", BigInteger),
    Column("valid_from", MOMENT, nullable=False),
    Column("valid_to", MOMENT, nullable=False),
    Column("file_number", Text, nullable=False),
    Column("given_at", MOMENT, nullable=False, server_default=func.now()),
    Column("revoked_at", MOMENT),
    Column("revoked_because", Text),
    CheckConstraint("valid_from < valid_to", name="grant_period"),
    CheckConstraint("per_minute >= 0 AND per_day >= 0 AND max_uses >= 0", name="grant_quota"),
    Index("grant_of_client", "client", "resource"),
    schema="hub",
)

GRANT_SPEND = Table(
    "grant_spend",
    METADATA,
    Column("grant_id", Text, ForeignKey("hub.grant.id"), primary_key=True),
    Column("minute", MOMENT, nullable=False, server_default=text("'epoch'")),
    Column("minute_calls", Integer, nullable=False, server_default="0"),
    Column("day", Date, nullable=False, server_default=text("'epoch'")),
    Column("day_calls", Integer, nullable=False, server_default="0"),
    Column("uses", BigInteger, nullable=False, server_default="0"),
    schema="hub",
    # One row is updated by every call of a grant: room on the page keeps the updates in place.
    postgresql_with={"fillfactor": 20},
)

SEEN = Table(
    "seen",
    METADATA,
    Column("key", LargeBinary, primary_key=True, comment="SHA-256 of kind, issuer and jti"),
    Column("expires_at", MOMENT, nullable=False, index=True),
    schema="hub",
)

LEDGER_ENTRY = Table(
    "ledger_entry",
    METADATA,
    Column("receipt", UUID(as_uuid=True), primary_key=True),
    Column("at", MOMENT, nullable=False),
    Column("subject", LargeBinary, comment="HMAC-SHA256 under a key outside the database"),
    Column("body", LargeBinary, nullable=False, comment="canonical JSON (RFC 8785): the truth"),
    Column("xid", Xid8, nullable=False, server_default=text("pg_current_xact_id()")),
    Column("seq", BigInteger, Identity(always=True), nullable=False),
    Index("ledger_entry_subject", "subject", "at", postgresql_where=text("subject IS NOT NULL")),
    Index("ledger_entry_order", "xid", "seq"),
    schema="hub",
)

LEDGER_LEAF = Table(
    "ledger_leaf",
    METADATA,
    Column("position", BigInteger, primary_key=True),
    Column("receipt", UUID(as_uuid=True), nullable=False),
    Column("hash", LargeBinary, nullable=False),
    UniqueConstraint("receipt", name="ledger_leaf_receipt"),
    schema="hub",
)

LEDGER_INNER = Table(
    "ledger_inner",
    METADATA,
    Column("level", SmallInteger, primary_key=True),
    Column("index", BigInteger, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    schema="hub",
)

LEDGER_HEAD = Table(
    "ledger_head",
    METADATA,
    Column("only", Boolean, primary_key=True, server_default=text("true")),
    Column("size", BigInteger, nullable=False, server_default="0"),
    Column("placed_before", Xid8, nullable=False, server_default=text("'0'")),
    CheckConstraint('"only"', name="ledger_head_only_one"),
    schema="hub",
)

CHECKPOINT = Table(
    "checkpoint",
    METADATA,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("root", LargeBinary, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed_at", MOMENT, nullable=False, server_default=func.now()),
    schema="hub",
)

TABLES = (
    CLIENT,
    CLIENT_KEY,
    RESOURCE,
    GRANT,
    GRANT_SPEND,
    SEEN,
    LEDGER_ENTRY,
    LEDGER_LEAF,
    LEDGER_INNER,
    LEDGER_HEAD,
    CHECKPOINT,
)
APPEND_ONLY = ("ledger_entry", "ledger_leaf", "ledger_inner", "checkpoint")
