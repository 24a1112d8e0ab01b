"""Answering a call: claim, decide, look up, record, answer; whatever the way in.

Every call that gets here ends in exactly one ledger entry, and nothing is returned or raised before
that entry is durable: if it cannot be written, the call fails. Reading requests and tokens is the
web's business, judging is `exchange/decide.py`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Protocol, TypeVar
from uuid import UUID

import asyncpg
import orjson

from exchange import forms, grants, resources, subjects
from exchange.decide import Allowed, Question, Rule, decide
from exchange.forms import Value, Verdict
from exchange.grants import Claimed, Named
from exchange.identity.resolving import spelled
from exchange.ledger import accesses as log
from exchange.ledger.accesses import Access
from exchange.ledger.entries import Call, Decision, Entry, begun, hashed, sealed
from exchange.modes import predicates as asking
from exchange.modes.allowance import Allowance
from exchange.modes.predicates import Told
from exchange.problems import Exhausted, SourceUnavailable, Unprocessable
from exchange.tokens import Bearer
from schemas import predicates
from schemas.contract import Contract
from schemas.errors import Invalid, Refused, Unauthenticated, Unavailable, YizhanError
from schemas.grant import Authority, Mode, Subject

ACCESSES = "ledger.accesses"  # the resource under which a client may read a citizen's own log
DATABASE_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was cut while it was being lent
    OSError,
    TimeoutError,
)
QUOTAS = frozenset({Rule.MINUTE, Rule.DAY, Rule.MISSES})

Result = TypeVar("Result")


class CallRefused(Refused):
    """The decision on a call: `rule` names what refuses."""

    code = "call-refused"


class Evidence(Protocol):
    """Where entries go; `write` returns when they are durable."""

    async def write(self, entry: Entry) -> None:
        """Write one entry. Raises `LedgerUnavailable`."""


class Pool(Protocol):
    """Where connections come from."""

    def acquire(self) -> AbstractAsyncContextManager[Any]:
        """Lend a connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a query; without a row there are no values."""

    receipt: UUID
    values: Mapping[str, Value]
    allowance: Allowance | None = None

    @property
    def found(self) -> bool:
        """The library knows the subject, as far as the grant shows its rows."""
        return bool(self.values)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answer to a verification: a verdict for each claim, and nothing else."""

    receipt: UUID
    verdicts: Mapping[str, Verdict]
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to questions of the fixed catalogue: yes, no or cannot_say."""

    receipt: UUID
    told: Mapping[str, Told]
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """What a caller gets beside the answer: the receipt, and what is left of the quota."""

    receipt: UUID
    allowance: Allowance | None


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a call is about: the one number, and others that rows may be kept under."""

    subject: Subject
    also: tuple[str, ...]

    @property
    def everyone(self) -> tuple[Subject, ...]:
        """The subject under each of its numbers."""
        return self.subject, *(Subject(self.subject.type, number) for number in self.also)


# Given a connection, the resolved subject and what is allowed: the result, and the bytes of it that
# the ledger keeps a keyed digest of (none when nothing was found).
LookUp = Callable[[Any, Known, Allowed], Awaitable[tuple[Result, bytes]]]


