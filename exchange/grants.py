"""Grants at rest: giving, revoking, and the one statement that serves a call.

`CLAIM` is the only place where a grant is read, at every call anew: it makes the proof's unique
row, looks whether client and key stand, picks the grant that fits best and claims its quota, in one
round trip; of the consent that a call shows, likewise. It judges nothing; `exchange/decide.py`
does, with what was claimed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg
from psycopg.types.json import Jsonb

from exchange import grant_rows, resources
from exchange.decide import Question, Spent
from exchange.tokens import Bearer
from schemas import predicates
from schemas.consent import Consent, Shown
from schemas.errors import Invalid, NotFound
from schemas.grant import Form, Grant

CLAIM = """
WITH fresh AS (
    INSERT INTO hub.seen (key, expires_at)
    SELECT $1::bytea, now() + interval '5 minutes' WHERE $1::bytea IS NOT NULL
    ON CONFLICT DO NOTHING RETURNING true
), caller AS (
    SELECT c.status = 'active' AS active,
           $2::text IS NULL OR EXISTS (
               SELECT FROM hub.client_key k
               WHERE k.kid = $2 AND k.client = c.id AND k.revoked_at IS NULL
                 AND (k.retires_at IS NULL OR now() < k.retires_at)) AS keyed,
           $2::text IS NULL OR $13 OR coalesce(now() < c.unsigned_until, false) AS signed,
           c.misses_per_day - (SELECT count(*) FROM (
               SELECT FROM hub.miss m WHERE m.client = c.id
               AND m.day = (now() AT TIME ZONE 'Asia/Shanghai')::date LIMIT c.misses_per_day
           ) missed) AS misses_left,
           $1::bytea IS NULL OR EXISTS (SELECT FROM fresh) AS fresh
    FROM hub.client c WHERE c.id = $3
), chosen AS (
    SELECT * FROM hub."grant" g WHERE g.client = $3 AND g.resource = $4
    ORDER BY (g.revoked_at IS NULL AND g.suspended_at IS NULL
              AND g.valid_from <= now() AND now() < least(g.valid_to, g.sunset_at))::int
             + ($5 = ANY (g.modes))::int + ($6 = ANY (g.purposes))::int
             + ($7 = ANY (g.bases))::int + ($8 = ANY (g.items))::int
             + (g.fields ?& $9::text[])::int DESC, g.valid_from DESC, g.id
    LIMIT 1
), meant AS MATERIALIZED (
    SELECT coalesce(
        (SELECT coalesce(c.subject, '') FROM library.canonical c
         WHERE c.kind = $10 AND c.number = $11),
        (SELECT coalesce(c.subject, '') FROM library.canonical c
         WHERE c.kind = $10 AND c.number = $12),
        $12) AS subject
), spent AS (
    UPDATE hub.grant_spend s SET
        minute = greatest(s.minute, date_trunc('minute', now())),
        minute_calls = CASE WHEN s.minute >= date_trunc('minute', now())
                            THEN s.minute_calls ELSE 0 END + 1,
        day = greatest(s.day, (now() AT TIME ZONE 'Asia/Shanghai')::date),
        day_calls = CASE WHEN s.day >= (now() AT TIME ZONE 'Asia/Shanghai')::date
                         THEN s.day_calls ELSE 0 END + 1,
        uses = s.uses + 1
    FROM chosen, caller
    WHERE s.grant_id = chosen.id
      AND caller.active AND caller.keyed AND caller.fresh AND caller.signed
    RETURNING s.minute_calls, s.day_calls, s.uses
), agreed AS (
    SELECT c.*, to_jsonb(m) AS under FROM hub.consent c LEFT JOIN hub.mandate m ON m.id = c.mandate
    WHERE c.id = $14 AND c.client = $3
), agreed_spent AS (
    UPDATE hub.consent_spend s SET
        uses = s.uses + 1,
        period = p.period,
        period_uses = CASE WHEN s.period = p.period THEN s.period_uses ELSE 0 END + 1
    FROM agreed, chosen, caller, LATERAL (SELECT coalesce(
        date_trunc(agreed.every, now() AT TIME ZONE 'Asia/Shanghai')::date, 'epoch') AS period) p
    WHERE s.consent = agreed.id AND chosen.needs = 'consent'
      AND caller.active AND caller.keyed AND caller.fresh AND caller.signed
    RETURNING ARRAY[s.uses, s.period_uses] AS spent
)
SELECT now() AS at, caller.active, caller.keyed, caller.fresh, caller.signed, caller.misses_left,
       (SELECT r.offered FROM hub.resource r WHERE r.code = $4) AS offered,
       meant.subject AS subject,
       (SELECT array_agg(o.number) FROM library.canonical o
        WHERE o.kind = $10 AND o.subject = meant.subject AND length(o.number) = length(o.subject)
       ) AS also,
       (SELECT to_jsonb(a) FROM agreed a) AS consent,
       (SELECT a.spent FROM agreed_spent a) AS consent_spent,
       chosen.*, spent.*
