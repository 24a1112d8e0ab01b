"""What a person decides: this number stands for that one, and: it does not after all.

A decision adds an alias or ends one; it changes no row of a library. So taking it back restores
exactly what was before, and everything that was decided meanwhile about other numbers stays. Each
is kept with who, why and when. Nothing here commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from exchange.identity import review
from exchange.identity.resolving import Alias, Ambiguous, in_force, spelled
from exchange.identity.review import Candidate, State
from schemas import identifiers
from schemas.errors import Invalid, NotFound, WrongState

SOURCE = "decision"
MERGED = "merged"
LOCK = "SELECT pg_advisory_xact_lock(26985, 7)"  # the one that settling aliases takes


@dataclass(frozen=True, slots=True)
class Decision:
    """Who decided what, when and why; the numbers are in the aliases that name it."""

    id: int
    deed: str
    candidate: int | None
    by: str
    reason: str
    at: datetime


def merge(
    conn: psycopg.Connection, kind: str, number: str, into: str, *, by: str, reason: str
) -> Decision:
    """Let `number` stand for `into` from now on.

    Raises `WrongState` when it stands for another one already, or they are the same by now.
    """
    return _merge(conn, kind, number, into, None, by, reason)


def unmerge(conn: psycopg.Connection, kind: str, number: str, *, by: str, reason: str) -> Decision:
    """Let `number` stand for itself again.

    What a person decided is taken back; without such a decision it is what batches said of the
    number, and they will not be believed again. Raises `NotFound` when it stands for nothing.
    """
    conn.execute(LOCK)
    standing = in_force(conn, kind, spelled(number)) or in_force(conn, kind, _number(kind, number))
    decided = [alias for alias in standing if alias.decision] or standing
    if not decided:
        raise NotFound("this number stands for no other")
    decision = _decided(conn, "unmerge", _candidate_of(conn, decided), by, reason)
    conn.execute(
        "UPDATE library.alias SET until = clock_timestamp(), ended_by = %s WHERE id = ANY(%s)",
        (decision.id, [alias.id for alias in decided]),
    )
    if decision.candidate:
        review.move(conn, decision.candidate, State.REJECTED)
    return decision


def confirm(
    conn: psycopg.Connection, candidate_id: int, *, by: str, reason: str, swap: bool = False
) -> Decision:
    """Merge a proposed pair; with `swap` the other number is the one that stays.

    Raises `WrongState` when it was judged already, and what `merge` raises.
    """
    found = review.get(conn, candidate_id)
    review.move(conn, found.id, State.CONFIRMED)
    pair = (found.subject, found.number) if swap else (found.number, found.subject)
    return _merge(conn, found.kind, *pair, found, by, reason)


def reject(conn: psycopg.Connection, candidate_id: int, *, by: str, reason: str) -> Decision:
    """Remember that a proposed pair is two; it is not proposed again. Raises `WrongState`."""
    found = review.get(conn, candidate_id)
    if found.state is State.CONFIRMED:
        raise WrongState("this pair was merged; unmerge its number")
    review.move(conn, found.id, State.REJECTED)
    return _decided(conn, "reject", found.id, by, reason)


def taken(conn: psycopg.Connection, kind: str, number: str) -> list[Decision]:
    """Every decision about `number`, oldest first: merges, unmerges and rejected proposals."""
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        return cursor.execute(
            "SELECT * FROM library.identity_decision d WHERE EXISTS ("
            "  SELECT FROM library.alias a WHERE a.kind = %(kind)s"
            "  AND %(number)s IN (a.alias, a.subject) AND d.id IN (a.decision, a.ended_by)"
            ") OR EXISTS ("
            "  SELECT FROM library.link_candidate c WHERE c.id = d.candidate"
            "  AND c.kind = %(kind)s AND %(number)s IN (c.number, c.subject)"
            ") ORDER BY d.id",
            {"kind": kind, "number": number},
        ).fetchall()


def _merge(
    conn: psycopg.Connection,
    kind: str,
    number: str,
    into: str,
    candidate: Candidate | None,
    by: str,
    reason: str,
) -> Decision:
    number, into = _number(kind, number), _number(kind, into, right=True)
    conn.execute(LOCK)  # before looking: whoever decides at the same time is seen
    _check_can_merge(conn, kind, number, into)
    deed = "confirm" if candidate else "merge"
    decision = _decided(conn, deed, candidate.id if candidate else None, by, reason)
    conn.execute(
        "INSERT INTO library.alias (kind, alias, subject, rule, source, decision, since)"
        " VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp())",
        (kind, number, into, MERGED, SOURCE, decision.id),
    )
    return decision


def _check_can_merge(conn: psycopg.Connection, kind: str, number: str, into: str) -> None:
    if number == into:
        raise Invalid("these are one and the same number")
    if in_force(conn, kind, number):
        raise WrongState("this number stands for another one already; unmerge it first")
    end = _end(conn, kind, into)
    if end == number:
        raise WrongState("the other number stands for this one already; unmerge that one first")
    if end is None:
        raise Ambiguous("the other number stands for more than one subject; unmerge it first")


def _end(conn: psycopg.Connection, kind: str, number: str) -> str | None:
    """Where `number` leads: to itself when nothing is said of it, nowhere when too much is."""
    row = conn.execute(
        "SELECT subject FROM library.canonical WHERE kind = %s AND number = %s", (kind, number)
    ).fetchone()
    return number if row is None else row[0]


def _number(kind: str, text: str, *, right: bool = False) -> str:
    """A number in its standard form; a wrong one only where it is to stand for a right one."""
    try:
        return identifiers.KINDS[kind](text).value
    except KeyError:
        raise Invalid(f"there are no numbers of kind {kind}") from None
    except Invalid:
        if right or not text.strip():
            raise
        return spelled(text)


def _decided(
    conn: psycopg.Connection, deed: str, candidate: int | None, by: str, reason: str
) -> Decision:
    if not reason.strip() or not by.strip():
        raise Invalid("say who decides and why: both are kept")
    with conn.cursor(row_factory=class_row(Decision)) as cursor:
        decision = cursor.execute(
            "INSERT INTO library.identity_decision (deed, candidate, by, reason, at)"
            " VALUES (%s, %s, %s, %s, clock_timestamp()) RETURNING *",
            (deed, candidate, by.strip(), reason.strip()),
        ).fetchone()
    assert decision is not None
    return decision


def _candidate_of(conn: psycopg.Connection, aliases: list[Alias]) -> int | None:
    row = conn.execute(
        "SELECT candidate FROM library.identity_decision"
        " WHERE id = ANY(%s) AND candidate IS NOT NULL",
        ([alias.decision for alias in aliases],),
    ).fetchone()
    return None if row is None else int(row[0])
