"""Intake, wired: a case asks the libraries as the client that sent it, and its answer is kept.

Every pull goes through `Answering.ask` under the client's own grants, so each one is decided and in
the ledger like any call. One transaction keeps a revision; the same idempotency key with the same
body gives the same revision again, whoever was first.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.intake import form, proofs, seals
from connectors.intake.asking import Ask, Found, NoRecord, Outcome, RefusedBy, SourceDown
from connectors.intake.bundle import Bundle
from connectors.intake.case import ResolutionIn, case_of
from connectors.intake.document import document
from connectors.intake.loading import bundle
from connectors.intake.resolve import REGISTRATION, REPRESENTATIVE, Resolution, resolve
from connectors.intake.seals import Rechecked
from exchange.answering import Answering
from exchange.hub import Hub
from exchange.problems import Exhausted, LedgerUnavailable
from schemas.canonical import b64url, canonical
from schemas.errors import Invalid, NotFound, Refused, Unauthenticated, Unavailable, WrongState
from schemas.grant import Authority, Form, Grant, Mode, Subject

Document = dict[str, Any]
NONCE = 12  # NIST SP 800-38D 8.2: 96 bits

BY_KEY = """
SELECT resolution, revision, request, body FROM hub.resolution_revision
WHERE client = $1 AND idempotency_key = $2
"""
LATEST = """
SELECT v.resolution, v.revision, v.body
FROM hub.resolution r JOIN hub.resolution_revision v ON v.resolution = r.id
WHERE r.id = $1 AND r.client = $2 ORDER BY v.revision DESC LIMIT 1
"""
ADD_CASE = """
INSERT INTO hub.resolution (id, client, bundle, case_number, subject) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""
CASE = """
SELECT r.id, coalesce(max(v.revision), 0) AS revision
FROM hub.resolution r LEFT JOIN hub.resolution_revision v ON v.resolution = r.id
WHERE r.client = $1 AND r.bundle = $2 AND r.case_number = $3 AND r.subject = $4 GROUP BY r.id
"""
ADD_REVISION = """
INSERT INTO hub.resolution_revision
    (resolution, revision, client, idempotency_key, request, state, decision_allowed, body, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (client, idempotency_key) DO NOTHING
RETURNING revision
"""
ADD_RECEIPT = """
INSERT INTO hub.savings_receipt (id, resolution, revision, bundle, savings, at)
VALUES ($1, $2, $3, $4, $5, $6)
"""


class KeyReused(WrongState):
    """The idempotency key was used before, for another request."""

    code = "idempotency-key-reused"


class _KeyTaken(Exception):
    """Rolls back: the key has an answer already."""


@dataclass(frozen=True)
class NeededGrant:
    """What an intake client must be granted of one resource for a bundle, and nothing more."""

    resource: str
    fields: tuple[str, ...]
    item: str

    def grant(
        self,
        client: str,
        *,
        purpose: str,
        basis: str,
        file_number: str,
        valid_from: datetime,
        valid_to: datetime,
        per_minute: int = 600,
        per_day: int = 100_000,
    ) -> Grant:
        """Return it as a grant for a client, in plain form and for queries only."""
        return Grant(
            id=f"{client}:{self.item}:{self.resource}",
            client=client,
            resource=self.resource,
            purposes=frozenset({purpose}),
            bases=frozenset({basis}),
            items=frozenset({self.item}),
            fields=dict.fromkeys(self.fields, Form.PLAIN),
            modes=frozenset({Mode.QUERY}),
            valid_from=valid_from,
            valid_to=valid_to,
            per_minute=per_minute,
            per_day=per_day,
            file_number=file_number,
        )


@dataclass(frozen=True)
class Keys:
    """The keys of intake, each for one use, drawn from one secret outside the database."""

    rest: bytes
    request: bytes
    field: bytes

    @classmethod
    def drawn(cls, secret: bytes) -> Keys:
        """Draw the keys from the secret."""
        return cls(*(hmac.digest(secret, use, "sha256") for use in (b"rest", b"request", b"field")))


