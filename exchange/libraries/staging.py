"""A table for one run, filled by one Arrow stream, in the shape of its dataset.

Unlogged, named by batch and lease, and dropped by the transaction that merges it; a run that is
killed leaves one behind for the sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import adbc_driver_manager
import polars as pl
import psycopg
from adbc_driver_postgresql import dbapi
from psycopg.sql import SQL, Identifier

from exchange.database import Database, Role
from exchange.libraries.batches import Batch, BatchId
from exchange.libraries.merge import FATE
from exchange.libraries.tables import SCHEMA, columns, named
from schemas.contract import Contract
from schemas.errors import Unavailable

PREFIX = "stage_"


@contextmanager
def staged(
    conn: psycopg.Connection,
    database: Database,
    contract: Contract,
    batch: Batch,
    rows: pl.DataFrame,
) -> Iterator[Identifier]:
    """A committed staging table that holds `rows`; dropped when the block ends, however it ends."""
    name = f"{PREFIX}{batch.id}_{batch.lease}"
    create(conn, contract, named(name))
    conn.commit()
    try:
        _fill(database, name, rows)
        yield named(name)
    finally:
        if not conn.closed:
            conn.rollback()
            conn.execute(SQL("DROP TABLE IF EXISTS {}").format(named(name)))
            conn.commit()


def create(
    conn: psycopg.Connection, contract: Contract, name: Identifier, kind: str = "UNLOGGED"
) -> None:
    """Make an empty staging table of `contract`."""
    fields = {**columns(contract), FATE: "text"}
    rows = [SQL("{} {}").format(Identifier(field), SQL(of)) for field, of in fields.items()]
    statement = SQL("CREATE {} TABLE {} ({})")
    conn.execute(statement.format(SQL(kind), name, SQL(", ").join(rows)))


def tables(conn: psycopg.Connection) -> list[str]:
    """Every staging table, of living runs and of dead ones."""
    rows = conn.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace"
        " WHERE s.nspname = %s AND c.relkind = 'r' AND starts_with(c.relname, %s)",
        (SCHEMA, PREFIX),
    )
    return [str(name) for (name,) in rows]


def batch_of(name: str) -> BatchId:
    """The batch that a staging table was made for."""
    return int(name.removeprefix(PREFIX).split("_")[0])


def _fill(database: Database, name: str, rows: pl.DataFrame) -> None:
    stream = rows.to_arrow(compat_level=pl.CompatLevel.oldest()).to_reader(max_chunksize=65536)
    try:
        with dbapi.connect(database.dsn(Role.INGEST)) as connection:
            with connection.cursor() as cursor:
                cursor.adbc_ingest(name, stream, mode="append", db_schema_name=SCHEMA)
            connection.commit()
    except adbc_driver_manager.Error as err:
        # The driver repeats the failing row in its message: none of it may travel on.
        raise Unavailable(f"staging stopped: SQLSTATE {err.sqlstate or 'unknown'}") from None
