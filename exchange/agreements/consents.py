"""Consents: registered after a person was verified and signed for, withdrawn at the next call.

A window that is registered for it verifies the person, has the statement agreed to, and signs the
statement's canonical JSON with its own key. What is kept names the person by keyed hash alone;
whoever knows the number can put it back and check the signature. Whether a consent carries a call
is judged in `exchange/decide.py`, in the statement that claims the grant.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

import jwt
import psycopg
from psycopg.types.json import Jsonb

from exchange import grant_rows, subjects
from exchange.agreements import mandates
from exchange.agreements.clocks import local
from exchange.agreements.evidence import Deed, record
from exchange.agreements.mandates import Verification
from exchange.keys import public_key
from exchange.ledger.entries import hashed
from schemas.canonical import canonical, unb64url
from schemas.consent import Consent, Every, GivenAs
from schemas.errors import Invalid, NotFound, Refused, WrongState
from schemas.grant import Subject

ADULT_ENOUGH = 14
"""《个人信息保护法》第三十一条: below this age a guardian consents."""
LONGEST = timedelta(days=3 * 366)

READ = (
    "SELECT to_jsonb(c) || jsonb_build_object('under', to_jsonb(m)) FROM hub.consent c"
    " LEFT JOIN hub.mandate m ON m.id = c.mandate "
)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person agrees to, before it is registered."""

    subject: Subject
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
    mandate: str | None = None

    def text(self) -> bytes:
        """The canonical JSON (RFC 8785) that is signed."""
        return canonical(self._said({"type": self.subject.type, "id": self.subject.id}))

    def without_person(self) -> str:
        """The same without the number: what is kept."""
        return canonical(self._said({"type": self.subject.type})).decode()

    def _said(self, subject: Mapping[str, str]) -> dict[str, Any]:
        said = {
            "subject": dict(subject),
            "given_as": str(self.given_as),
            "client": self.client,
            "resource": self.resource,
            "fields": sorted(self.fields),
            "purposes": sorted(self.purposes),
            "items": sorted(self.items),
            "valid_from": self.valid_from.isoformat(),
            "valid_to": self.valid_to.isoformat(),
            "max_uses": self.max_uses,
            "every": str(self.every) if self.every else None,
            "per_every": self.per_every,
            "mandate": self.mandate,
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Signature:
    """A window's signature over a statement: JWS's raw form (RFC 7518 section 3.4), base64url."""

    kid: str
    value: str


def register(
    conn: psycopg.Connection,
    said: Statement,
    verified: Verification,
    signature: Signature,
    at: datetime,
    *,
    window: str,
    subject_key: bytes,
) -> Consent:
    """Register what a person agreed to. Raises `Invalid`, `NotFound` or `Refused`."""
    by = mandates.check_window(conn, window)
    mandates.check_verified(verified, at)
    checked = subjects.normalised(said.subject)
    if checked is None:
        raise Invalid("the person's number fails its check", zh="证件号码校验未通过")
    _check_terms(said, at)
    _check_age(said, checked, at)
    subject = hashed(subject_key, checked)
    _check_mandate(conn, said, subject, at)
    _check_signature(conn, said, signature, window)
    made = f"consent-{secrets.token_hex(8)}"
    _insert(conn, made, said, subject, verified, signature, window)
    conn.execute("INSERT INTO hub.consent_spend (consent) VALUES (%s)", (made,))
    detail = {"client": said.client, "resource": said.resource, "given_as": said.given_as}
    record(conn, Deed("consent", made, "register", by, detail=detail))
    return find(conn, made)


def withdraw(
    conn: psycopg.Connection, consent: str, at: datetime, *, window: str, reason: str
) -> Consent:
    """Withdraw a consent (《个人信息保护法》第十五条): the next call under it is refused."""
    by = mandates.check_window(conn, window)
    held = find(conn, consent)
    if held.withdrawn_at is not None:
        raise WrongState("the consent is withdrawn already", zh="该同意已撤回")
    conn.execute("UPDATE hub.consent SET withdrawn_at = %s WHERE id = %s", (at, consent))
    record(conn, Deed("consent", consent, "withdraw", by, reason))
    return replace(held, withdrawn_at=at)


def find(conn: psycopg.Connection, consent: str) -> Consent:
    """One consent. Raises `NotFound`."""
    found = conn.execute(READ + "WHERE c.id = %s", (consent,)).fetchone()
    if found is None:
        raise NotFound("there is no such consent", zh="没有该同意")
    return grant_rows.consent(found[0])


def of_person(conn: psycopg.Connection, subject: bytes) -> list[Consent]:
    """What a person agreed to, the newest first, given the person's keyed hash."""
    rows = conn.execute(
        READ + "WHERE c.subject = %s ORDER BY c.registered_at DESC, c.id", (subject,)
    ).fetchall()
    return [grant_rows.consent(said) for (said,) in rows]


def _check_terms(said: Statement, at: datetime) -> None:
    if not (said.fields and said.purposes and said.items):
        raise Invalid("a consent names fields, purposes and items", zh="同意内容要素不全")
    if not (said.valid_from < said.valid_to and at < said.valid_to <= at + LONGEST):
        raise Invalid("a consent ends, within three years", zh="同意期限不合要求")
    if (said.every is None) != (said.per_every is None):
        raise Invalid("how often is a number and its period", zh="使用频次要素不全")
    if min(said.max_uses or 1, said.per_every or 1) < 1:
        raise Invalid("a number of uses is at least one", zh="使用次数须大于零")


def _check_age(said: Statement, person: Subject, at: datetime) -> None:
    """A child's guardian consents, and not beyond the day on which it is the child's to do."""
    until = _of_age(person)
    if until is None or local(at) >= until:
        return
    if said.given_as is not GivenAs.GUARDIAN:
        raise Refused(
            "a child under 14 has a guardian who consents",
            zh="不满十四周岁须由监护人同意",
            rule="guardian-needed",
        )
    if local(said.valid_to) > until:
        raise Refused(
            "a guardian consents until the child's 14th birthday",
            zh="监护人同意不得超过十四周岁",
            rule="guardian-until-14",
        )


def _of_age(person: Subject) -> date | None:
    """The 14th birthday, where the number says the date of birth (GB 11643 section 4.2)."""
    if person.type != "cn.resident_id":
        return None
    year, month, day = int(person.id[6:10]), int(person.id[10:12]), int(person.id[12:14])
    try:
        return date(year + ADULT_ENOUGH, month, day)
    except ValueError:
        return date(year + ADULT_ENOUGH, 3, 1)  # born on 29 February


def _check_mandate(conn: psycopg.Connection, said: Statement, subject: bytes, at: datetime) -> None:
    if (said.given_as is GivenAs.HOLDER) != (said.mandate is None):
        raise Invalid("a guardian or agent shows a mandate, a holder none", zh="委托要素不全")
    if said.mandate is None:
        return
    under = mandates.find(conn, said.mandate)
    fits = (
        under.principal == subject
        and under.kind is said.given_as
        and under.stands(at)
        and said.resource in under.resources
        and said.items <= under.items
    )
    if not fits:
        raise Refused(
            "the mandate does not cover this consent",
            zh="委托（监护）范围不包含此项同意",
            rule="mandate-outside-scope",
        )


def _check_signature(
    conn: psycopg.Connection, said: Statement, signature: Signature, window: str
) -> None:
    found = conn.execute(
        "SELECT jwk FROM hub.client_key WHERE kid = %s AND client = %s AND revoked_at IS NULL",
        (signature.kid, window),
    ).fetchone()
    key = public_key(found[0]) if found else None
    algorithm = jwt.get_algorithm_by_name(key.alg) if key else None
    if not (
        key and algorithm and algorithm.verify(said.text(), key.key, unb64url(signature.value))
    ):
        raise Refused(
            "the statement's signature is not this window's",
            zh="同意书签名未通过验证",
            rule="signature-invalid",
        )


def _insert(
    conn: psycopg.Connection,
    consent: str,
    said: Statement,
    subject: bytes,
    verified: Verification,
    signature: Signature,
    window: str,
) -> None:
    conn.execute(
        "INSERT INTO hub.consent (id, subject_type, subject, given_as, mandate, client, resource,"
        " fields, purposes, items, valid_from, valid_to, max_uses, every, per_every, verification,"
        " statement, signature, kid, registered_by) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s,"
        " %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            consent,
            said.subject.type,
            subject,
            said.given_as,
            said.mandate,
            said.client,
            said.resource,
            sorted(said.fields),
            sorted(said.purposes),
            sorted(said.items),
            said.valid_from,
            said.valid_to,
            said.max_uses,
            said.every,
            said.per_every,
            Jsonb(verified.json()),
            said.without_person(),
            signature.value,
            signature.kid,
            window,
        ),
    )
