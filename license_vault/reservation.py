"""Reservations: a license's number, slot and exact bytes, fixed before any key is used.

A row of `vault.sealing` is the license to be. Whatever becomes of it, its number and its slot are
never used for another; the idempotency key is free again only when it was voided.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from license_vault import face, pdf, record, sd_jwt, store, types
from license_vault.change import Clock, utc_now
from license_vault.drafting import Draft, Drawers, Drawn
from license_vault.record import Record, Request
from license_vault.signer.client import Certificates
from license_vault.store import Connection
from schemas.canonical import sha256
from schemas.errors import YizhanError
from schemas.license import CIVIL_TIME, STATUS_LIST_SLOTS, LicenseNumber

SALT_BYTES = 32


@dataclass(frozen=True)
class Place:
    """Where licenses are issued: what an address needs that goes into sealed bytes."""

    public_url: str
    qr_key: bytes


@dataclass(frozen=True)
class Reservation:
    """A row of `vault.sealing`: a license to be."""

    id: uuid.UUID
    idempotency_key: str
    state: str
    license_id: str
    supersedes: str | None
    status_list: int
    status_index: int
    record: bytes
    salt: bytes
    pdf_prepared: bytes | None
    pdf_gap: int
    pdf_digest: bytes
    pdf_tbs: bytes
    pdf_signature: bytes | None
    sd_jwt_tbs: bytes
    sd_jwt_disclosures: list[str]
    sd_jwt_signature: bytes | None
    reserved_at: datetime


@dataclass(frozen=True)
class NotIssued:
    """A request that became no license, and why."""

    key: str
    code: str
    message: str


def reserve(
    conn: Connection,
    requests: Sequence[Request],
    certificates: Certificates,
    place: Place,
    *,
    drawers: Drawers | None = None,
    clock: Clock = utc_now,
) -> tuple[list[Reservation], list[NotIssued]]:
    """Reserve numbers and slots, and store the exact bytes to be sealed. Commits nothing.

    A key that is reserved or issued already keeps what it has. A face that cannot be made is
    refused and leaves nothing behind.
    """
    keys = [each.key for each in requests]
    taken = {each.idempotency_key for each in of_keys(conn, keys)}
    fresh = list({each.key: each for each in requests if each.key not in taken}.values())
    at = clock()
    planned, refused = _plan(conn, fresh, place, certificates, at)
    drawn = (drawers or Drawers(0)).draw([draft for _, _, draft in planned])
    rows = []
    for (request, slot, draft), page in zip(planned, drawn, strict=True):
        if isinstance(page, face.FaceNotMade):
            refused.append(NotIssued(request.key, page.code, page.message))
        else:
            rows.append(_row(request, slot, draft.record, page, certificates, place, at))
    with conn.cursor() as cursor:
        cursor.executemany(_INSERT, rows)
    return of_keys(conn, keys), refused


def open_reservations(conn: Connection) -> list[uuid.UUID]:
    """The reservations that are neither finished nor voided, the oldest first."""
    rows = conn.execute(
        "SELECT id FROM vault.sealing WHERE state IN ('reserved', 'sealed')"
        " ORDER BY reserved_at, license_id"
    )
    return [row[0] for row in rows]


def void(conn: Connection, reservation: Reservation, reason: str, clock: Clock = utc_now) -> None:
    """Give a reservation up for good. Its number stays taken, and its slot says invalid."""
    voided = conn.execute(
        "UPDATE vault.sealing SET state = 'voided', settled_at = %s, reason = %s,"
        " pdf_prepared = NULL WHERE id = %s AND state IN ('reserved', 'sealed')",
        (clock(), reason, reservation.id),
    )
    if voided.rowcount:
        store.set_slot(conn, reservation.status_list, reservation.status_index, 1)


def of_keys(conn: Connection, keys: Sequence[str]) -> list[Reservation]:
    """The reservations that hold these keys, voided ones left out."""
    where = "idempotency_key = ANY(%s) AND state <> 'voided' ORDER BY reserved_at, license_id"
    return find_reservations(conn, where, (list(keys),))


def find_reservations(conn: Connection, where: str, values: Sequence[Any]) -> list[Reservation]:
    """Reservations by a condition of ours."""
    columns = ", ".join(Reservation.__dataclass_fields__)
    query = f"SELECT {columns} FROM vault.sealing WHERE {where}"  # noqa: S608  # our own names
    with conn.cursor(row_factory=class_row(Reservation)) as cursor:
        return cursor.execute(query.encode(), values).fetchall()


def _plan(
    conn: Connection,
    requests: Sequence[Request],
    place: Place,
    certificates: Certificates,
    at: datetime,
) -> tuple[list[tuple[Request, tuple[int, int], Draft]], list[NotIssued]]:
    """Number, slot and draft for each request that fits its license type."""
    planned: list[tuple[Request, tuple[int, int], Draft]] = []
    refused: list[NotIssued] = []
    for request, slot in zip(requests, _take_slots(conn, len(requests)), strict=True):
        try:
            record.check(request)
            made = record.compose(
                request,
                _number(conn, request, at),
                status_uri=record.status_list_address(place.public_url, slot[0]),
                status_index=slot[1],
                issued_on=at.astimezone(CIVIL_TIME).date(),
            )
        except YizhanError as err:
            refused.append(NotIssued(request.key, err.code, err.message))
            continue
        address = face.qr_address(place.public_url, place.qr_key, made)
        reason = f"{made.value['type']['name']} {made.value['identifier']}"
        planned.append((request, slot, Draft(made, address, at, certificates.seal, reason)))
    return planned, refused


def _number(conn: Connection, request: Request, at: datetime) -> LicenseNumber:
    """The next version where the printed number stays, a number never used before otherwise."""
    old = store.get(conn, request.supersedes) if request.supersedes else None
    if old and (old.number, old.issuer) == (request.number, request.issuer):
        row = conn.execute(
            "SELECT max(version) FROM vault.sealing"
            " WHERE type_code = %s AND issuer = %s AND serial = %s",
            (old.type_code, old.issuer, old.serial),
        ).fetchone()
        assert row is not None
        return LicenseNumber(old.type_code, old.issuer, old.serial, row[0]).next_version()
    row = conn.execute("SELECT nextval('vault.serial')").fetchone()
    assert row is not None
    year = at.astimezone(CIVIL_TIME).year
    return LicenseNumber(request.type_code, request.issuer, f"{year}{row[0]:010}")


def _take_slots(conn: Connection, count: int) -> list[tuple[int, int]]:
    """Slots at random, each taken by a unique row. A list that is half full is followed by another.

    Random, because neighbours in a list would tell who was issued a license together.
    """
    row = conn.execute("SELECT max(id) FROM vault.status_list").fetchone()
    assert row is not None
    status_list, taken = row[0], list[tuple[int, int]]()
    while len(taken) < count:
        wanted = {secrets.randbelow(STATUS_LIST_SLOTS) for _ in range(count - len(taken))}
        rows = conn.execute(
            'INSERT INTO vault.status_slot (list, "index") SELECT %s, unnest(%s::int[])'
            ' ON CONFLICT DO NOTHING RETURNING list, "index"',
            (status_list, sorted(wanted)),
        ).fetchall()
        taken += rows
        if len(rows) * 2 < len(wanted):
            status_list += 1
            conn.execute(
                "INSERT INTO vault.status_list (id) VALUES (%s) ON CONFLICT DO NOTHING",
                (status_list,),
            )
    secrets.SystemRandom().shuffle(taken)
    return taken


def _row(
    request: Request,
    slot: tuple[int, int],
    made: Record,
    page: Drawn,
    certificates: Certificates,
    place: Place,
    at: datetime,
) -> dict[str, Any]:
    assert isinstance(page, pdf.Prepared)
    _, _, _, _, _, type_code, issuer, serial, version, _ = made.value["identifier"].split(".")
    credential = _credential(request, slot, made, certificates, place, at)
    return {
        "id": uuid.uuid4(),
        "idempotency_key": request.key,
        "license_id": made.value["identifier"],
        "type_code": type_code,
        "issuer": issuer,
        "serial": serial,
        "version": version,
        "supersedes": request.supersedes,
        "status_list": slot[0],
        "status_index": slot[1],
        "record": made.encoded,
        "digest": made.digest,
        "digest_sm3": made.digest_sm3,
        "salt": secrets.token_bytes(SALT_BYTES),
        "pdf_prepared": page.document,
        "pdf_gap": page.gap,
        "pdf_digest": page.digest,
        "pdf_tbs": page.tbs,
        "sd_jwt_tbs": credential.tbs,
        "sd_jwt_digest": sha256(credential.tbs),
        "sd_jwt_disclosures": Jsonb(list(credential.disclosures)),
        "reserved_at": at,
    }


def _credential(
    request: Request,
    slot: tuple[int, int],
    made: Record,
    certificates: Certificates,
    place: Place,
    at: datetime,
) -> sd_jwt.Prepared:
    held = types.license_type(request.type_code)
    claims = sd_jwt.license_claims(
        issuer=place.public_url,
        license_id=made.value["identifier"],
        type_code=held.code,
        type_version=held.version,
        version=made.value["version"],
        digest=made.digest,
        status_uri=record.status_list_address(place.public_url, slot[0]),
        status_index=slot[1],
        issued_at=at,
        not_before=min(at, _midnight(request.valid_from)),
        expires_at=_midnight(request.valid_to + timedelta(days=1)) if request.valid_to else None,
    )
    holders = {f"holder_{n}": each for n, each in enumerate(made.value["holders"], 1)}
    disclosable = {"number": request.number, **request.face, **holders}
    return sd_jwt.prepare(claims, disclosable, x5c=certificates.sd_jwt)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), CIVIL_TIME).astimezone(UTC)


_INSERT = """
INSERT INTO vault.sealing (id, idempotency_key, state, license_id, type_code, issuer, serial,
  version, supersedes, status_list, status_index, record, digest, digest_sm3, salt, pdf_prepared,
  pdf_gap, pdf_digest, pdf_tbs, sd_jwt_tbs, sd_jwt_digest, sd_jwt_disclosures, reserved_at)
VALUES (%(id)s, %(idempotency_key)s, 'reserved', %(license_id)s, %(type_code)s, %(issuer)s,
  %(serial)s, %(version)s, %(supersedes)s, %(status_list)s, %(status_index)s, %(record)s,
  %(digest)s, %(digest_sm3)s, %(salt)s, %(pdf_prepared)s, %(pdf_gap)s, %(pdf_digest)s, %(pdf_tbs)s,
  %(sd_jwt_tbs)s, %(sd_jwt_digest)s, %(sd_jwt_disclosures)s, %(reserved_at)s)
ON CONFLICT (idempotency_key) WHERE state <> 'voided' DO NOTHING
"""
