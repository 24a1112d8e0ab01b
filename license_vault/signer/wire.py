"""How the signer and its callers talk: length-prefixed JSON over a Unix socket.

The signer opens with a nonce; the caller answers with its name and an HMAC of the nonce under its
secret. After that every frame is one question and one answer. Signatures and bytes are base64.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from enum import StrEnum
from typing import Any

from schemas.errors import Invalid, Unavailable

LONGEST_FRAME = 32 * 1024 * 1024
NONCE_BYTES = 32


class Kind(StrEnum):
    """What can be signed."""

    PDF = "pdf"
    SD_JWT = "sd-jwt"
    STATUS_LIST = "status-list"
    CHECKPOINT = "checkpoint"


def send(connection: socket.socket, message: Any) -> None:
    """Send one frame. Raises `Unavailable` when the other side is gone."""
    body = json.dumps(message).encode()
    try:
        connection.sendall(len(body).to_bytes(4) + body)
    except OSError as err:
        raise Unavailable("the connection to the signer broke") from err


def receive(connection: socket.socket) -> Any:
    """Read one frame. Raises `Unavailable` at its end and `Invalid` for what is no frame."""
    length = int.from_bytes(_exactly(connection, 4))
    if length > LONGEST_FRAME:
        raise Invalid("a frame is larger than any of ours")
    try:
        return json.loads(_exactly(connection, length))
    except ValueError as err:
        raise Invalid("a frame is not JSON") from err


def proof(secret: bytes, nonce: bytes, caller: str) -> str:
    """What a caller sends to show that it has its secret."""
    told = b"yizhan-signer/1\n" + nonce + caller.encode()
    return hmac.digest(secret, told, hashlib.sha256).hex()


def pack(data: bytes) -> str:
    """Bytes as they travel."""
    return base64.b64encode(data).decode()


def unpack(text: Any) -> bytes:
    """Bytes that travelled. Raises `Invalid`."""
    if not isinstance(text, str):
        raise Invalid("expected base64 text")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as err:
        raise Invalid("expected base64 text") from err


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        try:
            part = connection.recv(min(count - len(parts), 1 << 20))
        except OSError as err:
            raise Unavailable("the connection to the signer broke") from err
        if not part:
            raise Unavailable("the connection to the signer ended")
        parts += part
    return bytes(parts)
