"""Older numbers that people still ask by, and the number that each stands for today.

Kinds are those of `schemas.identifiers.KINDS`. An alias that two subjects claim is kept for both;
whoever looks up refuses to choose.
"""

from __future__ import annotations

from collections.abc import Iterable

import psycopg

Alias = tuple[str, str, str]  # kind, older number, number


def keep(conn: psycopg.Connection, aliases: Iterable[Alias], source: str) -> int:
    """Remember `aliases`; how many were new."""
    kinds, older, subjects = zip(*aliases, strict=True) if (aliases := list(aliases)) else ((),) * 3
    return conn.execute(
        "INSERT INTO library.alias (kind, alias, subject, source)"
        " SELECT *, %s FROM unnest(%s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
        (source, list(kinds), list(older), list(subjects)),
    ).rowcount


def subjects(conn: psycopg.Connection, kind: str, alias: str) -> list[str]:
    """Everybody that the older number may mean."""
    rows = conn.execute(
        "SELECT subject FROM library.alias WHERE kind = %s AND alias = %s ORDER BY subject",
        (kind, alias),
    )
    return [str(subject) for (subject,) in rows]
