"""Systems: which department's, of which kind, and what it may do besides calling.

A client of the exchange is one system's. Kinds other than `government` and `window` get personal
data only with a consent; `answer` lets a system answer applications in its department's name,
`consent` lets it register consents of persons whom it verified.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import psycopg

from exchange.agreements.evidence import By, Deed, record
from schemas import departments
from schemas.errors import Invalid, NotFound
from schemas.tables.agreements import DUTIES, SYSTEM_KINDS

CONSENTING = frozenset({"utility", "finance"})
"""Who gets nothing without a consent, whatever an application says."""


@dataclass(frozen=True, slots=True)
class System:
    """A department's system."""

    code: str
    department: str
    name: str
    kind: str = "government"
    client: str | None = None
    duties: tuple[str, ...] = ()
    protection_level: int | None = None
    retired_at: datetime | None = None

    @property
    def needs_consent(self) -> bool:
        """Whether the persons whom it asks about must have agreed."""
        return self.kind in CONSENTING


READ = (
    "SELECT code, department, name, kind, client, duties, protection_level, retired_at"
    " FROM hub.system "
)


def register(conn: psycopg.Connection, system: System, *, by: By, day: date) -> None:
    """Register a system, or say anew what it is. Raises `Invalid` or `NotFound`."""
    if system.kind not in SYSTEM_KINDS or not set(system.duties) <= set(DUTIES):
        raise Invalid(f"a system's kind is one of {SYSTEM_KINDS}, its duties are of {DUTIES}")
    departments.tree().get(system.department, day)
    conn.execute(
        "INSERT INTO hub.system (code, department, name, kind, client, duties, protection_level,"
        " registered_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (code) DO UPDATE SET"
        " department = excluded.department, name = excluded.name, kind = excluded.kind,"
        " client = excluded.client, duties = excluded.duties,"
        " protection_level = excluded.protection_level, retired_at = NULL",
        (
            system.code,
            system.department,
            system.name,
            system.kind,
            system.client,
            list(system.duties),
            system.protection_level,
            by.officer,
        ),
    )
    detail = {"department": system.department, "kind": system.kind, "duties": list(system.duties)}
    record(conn, Deed("system", system.code, "register", by, detail=detail))


def retire(conn: psycopg.Connection, code: str, *, by: By, reason: str) -> None:
    """A system that is no more answers nothing and registers nothing. Raises `NotFound`."""
    done = conn.execute(
        "UPDATE hub.system SET retired_at = now() WHERE code = %s AND retired_at IS NULL", (code,)
    )
    if done.rowcount == 0:
        raise NotFound("there is no such system in service")
    record(conn, Deed("system", code, "retire", by, reason=reason))


def of_client(conn: psycopg.Connection, client: str) -> System:
    """The system behind a client. Raises `NotFound` when nobody registered it."""
    found = conn.execute(READ + "WHERE client = %s AND retired_at IS NULL", (client,)).fetchone()
    if found is None:
        raise NotFound(
            "this client is not a registered system: ask the exchange's administrator",
            zh="该客户端尚未登记为业务系统",
            rule="system-unknown",
        )
    return _system(found)


def everyone(conn: psycopg.Connection) -> list[System]:
    """Every system, by its code."""
    rows = conn.execute(READ + "ORDER BY code").fetchall()
    return [_system(row) for row in rows]


def codes(conn: psycopg.Connection) -> frozenset[str]:
    """The codes of the systems in service."""
    rows = conn.execute("SELECT code FROM hub.system WHERE retired_at IS NULL").fetchall()
    return frozenset(code for (code,) in rows)


def _system(row: tuple[Any, ...]) -> System:
    code, department, name, kind, client, duties, protection_level, retired_at = row
    return System(code, department, name, kind, client, tuple(duties), protection_level, retired_at)
