"""Issuing licenses: reserve, seal, finish; each one transaction, to be killed anywhere.

    reserve   number, record, status slot and the exact bytes to be sealed become a row
    seal      the signer reads that row and signs; the signatures become part of it
    finish    the license is valid: row, files, log entry, outbox, the old one superseded

A reservation that stays open is resumed by the next run or voided with a reason; its number, its
slot and its bytes are never used for another license. The same key is never issued twice. The files
are complete before `finish`; only the proof that the log holds the license follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from license_vault import change, checkpoints, jws, pdf, sd_jwt, store
from license_vault.change import Clock, utc_now
from license_vault.drafting import Drawers
from license_vault.record import Request
from license_vault.reservation import (
    NotIssued,
    Place,
    Reservation,
    find_reservations,
    open_reservations,
    reserve,
    void,
)
from license_vault.signer.client import Certificates, Signer, ToSign
from license_vault.store import Connection
from schemas.canonical import sha256, sm3
from schemas.errors import Invalid, Refused, WrongState
from schemas.license import Event, Form, Holder, License, SealingState, Status

__all__ = [
    "NotIssued",
    "Outcome",
    "Place",
    "Request",
    "Reservation",
    "finish",
    "issue",
    "issue_all",
    "open_reservations",
    "reserve",
    "resume",
    "seal",
    "void",
]

BATCH = 40
# What the signer or the old license's state says against these very bytes; it will say so again.
VOIDING = frozenset(
    {"digest-differs", "seal-attributes", "not-our-certificate", "not-a-token", "seal-key"}
) | {"license-moves"}
VAULT = "license-vault"

Connect: TypeAlias = Callable[[], AbstractContextManager[Connection]]


@dataclass(frozen=True)
class Outcome:
    """What became of a bulk of requests: every one is in exactly one of the two."""

    licenses: tuple[License, ...]
    not_issued: tuple[NotIssued, ...]


def issue(
    connect: Connect, signer: Signer, requests: Sequence[Request], place: Place, **how: Any
) -> list[License]:
    """Issue them all. Raises `Refused` when one cannot be; the others are issued all the same."""
    outcome = issue_all(connect, signer, requests, place, **how)
    for each in outcome.not_issued:
        raise Refused(f"not issued: {each.message}", rule=each.code)
    return list(outcome.licenses)


def issue_all(
    connect: Connect,
    signer: Signer,
    requests: Sequence[Request],
    place: Place,
    *,
    batch: int = BATCH,
    clock: Clock = utc_now,
) -> Outcome:
    """Issue what can be issued, batch by batch; a key that was issued gets the license it has."""
    licenses: list[License] = []
    refused: list[NotIssued] = []
    with Drawers(len(requests)) as drawers:
        for start in range(0, len(requests), batch):
            some = requests[start : start + batch]
            with connect() as conn:
                reservations, not_drawn = reserve(
                    conn, some, signer.certificates(), place, drawers=drawers, clock=clock
                )
                conn.commit()
                done, voided = _carry_through(conn, signer, reservations, clock)
                licenses += done
                refused += not_drawn + voided
                checkpoints.prove(conn, signer, place.public_url, [each.id for each in done])
    return Outcome(tuple(licenses), tuple(refused))


def resume(connect: Connect, signer: Signer, place: Place, *, clock: Clock = utc_now) -> Outcome:
    """Take up what a killed run left: finish or void what is open, prove what is not proved."""
    licenses: list[License] = []
    refused: list[NotIssued] = []
    with connect() as conn:
        left = open_reservations(conn)
        for start in range(0, len(left), BATCH):
            some = find_reservations(conn, "id = ANY(%s)", (left[start : start + BATCH],))
            conn.rollback()
            done, voided = _carry_through(conn, signer, some, clock)
            licenses += done
            refused += voided
        checkpoints.prove(conn, signer, place.public_url)
    return Outcome(tuple(licenses), tuple(refused))


def seal(conn: Connection, signer: Signer, reservations: Sequence[Reservation]) -> None:
    """Have the reserved bytes signed and keep the signatures. Commits nothing.

    Raises `Refused` as the signer does, or when a signature does not fit: then nothing is kept.
    """
    # Locked, so that whoever else resumes the same reservation waits and then sees it sealed.
    held = _locked(conn, reservations)
    left = [each for each in held if each.state == SealingState.RESERVED]
    pdfs = signer.sign("pdf", [ToSign(str(each.id), each.pdf_tbs) for each in left])
    jwts = signer.sign("sd-jwt", [ToSign(str(each.id), each.sd_jwt_tbs) for each in left])
    certificates = signer.certificates()
    for each, signature in zip(left, pdfs, strict=True):
        _check_signature(certificates.seal[0], signature, each.pdf_tbs)
    with conn.cursor() as cursor:
        cursor.executemany(
            "UPDATE vault.sealing SET state = 'sealed', pdf_signature = %s, sd_jwt_signature = %s"
            " WHERE id = %s AND state = 'reserved'",
            [(one, two, each.id) for each, one, two in zip(left, pdfs, jwts, strict=True)],
        )
        cursor.executemany(
            "INSERT INTO vault.usage (sealing_id, kind, key_id, digest, at)"
            " VALUES (%s, %s, %s, %s, now()) ON CONFLICT DO NOTHING",
            [row for each in left for row in _usage(each, certificates)],
        )


def finish(
    conn: Connection,
    certificates: Certificates,
    reservations: Sequence[Reservation],
    *,
    clock: Clock = utc_now,
) -> list[License]:
    """Make licenses of sealed reservations, superseding what they replace. Commits nothing.

    Those that another run finished meanwhile are returned as they are. Raises `WrongState` when a
    license that is to be superseded cannot be, and then writes nothing.
    """
    held = _locked(conn, reservations)
    sealed = [each for each in held if each.state == SealingState.SEALED]
    at = clock()
    made = [_license(each, at) for each in sealed]
    _lock_superseded(conn, sealed)
    events = [
        store.log_event(each, row.record, Event.ISSUED, by=VAULT, reason="issued")
        for each, row in zip(made, sealed, strict=True)
    ]
    places = store.append(conn, events, at) if events else []
    made = [replace(each, log_index=place) for each, place in zip(made, places, strict=True)]
    store.add(conn, made)
    store.add_files(conn, _files(made, sealed, certificates))
    conn.execute(
        "UPDATE vault.sealing SET state = 'finished', settled_at = %s, pdf_prepared = NULL"
        " WHERE id = ANY(%s)",
        (at, [each.id for each in sealed]),
    )
    for each in made:
        if each.supersedes:
            change.supersede(
                conn, each.supersedes, each.id, reason="superseded", by=VAULT, clock=lambda: at
            )
    settled = {SealingState.SEALED, SealingState.FINISHED}
    finished = {each.license_id for each in held if each.state in settled}
    return store.many(
        conn, [each.license_id for each in reservations if each.license_id in finished]
    )


def _carry_through(
    conn: Connection, signer: Signer, reserved: Sequence[Reservation], clock: Clock
) -> tuple[list[License], list[NotIssued]]:
    """Seal and finish a batch; when it is refused, one by one, voiding what cannot ever be."""
    try:
        done = _settle(conn, signer, reserved, clock)
    except (Refused, Invalid) as err:
        conn.rollback()
        if len(reserved) == 1:
            return [], [_give_up(conn, reserved[0], err, clock)]
    else:
        ids = {each.id for each in done}
        voided = [each for each in reserved if each.license_id not in ids]
        return done, [NotIssued(each.idempotency_key, "voided", "voided") for each in voided]
    parts = [_carry_through(conn, signer, [each], clock) for each in reserved]
    return [each for done, _ in parts for each in done], [x for _, not_ in parts for x in not_]


def _settle(
    conn: Connection, signer: Signer, reserved: Sequence[Reservation], clock: Clock
) -> list[License]:
    seal(conn, signer, reserved)
    conn.commit()
    licenses = finish(conn, signer.certificates(), reserved, clock=clock)
    conn.commit()
    return licenses


def _give_up(
    conn: Connection, held: Reservation, err: Refused | Invalid, clock: Clock
) -> NotIssued:
    """Void a reservation that can never be sealed; leave open what may only be badly set up."""
    if err.rule in VOIDING:
        void(conn, held, f"{err.code}: {err.rule}", clock)
        conn.commit()
    return NotIssued(held.idempotency_key, err.rule or err.code, err.message)


def _license(held: Reservation, at: datetime) -> License:
    """The license that a reservation becomes; its place in the log is not known yet."""
    told = jws.json_object(held.record)
    _, _, _, _, _, type_code, issuer, serial, version, _ = told["identifier"].split(".")
    return License(
        id=held.license_id,
        type_code=type_code,
        type_name=told["type"]["name"],
        number=told["number"],
        issuer=issuer,
        issuer_name=told["issuer"]["name"],
        serial=serial,
        version=version,
        subject_type=told["subject"]["type"],
        subject_id=told["subject"]["id"],
        status=Status.VALID,
        issued_at=held.reserved_at,
        valid_from=date.fromisoformat(told["valid_from"]),
        valid_to=date.fromisoformat(told["valid_to"]) if told["valid_to"] else None,
        holders=tuple(Holder(**each) for each in told["holders"]),
        face=told["face"],
        digest=sha256(held.record),
        digest_sm3=sm3(held.record),
        salt=held.salt,
        status_list=held.status_list,
        status_index=held.status_index,
        log_index=-1,
        changed_at=at,
        supersedes=held.supersedes,
    )


def _files(
    made: Sequence[License], sealed: Sequence[Reservation], certificates: Certificates
) -> Iterable[tuple[License, Form, bytes]]:
    for each, row in zip(made, sealed, strict=True):
        assert row.pdf_prepared is not None
        assert row.pdf_signature is not None
        assert row.sd_jwt_signature is not None
        _check_signature(certificates.seal[0], row.pdf_signature, row.pdf_tbs)
        laid_out = pdf.Prepared(row.pdf_prepared, row.pdf_gap, row.pdf_digest, row.pdf_tbs)
        credential = sd_jwt.Prepared(row.sd_jwt_tbs, tuple(row.sd_jwt_disclosures))
        yield each, Form.PDF, pdf.seal(laid_out, row.pdf_signature, certificates.seal)
        yield each, Form.SD_JWT, sd_jwt.assemble(credential, row.sd_jwt_signature).encode()
        yield each, Form.RECORD, row.record


def _lock_superseded(conn: Connection, sealed: Sequence[Reservation]) -> None:
    """Look at what is to be superseded before anything is written, in one order for everybody."""
    for license_id in sorted(each.supersedes for each in sealed if each.supersedes):
        held = store.locked(conn, license_id)
        if held.status not in (Status.VALID, Status.SUSPENDED):
            raise WrongState(
                f"{license_id} is {held.status}; nothing takes its place", rule="license-moves"
            )


def _locked(conn: Connection, reserved: Sequence[Reservation]) -> list[Reservation]:
    """The reservations as they are now, locked in one order for everybody."""
    ids = [each.id for each in reserved]
    return find_reservations(conn, "id = ANY(%s) ORDER BY license_id FOR UPDATE", (ids,))


def _usage(held: Reservation, certificates: Certificates) -> list[tuple[Any, ...]]:
    return [
        (held.id, "pdf", _key_id(certificates.seal[0]), held.pdf_digest),
        (held.id, "sd-jwt", _key_id(certificates.sd_jwt[0]), sha256(held.sd_jwt_tbs)),
    ]


def _key_id(certificate: bytes) -> str:
    return sha256(certificate).hex()[:32]


def _check_signature(certificate: bytes, signature: bytes, tbs: bytes) -> None:
    key = x509.load_der_x509_certificate(certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    try:
        key.verify(signature, tbs, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as err:
        raise Refused("the signature does not fit the reserved seal", rule="seal-key") from err
