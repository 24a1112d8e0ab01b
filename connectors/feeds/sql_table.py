"""A table of a database as a feed reads it: its rows as text, its totals, a sample.

Columns that the manifest does not name are shown without their values: the library shall see that
the table has drifted, and shall not take what was not agreed. Each column carries the type that
the source declares as metadata of its Arrow field (`SOURCE_TYPE`), so that a retyped one is seen.
"""

# ruff: noqa: S608 - names come from a manifest and are quoted.
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from connectors.feeds.checksum import BUCKETS
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals
from connectors.feeds.sql_database import Database, Row

SOURCE_TYPE = b"source_type"
"""Metadata of a field: the type that the source declares for the column."""

Columns = Mapping[str, str]
"""A table's columns in their order, each with its declared type."""


@dataclass(frozen=True)
class Part:
    """Some rows of a table.

    `marks` are expressions whose values come behind the columns, as the driver gives them. With
    `like`, only columns that this other table has too are shown.
    """

    table: str
    where: str | None = None
    order: str | None = None
    marks: Sequence[str] = ()
    like: str | None = None


class SqlTable:
    """Reads parts of tables in the state that the database has been told to hold."""

    def __init__(self, manifest: Manifest, database: Database) -> None:
        self._manifest = manifest
        self._database = database
        self._dialect = database.dialect
        self._agreed = manifest.source_columns

    def columns(self, table: str) -> Columns:
        """The columns of a table. Raises `PermanentFailure` when there is none of that name."""
        return self._told(table, self.held(self._dialect.columns_of(table)))

    def whole(self, table: str) -> bool:
        """Whether every column that was agreed on is there."""
        return set(self._agreed) <= self.columns(table).keys()

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """The rows, streamed; the marks are the last columns of each batch."""
        shown = self.columns(part.table)
        if part.like is not None:
            shown = self._in_order(shown, self.columns(part.like))
        fields = fields_of(shown)
        for batch in self._database.stream(self._select(part, shown)):
            marks = list(batch.schema)[len(fields) :]
            yield pa.RecordBatch.from_arrays(batch.columns, schema=pa.schema([*fields, *marks]))

    def totals(self, part: Part) -> Totals:
        """Count and buckets, computed by the database in the state that is read, from any thread.

        The count alone where a column that was agreed on is gone (drift is for the library to
        find, which says what came instead) and where the engine cannot say the checksum.
        """
        return self._totals(part, self._database.aside)

    def totals_now(self, part: Part) -> Totals:
        """The same before anything is read, on the connection that will read."""
        return self._totals(part, self.held)

    def held(self, query: str) -> list[Row]:
        """A small question to the state that is held, before anything is read."""
        batches = list(self._database.stream(query))
        return [
            row
            for batch in batches
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        ]

    def _totals(self, part: Part, asked: Callable[[str], list[Row]]) -> Totals:
        columns = self._told(part.table, asked(self._dialect.columns_of(part.table)))
        sums = self._sums(part, columns)
        if sums is not None:
            return _added(asked(sums))
        [[count]] = asked(f"SELECT count(*) FROM {self._rows(part)}")
        return Totals(rows=int(count))

    def highest(self, part: Part, columns: Sequence[str]) -> Row:
        """How many rows there are, and the highest value of each of `columns` as text."""
        kinds = self.columns(part.table)
        if gone := sorted(set(columns) - kinds.keys()):
            raise self._manifest.wrong(f"{part.table} has no column {', '.join(gone)}")
        tops = [(f"max({self._dialect.name_of(column)})", kinds[column]) for column in columns]
        asked = ["count(*)", *(self._dialect.text(top, kind) or top for top, kind in tops)]
        return self.held(f"SELECT {', '.join(asked)} FROM {self._rows(part)}")[0]

    def sample(self, table: str, limit: int) -> pa.Table:
        """The first rows as `read` gives them."""
        self._database.hold("sample")
        columns = self.columns(table)
        query = self._dialect.first.format(query=self._select(Part(table), columns), limit=limit)
        rows, taken = self._database.stream(query), list[pa.RecordBatch]()
        while sum(batch.num_rows for batch in taken) < limit and (batch := next(rows, None)):
            taken.append(batch)
        schema = pa.schema(fields_of(columns))
        renamed = [pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in taken]
        return pa.Table.from_batches(renamed, schema=schema).slice(0, limit)

    def _told(self, table: str, rows: Sequence[Row]) -> Columns:
        if not rows:
            raise self._manifest.wrong(f"there is no table {table}, or our role may not see it")
        return {str(row[0]): str(row[1]) for row in rows}

    def _in_order(self, columns: Columns, like: Columns) -> Columns:
        """Those of both, the agreed ones first: a log has columns in an order of its own."""
        place = {column: number for number, column in enumerate(self._agreed)}
        both = sorted(columns.keys() & like, key=lambda name: (place.get(name, len(place)), name))
        return {column: columns[column] for column in both}

    def _select(self, part: Part, shown: Columns) -> str:
        name = self._dialect.name_of
        cells = [f"{self._cell(column, kind)} AS {name(column)}" for column, kind in shown.items()]
        order = f" ORDER BY {part.order}" if part.order else ""
        return f"SELECT {', '.join([*cells, *part.marks])} FROM {self._rows(part)}{order}"

    def _cell(self, column: str, kind: str) -> str:
        if column not in self._agreed:
            return self._dialect.nothing
        name = self._dialect.name_of(column)
        return self._dialect.text(name, kind) or name

    def _rows(self, part: Part) -> str:
        where = f" WHERE {part.where}" if part.where else ""
        return f"{self._dialect.table(part.table)}{where}"

    def _sums(self, part: Part, columns: Columns) -> str | None:
        if not set(self._agreed) <= columns.keys():
            return None
        names = {column: self._dialect.name_of(column) for column in self._agreed}
        cells = [self._dialect.text(name, columns[column]) for column, name in names.items()]
        said = [cell for cell in cells if cell is not None]
        return self._dialect.sums(said, self._rows(part)) if len(said) == len(cells) else None


def fields_of(columns: Columns) -> list[pa.Field]:
    """Text fields, each with the type that the source declares."""
    return [
        pa.field(name, pa.string(), metadata={SOURCE_TYPE: kind.encode()})
        for name, kind in columns.items()
    ]


def _added(rows: Sequence[Row]) -> Totals:
    found = {int(bucket): (int(count), int(total)) for bucket, count, total in rows}
    buckets = tuple(found.get(bucket, (0, 0)) for bucket in range(BUCKETS))
    return Totals(rows=sum(count for count, _ in buckets), buckets=buckets)
