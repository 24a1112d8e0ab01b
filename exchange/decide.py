"""The one decision: may this be answered, and how much of it.

`decide` is pure: the grant, the quota that was already claimed, the consent that was shown and the
time come in, a verdict goes out. Every mode and every way into the exchange passes here.
`objections` says every rule that refuses, for whoever wants to know beforehand. Nothing is read
here, and who is calling is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from schemas.consent import Consent, Shown
from schemas.grant import Authority, Form, Grant, Mode, Needs


class Rule(StrEnum):
    """The rules that refuse, in the order in which they are looked at."""

    NO_GRANT = "no-grant"
    REVOKED = "grant-revoked"
    SUSPENDED = "grant-suspended"
    NOT_YET = "grant-not-yet-valid"
    EXPIRED = "grant-expired"
    SUNSET = "version-ended"
    MODE = "mode-outside-grant"
    PURPOSE = "purpose-outside-grant"
    BASIS = "basis-outside-grant"
    ITEM = "item-outside-grant"
    FIELD = "field-outside-grant"
    COMPARE_ONLY = "field-compare-only"
    PREDICATE_ONLY = "field-predicate-only"
    MASKED_ONLY = "field-masked-only"
    CONSENT = "consent-missing"
    CONSENT_SUBJECT = "consent-of-another-subject"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CONSENT_PERIOD = "consent-not-in-force"
    CONSENT_SCOPE = "consent-outside-scope"
    MANDATE = "mandate-not-in-force"
    CONSENT_USES = "consent-uses-exhausted"
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
    consent: str | None = None


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


def decide(
    grant: Grant | None, request: Question, spent: Spent, at: datetime, shown: Shown | None = None
) -> Allowed | Refused:
    """Judge one call. The first rule that refuses is the answer."""
    refusal = next(_refusals(grant, request, spent, at, shown), None)
    if refusal or grant is None:
        return Refused(refusal or Rule.NO_GRANT)
    forms = {name: grant.fields[name] for name in request.fields}
    return Allowed(request.fields, forms, grant.row_filter)


def objections(
    grant: Grant | None, request: Question, spent: Spent, at: datetime, shown: Shown | None = None
) -> tuple[Rule, ...]:
    """Every rule that refuses the call, the first one being `decide`'s answer."""
    return tuple(_refusals(grant, request, spent, at, shown))


def _refusals(
    grant: Grant | None, request: Question, spent: Spent, at: datetime, shown: Shown | None
) -> Iterator[Rule]:
    if grant is None or (grant.client, grant.resource) != (request.client, request.resource):
        yield Rule.NO_GRANT
        return
    yield from _standing(grant, at)
    yield from _scope(grant, request)
    if outside := _fields(grant, request):
        yield outside
    if grant.needs is Needs.CONSENT:
        yield from _consent(shown, request, at)
    yield from _quota(grant, spent)


def _standing(grant: Grant, at: datetime) -> Iterator[Rule]:
    refuses = {
        Rule.REVOKED: grant.revoked_at is not None,
        Rule.SUSPENDED: grant.suspended_at is not None,
        Rule.NOT_YET: at < grant.valid_from,
        Rule.EXPIRED: at >= grant.valid_to,
        Rule.SUNSET: grant.sunset_at is not None and at >= grant.sunset_at,
    }
    yield from (rule for rule, holds in refuses.items() if holds)


def _scope(grant: Grant, request: Question) -> Iterator[Rule]:
    asked = request.authority
    outside = {
        Rule.MODE: request.mode not in grant.modes,
        Rule.PURPOSE: asked.purpose not in grant.purposes,
        Rule.BASIS: asked.basis not in grant.bases,
        Rule.ITEM: asked.item not in grant.items,
    }
    yield from (rule for rule, is_outside in outside.items() if is_outside)


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


def _consent(shown: Shown | None, request: Question, at: datetime) -> Iterator[Rule]:
    """《个人信息保护法》第十三条至第十五条: agreed to by the person, for this, and still so."""
    if shown is None:
        yield Rule.CONSENT
        return
    given = shown.consent
    refuses = {
        Rule.CONSENT_SUBJECT: not shown.of_subject,
        Rule.CONSENT_WITHDRAWN: given.withdrawn_at is not None,
        Rule.CONSENT_PERIOD: not given.valid_from <= at < given.valid_to,
        Rule.CONSENT_SCOPE: not _agreed_to(given, request),
        Rule.MANDATE: given.mandate is not None and not given.mandate.stands(at),
        Rule.CONSENT_USES: _used_up(shown),
    }
    yield from (rule for rule, holds in refuses.items() if holds)


def _agreed_to(given: Consent, request: Question) -> bool:
    return (
        (given.client, given.resource) == (request.client, request.resource)
        and set(request.fields) <= given.fields
        and request.authority.purpose in given.purposes
        and request.authority.item in given.items
    )


def _used_up(shown: Shown) -> bool:
    given = shown.consent
    too_many = given.max_uses is not None and shown.uses > given.max_uses
    return too_many or (given.per_every is not None and shown.period_uses > given.per_every)


def _quota(grant: Grant, spent: Spent) -> Iterator[Rule]:
    refuses = {
        Rule.MINUTE: spent.minute > grant.per_minute,
        Rule.DAY: spent.day > grant.per_day,
        Rule.USES: grant.max_uses is not None and spent.uses > grant.max_uses,
        Rule.MISSES: spent.misses_left <= 0,
    }
    yield from (rule for rule, holds in refuses.items() if holds)
