"""What can happen to a license after it was issued: suspend, restore, revoke, annul, supersede.

Each deed changes the state, the bits of the status list, the public log and the outbox in the
transaction it is handed. It never edits what was sealed, and signs nothing: the status list is
signed on demand from what was committed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from license_vault import store
from license_vault.store import Connection
from schemas.errors import Invalid, WrongState
from schemas.license import Event, Form, License, Status

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time, unless a test says otherwise."""
    return datetime.now(UTC)


def revoke(
    conn: Connection, license_id: str, *, reason: str, by: str, clock: Clock = utc_now
) -> License:
    """Revoke a license for good: verifiers refuse it from the next look at its status on.

    Raises `NotFound` or `WrongState`, and then writes nothing.
    """
    return _move(conn, license_id, Status.REVOKED, Event.REVOKED, reason, by, clock)


def annul(
    conn: Connection, license_id: str, *, reason: str, by: str, clock: Clock = utc_now
) -> License:
    """End a license whose subject is no more. Raises `NotFound` or `WrongState`."""
    return _move(conn, license_id, Status.ANNULLED, Event.ANNULLED, reason, by, clock)


def suspend(
    conn: Connection, license_id: str, *, reason: str, by: str, clock: Clock = utc_now
) -> License:
    """Put a license out of force until it is restored. Raises `NotFound` or `WrongState`."""
    return _move(conn, license_id, Status.SUSPENDED, Event.SUSPENDED, reason, by, clock)


def restore(
    conn: Connection, license_id: str, *, reason: str, by: str, clock: Clock = utc_now
) -> License:
    """Put a suspended license back in force. Raises `NotFound` or `WrongState`."""
    return _move(conn, license_id, Status.VALID, Event.RESTORED, reason, by, clock)


def supersede(
    conn: Connection,
    old_id: str,
    by_new: str,
    *,
    reason: str,
    by: str,
    clock: Clock = utc_now,
) -> License:
    """Say that `by_new` takes the place of `old_id`, whose every copy now says so.

    The new license must be in the vault and name the old one. Raises `NotFound`, `WrongState`.
    """
    if store.get(conn, by_new).supersedes != old_id:
        raise Invalid("the new license does not name the one that it takes the place of")
    return _move(
        conn, old_id, Status.SUPERSEDED, Event.SUPERSEDED, reason, by, clock, superseded_by=by_new
    )


def _move(
    conn: Connection,
    license_id: str,
    to: Status,
    event: Event,
    reason: str,
    by: str,
    clock: Clock,
    *,
    superseded_by: str | None = None,
) -> License:
    if not reason.strip() or not by.strip():
        raise Invalid("a change needs a reason and somebody who answers for it")
    at = clock()
    held = store.locked(conn, license_id)
    if event is Event.RESTORED and held.status is not Status.SUSPENDED:
        raise WrongState(f"{held.id} is not suspended", rule="license-moves")
    moved = replace(held.moved(to, at=at, reason=reason), superseded_by=superseded_by)
    store.save(conn, moved)
    record = store.file(conn, license_id, Form.RECORD)
    store.append(conn, [store.log_event(moved, record, event, by=by, reason=reason)], at)
    return moved
