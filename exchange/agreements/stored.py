"""Applications and grants at rest, as their deeds need them. Nothing is judged here."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import psycopg
from psycopg.errors import UniqueViolation
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from exchange import grant_rows
from schemas.application import WAITING, Application, State, read_terms
from schemas.errors import NotFound, WrongState
from schemas.grant import Grant

COLUMNS = tuple(each.name for each in fields(Application))
INSERT = (
    f"INSERT INTO hub.application ({', '.join(COLUMNS)})"  # noqa: S608 - our own names
    f" VALUES ({', '.join(f'%({name})s' for name in COLUMNS)})"
)
UPDATE = (
    f"UPDATE hub.application SET {', '.join(f'{n} = %({n})s' for n in COLUMNS if n != 'id')}"  # noqa: S608
    " WHERE id = %(id)s"
)
READ = f"SELECT {', '.join(COLUMNS)} FROM hub.application"  # noqa: S608 - our own names


def insert(conn: psycopg.Connection, made: Application) -> None:
    """Keep a new application. Raises `WrongState` when the same file applied for it before."""
    try:
        with conn.transaction():
            conn.execute(INSERT, _row(made))
    except UniqueViolation:
        raise WrongState(
            "this file number has applied for this resource already", zh="该文号已就此资源提出申请"
        ) from None


def update(conn: psycopg.Connection, moved: Application) -> None:
    """Keep an application as it is now."""
    conn.execute(UPDATE, _row(moved))


def find(conn: psycopg.Connection, application: str, *, lock: bool = False) -> Application:
    """One application. Raises `NotFound`."""
    found = _read(conn, "WHERE id = %s" + (" FOR UPDATE" if lock else ""), application)
    if not found:
        raise NotFound("there is no such application", zh="没有该申请")
    return found[0]


def of_client(conn: psycopg.Connection, client: str) -> list[Application]:
    """What a client has applied for, the newest first."""
    return _read(conn, "WHERE client = %s ORDER BY submitted_at DESC, id", client)


def waiting(conn: psycopg.Connection) -> list[Application]:
    """What waits for an answer, the oldest first."""
    states = [str(each) for each in WAITING]
    return _read(conn, "WHERE state = ANY (%s) ORDER BY clock_started_at, id", states)


def everything(conn: psycopg.Connection, state: State | None = None) -> list[Application]:
    """All applications, or those in one state, the newest first."""
    return _read(
        conn,
        "WHERE %s::text IS NULL OR state = %s ORDER BY submitted_at DESC, id",
        state,
        state,
    )


def grant(conn: psycopg.Connection, grant_id: str, *, lock: bool = False) -> Grant:
    """One grant. Raises `NotFound`."""
    found = _grants(conn, "WHERE id = %s" + (" FOR UPDATE" if lock else ""), grant_id)
    if not found:
        raise NotFound("there is no such grant", zh="没有该授权")
    return found[0]


def grants_of(conn: psycopg.Connection, client: str | None = None) -> list[Grant]:
    """The grants of a client, or all."""
    return _grants(conn, "WHERE %s::text IS NULL OR client = %s ORDER BY id", client, client)


def _grants(conn: psycopg.Connection, where: str, *values: object) -> list[Grant]:
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f'SELECT * FROM hub."grant" {where}'.encode(), values)  # noqa: S608
        return [grant_rows.grant(row) for row in cursor]


def _read(conn: psycopg.Connection, where: str, *values: object) -> list[Application]:
    with conn.cursor(row_factory=dict_row) as cursor:
        cursor.execute(f"{READ} {where}".encode(), values)
        return [_application(row) for row in cursor]


def _application(row: dict[str, Any]) -> Application:
    return Application(**{**row, "state": State(row["state"]), "terms": read_terms(row["terms"])})


def _row(application: Application) -> dict[str, Any]:
    row = {name: getattr(application, name) for name in COLUMNS}
    return {**row, "terms": Jsonb(application.terms.json())}
