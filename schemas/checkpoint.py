"""Checkpoints of a Merkle tree as C2SP signed notes with Ed25519 keys.

https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint; the ledger and the license log
both use them. Signing is a function that is handed in: no private key is seen here. Cosignatures
of witnesses are carried along; `schemas/cosignature.py` judges them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from schemas.errors import Invalid
from schemas.merkle import HASH_SIZE

# signed-note, "Signature types": 0x01 is Ed25519 over the note text (RFC 8032), 0x04 a witness's
# timestamped Ed25519 cosignature (tlog-cosignature).
ED25519 = b"\x01"
COSIGNATURE = b"\x04"
KEY_ID_SIZE = 4
KEY_SIZE = 32
SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})")
# tlog-checkpoint: the size is decimal without leading zeros.
SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
# signed-note: a verifier may cap the signatures it looks at, and must look at 16 at least.
MOST_SIGNATURES = 100
LONGEST_NOTE = 1 << 20


class BadCheckpoint(Invalid):
    """A checkpoint is malformed, or no signature of the expected key is on it."""

    code = "bad-checkpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: which log, how many leaves, and their root. `extensions` are lines of others."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verifier:
    """A public key with its name, as a vkey spells them."""

    name: str
    key_id: bytes
    public_key: bytes
    kind: bytes = ED25519

    def signed(self, signatures: Iterable[tuple[str, bytes]]) -> list[bytes]:
        """What of these signatures is by this key's name and key ID, without the key ID."""
        return [
            blob[KEY_ID_SIZE:]
            for name, blob in signatures
            if name == self.name and blob[:KEY_ID_SIZE] == self.key_id
        ]


def body(origin: str, size: int, root: bytes) -> bytes:
    """Return the note text that is signed. Raises `BadCheckpoint` for what a note cannot carry."""
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode('ascii')}\n"
    if parse(text) != Checkpoint(origin, size, root):
        raise BadCheckpoint("the origin cannot stand in a checkpoint")
    return text.encode()


def parse(text: bytes | str) -> Checkpoint:
    """Read the note text, *without* its signatures and without trusting it.

    Raises `BadCheckpoint`. `verify` is what makes a checkpoint worth something.
    """
    lines = _text(text).split("\n")
    if len(lines) < 4 or lines[-1] != "" or "" in lines[:-1]:
        raise BadCheckpoint("a checkpoint is an origin, a size and a root, a line each")
    origin, size, root, *extensions = lines[:-1]
    if not SIZE.fullmatch(size):
        raise BadCheckpoint("the size of a checkpoint is a plain decimal number")
    return Checkpoint(origin, int(size), _base64(root, HASH_SIZE), tuple(extensions))


def note(
    text: bytes, name: str, sign: Callable[[bytes], bytes], public_key: bytes | Ed25519PublicKey
) -> bytes:
    """Return the signed note: the text, an empty line, and the signature of the named key."""
    parse(text)
    signer = verifier(vkey(name, public_key))
    signature = base64.b64encode(signer.key_id + sign(text)).decode("ascii")
    return text + f"\n— {name} {signature}\n".encode()


def verify(signed: bytes | str, key: str) -> Checkpoint:
    """Prove that the key of this vkey signed the checkpoint; return what it signed.

    Raises `BadCheckpoint`. The caller still owes: that the origin is the log it asked, and that
    the tree continues the last one it saw.
    """
    return parse(open_note(signed, key))


def open_note(signed: bytes | str, key: str) -> bytes:
    """Prove that the key of this vkey signed the note; return the text that it signed.

    Signatures of other keys are passed over (signed-note: unknown keys MUST be ignored); one of
    this key that fails condemns the note. Raises `BadCheckpoint`.
    """
    # 1. The note is text and ends in signature lines.
    trusted = verifier(key)
    text, signatures = parted(signed)
    # 2. At least one line is of the expected name and key ID.
    ours = trusted.signed(signatures) if trusted.kind == ED25519 else []
    if not ours:
        raise BadCheckpoint("the expected key has not signed this checkpoint")
    # 3. Every such line verifies over the text with its last newline.
    for signature in ours:
        verify_ed25519(trusted.public_key, signature, text)
    return text


