"""Public keys of clients and the hub's own token key, as JSON Web Keys (RFC 7517, RFC 8037).

A key has one algorithm: P-256 signs ES256, Ed25519 signs EdDSA; anything else is refused, and so is
a key that says it is for encryption or that carries its private half. Its name is its RFC 7638
thumbprint. Nothing here stores a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.canonical import b64url, canonical, sha256, unb64url
from schemas.errors import Invalid

MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}  # RFC 7638 section 3.2


class BadKey(Invalid):
    """The key cannot be used to check signatures here."""

    code = "bad-key"


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key that checks signatures of exactly one algorithm; `kid` is its thumbprint."""

    kid: str
    alg: str
    key: ec.EllipticCurvePublicKey | Ed25519PublicKey = field(repr=False)
    jwk: Mapping[str, str]


def public_key(jwk: object) -> PublicKey:
    """Read a public JWK. Raises `BadKey`."""
    kty = jwk.get("kty") if isinstance(jwk, dict) else None
    if not isinstance(jwk, dict) or not isinstance(kty, str) or kty not in MEMBERS:
        raise BadKey("a key must be EC P-256 or OKP Ed25519")
    if jwk.get("use", "sig") != "sig" or jwk.get("key_ops", ["verify"]) != ["verify"]:
        raise BadKey("the key is not for checking signatures")
    if not {"d", "k", "p", "q"}.isdisjoint(jwk):
        raise BadKey("a private key was sent; it is no longer private")
    members = [jwk.get(name) for name in MEMBERS[kty]]
    if not all(isinstance(member, str) and len(member) <= 64 for member in members):
        raise BadKey("the key lacks a member")
    made = _made(tuple(str(member) for member in members))
    if jwk.get("alg", made.alg) != made.alg:
        raise BadKey("the key names another algorithm than its own")
    return made


@lru_cache(maxsize=4096)
def _made(members: tuple[str, ...]) -> PublicKey:
    """Pure, so remembered: parsing a point costs as much as checking a signature."""
    crv, kty, x, *y = members
    jwk = {"crv": crv, "kty": kty, "x": x} | ({"y": y[0]} if y else {})
    try:
        numbers = [unb64url(part) for part in (x, *y)]
        if any(len(number) != 32 for number in numbers):
            raise BadKey("a coordinate is not 32 bytes long")
        kid = b64url(sha256(canonical(jwk)))
        if (kty, crv) == ("OKP", "Ed25519"):
            return PublicKey(kid, "EdDSA", Ed25519PublicKey.from_public_bytes(numbers[0]), jwk)
        if (kty, crv) == ("EC", "P-256"):
            point = b"\x04" + numbers[0] + numbers[1]
            curve = ec.SECP256R1()
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
            return PublicKey(kid, "ES256", key, jwk)
    except (ValueError, UnicodeError) as err:
        raise BadKey("the key is not a point of its curve") from err
    raise BadKey("a key must be EC P-256 or OKP Ed25519")


@dataclass(frozen=True, slots=True, eq=False)
class TokenKey:
    """The hub's own key for access tokens: Ed25519 from a secret of its home."""

    private: Ed25519PrivateKey = field(repr=False)
    public: PublicKey


def token_key(seed: bytes) -> TokenKey:
    """Make the token key from 32 secret bytes."""
    private = Ed25519PrivateKey.from_private_bytes(seed)
    raw = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return TokenKey(private, public_key({"kty": "OKP", "crv": "Ed25519", "x": b64url(raw)}))
