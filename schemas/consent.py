"""A person's consent, and a mandate to act for another: nouns.

Both name persons by keyed hashes only. Whether a consent carries a call is judged in
`exchange/decide.py`; registering and withdrawing are `exchange/agreements/`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class GivenAs(StrEnum):
    """Who gives a consent: the person, or one who may act for the person."""

    HOLDER = "holder"
    GUARDIAN = "guardian"
    AGENT = "agent"


class Every(StrEnum):
    """The period of "how often"."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Mandate:
    """One acts for another: which items and resources, from when to when, proved by what."""

    id: str
    kind: GivenAs
    principal_type: str
    principal: bytes = field(repr=False)
    agent: bytes = field(repr=False)
    items: frozenset[str]
    resources: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    evidence: str
    ended_at: datetime | None = None

    def stands(self, at: datetime) -> bool:
        """Say whether it holds at that moment."""
        return self.ended_at is None and self.valid_from <= at < self.valid_to


@dataclass(frozen=True, slots=True)
class Consent:
    """Who may know which fields of a person, what for, until when, how often."""

    id: str
    subject_type: str
    subject: bytes = field(repr=False)
    given_as: GivenAs
    client: str
    resource: str
    fields: frozenset[str]
    purposes: frozenset[str]
    items: frozenset[str]
    valid_from: datetime
    valid_to: datetime
    max_uses: int | None = None
    every: Every | None = None
    per_every: int | None = None
    mandate: Mandate | None = None
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A consent that a call shows: is it the asked person's, and how often was it used by now."""

    consent: Consent
    of_subject: bool
    uses: int
    period_uses: int
