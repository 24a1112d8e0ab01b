"""Who is who: what people decided about numbers, which pairs wait for them, and where it all leads.

`library.alias` itself is older (`schemas/tables/library.py`); the migration widens it with its
evidence. `CANONICAL` is derived: triggers keep it equal to the aliases in force, nobody else may
write it, and joins and calls read it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schemas.tables import METADATA

SCHEMA = "library"
MOMENT = DateTime(timezone=True)

RULES = ("fifteen-digits", "former-number", "former-name", "old-certificate", "merged")
DEEDS = ("merge", "unmerge", "confirm", "reject")
STATES = ("proposed", "confirmed", "rejected")


def among(column: str, values: tuple[str, ...]) -> str:
    """The condition that `column` is one of `values`."""
    return "{} IN ({})".format(column, ", ".join(f"'{value}'" for value in values))


CANDIDATE = Table(
    "link_candidate",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("number", Text, nullable=False, comment="would stand for `subject`"),
    Column("subject", Text, nullable=False),
    Column("study", Text, nullable=False, comment="what proposed the pair"),
    Column("score", Double, nullable=False),
    Column("explanation", JSONB, nullable=False, comment="level by comparison; no personal data"),
    Column("state", Text, nullable=False, server_default=text("'proposed'")),
    Column("proposed_at", MOMENT, nullable=False, server_default=func.now()),
    CheckConstraint(among("state", STATES), name="link_candidate_state"),
    CheckConstraint("number <> subject", name="link_candidate_two"),
    schema=SCHEMA,
)
# A pair is judged once, whichever of the two was named first.
Index(
    "link_candidate_pair",
    CANDIDATE.c.kind,
    func.least(CANDIDATE.c.number, CANDIDATE.c.subject),
    func.greatest(CANDIDATE.c.number, CANDIDATE.c.subject),
    unique=True,
)
Index(
    "link_candidate_waiting",
    CANDIDATE.c.score.desc(),
    postgresql_where=text("state = 'proposed'"),
)

DECISION = Table(
    "identity_decision",
    METADATA,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("deed", Text, nullable=False),
    Column("candidate", BigInteger, ForeignKey(CANDIDATE.c.id)),
    Column("by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", MOMENT, nullable=False, server_default=func.now()),
    CheckConstraint(among("deed", DEEDS), name="identity_decision_deed"),
    CheckConstraint("by <> '' AND reason <> ''", name="identity_decision_explained"),
    schema=SCHEMA,
)
Index("identity_decision_candidate", DECISION.c.candidate)

CANONICAL = Table(
    "canonical",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("number", Text, primary_key=True),
    Column("subject", Text, comment="empty where the number leads to several, or in a circle"),
    schema=SCHEMA,
)
# Numbers long enough to be the key of a row: a call asks which of them stand for its subject.
Index(
    "canonical_also",
    CANONICAL.c.kind,
    CANONICAL.c.subject,
    postgresql_where=text("length(number) = length(subject)"),
)

TABLES = (CANDIDATE, DECISION, CANONICAL)
