"""One call as evidence: canonical JSON bytes that name everything but the person.

The subject is in it as HMAC-SHA256 under a key outside the database: resident numbers are few, so a
plain hash of one is found in hours. Values that were answered are in it the same way.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import orjson

from schemas.grant import Authority, Subject

VERSION = 1
LONGEST_TEXT = 200


class Decision(StrEnum):
    """How a call ended."""

    ANSWERED = "answered"
    NOT_FOUND = "not-found"
    ISSUED = "issued"
    REFUSED = "refused"
    MALFORMED = "malformed"
    UNAUTHENTICATED = "unauthenticated"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Signed:
    """A proved signature of a call: its salted hash for the entry, and itself, sealed."""

    digest: bytes
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """A ledger entry as it is stored; `body` alone is hashed into the tree."""

    receipt: UUID
    at: datetime
    subject: bytes | None
    body: bytes
    signature: bytes | None = None  # what the caller signed, sealed; the body holds its hash
    missed: str | None = None  # the client whose budget of misses this call costs one


@dataclass(slots=True)
class Call:
    """What becomes known of a call while it goes on; what is not known stays out of the entry."""

    deed: str
    receipt: UUID
    at: datetime
    client: str | None = None
    key: str | None = None
    resource: str | None = None
    authority: Authority | None = None
    fields: Iterable[str] = ()
    subject_type: str | None = None
    subject: bytes | None = None
    grant: str | None = None
    consent: str | None = None
    signed: Signed | None = None

    def ended(
        self, decision: Decision, rule: str | None = None, answer: bytes | None = None
    ) -> Entry:
        """The entry of this call once it is known how it ended."""
        asked = self.authority
        known: dict[str, object] = {
            "v": VERSION,
            "receipt": str(self.receipt),
            "at": text_of(self.at),
            "deed": self.deed,
            "decision": decision.value,
            "rule": rule,
            "client": self.client,
            "key": self.key,
            "resource": self.resource,
            "grant": self.grant,
            "consent": self.consent,
            "fields": sorted(self.fields) or None,
            "subject_type": self.subject_type,
            "subject": self.subject.hex() if self.subject else None,
            "answer": answer.hex() if answer else None,
            "signature": self.signed.digest.hex() if self.signed else None,
        }
        if asked is not None:
            known |= {
                "purpose": asked.purpose,
                "basis": asked.basis,
                "item": asked.item,
                "case": asked.case,
                "officer": asked.officer,
            }
        body = _canonical({name: value for name, value in known.items() if value is not None})
        sealed = self.signed.sealed if self.signed else None
        missed = self.client if self.key and decision is Decision.NOT_FOUND else None
        return Entry(self.receipt, self.at, self.subject, body, sealed, missed)


def begun(deed: str) -> Call:
    """A call that begins now; its receipt is made first, whatever becomes of it."""
    now = time.time_ns()
    return Call(deed, receipt(now), datetime.fromtimestamp(now // 1_000_000 / 1000, UTC))


def receipt(now_ns: int) -> UUID:
    """A UUID version 7 (RFC 9562 section 5.7): ordered in time, 74 bits that nobody guesses."""
    value = (now_ns // 1_000_000) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return UUID(int=value)


def _canonical(known: dict[str, object]) -> bytes:
    """RFC 8785 for what an entry holds, ASCII names over texts and small integers: orjson writes
    the same bytes as `schemas.canonical`, thirty times as fast; a test compares the two."""
    return orjson.dumps(known, option=orjson.OPT_SORT_KEYS)


def text_of(moment: datetime) -> str:
    """A moment as the ledger writes it: UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hashed(key: bytes, subject: Subject) -> bytes:
    """The keyed hash under which a subject stands in the ledger."""
    return hmac.digest(key, f"{subject.type}\0{subject.id}".encode(), "sha256")


def sealed(key: bytes, answer: bytes) -> bytes:
    """The keyed digest of what was answered."""
    return hmac.digest(key, b"answer\0" + answer, "sha256")
