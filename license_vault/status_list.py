"""Token Status List (draft-ietf-oauth-status-list-20): two bits a license, a million a list.

Pure bytes: the slots come from whoever holds them, the signature from the signer. `parse` checks
form and subject of a token but *not* its signature; `StatusList.at` refuses an index outside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any

from license_vault import jws
from license_vault.jws import BadToken
from schemas.canonical import b64url, unb64url
from schemas.errors import Invalid

TYP = "statuslist+jwt"
MEDIA_TYPE = "application/statuslist+jwt"
BITS = 2
SIZE = 1 << 20
# A revoke is seen by whoever asks the hub; a copy may be believed for this long.
TTL_SECONDS = 300
# Offline, a list is better than none for a week; then it proves nothing.
LIFETIME_SECONDS = 7 * 86_400
LONGEST_TOKEN = 4 * 1024 * 1024
# Section 4.1 allows eight bits; nobody needs more slots than ours.
MOST_BYTES = SIZE


class Slot(IntEnum):
    """Section 7.1: what the bits say. Expired is not here: it follows from the license's `exp`."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


@dataclass(frozen=True)
class StatusList:
    """Slots packed least significant bits first (section 4.1)."""

    bits: int
    packed: bytes

    @property
    def size(self) -> int:
        return len(self.packed) * 8 // self.bits

    def at(self, index: int) -> int:
        """The value of a slot. Raises `BadToken` for an index outside the list (section 8.3)."""
        if not 0 <= index < self.size:
            raise BadToken("the index lies outside the status list")
        bit = index * self.bits
        return (self.packed[bit // 8] >> (bit % 8)) & ((1 << self.bits) - 1)


@dataclass(frozen=True)
class StatusToken:
    """A parsed status list token. Parsed, *not* verified: check `token`'s signature and chain."""

    token: jws.Token
    statuses: StatusList
    issued_at: int
    expires_at: int | None


def pack(slots: Iterable[tuple[int, int]], *, bits: int = BITS, size: int = SIZE) -> bytes:
    """Pack (index, value) pairs; every slot that is not named is 0, valid."""
    packed = bytearray(size * bits // 8)
    for index, value in slots:
        if not (0 <= index < size and 0 <= value < 1 << bits):
            raise Invalid("a slot or its value lies outside the status list")
        bit = index * bits
        mask = ((1 << bits) - 1) << (bit % 8)
        packed[bit // 8] = packed[bit // 8] & ~mask | value << (bit % 8)
    return bytes(packed)


def encode(packed: bytes, *, bits: int = BITS) -> dict[str, Any]:
    """The `status_list` claim: zlib at its highest level, base64url without padding (4.2)."""
    return {"bits": bits, "lst": b64url(zlib.compress(packed, 9))}


def decode(claim: Mapping[str, Any]) -> StatusList:
    """Unpack a `status_list` claim; stops at a million bytes, whatever the archive says."""
    bits, lst = claim.get("bits"), claim.get("lst")
    if type(bits) is not int or bits not in (1, 2, 4, 8) or not isinstance(lst, str):
        raise BadToken("status_list must have bits (1, 2, 4 or 8) and lst")
    unpacker = zlib.decompressobj()
    try:
        packed = unpacker.decompress(unb64url(lst), MOST_BYTES)
    except zlib.error as err:
        raise BadToken("lst is not zlib") from err
    if not unpacker.eof or unpacker.unused_data:
        raise BadToken("lst is truncated, too large or followed by something else")
    return StatusList(bits, packed)


def token_tbs(
    uri: str,
    packed: bytes,
    *,
    at: datetime,
    x5c: Sequence[bytes],
    bits: int = BITS,
    ttl: int = TTL_SECONDS,
    lifetime: int = LIFETIME_SECONDS,
) -> bytes:
    """The bytes the signer signs for the list at `uri` (5.1: `sub` is the list's address)."""
    issued = int(at.timestamp())
    payload = {
        "sub": uri,
        "iat": issued,
        "exp": issued + lifetime,
        "ttl": ttl,
        "status_list": encode(packed, bits=bits),
    }
    return jws.signing_input(TYP, payload, x5c)


def assemble(tbs: bytes, signature: bytes) -> str:
    """The token as served; `signature` is raw R‖S."""
    return jws.compact(tbs, signature)


def parse(text: str, *, uri: str) -> StatusToken:
    """Check the form of a token and that it is the list at `uri` (section 8.3)."""
    token = jws.parse(text, typ=TYP, longest=LONGEST_TOKEN)
    issued, expires = token.payload.get("iat"), token.payload.get("exp")
    if token.payload.get("sub") != uri:
        raise BadToken("this is the status list of another subject")
    if type(issued) is not int or not (expires is None or type(expires) is int):
        raise BadToken("iat and exp must be whole seconds")
    claim = token.payload.get("status_list")
    if not isinstance(claim, dict):
        raise BadToken("there is no status_list claim")
    return StatusToken(token, decode(claim), issued, expires)