@dataclass(frozen=True)
class Answering:
    """The use cases of asking, over a pool of the hub's role and the ledger.

    Each raises `NotFound`, `Unprocessable`, `Unauthenticated`, `CallRefused`, `Exhausted`,
    `SourceUnavailable` or `Unavailable`. All are recorded; the error's `receipt` says where.
    """

    pool: Pool
    ledger: Evidence
    subject_key: bytes

    async def ask(
        self,
        client_id: str,
        resource: str,
        subject: Subject,
        fields: Sequence[str],
        authority: Authority,
    ) -> Answer:
        """Query from inside the hub, for a client that already proved who it is.

        The same decision and the same evidence as over HTTP.
        """
        return await self.query(Bearer(client_id, None, None), resource, subject, fields, authority)

    async def query(
        self,
        bearer: Bearer,
        resource: str,
        subject: Subject,
        fields: Sequence[str],
        authority: Authority,
        consent: str | None = None,
    ) -> Answer:
        """Answer fields of one subject, in the forms that the grant shows."""
        question = Question(bearer.client, resource, Mode.QUERY, tuple(fields), authority, consent)

        async def look_up(
            conn: Any, known: Known, allowed: Allowed
        ) -> tuple[dict[str, Value], bytes]:
            rows = await _rows(conn, resource, known, allowed)
            shown = forms.values(resources.find(resource), allowed, rows)
            return shown, orjson.dumps(shown) if shown else b""

        served, shown = await self._serve(bearer, question, subject, look_up)
        return Answer(served.receipt, shown, served.allowance)

    async def verify(
        self,
        bearer: Bearer,
        resource: str,
        subject: Subject,
        claims: Mapping[str, object],
        authority: Authority,
        consent: str | None = None,
    ) -> Comparison:
        """Compare claims with what the library holds; nothing of it is disclosed."""
        question = Question(bearer.client, resource, Mode.VERIFY, tuple(claims), authority, consent)

        async def look_up(
            conn: Any, known: Known, allowed: Allowed
        ) -> tuple[dict[str, Verdict], bytes]:
            rows = await _rows(conn, resource, known, allowed)
            verdicts = forms.verdicts(claims, rows)
            return verdicts, orjson.dumps(verdicts) if rows else b""

        served, verdicts = await self._serve(bearer, question, subject, look_up)
        return Comparison(served.receipt, verdicts, served.allowance)

    async def predicate(
        self,
        bearer: Bearer,
        resource: str,
        subject: Subject,
        questions: Sequence[str],
        authority: Authority,
        consent: str | None = None,
    ) -> Answers:
        """Answer questions of the fixed catalogue; nothing else of the rows is disclosed."""
        asked = tuple(questions)
        question = Question(bearer.client, resource, Mode.PREDICATE, asked, authority, consent)

        async def look_up(
            conn: Any, known: Known, allowed: Allowed
        ) -> tuple[dict[str, Told], bytes]:
            numbers = (known.subject.id, *known.also)
            told = await asking.ask(conn, resource, known.subject.type, numbers, allowed)
            return told, orjson.dumps(told) if asking.found(told) else b""

        served, told = await self._serve(bearer, question, subject, look_up)
        return Answers(served.receipt, told, served.allowance)

    async def accesses(
        self, bearer: Bearer, subject: Subject, authority: Authority
    ) -> tuple[UUID, list[Access]]:
        """A citizen's own log, for a client that was granted `ledger.accesses`; looking at it is
        itself in it."""
        question = Question(bearer.client, ACCESSES, Mode.QUERY, ("accesses",), authority)

        async def look_up(conn: Any, known: Known, _: Allowed) -> tuple[list[Access], bytes]:
            hashes = [hashed(self.subject_key, each) for each in known.everyone]
            found = await log.accesses_of_all(conn, hashes)
            return found, b"%d" % len(found) if found else b""

        served, found = await self._serve(bearer, question, subject, look_up)
        return served.receipt, found

    async def _serve(
        self, bearer: Bearer, question: Question, subject: Subject, look_up: LookUp[Result]
    ) -> tuple[Served, Result]:
        """The one way through: whatever happens, one entry is durable before this ends."""
        call = _begun(bearer, question)
        try:
            async with self.pool.acquire() as conn:
                known, allowed, left = await self._judge(conn, call, bearer, question, subject)
                result, evidence = await _from_source(look_up(conn, known, allowed))
        except YizhanError as err:
            await record_failure(self.ledger, call, err)
            raise
        except DATABASE_ERRORS as err:
            failure = Unavailable(f"the database does not answer: {type(err).__name__}")
            await record_failure(self.ledger, call, failure)
            raise failure from None
        decision = Decision.ANSWERED if evidence else Decision.NOT_FOUND
        digest = sealed(self.subject_key, evidence) if evidence else None
        await self.ledger.write(call.ended(decision, answer=digest))
        return Served(call.receipt, left), result

    async def _judge(
        self, conn: Any, call: Call, bearer: Bearer, question: Question, subject: Subject
    ) -> tuple[Known, Allowed, Allowance | None]:
        """Who is it about, and may it be answered: the subject's one name, what is allowed, and
        what is left of the quota."""
        checked = subjects.normalised(subject)
        unfit = _unfit(question, subject)
        if not unfit:  # else what was sent may be anything, and stays out of the ledger
            call.resource, call.fields = question.resource, question.fields
            self._note_subject(call, checked or subject)
        named = _named(subject, checked)
        claimed = await grants.claim(conn, question, bearer, named)
        _check_standing(claimed)
        try:
            known = _known(claimed, subject, unfit)
        except Invalid:
            await grants.refund(conn, claimed)
            raise
        if known.subject != checked:
            self._note_subject(call, known.subject)
        allowed = await self._decide(conn, call, question, claimed, known)
        return known, allowed, _left(claimed)

    async def _decide(
        self, conn: Any, call: Call, question: Question, claimed: Claimed, known: Known
    ) -> Allowed:
        if claimed.grant is not None:
            call.grant = claimed.grant.id
        shown = claimed.shown(self._agreed(claimed, known))
        call.consent = shown.consent.id if shown else None
        verdict = decide(claimed.grant, question, claimed.spent, claimed.at, shown)
        if claimed.withdrawn:
            raise CallRefused("the resource is no longer offered", rule="resource-withdrawn")
        if isinstance(verdict, Allowed):
            return verdict
        await grants.refund(conn, claimed)
        if verdict.rule in QUOTAS:
            raise _exhausted(verdict.rule, _left(claimed))
        raise CallRefused(
            f"the grant does not allow this: {verdict.rule}",
            zh="授权范围不允许此次调用",
            rule=verdict.rule,
        )

    def _agreed(self, claimed: Claimed, known: Known) -> bool:
        """Whether the consent that was shown is that of the subject, under any of its numbers."""
        given = claimed.consent
        return given is not None and any(
            compare_digest(given.subject, hashed(self.subject_key, each)) for each in known.everyone
        )

    def _note_subject(self, call: Call, subject: Subject) -> None:
        call.subject_type, call.subject = subject.type, hashed(self.subject_key, subject)


