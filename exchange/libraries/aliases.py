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
    """
    claims = {(kind, spelled(alias), subject) for kind, alias, subject in aliases}
    told = sorted(claim for claim in claims if claim[1] and claim[1] != claim[2])
    doubted = _at_home(conn, told)
    review.propose(conn, CLAIM_BY_BATCH, (_doubt(claim, source) for claim in doubted))
    rows = [(*claim, rule or _rule(claim)) for claim in told if claim not in doubted]
    columns = [list(column) for column in zip(*rows, strict=True)] or [[]] * 4
    return conn.execute(
        "INSERT INTO library.alias (kind, alias, subject, rule, source, batch)"
        " SELECT claim.*, %s, %s"
        " FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])"
        "   AS claim (kind, alias, subject, rule)"
        " WHERE NOT EXISTS (SELECT FROM library.alias a WHERE a.ended_by IS NOT NULL"
        "   AND (a.kind, a.alias, a.subject) = (claim.kind, claim.alias, claim.subject)"
        "   AND a.decision IS NULL)"
        " ON CONFLICT DO NOTHING",
        (source, batch, *columns),
    ).rowcount


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


def _at_home(conn: psycopg.Connection, claims: list[Alias]) -> frozenset[Alias]:
    """Claims about numbers that have a row of their own."""
    return frozenset(
        claim
        for kind, (table, column) in HOMES.items()
        for claim in _held(conn, table, column, [each for each in claims if each[0] == kind])
    )


def _held(
    conn: psycopg.Connection, table: str, column: str, claims: list[Alias]
) -> Iterable[Alias]:
    statement = SQL("SELECT {column} FROM {table} WHERE {column} = ANY(%s)").format(
        column=Identifier(column), table=Identifier("library", table)
    )
    asked = sorted({alias for _, alias, subject in claims if len(alias) == len(subject)})
    held = {row[0] for row in conn.execute(statement, (asked,))} if asked else set()
    return (claim for claim in claims if claim[1] in held)


def _doubt(claim: Alias, source: str) -> Pair:
    kind, alias, subject = claim
    return Pair(kind, alias, subject, 0.5, {"claimed by": source, "number": "has a row of its own"})
