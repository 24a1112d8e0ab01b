"""Writing volumes: the ledger's entries as files that a stand-alone verifier recomputes.

A volume ends where a checkpoint was signed. What the tables lack is not made up: an entry that is
gone is written as gone, and the verifier names it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from exchange.ledger import integrator
from schemas import checkpoint
from schemas.errors import Invalid
from schemas.ledger_volume import NO_VOLUME, Header, cut, header_bytes
from schemas.merkle import HASH_SIZE

AT_ONCE = 5000
ROWS = """
SELECT l.position, l.hash, e.body
FROM hub.ledger_leaf l LEFT JOIN hub.ledger_entry e USING (receipt)
WHERE l.position >= %s AND l.position < %s ORDER BY l.position
"""
GONE = (b"", bytes(HASH_SIZE))


def write(
    conn: psycopg.Connection, folder: Path, first: int, note: str, previous: str = NO_VOLUME
) -> Path:
    """Write the entries from `first` to the end of a signed checkpoint as one volume.

    It stands under its name only when all of it is on disk. Raises `Invalid` when there is nothing
    to write or a file of that name.
    """
    head = checkpoint.parse(note.encode().partition(b"\n\n")[0] + b"\n")
    if head.size <= first:
        raise Invalid(f"there are no entries from {first} to {head.size}")
    edge = integrator.edge(conn, first).nodes
    header = Header(head.origin, first, head.size - first, previous, edge)
    path = folder / header.name
    if path.exists():
        raise Invalid(f"{path} is there already")
    fresh = path.with_suffix(".new")
    with conn.transaction(), os.fdopen(_created(fresh), "wb") as file:
        file.write(header_bytes(header))
        for block in cut(first, _rows(conn, first, head.size)):
            file.write(block)
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    _sync_folder(folder)
    return path


def digest(path: Path) -> str:
    """SHA-256 of a file, as the next volume names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _created(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _rows(conn: psycopg.Connection, first: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    expected = first
    for position, stored, body in _stored(conn, first, end):
        yield from [GONE] * (position - expected)
        yield bytes(body or b""), bytes(stored)
        expected = position + 1
    yield from [GONE] * (end - expected)


def _stored(conn: psycopg.Connection, first: int, end: int) -> Iterator[tuple[Any, ...]]:
    with conn.cursor(name="ledger_volume", binary=True) as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(ROWS, (first, end))
        yield from cursor


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
