"""Tables of the license vault: reservations, licenses, their files, status slots, the public log.

`sealing` is where a license begins: its number, its idempotency key and the exact bytes to be
signed are rows there, the first two unique, before any key is used. Column grants in the migration
keep what is personal out of the signer's sight.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables import METADATA

_AT = DateTime(timezone=True)
_NOW = text("now()")

STATUS_LIST = Table(
    "status_list",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("version", BigInteger, nullable=False, server_default="0"),
    Column("changed_at", _AT, nullable=False, server_default=_NOW),
    schema="vault",
    comment="One row a list; version rises with every change and keys caches of the token.",
)

STATUS_SLOT = Table(
    "status_slot",
    METADATA,
    Column("list", Integer, ForeignKey("vault.status_list.id"), nullable=False),
    Column("index", Integer, nullable=False),
    Column("value", SmallInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("list", "index"),
    CheckConstraint('"index" >= 0 AND "index" < 1048576', name="status_slot_index"),
    CheckConstraint("value BETWEEN 0 AND 3", name="status_slot_value"),
    Index("status_slot_set", "list", "index", postgresql_where=text("value <> 0")),
    schema="vault",
    comment="A slot taken, at random, once. Slots that are not taken read as 0, as do valid ones.",
)

SEALING = Table(
    "sealing",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("idempotency_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("license_id", Text, nullable=False, unique=True),
    Column("type_code", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("supersedes", Text),
    Column("status_list", Integer, nullable=False),
    Column("status_index", Integer, nullable=False),
    Column("record", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("digest_sm3", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("pdf_prepared", LargeBinary),
    Column("pdf_gap", BigInteger, nullable=False),
    Column("pdf_digest", LargeBinary, nullable=False),
    Column("pdf_tbs", LargeBinary, nullable=False),
    Column("pdf_signature", LargeBinary),
    Column("sd_jwt_tbs", LargeBinary, nullable=False),
    Column("sd_jwt_digest", LargeBinary, nullable=False),
    Column("sd_jwt_disclosures", JSONB, nullable=False),
    Column("sd_jwt_signature", LargeBinary),
    Column("reserved_at", _AT, nullable=False),
    Column("settled_at", _AT),
    Column("reason", Text),
    UniqueConstraint("type_code", "issuer", "serial", "version", name="sealing_number"),
    UniqueConstraint("status_list", "status_index", name="sealing_slot"),
    Index(
        "sealing_once", "idempotency_key", unique=True, postgresql_where=text("state <> 'voided'")
    ),
    Index("sealing_open", "reserved_at", postgresql_where=text("state IN ('reserved', 'sealed')")),
    CheckConstraint("state IN ('reserved', 'sealed', 'finished', 'voided')", name="sealing_state"),
    schema="vault",
    comment="A reservation and the exact bytes to be sealed. Open ones are resumed or voided.",
)

LICENSE = Table(
    "license",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("type_code", Text, nullable=False),
    Column("type_name", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("issuer", Text, nullable=False),
    Column("issuer_name", Text, nullable=False),
    Column("serial", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("subject_type", Text, nullable=False),
    Column("subject_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("issued_at", _AT, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    Column("face", JSONB, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("digest_sm3", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("status_list", Integer, nullable=False),
    Column("status_index", Integer, nullable=False),
    Column("log_index", BigInteger, nullable=False),
    Column("changed_at", _AT, nullable=False),
    Column("reason", Text),
    Column("supersedes", Text),
    Column("superseded_by", Text),
    UniqueConstraint("type_code", "issuer", "serial", "version", name="license_number"),
    UniqueConstraint("status_list", "status_index", name="license_slot"),
    Index("license_subject", "subject_id", "type_code"),
    Index("license_digest", "digest", unique=True),
    CheckConstraint(
        "status IN ('valid', 'suspended', 'revoked', 'annulled', 'superseded')",
        name="license_status",
    ),
    schema="vault",
)

LICENSE_HOLDER = Table(
    "license_holder",
    METADATA,
    Column("license_id", Text, ForeignKey("vault.license.id"), nullable=False),
    Column("ordinal", SmallInteger, nullable=False),
    Column("id_type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    PrimaryKeyConstraint("license_id", "ordinal"),
    Index("license_holder_id", "id"),
    schema="vault",
)

FILE = Table(
    "file",
    METADATA,
    Column("license_id", Text, ForeignKey("vault.license.id"), nullable=False),
    Column("version", Text, nullable=False),
    Column("form", Text, nullable=False),
    Column("bytes", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("made_at", _AT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("license_id", "form"),
    Index("file_digest", "digest"),
    CheckConstraint("form IN ('pdf', 'sd-jwt', 'record', 'proof')", name="file_form"),
    schema="vault",
    comment="What a license is handed out as. digest: SHA-256 of bytes.",
)

LOG_ENTRY = Table(
    "log_entry",
    METADATA,
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("license_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("at", _AT, nullable=False),
    Index("log_entry_license", "license_id", "index"),
    schema="vault",
    comment="The public log: entry holds no personal data; leaf is its RFC 6962 leaf hash.",
)

LOG_NODE = Table(
    "log_node",
    METADATA,
    Column("level", SmallInteger, nullable=False),
    Column("index", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    PrimaryKeyConstraint("level", "index"),
    schema="vault",
    comment="Complete nodes of the log's Merkle tree; level 0 are the leaves.",
)

CHECKPOINT = Table(
    "checkpoint",
    METADATA,
    Column("origin", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("signed_at", _AT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("origin", "size"),
    schema="vault",
    comment="Signed heads of the license log (C2SP signed notes).",
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("event", Text, nullable=False),
    Column("license_id", Text, nullable=False),
    Column("log_index", BigInteger, nullable=False, unique=True),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", _AT, nullable=False),
    schema="vault",
    comment="What others are to be told, in the order it was committed to the log.",
)

USAGE = Table(
    "usage",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("sealing_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("at", _AT, nullable=False),
    UniqueConstraint("sealing_id", "kind", name="usage_once"),
    schema="vault",
    comment="Every use of a sealing key, bound to the digest of what it sealed.",
)

TABLES = (
    STATUS_LIST,
    STATUS_SLOT,
    SEALING,
    LICENSE,
    LICENSE_HOLDER,
    FILE,
    LOG_ENTRY,
    LOG_NODE,
    CHECKPOINT,
    OUTBOX,
    USAGE,
)

HOLDING = """
CREATE VIEW vault.holding AS
SELECT l.id AS license_id, l.type_code, l.type_name, l.number,
       h.id_type AS holder_id_type, h.id AS holder_id, h.name AS holder_name,
       CASE WHEN l.status = 'valid' AND l.valid_to < (now() AT TIME ZONE 'Asia/Shanghai')::date
            THEN 'expired' ELSE l.status END AS status,
       l.issued_at, l.valid_from, l.valid_to, l.issuer, l.issuer_name, l.face, l.changed_at
FROM vault.license l JOIN vault.license_holder h ON h.license_id = l.id
"""
