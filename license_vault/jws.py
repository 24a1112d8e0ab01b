"""Compact JSON Web Signatures, only as far as the vault's own credentials need them.

One algorithm (ES256), the key in the header's certificate chain (`x5c`), strict base64url and JSON
without duplicate keys. It signs nothing itself (the signer process does) and trusts nothing:
whether the chain leads to somebody who may issue is asked of `license_vault.trust`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from schemas.canonical import b64url, canonical, unb64url
from schemas.errors import Invalid

ALGORITHM = "ES256"
# A chain is leaf, perhaps an intermediate, perhaps one more; more is somebody being clever.
LONGEST_CHAIN = 4


class BadToken(Invalid):
    """The token is not what its standard says; the message says in which way."""

    code = "bad-token"


@dataclass(frozen=True)
class Token:
    """A parsed token. Parsed, *not* verified."""

    header: Mapping[str, Any]
    payload: Mapping[str, Any]
    signing_input: bytes
    signature: bytes


def signing_input(typ: str, payload: Mapping[str, Any], x5c: Sequence[bytes]) -> bytes:
    """The bytes that ES256 signs (RFC 7515 5.1); `x5c` is DER, the leaf first."""
    # RFC 7515 4.1.6: x5c holds *standard* base64, unlike everything around it.
    chain = [base64.b64encode(der).decode() for der in x5c]
    header = {"alg": ALGORITHM, "typ": typ, "x5c": chain}
    return f"{b64url(canonical(header))}.{b64url(canonical(payload))}".encode()


def compact(tbs: bytes, signature: bytes) -> str:
    """Join the signed bytes and a raw 64-byte R‖S signature (RFC 7518 3.4)."""
    if len(signature) != 64:
        raise BadToken("an ES256 signature is 64 bytes, R and S, not DER")
    return f"{tbs.decode('ascii')}.{b64url(signature)}"


def parse(token: str, *, typ: str, longest: int) -> Token:
    """Take a compact token apart and check its form: parts, `typ`, `alg`, no critical extension."""
    if len(token) > longest:
        raise BadToken("the token is larger than any of ours")
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("a compact token has three parts")
    header, payload = json_object(unb64url(parts[0])), json_object(unb64url(parts[1]))
    if header.get("typ") != typ:
        raise BadToken(f"typ must be {typ}")
    if header.get("alg") != ALGORITHM:
        raise BadToken(f"alg must be {ALGORITHM}")
    if "crit" in header:
        raise BadToken("no critical header extension is known")
    return Token(header, payload, f"{parts[0]}.{parts[1]}".encode(), unb64url(parts[2]))


def chain(token: Token) -> tuple[x509.Certificate, ...]:
    """The certificates of the header, leaf first; *not* yet validated against any root."""
    x5c = token.header.get("x5c")
    if not isinstance(x5c, list) or not 1 <= len(x5c) <= LONGEST_CHAIN:
        raise BadToken("x5c must hold the issuer's certificate chain")
    try:
        return tuple(
            x509.load_der_x509_certificate(base64.b64decode(der, validate=True)) for der in x5c
        )
    except (TypeError, ValueError) as err:
        raise BadToken("x5c holds something that is no certificate") from err


def check_signature(token: Token, key: object) -> None:
    """Raise `BadToken` unless `key` signed the token."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise BadToken("ES256 needs a P-256 key")
    if len(token.signature) != 64:
        raise BadToken("an ES256 signature is 64 bytes")
    r, s = (int.from_bytes(half) for half in (token.signature[:32], token.signature[32:]))
    try:
        key.verify(utils.encode_dss_signature(r, s), token.signing_input, ec.ECDSA(SHA256()))
    except InvalidSignature as err:
        raise BadToken("the signature does not fit the token") from err


def json_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object; duplicate keys, NaN and anything else than an object are refused."""
    value = json_value(data)
    if not isinstance(value, dict):
        raise BadToken("expected a JSON object")
    return value


def json_value(data: bytes) -> Any:
    """Parse JSON, refusing duplicate keys (RFC 8259 4 leaves them to chance) and NaN."""
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as err:
        raise BadToken("not JSON") from err


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadToken("a name appears twice in one JSON object")
    return found


def _no_constant(name: str) -> None:
    raise BadToken(f"{name} is not JSON")
