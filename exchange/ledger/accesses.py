"""The citizen's own log: who asked about me, when, why, under which law, and what became of it.

It is read from the ledger itself; there is no second bookkeeping that could say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

READ = (
    "SELECT e.at, e.body, c.name FROM hub.ledger_entry e "
    "LEFT JOIN hub.client c ON c.id = convert_from(e.body, 'UTF8')::jsonb ->> 'client' "
    "WHERE e.subject = $1 ORDER BY e.at DESC LIMIT $2"
)
MOST = 1000


class Connection(Protocol):
    """The part of an asyncpg connection that is used here."""

    async def fetch(self, query: str, *args: object) -> Sequence[Mapping[str, Any]]:
        """Run a statement and return its rows."""


@dataclass(frozen=True, slots=True)
class Access:
    """One time that somebody asked about a subject."""

    at: datetime
    receipt: str
    client: str
    client_name: str
    resource: str
    deed: str
    fields: tuple[str, ...]
    purpose: str
    basis: str
    item: str
    case: str
    officer: str
    decision: str
    rule: str


async def accesses(conn: Connection, subject: bytes, most: int = MOST) -> list[Access]:
    """The calls about a subject, given as its keyed hash (`entries.hashed`), the newest first."""
    return [_access(row) for row in await conn.fetch(READ, subject, most)]


async def accesses_of_all(
    conn: Connection, subjects: Sequence[bytes], most: int = MOST
) -> list[Access]:
    """The calls about one subject under each of its numbers, the newest first."""
    found = [access for each in subjects for access in await accesses(conn, each, most)]
    return sorted(found, key=lambda access: access.at, reverse=True)[:most]


def _access(row: Mapping[str, Any]) -> Access:
    said = orjson.loads(row["body"])
    names = ("client", "resource", "deed", "purpose", "basis", "item", "case", "officer", "rule")
    return Access(
        at=row["at"],
        receipt=said["receipt"],
        client_name=row["name"] or "",
        fields=tuple(said.get("fields", ())),
        decision=said["decision"],
        **{name: said.get(name, "") for name in names},
    )
