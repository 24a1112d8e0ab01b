"""The judgement on an SD-JWT VC, in the numbered steps of `report.CREDENTIAL_STEPS`.

Run inside the sandbox. Status is added by `conclude`, which can ask somebody.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from license_vault import jws, sd_jwt
from license_vault.jws import BadToken
from license_vault.trust import OutOfTime, TrustBundle, UntrustedChain, check_chain
from license_vault.verify import license_facts
from license_vault.verify.license_facts import Subject
from license_vault.verify.report import Examined, Facts, Stopped, Trail, stop
from schemas.canonical import unb64url
from schemas.errors import Invalid


def examine(data: bytes, trust: TrustBundle, at: datetime) -> Examined:
    """Take steps 1 to 6; the first that does not pass ends the examination."""
    trail = Trail("sd-jwt")
    subject = Subject()
    try:
        read = _read(data, trail)
        _signature(read, trust, at, trail)
        subject = _subject(read)
        license_facts.check_identifier(subject, trust, trail)
        license_facts.check_period(subject, at, trail)
    except Stopped as stopped:
        trail.ended(stopped)
        return Examined("sd-jwt", tuple(trail.steps), stopped.reason, subject.facts)
    return Examined("sd-jwt", tuple(trail.steps), None, subject.facts, subject.pointer)


def _read(data: bytes, trail: Trail) -> sd_jwt.Read:
    try:
        read = sd_jwt.read(data.decode("ascii").strip())
    except sd_jwt.BadDisclosure as err:
        trail.passed("form", f"{len(data)} bytes")
        stop("bad-disclosure", err.message)
    except (Invalid, UnicodeDecodeError) as err:
        stop("bad-credential", str(err))
    trail.passed("form", f"{sd_jwt.TYP}, {len(data)} bytes")
    shown = ", ".join(read.disclosed) or "none"
    trail.passed("disclosures", f"disclosed: {shown}; withheld: {read.withheld}")
    return read


def _signature(read: sd_jwt.Read, trust: TrustBundle, at: datetime, trail: Trail) -> None:
    try:
        chain = jws.chain(read.token)
        jws.check_signature(read.token, chain[0].public_key())
    except BadToken as err:
        stop("bad-signature", err.message)
    trail.passed("signature", "ES256")
    try:
        path = check_chain(chain, trust.roots, at)
    except OutOfTime as err:
        stop("certificate-out-of-time", err.message)
    except UntrustedChain as err:
        told = license_facts.pointer(read.token.payload)
        ours = told is not None and trust.answers_for(told.uri)
        stop("not-our-seal" if ours else "unknown-issuer", err.message)
    trail.passed("issuer", " ← ".join(each.subject.rfc4514_string() for each in path))


def _subject(read: sd_jwt.Read) -> Subject:
    """What the credential says of its license; its signature has been verified."""
    # SD-JWT VC 3.2.2.2: these decide what the credential is, so the holder cannot withhold them:
    # they are read from what was signed in plain sight, never from a disclosure.
    claims = read.token.payload
    if not str(claims.get("vct", "")).startswith(sd_jwt.VCT):
        stop("not-a-license", "its type is none of a license")
    try:
        held = claims["license"]
        facts = Facts(
            license_id=_text(held["id"]),
            version=_text(held["version"]),
            type_name=_text(claims["vct"]),
            issuer_name=_text(claims["iss"]),
            sha256=unb64url(held["sha256"]).hex(),
            issued_at=_moment(claims["iat"]).isoformat(),
            valid_to=_moment(claims["exp"]).isoformat() if "exp" in claims else "",
        )
        starts = _moment(claims["nbf"]) if "nbf" in claims else None
        ends = _moment(claims["exp"]) if "exp" in claims else None
    except (KeyError, TypeError, ValueError, OverflowError, OSError, Invalid) as err:
        raise Stopped(
            "bad-credential", f"a claim is missing or malformed: {type(err).__name__}"
        ) from err
    status = license_facts.pointer(claims) or stop("bad-credential", "there is no status pointer")
    return Subject(facts, status, b"", starts, ends)


def _moment(value: Any) -> datetime:
    # RFC 7519 2: NumericDate; ours are whole seconds, and true is not a number.
    if type(value) is not int:
        raise TypeError("times are whole seconds")
    return datetime.fromtimestamp(value, UTC)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("expected text")
    return value
