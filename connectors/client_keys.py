"""A client's key and the hub's: JSON Web Keys of P-256 and Ed25519 (RFC 7517, RFC 8037).

Part of the SDK. A private key is held, never printed and never sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from schemas.canonical import b64url, canonical, sha256, unb64url
from schemas.errors import Invalid, NotFound

PUBLIC: Mapping[str, tuple[str, ...]] = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
CURVES = {("EC", "P-256"), ("OKP", "Ed25519")}
ES256 = ec.ECDSA(hashes.SHA256())

PrivateKey = ec.EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where the hub is, which client we are, the key that proves it, and the hub's keys if known.

    Without `hub_keys` the hub is asked for them once, and believed as far as TLS is.
    """

    base_url: str
    client_id: str
    key: PrivateKey = field(repr=False)
    public_jwk: Mapping[str, str]
    hub_keys: tuple[Mapping[str, str], ...] = ()

    def next(self, private_jwk: Mapping[str, str]) -> Credentials:
        """The same client with another key."""
        return Credentials.of(self.base_url, self.client_id, private_jwk, self.hub_keys)

    @classmethod
    def read(cls, path: Path) -> Credentials:
        """Read a credentials file: base_url, client_id, private_jwk, and hub_keys if pinned.

        Raises `Invalid`.
        """
        try:
            held = json.loads(path.read_text("utf-8"))
            pinned = held.get("hub_keys", ())
            return cls.of(held["base_url"], held["client_id"], held["private_jwk"], pinned)
        except OSError as err:
            raise NotFound(f"there is no credentials file {path}") from err
        except (ValueError, KeyError, TypeError, AttributeError, Invalid) as err:
            raise Invalid(f"{path} is not a credentials file") from err

    @classmethod
    def of(
        cls,
        base_url: str,
        client_id: str,
        private_jwk: Mapping[str, str],
        hub_keys: Sequence[Mapping[str, str]] = (),
    ) -> Credentials:
        """Make credentials from a private JWK, EC P-256 or OKP Ed25519. Raises `Invalid`."""
        key, public = private_key(private_jwk), public_half(private_jwk)
        return cls(base_url.rstrip("/"), client_id, key, public, tuple(hub_keys))

    @property
    def alg(self) -> str:
        """The algorithm of the key."""
        return "ES256" if isinstance(self.key, ec.EllipticCurvePrivateKey) else "EdDSA"

    @property
    def kid(self) -> str:
        """The key's RFC 7638 thumbprint."""
        return thumbprint(self.public_jwk)

    def sign(self, told: bytes) -> bytes:
        """Sign bytes: 64 bytes of r and s, or an Ed25519 signature (RFC 7518 section 3.4)."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(told)
        r, s = decode_dss_signature(self.key.sign(told, ES256))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def write(
    path: Path,
    base_url: str,
    client_id: str,
    private_jwk: Mapping[str, str],
    hub_keys: Sequence[Mapping[str, str]] = (),
) -> None:
    """Write a credentials file that its owner alone can read; whole, or not at all."""
    told = {"base_url": base_url, "client_id": client_id, "private_jwk": dict(private_jwk)}
    pinned = {"hub_keys": [dict(each) for each in hub_keys]} if hub_keys else {}
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(told | pinned, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def new_key() -> dict[str, str]:
    """Make a private JWK on P-256; register its public half, keep the rest."""
    made = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    point = made.public_numbers
    numbers = {"x": point.x, "y": point.y, "d": made.private_value}
    told = {name: b64url(number.to_bytes(32, "big")) for name, number in numbers.items()}
    return {"kty": "EC", "crv": "P-256", **told}


def public_half(private_jwk: Mapping[str, str]) -> dict[str, str]:
    """The members of a JWK that may be shown. Raises `Invalid`."""
    try:
        return {name: private_jwk[name] for name in PUBLIC[private_jwk["kty"]]}
    except KeyError as err:
        raise Invalid("the key is not a JWK of P-256 or Ed25519") from err


def thumbprint(public_jwk: Mapping[str, str]) -> str:
    """The name of a key (RFC 7638)."""
    return b64url(sha256(canonical(public_half(public_jwk))))


def private_key(jwk: Mapping[str, str]) -> PrivateKey:
    """The key of a private JWK. Raises `Invalid`."""
    shown = public_half(jwk)
    if (jwk["kty"], jwk["crv"]) not in CURVES or "d" not in jwk:
        raise Invalid("the credentials hold no private key of P-256 or Ed25519")
    secret = unb64url(jwk["d"])
    try:
        if jwk["kty"] == "OKP":
            return Ed25519PrivateKey.from_private_bytes(secret)
        x, y = (int.from_bytes(unb64url(shown[name]), "big") for name in ("x", "y"))
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1())
        return ec.EllipticCurvePrivateNumbers(int.from_bytes(secret, "big"), public).private_key()
    except ValueError as err:
        raise Invalid("the two halves of the key do not belong together") from err


def public_key(jwk: Mapping[str, str]) -> PublicKey:
    """The key of a public JWK. Raises `Invalid`."""
    shown = public_half(jwk)
    if (shown["kty"], shown["crv"]) not in CURVES:
        raise Invalid("the key is not of P-256 or Ed25519")
    try:
        if shown["kty"] == "OKP":
            return Ed25519PublicKey.from_public_bytes(unb64url(shown["x"]))
        point = b"\x04" + unb64url(shown["x"]) + unb64url(shown["y"])
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    except ValueError as err:
        raise Invalid("the key is not a point of its curve") from err


def is_signed(key: PublicKey, told: bytes, signature: bytes) -> bool:
    """Whether the signature over these bytes is of this key."""
    try:
        if isinstance(key, Ed25519PublicKey):
            key.verify(signature, told)
        else:
            r, s = signature[:32], signature[32:]
            der = encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
            key.verify(der, told, ES256)
    except InvalidSignature:
        return False
    return isinstance(key, Ed25519PublicKey) or len(signature) == 64
