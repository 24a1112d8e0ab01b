"""Secrets that two processes share: files of <home>/secrets, made by whoever asks first.

The same files, in the same form, as the exchange's settings read.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def secret(home: Path, name: str) -> bytes:
    """The 32 bytes of secret `name`."""
    path = home / "secrets" / name
    write_once(path, secrets.token_hex(32).encode())
    return bytes.fromhex(path.read_text().strip())


def write_once(path: Path, content: bytes) -> None:
    """Make a 0600 file, whole or not at all; where it is there already, leave it."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)  # atomic, and fails where somebody was first
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
