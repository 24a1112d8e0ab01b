"""Mandates: one acts for another, as guardian or agent, within a scope and until a day.

They are registered by a window that verified who stands before it and saw the document that proves
the mandate. A mandate that ended carries nothing from the next call on, and no new consent.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg

from exchange import grant_rows, subjects
from exchange.agreements.evidence import By, Deed, record
from exchange.catalogue import systems
from exchange.ledger.entries import hashed
from schemas.consent import GivenAs, Mandate
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.grant import Subject

FRESH = timedelta(minutes=30)
"""How long a verified person may take to sign."""
LONGEST = timedelta(days=20 * 366)


@dataclass(frozen=True, slots=True)
class Verification:
    """How a person was verified: by whom, under which audit number, with what outcome, when."""

    provider: str
    audit_id: str
    outcome: str
    at: datetime

    def json(self) -> dict[str, Any]:
        """As it is kept."""
        return {
            "provider": self.provider,
            "audit_id": self.audit_id,
            "outcome": self.outcome,
            "at": self.at.isoformat(),
        }


def check_window(conn: psycopg.Connection, client: str) -> By:
    """Check that a client may register consents and mandates. Raises `NotFound` or `Refused`."""
    system = systems.of_client(conn, client)
    if "consent" not in system.duties:
        raise Refused(
            "this system does not register consents", zh="该系统无权登记同意", rule="not-a-window"
        )
    return By(system.code, system.department)


def check_verified(verified: Verification, at: datetime) -> None:
    """Check that a person was verified just now: a review that is pending is not a yes."""
    if verified.outcome != "verified":
        raise Refused(
            f"the person is not verified: {verified.outcome}",
            zh="实人认证未通过",
            rule="person-not-verified",
        )
    if not timedelta(0) <= at - verified.at <= FRESH:
        raise Refused(
            "the verification is not of the last half hour",
            zh="实人认证已过期",
            rule="verification-expired",
        )


def register(
    conn: psycopg.Connection,
    kind: GivenAs,
    principal: Subject,
    agent: Subject,
    verified: Verification,
    at: datetime,
    *,
    items: frozenset[str],
    resources: frozenset[str],
    valid_to: datetime,
    evidence: str,
    window: str,
    subject_key: bytes,
) -> Mandate:
    """Register that one acts for another from now on. Raises `Invalid` or `Refused`."""
    by = check_window(conn, window)
    check_verified(verified, at)
    if kind is GivenAs.HOLDER or not (items and resources and evidence.strip()):
        raise Invalid("a mandate names its kind, items, resources and proof", zh="委托要素不全")
    if not at < valid_to <= at + LONGEST:
        raise Invalid("a mandate has an end", zh="委托期限不合要求")
    persons = [subjects.normalised(each) for each in (principal, agent)]
    if None in persons or persons[0] == persons[1]:
        raise Invalid("a mandate is between two persons", zh="委托人与受托人信息不符合要求")
    made = Mandate(
        id=f"mandate-{secrets.token_hex(8)}",
        kind=kind,
        principal_type=principal.type,
        principal=hashed(subject_key, persons[0] or principal),
        agent=hashed(subject_key, persons[1] or agent),
        items=items,
        resources=resources,
        valid_from=at,
        valid_to=valid_to,
        evidence=evidence,
    )
    _insert(conn, made, window)
    record(conn, Deed("mandate", made.id, "register", by, evidence, detail={"kind": kind}))
    return made


def end(
    conn: psycopg.Connection, mandate: str, at: datetime, *, window: str, reason: str
) -> Mandate:
    """End a mandate; consents given under it carry no call from now on."""
    by = check_window(conn, window)
    held = find(conn, mandate)
    if held.ended_at is not None:
        raise WrongState("the mandate has ended already", zh="该委托已终止")
    conn.execute(
        "UPDATE hub.mandate SET ended_at = %s, ended_because = %s WHERE id = %s",
        (at, reason, mandate),
    )
    record(conn, Deed("mandate", mandate, "end", by, reason))
    return replace(held, ended_at=at)


def find(conn: psycopg.Connection, mandate: str) -> Mandate:
    """One mandate. Raises `NotFound`."""
    found = conn.execute(
        "SELECT to_jsonb(m) FROM hub.mandate m WHERE id = %s", (mandate,)
    ).fetchone()
    if found is None:
        raise NotFound("there is no such mandate", zh="没有该委托")
    return grant_rows.mandate(found[0])


def _insert(conn: psycopg.Connection, made: Mandate, window: str) -> None:
    conn.execute(
        "INSERT INTO hub.mandate (id, kind, principal_type, principal, agent, items, resources,"
        " valid_from, valid_to, evidence, registered_by)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            made.id,
            made.kind,
            made.principal_type,
            made.principal,
            made.agent,
            sorted(made.items),
            sorted(made.resources),
            made.valid_from,
            made.valid_to,
            made.evidence,
            window,
        ),
    )