def vkey(name: str, public_key: bytes | Ed25519PublicKey, kind: bytes = ED25519) -> str:
    """Return the verifier key: name, key ID and typed public key (signed-note, "Verifier keys")."""
    raw = _raw(public_key)
    if not name or re.search(r"[\s+]", name):
        raise BadCheckpoint("a key name is not empty and has neither blanks nor plus signs")
    typed = base64.b64encode(kind + raw).decode("ascii")
    return f"{name}+{key_id(name, raw, kind).hex()}+{typed}"


def key_id(name: str, public_key: bytes, kind: bytes = ED25519) -> bytes:
    """Return SHA-256(name || 0x0A || signature type || public key)[:4]."""
    return hashlib.sha256(name.encode() + b"\n" + kind + public_key).digest()[:KEY_ID_SIZE]


def verifier(key: str) -> Verifier:
    """Read a vkey. Raises `BadCheckpoint` when its parts do not fit together."""
    name, plus, rest = key.partition("+")
    identifier, second_plus, typed = rest.partition("+")
    if not plus or not second_plus:
        raise BadCheckpoint("a verifier key is a name, a key ID and a key, joined by plus signs")
    raw = _base64(typed, 1 + KEY_SIZE)
    kind = raw[:1]
    if kind not in (ED25519, COSIGNATURE) or vkey(name, raw[1:], kind) != key:
        raise BadCheckpoint("the verifier key is not Ed25519, or its key ID is another's")
    return Verifier(name, bytes.fromhex(identifier), raw[1:], kind)


def parted(signed: bytes | str) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Part a note's text from its signatures, (name, key ID and signature) each, trusting neither.

    Raises `BadCheckpoint`.
    """
    text, separator, block = _text(signed).rpartition("\n\n")
    lines = block.split("\n")
    if not separator or lines.pop() != "" or not 0 < len(lines) <= MOST_SIGNATURES:
        raise BadCheckpoint("a note ends in an empty line and its signatures")
    return f"{text}\n".encode(), [signature_of(line) for line in lines]


def signature_of(line: str) -> tuple[str, bytes]:
    """Read a signature line: whose it is, and key ID and signature. Raises `BadCheckpoint`."""
    matched = SIGNATURE_LINE.fullmatch(line)
    if matched is None:
        raise BadCheckpoint("a signature line is a dash, a name and a signature")
    signature = _base64(matched[2])
    if len(signature) <= KEY_ID_SIZE:
        raise BadCheckpoint("a signature holds more than its key ID")
    return matched[1], signature


def verify_ed25519(public_key: bytes, signature: bytes, signed: bytes) -> None:
    """Raise `BadCheckpoint` unless the key made this signature over these bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        raise BadCheckpoint("the signature does not fit the checkpoint") from None


def _text(data: bytes | str) -> str:
    """Decode a note: UTF-8 without control characters but newline (signed-note, "Format")."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        size = len(text.encode())
    except UnicodeError:
        raise BadCheckpoint("a note is UTF-8 text") from None
    if size > LONGEST_NOTE or re.search(r"[\x00-\x09\x0b-\x1f]", text):
        raise BadCheckpoint("a note is short and has no control characters")
    return text


def _raw(public_key: bytes | Ed25519PublicKey) -> bytes:
    if isinstance(public_key, Ed25519PublicKey):
        return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    if len(public_key) != KEY_SIZE:
        raise BadCheckpoint("an Ed25519 public key has 32 bytes")
    return public_key


def _base64(text: str, size: int | None = None) -> bytes:
    """Decode the one spelling of standard base64, padding included (RFC 4648 4, 3.5)."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadCheckpoint("not base64") from None
    if base64.b64encode(data).decode("ascii") != text or size not in (None, len(data)):
        raise BadCheckpoint("not canonical base64, or of the wrong length")
    return data
