"""Applications, grants and events as they are told to departments, in JSON's own shapes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any

from exchange.agreements import watch
from exchange.agreements.evidence import Event
from schemas.application import Application, Terms
from schemas.consent import Consent, Mandate
from schemas.grant import Grant, GrantState


def application(
    held: Application, at: datetime, done: Iterable[Event] | None = None
) -> dict[str, Any]:
    """An application, how its clock stands, and what was done to it."""
    stands = watch.standing(held, at)
    told = {**asdict(held), "terms": held.terms.json()}
    told["clock"] = {
        "working_days": held.clock_days,
        "law": held.clock_law,
        "started_at": held.clock_started_at,
        **(asdict(stands) | {"overdue": stands.overdue} if stands else {}),
    }
    for inside in ("clock_days", "clock_law", "clock_started_at"):
        del told[inside]
    return told | _events(done)


def grant(held: Grant, at: datetime, done: Iterable[Event] | None = None) -> dict[str, Any]:
    """A grant: its terms, its state, and what was done to it."""
    return {
        "id": held.id,
        "state": state(held, at),
        "client": held.client,
        "resource": held.resource,
        "version": held.version,
        "application": held.application,
        "file_number": held.file_number,
        "needs": held.needs,
        "sunset_at": held.sunset_at,
        "terms": Terms.of(held).json(),
    } | _events(done)


def state(held: Grant, at: datetime) -> str:
    """Where a grant is in its life, its dates considered."""
    if held.state is not GrantState.IN_FORCE:
        return str(held.state)
    if at < held.valid_from:
        return "not-yet"
    ends = min(filter(None, (held.valid_to, held.sunset_at)))
    return "expired" if at >= ends else str(GrantState.IN_FORCE)


def consent(held: Consent) -> dict[str, Any]:
    """A consent, without whose it is."""
    told = {**asdict(held), "mandate": held.mandate.id if held.mandate else None}
    told |= {name: sorted(told[name]) for name in ("fields", "purposes", "items")}
    del told["subject"]
    return told | {"state": "withdrawn" if held.withdrawn_at else "registered"}


def mandate(held: Mandate) -> dict[str, Any]:
    """A mandate, without between whom it is."""
    told = asdict(held)
    told |= {name: sorted(told[name]) for name in ("items", "resources")}
    del told["principal"], told["agent"]
    return told | {"state": "ended" if held.ended_at else "registered"}


def _events(done: Iterable[Event] | None) -> dict[str, Any]:
    return {} if done is None else {"events": [asdict(each) for each in done]}
