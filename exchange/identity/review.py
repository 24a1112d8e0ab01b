"""The review queue: pairs of numbers that may mean one subject, until a person has judged each.

    proposed ──> confirmed ──> rejected
        └────────────────────────^

A confirmed pair becomes a rejected one when its merge is taken back. A rejected pair is remembered,
whichever of its numbers is named first, and so is never proposed again. An explanation names the
level of each comparison, never a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from schemas.errors import NotFound, WrongState


class State(StrEnum):
    """What became of a pair."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.PROPOSED: frozenset({State.CONFIRMED, State.REJECTED}),
        State.CONFIRMED: frozenset({State.REJECTED}),
        State.REJECTED: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two numbers that may mean one subject; `number` would stand for `subject`."""

    kind: str
    number: str
    subject: str
    score: float
    explanation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed pair as the queue holds it."""

    id: int
    kind: str
    number: str
    subject: str
    study: str
    score: float
    explanation: Mapping[str, Any]
    state: State
    proposed_at: datetime


def propose(conn: psycopg.Connection, study: str, pairs: Iterable[Pair]) -> int:
    """Queue pairs that were never proposed and that mean one subject nowhere yet; how many."""
    told = [(p.kind, p.number, p.subject, p.score, Jsonb(p.explanation)) for p in pairs]
    columns = [list(column) for column in zip(*told, strict=True)]
    if not columns:
        return 0
    return conn.execute(
        "INSERT INTO library.link_candidate (kind, number, subject, study, score, explanation)"
        " SELECT kind, number, subject, %s, score, explanation"
        " FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::jsonb[])"
        "   AS pair (kind, number, subject, score, explanation)"
        " WHERE NOT library.same_subject(kind, number, subject)"
        " ORDER BY score DESC ON CONFLICT DO NOTHING",
        (study, *columns),
    ).rowcount


def waiting(
    conn: psycopg.Connection, *, state: State = State.PROPOSED, limit: int = 50
) -> list[Candidate]:
    """Pairs of a state, the likeliest first."""
    return _read(
        conn,
        "SELECT * FROM library.link_candidate WHERE state = %s ORDER BY score DESC, id LIMIT %s",
        (state.value, limit),
    )


def get(conn: psycopg.Connection, candidate: int) -> Candidate:
    """One pair. Raises `NotFound`."""
    found = _read(conn, "SELECT * FROM library.link_candidate WHERE id = %s", (candidate,))
    if not found:
        raise NotFound(f"there is no proposal {candidate}")
    return found[0]


def move(conn: psycopg.Connection, candidate: int, to: State) -> None:
    """Write down what became of a pair. Raises `WrongState` when it cannot become that."""
    before = [state.value for state, after in MOVES.items() if to in after]
    done = conn.execute(
        "UPDATE library.link_candidate SET state = %s WHERE id = %s AND state = ANY(%s)",
        (to.value, candidate, before),
    )
    if done.rowcount == 0:
        raise WrongState(f"proposal {candidate} was judged already; it cannot become {to}")


def _read(conn: psycopg.Connection, sql: str, values: tuple[object, ...]) -> list[Candidate]:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql.encode(), values).fetchall()
    return [Candidate(**{**row, "state": State(row["state"])}) for row in rows]
