"""The one decision: may this be answered, and how much of it.

`decide` is pure: the grant, the quota that was already claimed and the time come in, a verdict goes
out. Every mode and every way into the exchange passes here. It reads nothing, and it does not check
who is calling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.grant import Authority, Form, Grant, Mode


class Rule(StrEnum):
    """The rules that refuse, in the order in which they are looked at."""

    NO_GRANT = "no-grant"
    REVOKED = "grant-revoked"
    NOT_YET = "grant-not-yet-valid"
    EXPIRED = "grant-expired"
    MODE = "mode-outside-grant"
    PURPOSE = "purpose-outside-grant"
    BASIS = "basis-outside-grant"
    ITEM = "item-outside-grant"
    FIELD = "field-outside-grant"
    COMPARE_ONLY = "field-compare-only"
    PREDICATE_ONLY = "field-predicate-only"
    MASKED_ONLY = "field-masked-only"
    MINUTE = "quota-per-minute"
    DAY = "quota-per-day"
    USES = "uses-exhausted"
    MISSES = "miss-budget"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, without whom it is about: no decision depends on the subject."""

    client: str
    resource: str
    mode: Mode
    fields: tuple[str, ...]
    authority: Authority


@dataclass(frozen=True, slots=True)
class Spent:
    """What a grant has used up, this call included, as the database claimed it.

    `misses_left` is the client's: how many more subjects that nobody knows it may ask about today.
    """

    minute: int
    day: int
    uses: int
    misses_left: int = 1


@dataclass(frozen=True, slots=True)
class Allowed:
    """What may be shown: the fields, how each is shown, and of which rows."""

    fields: tuple[str, ...]
    forms: Mapping[str, Form]
    row_filter: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Which rule says no."""

    rule: Rule


# A masked value may be looked at but not guessed at: comparing would confirm what the mask hides.
# A question of the catalogue is answered where it was granted by name, and nowhere else.
_SEEN = frozenset({Form.PLAIN, Form.MASKED})
SHOWN: Mapping[Mode, frozenset[Form]] = {
    Mode.QUERY: _SEEN,
    Mode.VERIFY: frozenset({Form.PLAIN, Form.COMPARE}),
    Mode.PREDICATE: frozenset({Form.PREDICATE}),
    Mode.BATCH: _SEEN | {Form.PREDICATE},
    Mode.CHANGES: _SEEN,
    Mode.PUSH: _SEEN,
    Mode.DELIVER: _SEEN,
    Mode.SHARE: _SEEN,
}


def decide(grant: Grant | None, request: Question, spent: Spent, at: datetime) -> Allowed | Refused:
    """Judge one call. The first rule that refuses is the answer."""
    if grant is None or (grant.client, grant.resource) != (request.client, request.resource):
        return Refused(Rule.NO_GRANT)
    refusal = (
        _standing(grant, at)
        or _scope(grant, request)
        or _fields(grant, request)
        or _quota(grant, spent)
    )
    if refusal:
        return Refused(refusal)
    forms = {name: grant.fields[name] for name in request.fields}
    return Allowed(request.fields, forms, grant.row_filter)


def _standing(grant: Grant, at: datetime) -> Rule | None:
    if grant.revoked_at is not None:
        return Rule.REVOKED
    if at < grant.valid_from:
        return Rule.NOT_YET
    return Rule.EXPIRED if at >= grant.valid_to else None


def _scope(grant: Grant, request: Question) -> Rule | None:
    asked = request.authority
    outside = {
        Rule.MODE: request.mode not in grant.modes,
        Rule.PURPOSE: asked.purpose not in grant.purposes,
        Rule.BASIS: asked.basis not in grant.bases,
        Rule.ITEM: asked.item not in grant.items,
    }
    return next((rule for rule, is_outside in outside.items() if is_outside), None)


def _fields(grant: Grant, request: Question) -> Rule | None:
    if not request.fields or not set(request.fields) <= set(grant.fields):
        return Rule.FIELD
    withheld = {grant.fields[name] for name in request.fields} - SHOWN[request.mode]
    if not withheld:
        return None
    return next(rule for form, rule in _ONLY.items() if form in withheld)


_ONLY: Mapping[Form, Rule] = {
    Form.COMPARE: Rule.COMPARE_ONLY,
    Form.PREDICATE: Rule.PREDICATE_ONLY,
    Form.MASKED: Rule.MASKED_ONLY,
    Form.PLAIN: Rule.FIELD,  # a column is no question
}


def _quota(grant: Grant, spent: Spent) -> Rule | None:
    if spent.minute > grant.per_minute:
        return Rule.MINUTE
    if spent.day > grant.per_day:
        return Rule.DAY
    if grant.max_uses is not None and spent.uses > grant.max_uses:
        return Rule.USES
    return Rule.MISSES if spent.misses_left <= 0 else None
