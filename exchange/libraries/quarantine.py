"""Rows that may not enter a library, with every reason, until somebody mends or waives them.

They are personal data of people we know to be wrong about, so a row is sealed (AES-256-GCM, the
batch and row number as associated data) under a key outside the database, and only the ingest role
may read the table. An item keeps its place (batch and row number of the landed file) and the day it
was first seen for as long as the source sends the row unchanged, in however many batches.

`clear`, `add` and `carry` are called by the transaction that loads a batch; doing so again, by a
replay or after a hold, leaves the same items. Nothing here judges a row: `check` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import orjson
import polars as pl
import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.sql import SQL

from exchange.libraries.batches import Batch, BatchId
from exchange.settings import Settings
from schemas.errors import Invalid, WrongState

KEY = "quarantine.key"
DIGEST = "_digest"
_NONCE = 12  # NIST SP 800-38D 8.2: 96 bits


class State(StrEnum):
    """Where a quarantined row is on its way."""

    OPEN = "open"
    RESUBMITTED = "resubmitted"
    REPAIRED = "repaired"
    GONE = "gone"
    WAIVED = "waived"


MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.OPEN: frozenset({State.RESUBMITTED, State.REPAIRED, State.GONE, State.WAIVED}),
        State.RESUBMITTED: frozenset({State.OPEN, State.REPAIRED}),
        State.REPAIRED: frozenset(),
        # Only the batch that said so may say otherwise, when it is loaded again.
        State.GONE: frozenset({State.OPEN}),
        State.WAIVED: frozenset(),
    }
)


@dataclass(frozen=True)
class Quarantined:
    """A row as its source sent it, by its place in the landed file, and what is wrong with it."""

    batch: BatchId
    row_number: int
    reasons: tuple[str, ...]
    row: dict[str, Any] = field(repr=False)  # a person's, so in no error
    state: State = State.OPEN
    first_seen: datetime | None = None


def clear(conn: psycopg.Connection, batch: Batch) -> None:
    """Forget what is open of `batch`, before it is loaded again; what was settled stays settled.

    Rows of the source's rejected batches are gone with them.
    """
    conn.execute(
        "UPDATE library.quarantine SET last_batch = batch"
        " WHERE source = %s AND last_batch = %s AND batch <> last_batch",
        (batch.source, batch.id),
    )
    conn.execute("DELETE FROM library.quarantine WHERE batch = %s AND state = 'open'", (batch.id,))
    conn.execute(
        "UPDATE library.quarantine q SET state = 'gone', settled_at = now(), settled_batch = b.id"
        " FROM library.batch b WHERE b.id = q.batch AND b.state = 'rejected'"
        " AND q.source = %s AND q.state = 'open'",
        (batch.source,),
    )


def add(conn: psycopg.Connection, settings: Settings, batch: Batch, bad: pl.DataFrame) -> None:
    """Keep `bad`: row_number, reasons, `_digest` and the source's columns.

    A row that an earlier batch brought already, unchanged, stays the item that it is.
    """
    if bad.is_empty():
        return
    _arrive(conn, settings, batch, bad)
    conn.execute(_SEEN_AGAIN, {"batch": batch.id, "source": batch.source})
    conn.execute(_NEW)


def carry(
    conn: psycopg.Connection,
    from_batch: Batch | BatchId,
    to_batch: Batch | BatchId,
    digests: Iterable[bytes],
) -> int:
    """Settle what the snapshot `to_batch` does not send any more; how many rows are gone.

    `digests` names the rows of quarantine that it still sends unchanged, each as often as it is
    sent. Their items stay open and keep the day they were first seen.
    """
    values = {"to": _number(to_batch), "from": _number(from_batch), "digests": list(digests)}
    return conn.execute(_GONE, values).rowcount


def digests(conn: psycopg.Connection, source: str) -> list[bytes]:
    """What `carry` may be asked about: the open items of a source."""
    rows = conn.execute(
        "SELECT digest FROM library.quarantine"
        " WHERE source = %s AND state = 'open' AND digest IS NOT NULL",
        (source,),
    )
    return [bytes(digest) for (digest,) in rows]


def replace(conn: psycopg.Connection, settings: Settings, batch: Batch, bad: pl.DataFrame) -> None:
    """Keep `bad` instead of what was open of `batch` before."""
    clear(conn, batch)
    add(conn, settings, batch, bad)


def waive(
    conn: psycopg.Connection, batch_id: BatchId, row_numbers: Iterable[int], *, reason: str, by: str
) -> int:
    """Settle open items that nobody will repair; how many. Raises `WrongState` or `Invalid`."""
    if not reason.strip() or not by.strip():
        raise Invalid("say who waives and why: both are kept")
    wanted = sorted(set(row_numbers))
    waived = conn.execute(
        "UPDATE library.quarantine SET state = 'waived', settled_at = now(), settled_by = %s,"
        " settled_reason = %s WHERE batch = %s AND row_number = ANY(%s) AND state = 'open'",
        (by, reason, batch_id, wanted),
    ).rowcount
    if waived != len(wanted):
        raise WrongState(f"of {len(wanted)} rows of batch {batch_id} {waived} are open")
    return waived


def reasons(conn: psycopg.Connection, batch_id: BatchId) -> dict[str, int]:
    """How many rows of a batch have each reason; a row may have several."""
    rows = conn.execute(
        SQL(
            "SELECT reason, count(*) FROM library.quarantine q, unnest(reasons) AS reason"
            " WHERE {} GROUP BY reason ORDER BY 2 DESC, 1"
        ).format(_OF_BATCH),
        {"batch": batch_id},
    )
    return {str(reason): int(count) for reason, count in rows}


def rows(
    conn: psycopg.Connection, settings: Settings, batch_id: BatchId, limit: int
) -> Iterator[Quarantined]:
    """The rows themselves, opened: for the department that must repair them."""
    found = conn.execute(
        SQL(
            "SELECT batch, row_number, reasons, sealed_row, state, first_seen"
            " FROM library.quarantine q WHERE {} ORDER BY batch, row_number LIMIT %(limit)s"
        ).format(_OF_BATCH),
        {"batch": batch_id, "limit": limit},
    )
    return opened(settings, found)


def open_rows(
    conn: psycopg.Connection, settings: Settings, source: str, batch_id: BatchId | None = None
) -> Iterator[Quarantined]:
    """Every open row of a source, or those of one batch, opened one after the other."""
    with conn.cursor("quarantined") as cursor:  # on the server: there may be very many
        cursor.execute(
            SQL(
                "SELECT q.batch, row_number, reasons, sealed_row, q.state, first_seen"
                " FROM library.quarantine q JOIN library.batch b ON b.id = q.batch"
                " WHERE q.source = %(source)s AND q.state = 'open' AND b.state <> 'rejected'"
                " AND (%(batch)s::bigint IS NULL OR {}) ORDER BY q.batch, row_number"
            ).format(_OF_BATCH),
            {"source": source, "batch": batch_id},
        )
        yield from opened(settings, cursor)


def opened(settings: Settings, found: Iterable[tuple[Any, ...]]) -> Iterator[Quarantined]:
    """Open sealed rows. Raises `Invalid` for one that was tampered with or has another key."""
    cipher = AESGCM(settings.secret(KEY))
    for batch, number, why, sealed, state, since in found:
        row = orjson.loads(unseal(cipher, batch, number, sealed))
        yield Quarantined(batch, number, tuple(why), row, State(state), since)


def seal(cipher: AESGCM, batch: BatchId, number: int, content: Any) -> bytes:
    """Encrypt what belongs to an item; it opens at this place alone."""
    nonce = os.urandom(_NONCE)
    return nonce + cipher.encrypt(nonce, orjson.dumps(content), _place(batch, number))


def unseal(cipher: AESGCM, batch: BatchId, number: int, sealed: bytes) -> bytes:
    """Decrypt what `seal` made. Raises `Invalid`."""
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(batch, number))
    except InvalidTag:
        raise Invalid(
            f"row {number} of batch {batch} does not open: it was altered, or {KEY} is another one"
        ) from None


def _place(batch: BatchId, number: int) -> bytes:
    return f"library.quarantine:{batch}:{number}".encode()


def _number(batch: Batch | BatchId) -> BatchId:
    return batch.id if isinstance(batch, Batch) else batch


def _arrive(conn: psycopg.Connection, settings: Settings, batch: Batch, bad: pl.DataFrame) -> None:
    """Bring the bad rows, sealed, into `arrived`."""
    conn.execute(
        "CREATE TEMPORARY TABLE IF NOT EXISTS arrived (LIKE library.quarantine INCLUDING DEFAULTS)"
        " ON COMMIT DROP"
    )
    conn.execute("TRUNCATE arrived")
    cipher = AESGCM(settings.secret(KEY))
    seen = batch.landed_at or batch.created_at
    columns = (
        "batch, row_number, dataset, source, reasons, sealed_row, digest, first_seen, last_batch"
    )
    with conn.cursor() as cursor, cursor.copy(f"COPY arrived ({columns}) FROM STDIN") as copy:
        for row in bad.iter_rows(named=True):
            number, why, digest = row.pop("row_number"), row.pop("reasons"), row.pop(DIGEST, None)
            sealed = seal(cipher, batch.id, number, row)
            place = (batch.id, number, batch.dataset, batch.source)
            copy.write_row((*place, why, sealed, digest, seen, batch.id))


# Which arrived row is which item of an earlier batch. Rows may be equal to the last letter, so the
# first is the first, the second the second; an item that went away before this batch is none.
_PAIRED = SQL("""
WITH came AS (SELECT batch, row_number, digest, reasons,
                     row_number() OVER (PARTITION BY digest ORDER BY row_number) AS nth
                FROM arrived),
     held AS (SELECT q.batch, q.row_number, q.digest,
                     row_number() OVER (PARTITION BY q.digest ORDER BY q.batch, q.row_number) AS nth
                FROM library.quarantine q
               WHERE q.source = %(source)s AND q.batch <> %(batch)s
                 AND q.last_batch <> %(batch)s AND q.digest IN (SELECT digest FROM arrived)
                 AND (q.state <> 'gone' OR q.settled_batch = %(batch)s)),
     pair AS (SELECT held.batch, held.row_number, came.reasons, came.row_number AS arrived
                FROM came JOIN held USING (digest, nth))
