"""The government cloud: one PostgreSQL database in which several departments keep a schema each.

Tables are as their departments made them: every column a text, no key, except that a table that is
read by cursor says when a row changed as a time. One role reads all of them and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Composed, Identifier

from connectors.testkit.city.population import admit_reader
from connectors.testkit.city.table import Table

READER = "cloud_reader"


@dataclass(frozen=True)
class Place:
    """Where a table stands, and the column by which it is read, if it is by cursor."""

    schema: str
    name: str
    cursor: str | None = None


def load(
    dsn: str,
    places: Mapping[str, Place],
    tables: Mapping[str, Table],
    *,
    role: str,
    password: str,
) -> str:
    """Make these schemas anew in the database at `dsn`; returns the DSN of its read-only role."""
    with psycopg.connect(dsn) as conn:
        for schema in sorted({place.schema for place in places.values()}):
            conn.execute(SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(Identifier(schema)))
            conn.execute(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
        for dataset, place in places.items():
            _fill(conn, place, tables[dataset])
        for schema in sorted({place.schema for place in places.values()}):
            admit_reader(conn, role, schema, password)
    return make_conninfo(dsn, user=role, password=password)


def _fill(conn: psycopg.Connection, place: Place, table: Table) -> None:
    name = Identifier(place.schema, place.name)
    kinds = (_column(column, place) for column in table.columns)
    conn.execute(SQL("CREATE TABLE {} ({})").format(name, SQL(", ").join(kinds)))
    columns = SQL(", ").join(map(Identifier, table.columns))
    statement = SQL("COPY {} ({}) FROM STDIN").format(name, columns)
    with conn.cursor() as cursor, cursor.copy(statement) as copy:
        for row in table.rows:
            copy.write_row(row)
    if place.cursor:
        conn.execute(SQL("CREATE INDEX ON {} ({})").format(name, Identifier(place.cursor)))


def _column(column: str, place: Place) -> Composed:
    kind = SQL("timestamptz NOT NULL") if column == place.cursor else SQL("text")
    return SQL("{} {}").format(Identifier(column), kind)
