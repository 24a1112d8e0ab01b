"""Tables of the agreements: what was published, applied for, granted, consented to, withdrawn.

What was published, what happened and what was warned of is only ever added to; triggers refuse
anything else. Persons stand here as keyed hashes, as in the ledger.
"""

from __future__ import annotations

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
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from schemas.tables import METADATA
from schemas.tables.hub import MOMENT
from schemas.tables.identity import among

SYSTEM_KINDS = ("government", "utility", "finance", "window")
DUTIES = ("answer", "consent")
DIRECTIONS = ("gather", "share")
HEALTH = ("unknown", "ok", "failing")
APPLICATION_STATES = (
    "submitted",
    "returned",
    "escalated",
    "granted",
    "refused",
    "withdrawn",
)
NEEDS = ("nothing", "consent")
GIVERS = ("holder", "guardian", "agent")
PERIODS = ("day", "week", "month")
LISTED_KINDS = ("item", "material", "license")
LISTED_STATES = ("imported", "adopted", "not-adopted", "retired")

SYSTEM = Table(
    "system",
    METADATA,
    Column("code", Text, primary_key=True),
    Column("department", Text, nullable=False, comment="unified social credit code"),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="government"),
    Column("client", Text, ForeignKey("hub.client.id"), unique=True),
    Column("duties", ARRAY(Text), nullable=False, server_default="{}"),
    Column("protection_level", SmallInteger, comment="GB/T 22239 grade, 1 to 5"),
    Column("registered_by", Text, nullable=False),
    Column("registered_at", MOMENT, nullable=False, server_default=func.now()),
    Column("retired_at", MOMENT),
    CheckConstraint(among("kind", SYSTEM_KINDS), name="system_kind"),
    CheckConstraint("duties <@ ARRAY['answer', 'consent']", name="system_duties"),
    CheckConstraint("protection_level BETWEEN 1 AND 5", name="system_protection"),
    schema="hub",
)

