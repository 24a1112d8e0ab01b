"""The batch ledger: the record of what was loaded, whatever a scheduler believes.

A run holds its source by a session lock of PostgreSQL, which dies with the run, and fences every
write with the batch's lease: whoever takes a batch raises the lease, and a write that names an
older one changes nothing and raises `Fenced`. Nothing here commits, except the lock itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connectors.feeds import Window
from exchange.database import Database, Role, without_detail
from schemas.errors import NotFound, Refused, Unavailable, WrongState

BatchId = int
REPAIR = "repair "
"""Begins the window of a batch of repaired rows: no window of the source, so no cursor of it."""

LOCK_SPACE = 0x6C69  # the first half of our advisory locks, so that no other room takes the same


class Busy(Unavailable):
    """Another run has this source now."""

    code = "batch-busy"


class Fenced(Unavailable):
    """Another run took the batch; what this run did is void, and asking again shows the other's."""

    code = "batch-fenced"


class Held(Refused):
    """The batch waits for a person, who releases or rejects it."""

    code = "batch-held"


class State(StrEnum):
    """Where a batch is on its way."""

    LANDING = "landing"
    LANDED = "landed"
    HELD = "held"
    PUBLISHED = "published"
    REJECTED = "rejected"


MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.LANDING: frozenset({State.LANDED, State.HELD}),
        State.LANDED: frozenset({State.PUBLISHED, State.HELD}),
        State.HELD: frozenset({State.LANDED, State.REJECTED}),
        State.PUBLISHED: frozenset(),
        State.REJECTED: frozenset(),
    }
)


@dataclass(frozen=True)
class Batch:
    """One window of one source, and what became of it."""

    id: BatchId
    source: str
    dataset: str
    mode: str
    window_start: str | None
    window_end: str
    state: State
    lease: int
    columns: Mapping[str, str] | None = None
    file: str | None = None
    digest: str | None = None
    source_totals: Mapping[str, Any] | None = None
    notices: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    held: tuple[str, ...] = ()
    released_by: str | None = None
    released_reason: str | None = None
    created_at: datetime | None = None
    landed_at: datetime | None = None
    published_at: datetime | None = None

    @property
    def released(self) -> bool:
        """A person looked at what was wrong and let it pass."""
        return self.released_by is not None

    def moved(self, to: State, **changes: Any) -> Batch:
        """This batch in another state. Raises `WrongState` when there is no such move."""
        if to not in MOVES[self.state]:
            raise WrongState(f"batch {self.id} is {self.state}; it cannot become {to}")
        return replace(self, state=to, **changes)


@contextmanager
def running(database: Database, source: str) -> Iterator[psycopg.Connection]:
    """The one run of `source`: a connection that holds its lock. Raises `Busy` when it is taken."""
    connection = database.connect(Role.INGEST)
    try:
        with without_detail():
            if not _locked(connection, source):
                raise Busy(f"another run has {source}; try again when it is done")
            yield connection
    finally:
        connection.close()


def _locked(conn: psycopg.Connection, source: str) -> bool:
    key = zlib.crc32(source.encode()) - 2**31
    row = conn.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, key)).fetchone()
    conn.commit()
    return row is not None and bool(row[0])


def alone(conn: psycopg.Connection) -> None:
    """Keep other runs from exchanging a dataset's table until the transaction ends.

    Two that look at each other's table and exchange their own would wait for each other.
    """
    conn.execute("SELECT pg_advisory_xact_lock(%s, 0)", (LOCK_SPACE + 1,))


def get(conn: psycopg.Connection, batch_id: BatchId) -> Batch:
    """The batch of that number. Raises `NotFound`."""
    found = _query(conn, "SELECT * FROM library.batch WHERE id = %s", (batch_id,))
    if not found:
        raise NotFound(f"there is no batch {batch_id}")
    return found[0]


def listed(conn: psycopg.Connection, *, dataset: str | None = None, limit: int = 50) -> list[Batch]:
    """The newest batches first."""
    return _query(
        conn,
        "SELECT * FROM library.batch WHERE dataset = coalesce(%s, dataset)"
        " ORDER BY id DESC LIMIT %s",
        (dataset, limit),
    )


def open_of(conn: psycopg.Connection, source: str) -> Batch | None:
    """The batch of `source` that is not settled; there is at most one."""
    found = _query(
        conn,
        "SELECT * FROM library.batch WHERE source = %s AND state IN ('landing', 'landed', 'held')",
        (source,),
    )
    return found[0] if found else None


def unsettled(conn: psycopg.Connection) -> list[Batch]:
    """Batches that some run left half-way, oldest first."""
    return _query(
        conn, "SELECT * FROM library.batch WHERE state IN ('landing', 'landed') ORDER BY id", ()
    )


def cursor_of(conn: psycopg.Connection, source: str) -> str | None:
    """Where the source's next window begins: the end of its last published one."""
    row = conn.execute(
        "SELECT window_end FROM library.batch WHERE source = %s AND state = 'published'"
        " AND NOT starts_with(window_end, %s) ORDER BY id DESC LIMIT 1",
        (source, REPAIR),
    ).fetchone()
    return None if row is None else str(row[0])


def columns_before(conn: psycopg.Connection, batch: Batch) -> Mapping[str, str] | None:
    """The columns of the source's last published batch before this one."""
    row = conn.execute(
        "SELECT columns FROM library.batch WHERE source = %s AND state = 'published' AND id < %s"
        " AND NOT starts_with(window_end, %s) ORDER BY id DESC LIMIT 1",
        (batch.source, batch.id, REPAIR),
    ).fetchone()
    return None if row is None else row[0]


