"""Rows that may not enter a library, with every reason, for the department to repair.

They are personal data of people we know to be wrong about, so a row is sealed (AES-256-GCM, the
batch and row number as associated data) under a key outside the database, and only the ingest role
may read the table. A repaired row comes in with a later batch, as any other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import polars as pl
import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from exchange.libraries.batches import Batch, BatchId
from exchange.settings import Settings

KEY = "quarantine.key"
_NONCE = 12  # NIST SP 800-38D 8.2: 96 bits


@dataclass(frozen=True)
class Quarantined:
    """A row as its source sent it, by its place in the landed file, and what is wrong with it."""

    batch: BatchId
    row_number: int
    reasons: tuple[str, ...]
    row: dict[str, Any]


def replace(conn: psycopg.Connection, settings: Settings, batch: Batch, bad: pl.DataFrame) -> None:
    """Keep `bad` (row_number, reasons and the source's columns) instead of what was kept before."""
    conn.execute("DELETE FROM library.quarantine WHERE batch = %s", (batch.id,))
    cipher = AESGCM(settings.secret(KEY))
    columns = "batch, row_number, dataset, reasons, sealed_row"
    with (
        conn.cursor() as cursor,
        cursor.copy(f"COPY library.quarantine ({columns}) FROM STDIN") as copy,
    ):
        for row in bad.iter_rows(named=True):
            number, reasons = row.pop("row_number"), row.pop("reasons")
            sealed = _seal(cipher, batch.id, number, row)
            copy.write_row((batch.id, number, batch.dataset, reasons, sealed))


def reasons(conn: psycopg.Connection, batch_id: BatchId) -> dict[str, int]:
    """How many rows of a batch have each reason; a row may have several."""
    rows = conn.execute(
        "SELECT reason, count(*) FROM library.quarantine, unnest(reasons) AS reason"
        " WHERE batch = %s GROUP BY reason ORDER BY 2 DESC, 1",
        (batch_id,),
    )
    return {str(reason): int(count) for reason, count in rows}


def rows(
    conn: psycopg.Connection, settings: Settings, batch_id: BatchId, limit: int
) -> Iterator[Quarantined]:
    """The rows themselves, opened: for the department that must repair them."""
    cipher = AESGCM(settings.secret(KEY))
    found = conn.execute(
        "SELECT row_number, reasons, sealed_row FROM library.quarantine"
        " WHERE batch = %s ORDER BY row_number LIMIT %s",
        (batch_id, limit),
    )
    for number, why, sealed in found:
        row = orjson.loads(_open(cipher, batch_id, number, sealed))
        yield Quarantined(batch_id, number, tuple(why), row)


def _seal(cipher: AESGCM, batch: BatchId, number: int, row: dict[str, Any]) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, orjson.dumps(row), _place(batch, number))


def _open(cipher: AESGCM, batch: BatchId, number: int, sealed: bytes) -> bytes:
    return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(batch, number))


def _place(batch: BatchId, number: int) -> bytes:
    return f"library.quarantine:{batch}:{number}".encode()
