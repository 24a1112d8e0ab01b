"""What a license is: its states, its number, its holders, its type. Nouns only, no I/O.

The states and their moves are one table (`MOVES`), as are a reservation's (`SEALING_MOVES`). A
draft is a reservation: it has no license yet. `EXPIRED` is never stored: `valid_to` says it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from schemas import identifiers
from schemas.errors import Invalid, WrongState

OID_ROOT = "1.2.156.3005.2"
"""GB/T 36904-2018: the arc under which electronic licenses are numbered."""

STATUS_LIST_SLOTS = 2**20
STATUS_LIST_BITS = 2
CIVIL_TIME = ZoneInfo("Asia/Shanghai")


class Status(StrEnum):
    """Where a license stands, in the words that verifiers and pages show."""

    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    ANNULLED = "annulled"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"


_ENDED = frozenset({Status.REVOKED, Status.ANNULLED, Status.SUPERSEDED})

MOVES: Mapping[Status, frozenset[Status]] = {
    Status.VALID: _ENDED | {Status.SUSPENDED},
    Status.SUSPENDED: _ENDED | {Status.VALID},
    Status.EXPIRED: _ENDED,
    Status.REVOKED: frozenset(),
    Status.ANNULLED: frozenset(),
    Status.SUPERSEDED: frozenset(),
}

# Token Status List 7.1: 0 VALID, 1 INVALID, 2 SUSPENDED. `exp` says expiry, and beats status.
STATUS_BITS: Mapping[Status, int] = {
    Status.VALID: 0,
    Status.EXPIRED: 0,
    Status.REVOKED: 1,
    Status.ANNULLED: 1,
    Status.SUPERSEDED: 1,
    Status.SUSPENDED: 2,
}

STATUS_ZH: Mapping[Status, str] = {
    Status.VALID: "有效",
    Status.SUSPENDED: "暂扣",
    Status.REVOKED: "吊销",
    Status.ANNULLED: "注销",
    Status.SUPERSEDED: "已换发",
    Status.EXPIRED: "失效",
}


class SealingState(StrEnum):
    """How far a reservation has come; each step is one committed transaction."""

    RESERVED = "reserved"
    SEALED = "sealed"
    FINISHED = "finished"
    VOIDED = "voided"


SEALING_MOVES: Mapping[SealingState, frozenset[SealingState]] = {
    SealingState.RESERVED: frozenset({SealingState.SEALED, SealingState.VOIDED}),
    SealingState.SEALED: frozenset({SealingState.FINISHED, SealingState.VOIDED}),
    SealingState.FINISHED: frozenset(),
    SealingState.VOIDED: frozenset(),
}


class Form(StrEnum):
    """The files kept for a license."""

    PDF = "pdf"
    SD_JWT = "sd-jwt"
    RECORD = "record"
    PROOF = "proof"


MEDIA_TYPES: Mapping[Form, str] = {
    Form.PDF: "application/pdf",
    Form.SD_JWT: "application/dc+sd-jwt",
    Form.RECORD: "application/json",
    Form.PROOF: "text/plain; charset=utf-8",
}


class Event(StrEnum):
    """What the public log and the outbox say has happened to a license."""

    ISSUED = "issue"
    SUSPENDED = "suspend"
    RESTORED = "restore"
    REVOKED = "revoke"
    ANNULLED = "annul"
    SUPERSEDED = "supersede"


@dataclass(frozen=True)
class Holder:
    """Who holds a license, one of several perhaps. `id_type`: 111 resident, 001 credit code."""

    id_type: str
    id: str
    name: str


@dataclass(frozen=True)
class FaceField:
    """One line of the face. Public pages mask what is `personal`; holders disclose it by choice."""

    name: str
    label_zh: str
    label_en: str
    kind: str = "text"
    required: bool = True
    personal: bool = False


@dataclass(frozen=True)
class LicenseType:
    """A kind of license, as the authority that defines it registered it. Types are data."""

    code: str
    name: str
    name_en: str
    version: int
    defined_by: str
    defined_by_name: str
    number_label_zh: str
    number_label_en: str
    subject_type: str
    holder_id_types: tuple[str, ...]
    fields: tuple[FaceField, ...]
    template: str
    to_be_checked: tuple[str, ...] = ()

    @property
    def vct(self) -> str:
        """The type as a verifiable-credential type name, version included."""
        return f"urn:cn:license:{self.code}:{self.version}"


@dataclass(frozen=True)
class LicenseNumber:
    """The parts of an electronic license identifier (GB/T 36904-2018)."""

    type_code: str
    issuer: str
    serial: str
    version: str = "001"

    @property
    def identifier(self) -> str:
        """The whole identifier with its check character (ISO/IEC 7064 MOD 37,36)."""
        check = identifiers.license_id_check(self.type_code, self.issuer, self.serial, self.version)
        return ".".join((OID_ROOT, self.type_code, self.issuer, self.serial, self.version, check))

    def next_version(self) -> LicenseNumber:
        """The same license, changed: same serial, one version up. Raises `Invalid` past 999."""
        if self.version == "999":
            raise Invalid("a license serial has no version after 999")
        return replace(self, version=f"{int(self.version) + 1:03}")


@dataclass(frozen=True)
class License:
    """An issued license as the vault holds it. `digest` is the SHA-256 of its canonical record."""

    id: str
    type_code: str
    type_name: str
    number: str
    issuer: str
    issuer_name: str
    serial: str
    version: str
    subject_type: str
    subject_id: str
    status: Status
    issued_at: datetime
    valid_from: date
    valid_to: date | None
    holders: tuple[Holder, ...]
    face: Mapping[str, Any]
    digest: bytes
    digest_sm3: bytes
    salt: bytes
    status_list: int
    status_index: int
    log_index: int
    changed_at: datetime
    reason: str | None = None
    supersedes: str | None = None
    superseded_by: str | None = None

    def status_at(self, at: datetime) -> Status:
        """The status as seen at a moment: a valid license past its last day has expired."""
        past = self.valid_to is not None and at.astimezone(CIVIL_TIME).date() > self.valid_to
        return Status.EXPIRED if past and self.status is Status.VALID else self.status

    def moved(self, to: Status, *, at: datetime, reason: str) -> License:
        """The license in its next state. Raises `WrongState` when the table has no such move."""
        held = self.status_at(at)
        if to not in MOVES[held]:
            raise WrongState(f"{self.id} is {held}; it cannot become {to}", rule="license-moves")
        return replace(self, status=to, changed_at=at, reason=reason)
