"""The canonical record: the one truth of a license, of which every file is a projection.

RFC 8785 JSON, so that two who hold the same facts hold the same bytes. The record points at its own
status slot and never says whether it is valid: that changes, and these bytes do not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from license_vault import types
from schemas import identifiers
from schemas.canonical import canonical, sha256, sm3
from schemas.errors import Invalid
from schemas.license import Holder, LicenseNumber, LicenseType

FORMAT = "yizhan-license-record/1"


@dataclass(frozen=True)
class Request:
    """What somebody asks the vault to issue. The same `key` is never issued twice."""

    key: str
    type_code: str
    number: str
    issuer: str
    issuer_name: str
    subject_id: str
    holders: tuple[Holder, ...]
    face: Mapping[str, str]
    valid_from: date
    valid_to: date | None = None
    supersedes: str | None = None


@dataclass(frozen=True)
class Record:
    """A record, its canonical bytes and their digests."""

    value: Mapping[str, Any]
    encoded: bytes
    digest: bytes
    digest_sm3: bytes


def status_list_address(public_url: str, status_list: int) -> str:
    """Where the signed status list is served: `sub` of its token, `uri` of every license in it."""
    return f"{public_url}/status/{status_list}"


def log_origin(public_url: str) -> str:
    """The name of the license log: origin of its checkpoints and name of its key."""
    return f"{public_url}/log"


def compose(
    request: Request, number: LicenseNumber, *, status_uri: str, status_index: int, issued_on: date
) -> Record:
    """Lay out the record. Raises `Invalid` when the request does not fit its license type."""
    held = check(request)
    value = {
        "format": FORMAT,
        "identifier": number.identifier,
        "type": {"code": held.code, "name": held.name, "version": held.version},
        "number": request.number,
        "version": number.version,
        "defined_by": {"code": held.defined_by, "name": held.defined_by_name},
        "issuer": {"code": request.issuer, "name": request.issuer_name},
        "issued_on": issued_on.isoformat(),
        "valid_from": request.valid_from.isoformat(),
        "valid_to": request.valid_to.isoformat() if request.valid_to else None,
        "subject": {"type": held.subject_type, "id": request.subject_id},
        "holders": [asdict(holder) for holder in request.holders],
        "face": dict(request.face),
        "status": {"status_list": {"uri": status_uri, "idx": status_index}},
        "supersedes": request.supersedes,
    }
    encoded = canonical(value)
    return Record(value, encoded, sha256(encoded), sm3(encoded))


def check(request: Request) -> LicenseType:
    """The request's license type. Raises `Invalid` when the request does not fit it."""
    held = types.license_type(request.type_code)
    if not all((request.number, request.issuer, request.issuer_name, request.valid_from)):
        raise Invalid("a license has a number, an issuer with a name, and a first day")
    identifiers.uscc(request.issuer)
    types.check_face(held, request.face)
    if not request.holders:
        raise Invalid("a license has a holder")
    if unknown := {holder.id_type for holder in request.holders} - set(held.holder_id_types):
        raise Invalid(f"a {held.name_en} is not held by {sorted(unknown)}")
    return held