def published_before(conn: psycopg.Connection, batch: Batch) -> Batch | None:
    """The last batch that was published into the dataset, this one not counted."""
    found = _query(
        conn,
        "SELECT * FROM library.batch WHERE dataset = %s AND state = 'published' AND id <> %s"
        " ORDER BY published_at DESC, id DESC LIMIT 1",
        (batch.dataset, batch.id),
    )
    return found[0] if found else None


def landed_before(conn: psycopg.Connection, dataset: str, age: timedelta) -> list[Batch]:
    """Published batches whose landed files are older, but for the last snapshot of each source."""
    return _query(
        conn,
        "SELECT * FROM library.batch b WHERE dataset = %(dataset)s AND state = 'published'"
        " AND file IS NOT NULL AND published_at < now() - %(age)s"
        " AND NOT (mode = 'snapshot' AND NOT EXISTS (SELECT FROM library.batch l"
        "   WHERE l.source = b.source AND l.mode = 'snapshot' AND l.state = 'published'"
        "   AND l.id > b.id)) ORDER BY id",
        {"dataset": dataset, "age": age},
    )


def forget_file(conn: psycopg.Connection, batch: Batch) -> None:
    """Say that the landed file has expired; its digest stays. Raises `Fenced`."""
    found = _query(
        conn,
        "UPDATE library.batch SET file = NULL WHERE id = %s AND lease = %s RETURNING *",
        (batch.id, batch.lease),
    )
    _mine(found, batch)


def unlike(conn: psycopg.Connection, dataset: str) -> None:
    """Let no snapshot be compared with an earlier one: the dataset is not what that one made."""
    conn.execute(
        "UPDATE library.batch SET fingerprint = NULL WHERE dataset = %s"
        " AND fingerprint IS NOT NULL AND state = 'published'",
        (dataset,),
    )


def overtaken(conn: psycopg.Connection, batch: Batch) -> bool:
    """Say whether a later snapshot of the same source was published: nothing here is news."""
    row = conn.execute(
        "SELECT 1 FROM library.batch WHERE source = %s AND id > %s"
        " AND mode = 'snapshot' AND state = 'published' LIMIT 1",
        (batch.source, batch.id),
    ).fetchone()
    return row is not None


def begin(
    conn: psycopg.Connection, source: str, dataset: str, mode: str, start: str | None, end: str
) -> Batch | None:
    """A new batch for that window; None when the window has one already."""
    found = _query(
        conn,
        "INSERT INTO library.batch (source, dataset, mode, window_start, window_end, state)"
        " VALUES (%s, %s, %s, %s, %s, 'landing') ON CONFLICT DO NOTHING RETURNING *",
        (source, dataset, mode, start, end),
    )
    return found[0] if found else None


def take(conn: psycopg.Connection, batch: Batch, window: Window | None = None) -> Batch:
    """Take `batch` over under a new lease, for `window` when it is still to be landed."""
    mode, start, end = (
        (window.mode, window.start, window.end)
        if window
        else (batch.mode, batch.window_start, batch.window_end)
    )
    found = _query(
        conn,
        "UPDATE library.batch SET lease = lease + 1, mode = %s, window_start = %s, window_end = %s"
        " WHERE id = %s AND lease = %s RETURNING *",
        (mode, start, end, batch.id, batch.lease),
    )
    return _mine(found, batch)


def lock(conn: psycopg.Connection, batch: Batch) -> None:
    """Hold the batch's row to the end of the transaction. Raises `Fenced` when it is not ours."""
    found = _query(
        conn,
        "SELECT * FROM library.batch WHERE id = %s AND lease = %s FOR UPDATE",
        (batch.id, batch.lease),
    )
    _mine(found, batch)


def save(conn: psycopg.Connection, batch: Batch) -> Batch:
    """Write what a run changed. Raises `Fenced` when another run has the batch."""
    found = _query(
        conn,
        """
        UPDATE library.batch SET state = %(state)s, columns = %(columns)s, file = %(file)s,
               digest = %(digest)s, source_totals = %(source_totals)s, notices = %(notices)s,
               counts = %(counts)s, held = %(held)s, released_by = %(released_by)s,
               released_reason = %(released_reason)s, fingerprint = %(fingerprint)s,
               landed_at = CASE WHEN %(state)s = 'landing' THEN NULL
                                ELSE coalesce(landed_at, now()) END,
               published_at = %(published_at)s
         WHERE id = %(id)s AND lease = %(lease)s RETURNING *
        """,
        {
            **{name: getattr(batch, name) for name in _PLAIN},
            **{name: Jsonb(value) for name in _JSON if (value := getattr(batch, name)) is not None},
            "held": list(batch.held),
        },
    )
    return _mine(found, batch)


_PLAIN = (
    *("id", "lease", "state", "file", "digest", "fingerprint", "released_by", "released_reason"),
    *("columns", "source_totals", "published_at"),
)
_JSON = ("columns", "source_totals", "notices", "counts")


def _mine(found: list[Batch], batch: Batch) -> Batch:
    if not found:
        raise Fenced(f"another run took batch {batch.id}; what this run did is void")
    return found[0]


def _query(conn: psycopg.Connection, sql: str, values: Any) -> list[Batch]:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql.encode(), values).fetchall()
    return [_batch(row) for row in rows]


def _batch(row: dict[str, Any]) -> Batch:
    return Batch(**{**row, "state": State(row["state"]), "held": tuple(row["held"])})
