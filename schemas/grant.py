"""The grant: what one client system may ask of one resource, and under which authority.

Nouns only; who may have what is judged in `exchange/decide.py`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Mode(StrEnum):
    """The ways of asking."""

    QUERY = "query"
    VERIFY = "verify"
    PREDICATE = "predicate"
    BATCH = "batch"
    CHANGES = "changes"
    PUSH = "push"
    DELIVER = "deliver"
    SHARE = "share"


class Form(StrEnum):
    """How much of a field a grant shows: the value, a masked value, only a comparison, or the
    answer to a question of the fixed catalogue, which stands whole in the field's place."""

    PLAIN = "plain"
    MASKED = "masked"
    COMPARE = "compare"
    PREDICATE = "predicate"


class Needs(StrEnum):
    """What must stand beside a grant before a person's data is given under it."""

    NOTHING = "nothing"
    CONSENT = "consent"


class GrantState(StrEnum):
    """Where a grant is in its life."""

    IN_FORCE = "in-force"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


GRANT_MOVES: Mapping[GrantState, frozenset[GrantState]] = {
    GrantState.IN_FORCE: frozenset({GrantState.SUSPENDED, GrantState.REVOKED}),
    GrantState.SUSPENDED: frozenset({GrantState.IN_FORCE, GrantState.REVOKED}),
    GrantState.REVOKED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a call is about, e.g. `Subject("cn.uscc", "91…")`. Never printed."""

    type: str
    id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authority:
    """Why a call is made, and by whom: mandatory in every call, and kept as evidence."""

    purpose: str
    basis: str
    item: str
    case: str
    officer: str


@dataclass(frozen=True, slots=True)
class Grant:
    """One client, one resource: purposes, fields and forms, rows, modes, quota, time, uses.

    An empty set of purposes, bases, items or modes allows none. `row_filter` maps a column to the
    only values its rows may hold; an empty filter leaves every row. `version` is the resource's, as
    it was agreed on, and `sunset_at` is when that version ends.
    """

    id: str
    client: str
    resource: str
    purposes: frozenset[str]
    bases: frozenset[str]
    items: frozenset[str]
    fields: Mapping[str, Form]
    modes: frozenset[Mode]
    valid_from: datetime
    valid_to: datetime
    per_minute: int
    per_day: int
    file_number: str
    row_filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_uses: int | None = None
    revoked_at: datetime | None = None
    needs: Needs = Needs.NOTHING
    suspended_at: datetime | None = None
    sunset_at: datetime | None = None
    version: str | None = None
    application: str | None = None

    @property
    def state(self) -> GrantState:
        """Where it is in its life, whatever its dates say."""
        if self.revoked_at is not None:
            return GrantState.REVOKED
        return GrantState.IN_FORCE if self.suspended_at is None else GrantState.SUSPENDED