FROM meant LEFT JOIN caller ON true LEFT JOIN chosen ON true LEFT JOIN spent ON true
"""
REFUND = "UPDATE hub.grant_spend SET uses = uses - 1 WHERE grant_id = $1"
REFUND_CONSENT = (
    "UPDATE hub.consent_spend SET uses = uses - 1, period_uses = period_uses - 1 WHERE consent = $1"
)


class Connection(Protocol):
    """The part of an asyncpg connection that is used here."""

    async def fetchrow(self, query: str, *args: object) -> Mapping[str, Any] | None:
        """Run a statement and return its first row."""

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a call asks about: the kind of number, as it was typed, and in its standard form."""

    kind: str
    typed: str
    checked: str | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the database said of a call: who stands, what was claimed, who the subject is.

    `subject` is what the number asked by stands for: nothing when it is neither right nor known,
    empty when it stands for several. `also` are other numbers of that subject.
    """

    at: datetime
    active: bool
    keyed: bool
    fresh: bool
    signed: bool
    withdrawn: bool
    grant: Grant | None
    spent: Spent
    subject: str | None
    also: tuple[str, ...]
    consent: Consent | None = None
    consent_spent: tuple[int, int] = (0, 0)

    def shown(self, of_subject: bool) -> Shown | None:
        """The consent that the call shows, once it is known whose it is."""
        if self.consent is None:
            return None
        return Shown(self.consent, of_subject, *self.consent_spent)


async def claim(
    conn: Connection,
    question: Question,
    bearer: Bearer,
    named: Named,
) -> Claimed:
    """Read the grant and claim its quota for one call. A call that is refused afterwards has
    counted for the minute and the day; see `refund` for the uses."""
    asked = question.authority
    row = await conn.fetchrow(
        CLAIM,
        bearer.proof,
        bearer.kid,
        question.client,
        question.resource,
        question.mode.value,
        asked.purpose,
        asked.basis,
        asked.item,
        list(question.fields),
        named.kind,
        named.typed,
        named.checked,
        bearer.signed is not None,
        question.consent,
    )
    assert row is not None
    return Claimed(
        at=row["at"],
        active=bool(row["active"]),
        keyed=bool(row["keyed"]),
        fresh=row["fresh"] is not False,
        signed=row["signed"] is not False,
        withdrawn=row["offered"] is False,
        grant=grant_rows.grant(row) if row["id"] else None,
        spent=_spent(row),
        subject=row["subject"],
        also=tuple(row["also"] or ()),
        consent=grant_rows.consent(row["consent"]) if row["consent"] else None,
        consent_spent=tuple(row["consent_spent"] or (0, 0)),
    )


async def refund(conn: Connection, claimed: Claimed) -> None:
    """Give back the uses that a refused call had claimed: only answers use up a number of uses."""
    if claimed.grant is not None and claimed.grant.max_uses is not None:
        await conn.execute(REFUND, claimed.grant.id)
    if claimed.consent is not None and claimed.consent_spent != (0, 0):
        await conn.execute(REFUND_CONSENT, claimed.consent.id)


def give(conn: psycopg.Connection, grant: Grant) -> None:
    """Give a grant, on the owner's connection. Raises `Invalid` when it could never be used."""
    _check_usable(grant)
    conn.execute(
        "INSERT INTO hub.resource (code) VALUES (%s) ON CONFLICT DO NOTHING", (grant.resource,)
    )
    conn.execute(
        'INSERT INTO hub."grant" (id, client, resource, purposes, bases, items, modes, fields,'
        " row_filter, per_minute, per_day, max_uses, valid_from, valid_to, file_number, needs,"
        " version, application, sunset_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            grant.id,
            grant.client,
            grant.resource,
            sorted(grant.purposes),
            sorted(grant.bases),
            sorted(grant.items),
            sorted(grant.modes),
            Jsonb(dict(grant.fields)),
            Jsonb({column: list(values) for column, values in grant.row_filter.items()}),
            grant.per_minute,
            grant.per_day,
            grant.max_uses,
            grant.valid_from,
            grant.valid_to,
            grant.file_number,
            grant.needs,
            grant.version,
            grant.application,
            grant.sunset_at,
        ),
    )
    conn.execute("INSERT INTO hub.grant_spend (grant_id) VALUES (%s)", (grant.id,))


def revoke(conn: psycopg.Connection, grant_id: str, reason: str = "") -> None:
    """Revoke a grant, on the owner's connection; felt at the next call. Raises `NotFound`."""
    done = conn.execute(
        'UPDATE hub."grant" SET revoked_at = now(), revoked_because = %s'
        " WHERE id = %s AND revoked_at IS NULL",
        (reason, grant_id),
    )
    if done.rowcount == 0:
        raise NotFound("there is no such grant in force")


def withdraw(conn: psycopg.Connection, resource: str) -> None:
    """Stop offering a resource, whatever grants it has. Raises `NotFound`."""
    done = conn.execute("UPDATE hub.resource SET offered = false WHERE code = %s", (resource,))
    if done.rowcount == 0:
        raise NotFound("there is no such resource")


def _check_usable(grant: Grant) -> None:
    sets: Sequence[object] = (grant.purposes, grant.bases, grant.items, grant.modes, grant.fields)
    if not all(sets):
        raise Invalid("a grant names at least one purpose, basis, item, mode and field")
    _check_questions(grant)
    if not grant.file_number:
        raise Invalid("a grant names the file that approved it")


def _spent(row: Mapping[str, Any]) -> Spent:
    left = row["misses_left"]
    return Spent(
        minute=row["minute_calls"] or 0,
        day=row["day_calls"] or 0,
        uses=row["uses"] or 0,
        misses_left=1 if left is None else left,
    )


def _check_questions(grant: Grant) -> None:
    """What is granted as a predicate is a question of the catalogue, whole."""
    asked = {name for name, form in grant.fields.items() if form is Form.PREDICATE}
    described = resources.find(grant.resource) if asked else None
    if described and not all(predicates.is_question(described, text) for text in asked):
        raise Invalid(
            "a predicate is granted as it is asked, e.g. age_at_least(18); GET /v1/resources has "
            "the catalogue"
        )
