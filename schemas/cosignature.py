"""Cosignatures of witnesses over checkpoints, as C2SP writes them: "I saw this log only grow".

https://c2sp.org/tlog-cosignature, its Ed25519 form. ML-DSA-44 lines, the form recommended for new
networks, are passed over like those of any unknown key. No private key is seen here.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable

from schemas.checkpoint import (
    COSIGNATURE,
    BadCheckpoint,
    Verifier,
    parse,
    verifier,
    verify_ed25519,
    vkey,
)

STAMPED = struct.Struct(">Q64s")  # timestamped_signature: seconds since 1970, Ed25519
LATEST = 2**63 - 1


def cosigned_text(text: bytes, at: int) -> bytes:
    """What a witness signs: a header line, a time line and the checkpoint's text."""
    return f"cosignature/v1\ntime {at}\n".encode() + text


def cosign(
    text: bytes, name: str, at: int, sign: Callable[[bytes], bytes], public_key: bytes
) -> str:
    """Return the signature line of the named witness, with its newline."""
    parse(text)
    if not 0 <= at <= LATEST:
        raise BadCheckpoint("a cosignature's time is a number of seconds since 1970")
    ours = verifier(vkey(name, public_key, COSIGNATURE))
    blob = ours.key_id + STAMPED.pack(at, sign(cosigned_text(text, at)))
    return f"— {name} {base64.b64encode(blob).decode('ascii')}\n"


def cosigned_at(
    text: bytes, signatures: Iterable[tuple[str, bytes]], witness: Verifier
) -> int | None:
    """When that witness cosigned the text, or nothing when it did not.

    Raises `BadCheckpoint` for a line of its name and key that does not verify (signed-note).
    """
    times = list[int]()
    for blob in witness.signed(signatures) if witness.kind == COSIGNATURE else ():
        if len(blob) != STAMPED.size:
            raise BadCheckpoint("a cosignature is a time and 64 bytes")
        at, signature = STAMPED.unpack(blob)
        if at > LATEST:
            raise BadCheckpoint("a cosignature's time is a number of seconds since 1970")
        verify_ed25519(witness.public_key, signature, cosigned_text(text, at))
        times.append(at)
    return max(times, default=None)
