"""Where a number leads, now or at a past moment, and through which aliases.

A number stands for whatever its aliases lead to, however many follow on one another. When they lead
to several, or in a circle, nobody chooses: `Ambiguous`. `library.canonical` holds the same answers
for joins and for calls, as of now; here they come with their evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from exchange.subjects import IDENTIFIERS, normalised
from schemas import identifiers
from schemas.errors import Invalid
from schemas.grant import Subject

REACHABLE = """
WITH RECURSIVE reached (number) AS (
    SELECT %(number)s::text
    UNION
    SELECT a.subject FROM reached
    JOIN library.alias a ON a.kind = %(kind)s AND a.alias = reached.number
    WHERE {standing}
)
SELECT a.* FROM library.alias a JOIN reached ON a.alias = reached.number
WHERE a.kind = %(kind)s AND {standing} ORDER BY a.id
"""
NOW = "a.until IS NULL"
THEN = "a.since <= %(at)s AND (a.until > %(at)s OR a.until IS NULL)"


class Ambiguous(Invalid):
    """The number stands for more than one subject, or for none."""

    code = "subject-ambiguous"


@dataclass(frozen=True, slots=True)
class Alias:
    """One testimony: by `rule`, `source` says that `alias` stands for `subject`.

    `batch` or `decision` is where it was said; `ended_by` is the decision that took it back.
    """

    id: int
    kind: str
    alias: str
    subject: str
    rule: str
    source: str
    batch: int | None
    decision: int | None
    since: datetime
    until: datetime | None
    ended_by: int | None


@dataclass(frozen=True, slots=True)
class Resolved:
    """Whom a number means, and the aliases that lead there, in their order."""

    subject: Subject
    through: tuple[Alias, ...]


def spelled(number: str) -> str:
    """A number or a name in the one spelling that aliases are kept and looked up in."""
    return identifiers.mended("certificate_no", number)[0]  # the kind that mends the most


def spelled_in_sql(column: str) -> str:
    """The SQL that spells a column so, for names that are compared where they are."""
    for _, table in (*identifiers.MENDS, identifiers.MENDS_OF_KIND["certificate_no"]):
        pairs = sorted(table.items(), key=lambda pair: not pair[1])  # what goes away comes last
        before, after = ("".join(side).replace("'", "''") for side in zip(*pairs, strict=True))
        column = f"translate({column}, '{before}', '{after}')"
    return column.replace("%", "%%")


def resolve(conn: psycopg.Connection, subject: Subject, at: datetime | None = None) -> Resolved:
    """Whom `subject` means now, or meant at that moment as the library knew it then.

    What was typed is tried first, then its standard form: 15 digits may have been said to stand for
    another number than arithmetic makes of them. Raises `Ambiguous`, or `Invalid` for a number that
    is neither known nor right.
    """
    kind = IDENTIFIERS.get(subject.type)
    if kind is None:
        raise Invalid(f"no library knows subjects of type {subject.type}")
    checked = normalised(subject)
    for number in dict.fromkeys((spelled(subject.id), checked.id if checked else "")):
        if through := follow(_reachable(conn, kind, number, at), number):
            return Resolved(Subject(subject.type, through[-1].subject), through)
    if checked is None:
        raise Invalid("the number fails its check and no alias is known", zh="证件号码有误")
    return Resolved(checked, ())


def follow(aliases: Iterable[Alias], number: str) -> tuple[Alias, ...]:
    """The shortest way from `number` to the one end of its aliases; none when it has none.

    Pure. Raises `Ambiguous` when there are several ends, or only a circle.
    """
    known = tuple(aliases)
    roads = _roads(known, number)
    leaving = {alias.alias for alias in known}
    ends = [here for here in roads if here not in leaving]
    if len(ends) != 1:
        raise Ambiguous("the number stands for more than one subject", zh="该号码对应多个主体")
    return roads[ends[0]]


def _roads(aliases: tuple[Alias, ...], number: str) -> Mapping[str, tuple[Alias, ...]]:
    """Everything that can be reached, each with the first of its shortest ways."""
    roads: dict[str, tuple[Alias, ...]] = {number: ()}
    waiting = [number]
    for here in waiting:  # grows while it is walked: nearest first
        for alias in aliases:
            if alias.alias == here and alias.subject not in roads:
                roads[alias.subject] = (*roads[here], alias)
                waiting.append(alias.subject)
    return roads


def of(conn: psycopg.Connection, kind: str, number: str) -> list[Alias]:
    """Every alias that `number` is in, on either side, ended ones too, oldest first."""
    return _read(
        conn,
        "SELECT * FROM library.alias WHERE kind = %(kind)s"
        " AND (alias = %(number)s OR subject = %(number)s) ORDER BY id",
        {"kind": kind, "number": number},
    )


def in_force(conn: psycopg.Connection, kind: str, number: str) -> list[Alias]:
    """The aliases in force that say for what `number` stands."""
    return [each for each in of(conn, kind, number) if each.alias == number and not each.until]


def _reachable(
    conn: psycopg.Connection, kind: str, number: str, at: datetime | None
) -> list[Alias]:
    if at is not None and at.tzinfo is None:
        raise Invalid("a moment needs its offset from UTC, such as 2026-11-22T08:00:00+08:00")
    statement = REACHABLE.format(standing=THEN if at else NOW)
    return _read(conn, statement, {"kind": kind, "number": number, "at": at})


def _read(conn: psycopg.Connection, sql: str, values: Mapping[str, object]) -> list[Alias]:
    with conn.cursor(row_factory=class_row(Alias)) as cursor:
        return cursor.execute(sql.encode(), values).fetchall()