@dataclass(frozen=True)
class Intake:
    """The use cases of intake over a pool of the hub's role."""

    pool: Any
    answering: Answering
    keys: Keys

    @classmethod
    def of(cls, hub: Hub) -> Intake:
        """The intake of a running hub."""
        return cls(hub.pool, hub.answering, Keys.drawn(hub.settings.secret("intake.key")))

    async def make(self, client: str, key: str, request: ResolutionIn) -> Document:
        """Resolve a case, or return what the same request got before.

        Raises `Invalid` for a request that does not fit, `KeyReused` for another request under the
        same key, `NotFound` for no such bundle, `Unavailable` when nothing can be kept or recorded.
        """
        mark = self._mark(canonical(request.model_dump(mode="json")))
        template = bundle(request.bundle)
        with_case = case_of(request)
        earlier = await self._same(client, key, mark)
        if earlier:
            return earlier
        ask = asking(self.answering, client, with_case.authority)
        made = await resolve(template, request, ask, datetime.now(UTC))
        return await self._keep(client, key, mark, made)

    async def get(self, client: str, resolution: str) -> Document:
        """Return the newest revision of a client's own resolution. Raises `NotFound`."""
        row = await _from_database(self.pool.fetchrow(LATEST, resolution, client))
        if row is None:
            raise NotFound("there is no such resolution", zh="没有这份办理方案")
        return self._opened(row)

    async def recheck(
        self, client: str, resolution: str, submitted: Mapping[str, object]
    ) -> Rechecked:
        """Compare a submitted form with what was prefilled. Raises `NotFound`."""
        kept = await self.get(client, resolution)
        return seals.recheck(self.keys.field, resolution, kept["fields"], submitted)

    async def _same(self, client: str, key: str, mark: bytes) -> Document | None:
        row = await _from_database(self.pool.fetchrow(BY_KEY, client, key))
        if row is None:
            return None
        if not hmac.compare_digest(row["request"], mark):
            raise KeyReused(
                "this Idempotency-Key was used for another request",
                zh="该 Idempotency-Key 已用于另一请求",
                rule="idempotency-key",
            )
        return self._opened(row)

    async def _keep(self, client: str, key: str, mark: bytes, made: Resolution) -> Document:
        try:
            told: Document = await _from_database(self._insert(client, key, mark, made))
        except _KeyTaken:
            # Somebody else kept this key between our look and our insert: theirs is the answer.
            first = await self._same(client, key, mark)
            if first is None:
                raise Unavailable("the resolution could not be kept; try again") from None
            return first
        return told

    async def _insert(self, client: str, key: str, mark: bytes, made: Resolution) -> Document:
        authority, bundle_id = made.case.authority, made.bundle.id
        subject = self._mark(_who(made))
        async with self.pool.acquire() as conn, conn.transaction():
            # The pool does not wait for the disk by itself; an answer that was sent must be kept.
            await conn.execute("SET LOCAL synchronous_commit TO on")
            case = (client, bundle_id, authority.case, subject)
            await conn.execute("SELECT pg_advisory_xact_lock($1)", _lock(case))
            await conn.execute(ADD_CASE, f"res_{_token()}", *case)
            row = await conn.fetchrow(CASE, *case)
            resolution, revision = row["id"], row["revision"] + 1
            told = self._told(made, resolution, revision)
            body = self._sealed(resolution, revision, told)
            added = await conn.fetchval(
                ADD_REVISION, resolution, revision, client, key, mark,
                made.state.value, made.decision_allowed, body, made.at,
            )  # fmt: skip
            if added is None:
                raise _KeyTaken
            receipt = (told["receipt"], resolution, revision, bundle_id, told["savings"], made.at)
            await conn.execute(ADD_RECEIPT, *receipt)
            return told

    def _told(self, made: Resolution, resolution: str, revision: int) -> Document:
        told = document(made)
        fields = seals.with_seals(self.keys.field, resolution, told["fields"])
        named = {"id": resolution, "revision": revision, "receipt": f"rcp_{_token()}"}
        return {**named, **told, "fields": fields}

    def _mark(self, data: bytes) -> bytes:
        return hmac.digest(self.keys.request, data, "sha256")

    def _sealed(self, resolution: str, revision: int, told: Document) -> bytes:
        nonce = secrets.token_bytes(NONCE)
        place = _place(resolution, revision)
        return nonce + AESGCM(self.keys.rest).encrypt(nonce, orjson.dumps(told), place)

    def _opened(self, row: Mapping[str, Any]) -> Document:
        nonce, sealed = row["body"][:NONCE], row["body"][NONCE:]
        place = _place(row["resolution"], row["revision"])
        opened: Document = orjson.loads(AESGCM(self.keys.rest).decrypt(nonce, sealed, place))
        return opened


def asking(answering: Answering, client: str, authority: Authority) -> Ask:
    """The port through which a case asks: the client's grants decide, the ledger records.

    Raises only when the call itself cannot go on: the caller does not stand, or no evidence can be
    written.
    """

    async def ask(resource: str, subject: Subject, fields: tuple[str, ...]) -> Outcome:
        try:
            answer = await answering.ask(client, resource, subject, fields, authority)
        except (Unauthenticated, LedgerUnavailable):
            raise
        except Unavailable:
            return SourceDown(datetime.now(UTC))
        except (Refused, Invalid) as err:
            receipt = str(getattr(err, "receipt", ""))
            return RefusedBy(err.rule or err.code, isinstance(err, Exhausted), receipt)
        if not answer.found:
            return NoRecord(receipt=str(answer.receipt))
        # A masked value proves nothing, so it counts as one that was not shown.
        shown = {name: one for name, one in answer.values.items() if not one.masked}
        some = next(iter(answer.values.values()))
        return Found(
            values={name: one.value for name, one in shown.items()},
            source=some.source,
            as_of=min(one.as_of for one in answer.values.values()),
            receipt=str(answer.receipt),
            disputed=frozenset(name for name, one in shown.items() if one.quality == "disputed"),
        )

    return ask


def needed_grants(template: Bundle) -> tuple[NeededGrant, ...]:
    """Return what an intake client must be granted for a bundle: every field some rule or field of
    the form reads from a live source, and no other."""
    fields = dict(proofs.reads(template))
    for entry in template.form:
        for prefill in entry.prefill:
            known = fields.get(prefill.resource, frozenset())
            fields[prefill.resource] = known | form.reads(prefill)
    fields[REGISTRATION] = fields.get(REGISTRATION, frozenset()) | {REPRESENTATIVE}
    return tuple(
        NeededGrant(source.resource, tuple(sorted(fields[source.resource])), template.id)
        for source in template.sources
        if source.state == "live" and source.resource in fields
    )


async def _from_database(reading: Any) -> Any:
    try:
        return await reading
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as err:
        raise Unavailable(f"the database does not answer: {type(err).__name__}") from None


def _who(made: Resolution) -> bytes:
    parties = made.case.in_role("applicant")
    return canonical(sorted([party.subject.type, party.subject.id] for party in parties))


def _place(resolution: str, revision: int) -> bytes:
    return f"hub.resolution_revision.body\0{resolution}\0{revision}".encode()


def _lock(case: tuple[object, ...]) -> int:
    return int.from_bytes(hmac.digest(b"case", repr(case).encode(), "sha256")[:8], signed=True)


def _token() -> str:
    return b64url(secrets.token_bytes(16))
