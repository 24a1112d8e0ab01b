"""A table for one run, filled by one Arrow stream, in the shape of its dataset.

    stage    what a merge compares with the dataset: its fields and a fate per key
    fresh    what becomes the dataset itself, where it holds nothing yet

Named by batch and lease, and gone with the run; one that is killed leaves its table for the sweep.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain

import adbc_driver_manager
import polars as pl
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from psycopg.sql import SQL, Identifier

from exchange.database import Database, Role
from exchange.libraries.ahead import ahead
from exchange.libraries.batches import Batch, BatchId
from exchange.libraries.merge import FATE
from exchange.libraries.tables import CURRENT, SCHEMA, columns, named
from schemas.contract import Contract
from schemas.errors import Unavailable

PREFIX = "stage_"
_CHUNK = 65536


@contextmanager
def made(
    conn: psycopg.Connection, contract: Contract, batch: Batch, *, fresh: bool = False
) -> Iterator[str]:
    """The name of a committed, empty table; dropped when the block ends, however it ends."""
    name = f"{PREFIX}{batch.id}_{batch.lease}"
    conn.execute(SQL("DROP TABLE IF EXISTS {}").format(named(name)))
    create(conn, contract, named(name), "" if fresh else "UNLOGGED", fresh=fresh)
    conn.commit()
    try:
        yield name
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute(SQL("DROP TABLE IF EXISTS {}").format(named(name)))
            conn.commit()


def create(
    conn: psycopg.Connection,
    contract: Contract,
    name: Identifier,
    kind: str = "UNLOGGED",
    *,
    fresh: bool = False,
) -> None:
    """Make an empty table for rows of `contract`."""
    fields = {**columns(contract), **(CURRENT if fresh else {FATE: "text"})}
    rows = [SQL("{} {}").format(Identifier(field), SQL(of)) for field, of in fields.items()]
    statement = SQL("CREATE {} TABLE {} ({})")
    conn.execute(statement.format(SQL(kind), name, SQL(", ").join(rows)))


def fill(database: Database, name: str, rows: Iterable[pl.DataFrame]) -> None:
    """Bring `rows`, which have the table's columns, into it, as they are made.

    Raises what making them raises, and `Unavailable` when the database takes no more.
    """
    stream = _Stream(rows)
    reader = stream.reader()
    if reader is None:
        return
    try:
        with dbapi.connect(database.dsn(Role.INGEST)) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest(name, reader, mode="append", db_schema_name=SCHEMA)
            connection.commit()
    except (adbc_driver_manager.Error, OSError) as err:
        if stream.failure is not None:
            raise stream.failure from None
        # The driver repeats the failing row in its message: none of it may travel on.
        state = getattr(err, "sqlstate", None)
        raise Unavailable(f"staging stopped: SQLSTATE {state or 'unknown'}") from None


class _Stream:
    """Frames as an Arrow stream; what making one raised is kept, for a driver would reword it."""

    def __init__(self, frames: Iterable[pl.DataFrame]) -> None:
        self.failure: BaseException | None = None
        self._frames = iter(ahead(frames, waiting=1))

    def reader(self) -> pa.RecordBatchReader | None:
        first = next(self._frames, None)
        if first is None:
            return None
        schema = _arrow(first.clear()).schema
        return pa.RecordBatchReader.from_batches(schema, self._batches(first))

    def _batches(self, first: pl.DataFrame) -> Iterator[pa.RecordBatch]:
        try:
            for frame in chain([first], self._frames):
                yield from _arrow(frame).to_batches(max_chunksize=_CHUNK)
        except BaseException as err:
            self.failure = err
            raise


def _arrow(frame: pl.DataFrame) -> pa.Table:
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())


def tables(conn: psycopg.Connection) -> list[str]:
    """Every staging table, of living runs and of dead ones."""
    rows = conn.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace"
        " WHERE s.nspname = %s AND c.relkind = 'r' AND starts_with(c.relname, %s)",
        (SCHEMA, PREFIX),
    )
    return [str(name) for (name,) in rows]


def made_for(name: str) -> tuple[BatchId, int]:
    """The batch and the lease that a staging table was made for."""
    batch, lease = name.removeprefix(PREFIX).split("_")
    return int(batch), int(lease)
