"""Older numbers that people still ask by, as batches report them, each with its evidence.

Kinds are those of `schemas.identifiers.KINDS`. An alias that two subjects claim is kept for both;
whoever looks up refuses to choose. Two claims are not taken on a batch's word: a number that is
itself the key of a living row becomes a proposal for a person to judge, and one that a person has
ended stays ended. Chains, past moments and people's decisions: `exchange/identity`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import psycopg
from psycopg.sql import SQL, Identifier

from exchange.identity import review
from exchange.identity.resolving import spelled
from exchange.identity.review import Pair
from schemas.identifiers import FIFTEEN_DIGITS

Alias = tuple[str, str, str]  # kind, older number, number

# Where a number of each kind is at home: whoever is found there is nobody else by a batch's word.
HOMES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "resident": ("population_resident", "resident_id"),
        "uscc": ("legal_entity_registration", "uscc"),
    }
)
HEARD = """
CREATE TEMPORARY TABLE IF NOT EXISTS heard (kind text, alias text, subject text, rule text)
ON COMMIT DROP
"""
CLAIM_BY_BATCH = "former-number"  # the study under which doubtful claims are proposed


def keep(
    conn: psycopg.Connection,
    aliases: Iterable[Alias],
    source: str,
    *,
    batch: int | None = None,
    rule: str | None = None,
) -> int:
    """Remember what `source` says in `batch`; how many of its aliases were new.

    The rule is read off the number unless the caller knows it. Saying it again changes nothing.
    From here to the end of the transaction nobody else can keep aliases or decide about them, so a
    long one calls `hear` on its way and `keep_heard` before it ends.
    """
    hear(conn, aliases, rule)
    return keep_heard(conn, source, batch)


def hear(conn: psycopg.Connection, aliases: Iterable[Alias], rule: str | None = None) -> None:
    """Put aliases by, in the caller's transaction, for `keep_heard`; nobody is kept waiting."""
    claims = {(kind, spelled(alias), subject) for kind, alias, subject in aliases}
    told = [(*claim, rule or _rule(claim)) for claim in claims if claim[1] not in ("", claim[2])]
    if not told:
        return
    conn.execute(HEARD)
    conn.execute(
        "INSERT INTO pg_temp.heard SELECT * FROM"
        " unnest(%s::text[], %s::text[], %s::text[], %s::text[])",
        [list(column) for column in zip(*told, strict=True)],
    )


def keep_heard(conn: psycopg.Connection, source: str, batch: int | None = None) -> int:
    """Keep what was heard in this transaction; how many of the aliases were new."""
    if not _any_heard(conn):
        return 0
    for kind, (table, column) in HOMES.items():
        review.propose(conn, CLAIM_BY_BATCH, _doubted(conn, kind, table, column, source))
    kept = conn.execute(
        "INSERT INTO library.alias (kind, alias, subject, rule, source, batch)"
        " SELECT DISTINCT h.*, %(source)s, %(batch)s::bigint FROM pg_temp.heard h"
        " WHERE NOT EXISTS (SELECT FROM library.alias a"
        "   WHERE (a.kind, a.alias, a.subject) = (h.kind, h.alias, h.subject)"
        "   AND a.ended_by IS NOT NULL AND a.decision IS NULL)"
        " ON CONFLICT DO NOTHING",
        {"source": source, "batch": batch},
    ).rowcount
    conn.execute("DROP TABLE pg_temp.heard")
    return kept


def subjects(conn: psycopg.Connection, kind: str, alias: str) -> list[str]:
    """Everybody that the older number may mean."""
    rows = conn.execute(
        "SELECT DISTINCT subject FROM library.alias"
        " WHERE kind = %s AND alias = %s AND until IS NULL ORDER BY subject",
        (kind, spelled(alias)),
    )
    return [str(subject) for (subject,) in rows]


def _rule(claim: Alias) -> str:
    kind, alias, _ = claim
    fifteen = kind == "resident" and re.fullmatch(FIFTEEN_DIGITS, alias)
    return "fifteen-digits" if fifteen else "former-number"


def _any_heard(conn: psycopg.Connection) -> bool:
    ((heard,),) = conn.execute("SELECT to_regclass('pg_temp.heard') IS NOT NULL").fetchall()
    return bool(heard)


def _doubted(
    conn: psycopg.Connection, kind: str, table: str, column: str, source: str
) -> list[Pair]:
    """Claims about numbers that have a row of their own; they are heard no longer."""
    statement = SQL(
        "DELETE FROM pg_temp.heard h USING {table} home"
        " WHERE h.kind = {kind} AND length(h.alias) = length(h.subject)"
        " AND home.{column} = h.alias RETURNING h.alias, h.subject"
    ).format(table=Identifier("library", table), column=Identifier(column), kind=kind)
    why = {"claimed by": source, "number": "has a row of its own"}
    return [Pair(kind, alias, subject, 0.5, why) for alias, subject in conn.execute(statement)]