CHANNEL = Table(
    "channel",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("system", Text, ForeignKey("hub.system.code"), nullable=False),
    Column("direction", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("source", Text, comment="gather: the source's manifest"),
    Column("credential_owner", Text, nullable=False, comment="an officer's code, never a name"),
    Column("credential_expires", Date, nullable=False),
    Column("per_minute", Integer),
    Column("per_day", Integer),
    Column("health", Text, nullable=False, server_default="unknown"),
    Column("health_said", Text),
    Column("health_at", MOMENT),
    Column("opened_at", MOMENT, nullable=False, server_default=func.now()),
    Column("closed_at", MOMENT),
    CheckConstraint(among("direction", DIRECTIONS), name="channel_direction"),
    CheckConstraint(among("health", HEALTH), name="channel_health"),
    CheckConstraint("direction = 'share' OR source IS NOT NULL", name="channel_source"),
    schema="hub",
)

CHANNEL_DAY = Table(
    "channel_day",
    METADATA,
    Column("channel", Text, ForeignKey("hub.channel.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("gathered", BigInteger, nullable=False, server_default="0", comment="rows landed"),
    Column("shared", BigInteger, nullable=False, server_default="0", comment="calls answered"),
    Column("refused", BigInteger, nullable=False, server_default="0", comment="calls not answered"),
    schema="hub",
)

RESOURCE_DRAFT = Table(
    "resource_draft",
    METADATA,
    Column("resource", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("metadata", JSONB, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", MOMENT, nullable=False, server_default=func.now()),
    schema="hub",
)

RESOURCE_VERSION = Table(
    "resource_version",
    METADATA,
    Column("resource", Text, ForeignKey("hub.resource.code"), primary_key=True),
    Column("version", Text, primary_key=True),
    Column("ordinal", Integer, nullable=False),
    Column("metadata", Text, nullable=False, comment="canonical JSON (RFC 8785): the truth"),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of it; in the ledger as well"),
    Column("proposed_by", Text, nullable=False),
    Column("approved_by", Text, nullable=False),
    Column("file_number", Text, nullable=False),
    Column("published_at", MOMENT, nullable=False, server_default=func.now()),
    CheckConstraint("proposed_by <> approved_by", name="resource_version_two"),
    CheckConstraint("file_number <> ''", name="resource_version_approved"),
    CheckConstraint(
        "digest = sha256(convert_to(metadata, 'UTF8'))", name="resource_version_digest"
    ),
    Index("resource_version_order", "resource", "ordinal", unique=True),
    schema="hub",
)

RESOURCE_ENDING = Table(
    "resource_ending",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("resource", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("deprecated_at", MOMENT, nullable=False),
    Column("sunset_at", MOMENT, nullable=False),
    Column("successor", Text),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", MOMENT, nullable=False, server_default=func.now()),
    CheckConstraint("deprecated_at < sunset_at", name="resource_ending_order"),
    Index("resource_ending_of", "resource", "version", "id"),
    schema="hub",
)

APPLICATION = Table(
    "application",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("client", Text, ForeignKey("hub.client.id"), nullable=False),
    Column("department", Text, nullable=False, comment="who applies"),
    Column("resource", Text, ForeignKey("hub.resource.code"), nullable=False),
    Column("version", Text, nullable=False),
    Column("source_department", Text, nullable=False, comment="who answers, or its successor"),
    Column("jurisdiction", Text, nullable=False),
    Column("share_class", Text, nullable=False),
    Column("terms", JSONB, nullable=False, comment="what is asked for, as a grant would say it"),
    Column("scenario", Text, nullable=False),
    Column("promise", Text, nullable=False, comment="how it will be kept safe"),
    Column("file_number", Text, nullable=False),
    Column("submitted_by", Text, nullable=False),
    Column("submitted_at", MOMENT, nullable=False, server_default=func.now()),
    Column("clock_started_at", MOMENT, nullable=False, server_default=func.now()),
    Column("clock_days", Integer, nullable=False),
    Column("clock_law", Text, nullable=False),
    Column("escalated_to", Text),
    Column("answered_at", MOMENT),
    Column("grant_id", Text, ForeignKey("hub.grant.id")),
    CheckConstraint(among("state", APPLICATION_STATES), name="application_state"),
    CheckConstraint("state <> 'granted' OR grant_id IS NOT NULL", name="application_granted"),
    CheckConstraint("state <> 'escalated' OR escalated_to IS NOT NULL", name="application_passed"),
    schema="hub",
)
Index(
    "application_once",
    APPLICATION.c.client,
    APPLICATION.c.resource,
    APPLICATION.c.file_number,
    unique=True,
    postgresql_where=text("state <> 'withdrawn'"),
)
Index(
    "application_open",
    APPLICATION.c.submitted_at,
    postgresql_where=text("state IN ('submitted', 'returned', 'escalated')"),
)

CLOCK_WARNING = Table(
    "clock_warning",
    METADATA,
    Column("application", Text, primary_key=True),
    Column("clock_started_at", MOMENT, primary_key=True),
    Column("percent", SmallInteger, primary_key=True),
    Column("deadline", Date, nullable=False),
    Column("provisional", Boolean, nullable=False),
    Column("told", Text, nullable=False, comment="the department that is warned"),
    Column("at", MOMENT, nullable=False, server_default=func.now()),
    schema="hub",
)

AGREEMENT_EVENT = Table(
    "agreement_event",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("thing", Text, nullable=False, comment="application, grant, resource, consent, …"),
    Column("thing_id", Text, nullable=False),
    Column("deed", Text, nullable=False),
    Column("by", Text, nullable=False, comment="an officer's code or a system's"),
    Column("department", Text),
    Column("reason", Text, nullable=False, server_default=""),
    Column("law", Text, nullable=False, server_default=""),
    Column("detail", JSONB, nullable=False, server_default="{}"),
    Column("receipt", UUID(as_uuid=True), nullable=False, comment="its entry in the ledger"),
    Column("at", MOMENT, nullable=False, server_default=func.now()),
    Index("agreement_event_thing", "thing", "thing_id", "id"),
    schema="hub",
)

MANDATE = Table(
    "mandate",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("principal_type", Text, nullable=False),
    Column("principal", LargeBinary, nullable=False, comment="HMAC, as in the ledger"),
    Column("agent", LargeBinary, nullable=False, comment="HMAC, as in the ledger"),
    Column("items", ARRAY(Text), nullable=False, comment="the scope; none means none"),
    Column("resources", ARRAY(Text), nullable=False, comment="the scope; none means none"),
    Column("valid_from", MOMENT, nullable=False),
    Column("valid_to", MOMENT, nullable=False),
    Column("evidence", Text, nullable=False, comment="which document proves it; no person"),
    Column("registered_by", Text, ForeignKey("hub.client.id"), nullable=False),
    Column("registered_at", MOMENT, nullable=False, server_default=func.now()),
    Column("ended_at", MOMENT),
    Column("ended_because", Text),
    CheckConstraint("kind IN ('guardian', 'agent')", name="mandate_kind"),
    CheckConstraint("valid_from < valid_to", name="mandate_period"),
    CheckConstraint("principal <> agent", name="mandate_two"),
    schema="hub",
)

CONSENT = Table(
    "consent",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("subject_type", Text, nullable=False),
    Column("subject", LargeBinary, nullable=False, comment="HMAC, as in the ledger"),
    Column("given_as", Text, nullable=False),
    Column("mandate", Text, ForeignKey("hub.mandate.id")),
    Column("client", Text, ForeignKey("hub.client.id"), nullable=False),
    Column("resource", Text, ForeignKey("hub.resource.code"), nullable=False),
    Column("fields", ARRAY(Text), nullable=False),
    Column("purposes", ARRAY(Text), nullable=False),
    Column("items", ARRAY(Text), nullable=False),
    Column("valid_from", MOMENT, nullable=False),
    Column("valid_to", MOMENT, nullable=False),
    Column("max_uses", BigInteger),
    Column("every", Text, comment="how often: so many uses a period"),
    Column("per_every", Integer),
    Column("verification", JSONB, nullable=False, comment="who verified the person, and when"),
    Column("statement", Text, nullable=False, comment="canonical JSON: what was signed"),
    Column("signature", Text, nullable=False),
    Column("kid", Text, ForeignKey("hub.client_key.kid"), nullable=False),
    Column("registered_by", Text, ForeignKey("hub.client.id"), nullable=False),
    Column("registered_at", MOMENT, nullable=False, server_default=func.now()),
    Column("withdrawn_at", MOMENT),
    CheckConstraint(among("given_as", GIVERS), name="consent_given_as"),
    CheckConstraint("(given_as = 'holder') = (mandate IS NULL)", name="consent_mandate"),
    CheckConstraint("valid_from < valid_to", name="consent_period"),
    CheckConstraint(among("every", PERIODS), name="consent_every"),
    CheckConstraint("(every IS NULL) = (per_every IS NULL)", name="consent_often"),
    Index("consent_of_subject", "subject"),
    schema="hub",
)

CONSENT_SPEND = Table(
    "consent_spend",
    METADATA,
    Column("consent", Text, ForeignKey("hub.consent.id"), primary_key=True),
    Column("uses", BigInteger, nullable=False, server_default="0"),
    Column("period", Date, nullable=False, server_default=text("'epoch'")),
    Column("period_uses", Integer, nullable=False, server_default="0"),
    schema="hub",
    postgresql_with={"fillfactor": 20},
)

CATALOGUE_IMPORT = Table(
    "catalogue_import",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("source_version", Text, nullable=False),
    Column("as_of", Date, nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the file"),
    Column("by", Text, nullable=False),
    Column("at", MOMENT, nullable=False, server_default=func.now()),
    schema="hub",
)

LISTED = Table(
    "listed",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("code", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("authority", Text, nullable=False, server_default=""),
    Column("body", JSONB, nullable=False),
    Column("state", Text, nullable=False, server_default="imported"),
    Column("state_because", Text, nullable=False, server_default=""),
    Column("source", Text, nullable=False),
    Column("source_version", Text, nullable=False),
    Column("last_import", BigInteger, ForeignKey("hub.catalogue_import.id"), nullable=False),
    CheckConstraint(among("kind", LISTED_KINDS), name="listed_kind"),
    CheckConstraint(among("state", LISTED_STATES), name="listed_state"),
    schema="hub",
)

CROSSWALK = Table(
    "crosswalk",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("jurisdiction", Text, primary_key=True),
    Column("local_code", Text, primary_key=True),
    Column("code", Text, nullable=False),
    Column("last_import", BigInteger, ForeignKey("hub.catalogue_import.id"), nullable=False),
    CheckConstraint(among("kind", LISTED_KINDS), name="crosswalk_kind"),
    schema="hub",
)

TABLES = (
    SYSTEM,
    CHANNEL,
    CHANNEL_DAY,
    RESOURCE_DRAFT,
    RESOURCE_VERSION,
    RESOURCE_ENDING,
    APPLICATION,
    CLOCK_WARNING,
    AGREEMENT_EVENT,
    MANDATE,
    CONSENT,
    CONSENT_SPEND,
    CATALOGUE_IMPORT,
    LISTED,
    CROSSWALK,
)
ONLY_ADDED_TO = (
    "resource_version",
    "resource_ending",
    "clock_warning",
    "agreement_event",
    "catalogue_import",
)


def grant_columns() -> tuple[Column[object], ...]:
    """What the migration adds to `hub.grant`."""
    return (
        Column("application", Text),
        Column("version", Text, comment="of the resource, as it was applied for"),
        Column("revision", Integer, nullable=False, server_default="1"),
        Column("needs", Text, nullable=False, server_default="nothing"),
        Column("suspended_at", MOMENT),
        Column("suspended_because", Text),
        Column("sunset_at", MOMENT, comment="when the resource's version ends"),
    )
