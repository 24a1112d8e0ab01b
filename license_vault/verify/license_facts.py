"""What a document says of its license, read from a canonical record or an SD-JWT's claims.

And the two steps that are the same for both: the identifier's check and the period of validity.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from license_vault import jws
from license_vault.trust import TrustBundle
from license_vault.verify.report import Facts, Pointer, Stopped, Trail, stop
from schemas import identifiers
from schemas.canonical import canonical, sha256
from schemas.errors import Invalid
from schemas.license import CIVIL_TIME

RESIDENT_ID_TYPE = "111"


@dataclass(frozen=True)
class Subject:
    """The license a document is about; `record` is empty where the form carries none."""

    facts: Facts | None = None
    pointer: Pointer | None = None
    record: bytes = b""
    not_before: datetime | None = None
    not_after: datetime | None = None


def from_record(record: bytes) -> Subject:
    """Read a canonical record. Stops when it is not one."""
    try:
        told = jws.json_object(record)
        # RFC 8785: one value, one sequence of bytes; any other spelling was not made by us.
        if canonical(told) != record:
            stop("record-mismatch", "the attached record is not canonical")
        facts = Facts(
            license_id=_text(told["identifier"]),
            version=_text(told["version"]),
            type_name=_text(told["type"]["name"]),
            issuer_name=_text(told["issuer"]["name"]),
            number=_text(told["number"]),
            holder="、".join(masked(each["id_type"], each["name"]) for each in told["holders"]),
            issued_at=_text(told["issued_on"]),
            valid_from=_text(told["valid_from"]),
            valid_to=_text(told.get("valid_to") or ""),
            sha256=sha256(record).hex(),
        )
        return Subject(
            facts, pointer(told), record, _first(facts.valid_from), _last(facts.valid_to)
        )
    except (KeyError, TypeError, ValueError, AttributeError, Invalid) as err:
        raise Stopped(
            "record-mismatch", f"the attached record is none of ours: {type(err).__name__}"
        ) from err


def pointer(told: Mapping[str, Any]) -> Pointer | None:
    """The status pointer (Token Status List 6.1), or None when there is none."""
    match told.get("status"):
        case {"status_list": {"idx": int(index), "uri": str(uri)}} if index >= 0:
            return Pointer(uri, index)
    return None


def check_identifier(subject: Subject, trust: TrustBundle, trail: Trail) -> None:
    """The identifier's check character (GB/T 36904-2018, GB/T 17710); never repeats the number."""
    facts = subject.facts or stop("not-a-license", "there is no license identifier")
    try:
        identifiers.license_id(facts.license_id)
    except Invalid as err:
        ours = subject.pointer is not None and trust.answers_for(subject.pointer.uri)
        stop("bad-identifier" if ours else "foreign-identifier", err.message)
    trail.passed("identifier", f"{facts.license_id}, check character fits")


def check_period(subject: Subject, at: datetime, trail: Trail) -> None:
    """Whether `at` lies in the period of validity, both ends included."""
    if subject.not_before is not None and at < subject.not_before:
        stop("not-yet-valid", f"in force from {subject.not_before.isoformat()}")
    if subject.not_after is not None and at >= subject.not_after:
        stop("expired", f"in force until {subject.not_after.isoformat()}")
    ends = subject.not_after.isoformat() if subject.not_after else "no end"
    trail.passed("period", f"at {at.astimezone(UTC).isoformat(timespec='seconds')}; until {ends}")


def masked(id_type: str, name: str) -> str:
    """A person's name with all but its first character hidden; an entity's name is public."""
    return name[:1] + "*" * (len(name) - 1) if id_type == RESIDENT_ID_TYPE else name


def _first(day: str) -> datetime | None:
    return datetime.combine(date.fromisoformat(day), datetime.min.time(), CIVIL_TIME)


def _last(day: str) -> datetime | None:
    """The moment after the last day (schemas.license: valid through `valid_to`, civil time)."""
    if not day:
        return None
    ordinal = date.fromisoformat(day).toordinal() + 1
    return datetime.combine(date.fromordinal(ordinal), datetime.min.time(), CIVIL_TIME)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value
