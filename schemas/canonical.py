"""One sequence of bytes for one value: canonical JSON, digests, base64url.

Canonical JSON is RFC 8785; a number outside what JSON can carry exactly is refused, not rounded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import rfc8785
from cryptography.hazmat.primitives import hashes

from schemas.errors import Invalid


def canonical(value: object) -> bytes:
    """Return the RFC 8785 bytes of a JSON value. Raises `Invalid` for what JSON cannot carry."""
    try:
        return bytes(rfc8785.dumps(value))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError) as err:
        raise Invalid(
            "the value has no canonical JSON form: a number is too large or not finite, a text is "
            "not Unicode, a key is not a text, or something is not JSON at all",
            zh="该值无法转换为规范 JSON",
        ) from err


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 digest."""
    return hashlib.sha256(data).digest()


def sm3(data: bytes) -> bytes:
    """Return the SM3 digest (GB/T 32905)."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(data)
    return digest.finalize()


def b64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str) -> bytes:
    """Return the bytes of the one canonical spelling. Raises `Invalid` for any other spelling.

    RFC 4648 3.5: padding, foreign characters and stray trailing bits let two texts mean the same
    bytes, so they are refused.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise Invalid("not base64url", zh="不是有效的 base64url 编码") from None
    if b64url(data) != text:
        raise Invalid("not canonical base64url", zh="不是规范的 base64url 编码")
    return data
