"""An application for data: what is asked for, why, and where it is on its way to a grant. Nouns.

Who may answer, and by when, is `exchange/agreements/`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from schemas.grant import Form, Grant, Mode


class State(StrEnum):
    """Where an application is."""

    SUBMITTED = "submitted"
    RETURNED = "returned"
    ESCALATED = "escalated"
    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


_ANSWERED = frozenset({State.GRANTED, State.REFUSED})
MOVES: Mapping[State, frozenset[State]] = {
    State.SUBMITTED: _ANSWERED | {State.RETURNED, State.ESCALATED, State.WITHDRAWN},
    State.RETURNED: frozenset({State.SUBMITTED, State.WITHDRAWN}),
    State.ESCALATED: _ANSWERED | {State.RETURNED, State.WITHDRAWN},
    State.GRANTED: frozenset(),
    State.REFUSED: frozenset(),
    State.WITHDRAWN: frozenset(),
}
WAITING = frozenset({State.SUBMITTED, State.ESCALATED})
"""The states in which somebody owes an answer."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a grant would allow: purposes, laws, items, fields, rows, modes, quota, time."""

    purposes: frozenset[str]
    bases: frozenset[str]
    items: frozenset[str]
    fields: Mapping[str, Form]
    modes: frozenset[Mode]
    per_minute: int
    per_day: int
    valid_from: datetime
    valid_to: datetime
    row_filter: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    max_uses: int | None = None

    @classmethod
    def of(cls, grant: Grant) -> Terms:
        """The terms of a grant as it stands."""
        return cls(
            purposes=grant.purposes,
            bases=grant.bases,
            items=grant.items,
            fields=grant.fields,
            modes=grant.modes,
            per_minute=grant.per_minute,
            per_day=grant.per_day,
            valid_from=grant.valid_from,
            valid_to=grant.valid_to,
            row_filter=grant.row_filter,
            max_uses=grant.max_uses,
        )

    def json(self) -> dict[str, Any]:
        """As it is kept and told."""
        return {
            **asdict(self),
            "purposes": sorted(self.purposes),
            "bases": sorted(self.bases),
            "items": sorted(self.items),
            "modes": sorted(self.modes),
            "fields": {name: str(form) for name, form in sorted(self.fields.items())},
            "row_filter": {name: list(values) for name, values in sorted(self.row_filter.items())},
            "valid_from": self.valid_from.isoformat(),
            "valid_to": self.valid_to.isoformat(),
        }


def read_terms(said: Mapping[str, Any]) -> Terms:
    """The terms that a JSON value of ours holds."""
    return Terms(
        purposes=frozenset(said["purposes"]),
        bases=frozenset(said["bases"]),
        items=frozenset(said["items"]),
        fields={name: Form(form) for name, form in said["fields"].items()},
        modes=frozenset(map(Mode, said["modes"])),
        per_minute=said["per_minute"],
        per_day=said["per_day"],
        valid_from=datetime.fromisoformat(said["valid_from"]),
        valid_to=datetime.fromisoformat(said["valid_to"]),
        row_filter={name: tuple(values) for name, values in said["row_filter"].items()},
        max_uses=said["max_uses"],
    )


@dataclass(frozen=True, slots=True)
class Application:
    """One department asks another for data: what, why, and how it will be kept safe."""

    id: str
    state: State
    client: str
    department: str
    resource: str
    version: str
    source_department: str
    jurisdiction: str
    share_class: str
    terms: Terms
    scenario: str
    promise: str
    file_number: str
    submitted_by: str
    submitted_at: datetime
    clock_started_at: datetime
    clock_days: int
    clock_law: str
    escalated_to: str | None = None
    answered_at: datetime | None = None
    grant_id: str | None = None