""")
_SEEN_AGAIN = _PAIRED + SQL("""
, seen AS (
    UPDATE library.quarantine q
       SET last_batch = greatest(q.last_batch, %(batch)s),
           reasons = CASE WHEN q.state IN ('open', 'gone') THEN pair.reasons ELSE q.reasons END,
           state = CASE q.state WHEN 'gone' THEN 'open' ELSE q.state END,
           settled_at = CASE q.state WHEN 'gone' THEN NULL ELSE q.settled_at END,
           settled_batch = CASE q.state WHEN 'gone' THEN NULL ELSE q.settled_batch END
      FROM pair WHERE q.batch = pair.batch AND q.row_number = pair.row_number
    RETURNING pair.arrived)
DELETE FROM arrived USING seen WHERE arrived.row_number = seen.arrived
""")
_NEW = """
INSERT INTO library.quarantine (batch, row_number, dataset, source, reasons, sealed_row, digest,
                                first_seen, last_batch)
SELECT batch, row_number, dataset, source, reasons, sealed_row, digest, first_seen, last_batch
  FROM arrived
    ON CONFLICT (batch, row_number) DO NOTHING
"""
# Two rows may be equal to the last letter: an item goes for each that is not sent any more.
_GONE = """
WITH sent AS (SELECT digest, count(*) AS times FROM unnest(%(digests)s::bytea[]) AS digest
               GROUP BY digest),
     held AS (SELECT q.batch, q.row_number, q.last_batch, q.digest,
                     row_number() OVER (PARTITION BY q.digest ORDER BY q.batch, q.row_number) AS nth
                FROM library.quarantine q JOIN library.batch b ON b.id = %(from)s
               WHERE q.source = b.source AND q.state = 'open' AND q.batch <> %(to)s)
UPDATE library.quarantine q
   SET state = 'gone', settled_at = now(), settled_batch = %(to)s
  FROM held LEFT JOIN sent USING (digest)
 WHERE q.batch = held.batch AND q.row_number = held.row_number
   AND held.last_batch <> %(to)s AND held.nth > coalesce(sent.times, 0)
"""
# What a batch refuses: its own rows, those it brought again, and those that a snapshot carries on.
_OF_BATCH = SQL("""
(q.batch, q.row_number) IN (
    SELECT batch, row_number FROM library.quarantine WHERE batch = %(batch)s
    UNION
    SELECT batch, row_number FROM library.quarantine WHERE last_batch = %(batch)s
    UNION
    SELECT i.batch, i.row_number FROM library.quarantine i JOIN library.batch b
        ON i.source = b.source AND i.batch < b.id
     WHERE b.id = %(batch)s AND b.mode = 'snapshot' AND b.state = 'published'
       AND (i.settled_batch > b.id
            OR i.settled_batch IS NULL AND coalesce(i.settled_at > b.published_at, true)))
""")