def _left(claimed: Claimed) -> Allowance | None:
    if claimed.grant is None:
        return None
    return Allowance.of(claimed.grant, claimed.spent, claimed.at)


def _exhausted(rule: Rule, left: Allowance | None) -> Exhausted:
    """The refusal says when to come back, and how much there would be then."""
    refusal = Exhausted("the grant's quota is used up", zh="调用额度已用尽", rule=rule)
    if left is not None:
        vars(refusal)["headers"] = left.headers() | {"retry-after": str(left.retry_after(rule))}
    return refusal


async def record_failure(ledger: Evidence, call: Call, err: YizhanError) -> None:
    """Record a call that was not answered; the error takes the receipt along."""
    await ledger.write(call.ended(_decision(err), rule=err.rule or err.code))
    vars(err)["receipt"] = str(call.receipt)


def _decision(err: YizhanError) -> Decision:
    if isinstance(err, Unauthenticated):
        return Decision.UNAUTHENTICATED
    if isinstance(err, Refused):
        return Decision.REFUSED
    return Decision.MALFORMED if isinstance(err, Invalid) else Decision.UNAVAILABLE


def _begun(bearer: Bearer, question: Question) -> Call:
    call = begun(question.mode.value)
    call.client, call.key, call.authority = bearer.client, bearer.kid, question.authority
    call.signed = bearer.signed
    return call


def _unfit(question: Question, subject: Subject) -> Invalid | None:
    """What is wrong with the question itself, whoever asks it."""
    if question.resource == ACCESSES:
        described: Contract | None = None
        known = set(subjects.KINDS)
    else:
        try:
            described = resources.find(question.resource)
        except Invalid as err:
            return err
        known = set(described.subjects)
    if subject.type not in known & subjects.KINDS:
        return _does_not_fit("this resource knows no such kind of subject", "subject-type-unknown")
    if described and question.mode is Mode.PREDICATE:
        if not _all_asked(described, question.fields, subject.type):
            return _does_not_fit("the catalogue has no such question", "predicate-unknown")
    elif described and not set(question.fields) <= {field.name for field in described.fields}:
        return _does_not_fit("the resource has no such field", "field-unknown")
    if len(set(question.fields)) != len(question.fields):
        return _does_not_fit("a field is asked for twice", "field-twice")
    return None


def _all_asked(described: Contract, texts: Sequence[str], subject_type: str) -> bool:
    return all(
        predicates.is_question(described, text)
        and subject_type in predicates.asked(described, text).predicate.subjects
        for text in texts
    )


def _does_not_fit(message: str, rule: str) -> Unprocessable:
    return Unprocessable(message, zh="请求与资源目录不符", rule=rule)


def _check_standing(claimed: Claimed) -> None:
    """Token and proof were good; do proof, client and key stand at this moment?"""
    standing = {
        "client-not-active": claimed.active,
        "key-not-in-force": claimed.keyed,
        "dpop-proof-replayed": claimed.fresh,
        "signature-missing": claimed.signed,
    }
    for rule, stands in standing.items():
        if not stands:
            raise Unauthenticated("the caller does not stand", zh="调用方身份无效", rule=rule)


def _named(subject: Subject, checked: Subject | None) -> Named:
    kind = subjects.IDENTIFIERS.get(subject.type, "")
    return Named(kind, spelled(subject.id), checked.id if checked else None)


def _known(claimed: Claimed, subject: Subject, unfit: Invalid | None) -> Known:
    """The subject's one name: what its aliases lead to, or the identifier itself."""
    if unfit:
        raise unfit
    if claimed.subject is None:
        raise _does_not_fit("the subject's identifier fails its check", "subject-invalid")
    if not claimed.subject:
        raise _does_not_fit("the identifier stands for more than one subject", "subject-ambiguous")
    return Known(Subject(subject.type, claimed.subject), claimed.also)


async def _from_source(looked_up: Awaitable[Result]) -> Result:
    """A library that does not answer is the source's failure, not the caller's and not ours."""
    try:
        return await looked_up
    except DATABASE_ERRORS:
        raise SourceUnavailable(
            "the library that holds this does not answer", zh="数据来源暂不可用，请稍后重试"
        ) from None


async def _rows(conn: Any, resource: str, known: Known, allowed: Allowed) -> list[Any]:
    subject, only = known.subject, allowed.row_filter
    statement = resources.look_up(
        resource, subject.type, allowed.fields, tuple(sorted(only)), bool(known.also)
    )
    arguments = statement.arguments(subject.id, only, known.also)
    rows: list[Any] = await conn.fetch(statement.sql, *arguments)
    if len(rows) > resources.MOST_ROWS:
        raise CallRefused("the answer is too large for a query", rule="answer-too-large")
    if known.also and resources.find(resource).cardinality == "one":
        return rows[:1]  # the one under the subject's own number, when there is one
    return rows
