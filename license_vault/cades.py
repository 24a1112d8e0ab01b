"""A CAdES-B signature, written byte by byte: the attributes that are signed, and what holds them.

Only what a seal of ours needs (ETSI EN 319 122-1, RFC 5652): one signer, P-256 with SHA-256,
detached. By hand, because the general library takes 15 ms for these 2 KB, longer than everything
else about a seal; the tests read it back with that library.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from cryptography import x509

from schemas.canonical import sha256

_INTEGER, _OCTETS, _SEQUENCE, _SET, _CONTEXT_0 = b"\x02", b"\x04", b"\x30", b"\x31", b"\xa0"

# Object identifiers in DER. RFC 5652 11.1, 11.2 and 4, 5.1; RFC 5035 5.4.1.1; RFC 5754 2.2, 3.3.
_CONTENT_TYPE = bytes.fromhex("06092a864886f70d010903")
_MESSAGE_DIGEST = bytes.fromhex("06092a864886f70d010904")
_SIGNING_CERTIFICATE_V2 = bytes.fromhex("060b2a864886f70d010910022f")
_DATA = bytes.fromhex("06092a864886f70d010701")
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_SHA256 = bytes.fromhex("0609608648016503040201")
_ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")


def signed_attributes(digest: bytes, certificate: bytes) -> bytes:
    """What the seal's key signs: DER of the attributes as a SET OF (RFC 5652 5.4).

    ETSI EN 319 142-1 6.3, level B-B: content type, message digest and signing certificate; the
    time of signing is in the signature dictionary and is a claim, so it is not repeated here.
    """
    # RFC 5035 4: SHA-256 is the default of hashAlgorithm, and DER leaves a default out.
    bound = _der(_SEQUENCE, _der(_SEQUENCE, _der(_SEQUENCE, _der(_OCTETS, sha256(certificate)))))
    attributes = (
        _attribute(_CONTENT_TYPE, _DATA),
        _attribute(_MESSAGE_DIGEST, _der(_OCTETS, digest)),
        _attribute(_SIGNING_CERTIFICATE_V2, bound),
    )
    # X.690 11.6: the elements of a SET OF stand in the order of their encodings.
    return _der(_SET, *sorted(attributes))


def signed_data(attributes: bytes, signature: bytes, chain: Sequence[bytes]) -> bytes:
    """The whole signature (RFC 5652 5.1): `attributes` as signed, `chain` with the leaf first."""
    one, sha_256 = _der(_INTEGER, b"\x01"), _der(_SEQUENCE, _SHA256)
    signer = _der(
        _SEQUENCE,
        one,
        _issuer_and_serial(chain[0]),
        sha_256,
        # RFC 5652 5.4: signed as a SET OF, carried as [0] IMPLICIT: only the tag differs.
        _CONTEXT_0 + attributes[1:],
        _der(_SEQUENCE, _ECDSA_WITH_SHA256),
        _der(_OCTETS, signature),
    )
    content = _der(
        _SEQUENCE,
        one,
        _der(_SET, sha_256),
        _der(_SEQUENCE, _DATA),
        _der(_CONTEXT_0, *sorted(chain)),
        _der(_SET, signer),
    )
    return _der(_SEQUENCE, _SIGNED_DATA, _der(_CONTEXT_0, content))


@lru_cache(maxsize=8)
def _issuer_and_serial(certificate: bytes) -> bytes:
    held = x509.load_der_x509_certificate(certificate)
    number = held.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1)
    return _der(_SEQUENCE, held.issuer.public_bytes(), _der(_INTEGER, serial))


def _attribute(kind: bytes, value: bytes) -> bytes:
    return _der(_SEQUENCE, kind, _der(_SET, value))


def _der(tag: bytes, *parts: bytes) -> bytes:
    """One element: tag, definite length in the fewest bytes (X.690 10.1), content."""
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return tag + size.to_bytes() + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return tag + (0x80 | len(length)).to_bytes() + length + content
