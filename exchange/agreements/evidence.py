"""What was done about an agreement, as evidence: one event and one ledger entry, together.

The event can be read; the entry is under the tree, so an event that is changed later by whomever
can be told from what the ledger proves. Neither holds a person's number or name.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb

from exchange.ledger import entries
from schemas.canonical import canonical, sha256
from schemas.errors import Invalid

VERSION = 1
DONE = "done"


@dataclass(frozen=True, slots=True)
class By:
    """Who acts: an officer's (or a system's) code, for which department."""

    officer: str
    department: str | None = None


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done to which thing, why, and under which law."""

    thing: str
    thing_id: str
    deed: str
    by: By
    reason: str = ""
    law: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """A deed as it is told afterwards."""

    deed: str
    by: str
    department: str | None
    reason: str
    law: str
    detail: Mapping[str, Any]
    receipt: UUID
    at: datetime


def record(conn: psycopg.Connection, done: Deed) -> UUID:
    """Record a deed in its own transaction; return the receipt of its ledger entry."""
    if not done.by.officer:
        raise Invalid("a deed is somebody's: name who acts")
    now = time.time_ns()
    receipt = entries.receipt(now)
    at = datetime.fromtimestamp(now // 1_000_000 / 1000, UTC)
    conn.execute(
        "INSERT INTO hub.ledger_entry (receipt, at, body) VALUES (%s, %s, %s)",
        (receipt, at, canonical(_said(done, receipt, at))),
    )
    conn.execute(
        "INSERT INTO hub.agreement_event (thing, thing_id, deed, by, department, reason, law,"
        " detail, receipt, at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            done.thing,
            done.thing_id,
            done.deed,
            done.by.officer,
            done.by.department,
            done.reason,
            done.law,
            Jsonb(dict(done.detail)),
            receipt,
            at,
        ),
    )
    return receipt


def events(conn: psycopg.Connection, thing: str, thing_id: str) -> list[Event]:
    """What was done to a thing, the oldest first."""
    rows = conn.execute(
        "SELECT deed, by, department, reason, law, detail, receipt, at FROM hub.agreement_event"
        " WHERE thing = %s AND thing_id = %s ORDER BY id",
        (thing, thing_id),
    ).fetchall()
    return [Event(*row) for row in rows]


def _said(done: Deed, receipt: UUID, at: datetime) -> dict[str, Any]:
    """What the ledger keeps: everything but the detail, and of that the digest."""
    said = {
        "v": VERSION,
        "receipt": str(receipt),
        "at": entries.text_of(at),
        "deed": f"{done.thing}-{done.deed}",
        "decision": DONE,
        "thing": done.thing_id,
        "officer": done.by.officer,
        "department": done.by.department,
        "reason": done.reason or None,
        "basis": done.law or None,
        "detail": sha256(canonical(dict(done.detail))).hex() if done.detail else None,
    }
    return {name: value for name, value in said.items() if value is not None}
