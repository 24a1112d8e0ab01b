"""Records of JSON become record batches of text: the agreed columns first, then what else came.

Every record must have the same members as the first page's, unless the source leaves out what is
null: a member that vanishes half-way is a column that drifted, and nobody should guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from connectors.feeds.changes import marked
from connectors.feeds.feed_settings import Operations
from connectors.feeds.http_json import MISSING, at, text
from connectors.feeds.manifest import Manifest

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Form:
    """How a source writes a record."""

    fields: Mapping[str, str] = field(default_factory=dict)
    ignores: tuple[str, ...] = ()
    omits_null: bool = False

    @property
    def spoken_for(self) -> frozenset[str]:
        """Members that are no columns: they hold nested fields, or nobody wants them."""
        return frozenset({*self.ignores, *(path.split(".")[0] for path in self.fields.values())})


class Batches:
    """Makes a window's batches, all of one schema."""

    def __init__(self, manifest: Manifest, form: Form, marks: Sequence[str] = ()) -> None:
        self._manifest = manifest
        self._form = form
        self._marks = tuple(marks)
        self._names: tuple[str, ...] | None = None

    def expect(self, rows: pa.RecordBatch | None) -> None:
        """Go on behind these rows, which came in an earlier run."""
        if rows is not None:
            self._names = tuple(rows.schema.names)

    def same(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """Rows that are text already, in the order of the first ones' columns."""
        if self._names is None:
            self._names = tuple(rows.schema.names)
        self._check_same(set(rows.schema.names))
        return rows.select(list(self._names))

    def of(self, records: Sequence[Record]) -> pa.RecordBatch:
        """A page's records. Raises `PermanentFailure` where they are no rows of one table."""
        names = self._columns(records)
        if self._names is None:
            self._names = names
        self._check_same(set(names))
        try:
            columns = [self._column(records, name) for name in self._names]
        except UnicodeError:
            raise self._manifest.wrong("a text holds half of a character") from None
        return pa.RecordBatch.from_arrays(columns, names=list(self._names))

    def _column(self, records: Sequence[Record], name: str) -> pa.Array:
        path = self._form.fields.get(name)
        cells = (
            [record.get(name) for record in records]
            if path is None
            else [_or_none(at(record, path)) for record in records]
        )
        try:
            return _text_array(cells)
        except TypeError:
            raise self._manifest.wrong(
                f"a row is not flat text: {name} holds an object or a list, which wants a path "
                "under fields or a place under ignores"
            ) from None

    def _columns(self, records: Sequence[Record]) -> tuple[str, ...]:
        """The columns of these records: the agreed ones in their order, then the others'."""
        found = {name for record in records for name in record} - self._form.spoken_for
        found |= self._form.fields.keys()
        agreed = (*self._manifest.source_columns, *self._marks)
        if self._form.omits_null:
            found |= set(agreed)
        known = [name for name in agreed if name in found]
        return (*known, *sorted(found - set(agreed)))

    def _check_same(self, names: set[str]) -> None:
        first = set(self._names or ())
        if odd := names - first:
            raise self._manifest.wrong(f"a later page brings new columns: {_list(odd)}")
        if gone := first - names:
            raise self._manifest.wrong(f"a later page has lost columns: {_list(gone)}")


@dataclass
class Changes:
    """Adds `_op` and `_seq`: from the source's own words, or U in the order of coming."""

    manifest: Manifest
    operation: str | None
    operations: Operations
    sequence: str | None
    counted: int = 0

    @property
    def marks(self) -> tuple[str, ...]:
        """The columns that the source gives for it."""
        return tuple(name for name in (self.operation, self.sequence) if name)

    def marked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """`batch` with `_op` and `_seq`, without the source's own columns for them."""
        if missing := set(self.marks) - set(batch.schema.names):
            raise self.manifest.wrong(f"changes come without {_list(missing)}")
        start, self.counted = self.counted, self.counted + batch.num_rows
        if self.operation is None or self.sequence is None:
            happened = pa.array(["U"] * batch.num_rows, pa.string())
            numbers = pa.array(range(start + 1, self.counted + 1), pa.int64())
            return marked(self.manifest, batch, happened, numbers, {"U": "U"})
        happened, numbers = batch.column(self.operation), self._numbers(batch)
        rows = batch.drop_columns(list(self.marks))
        return marked(self.manifest, rows, happened, numbers, self.operations)

    def _numbers(self, batch: pa.RecordBatch) -> pa.Array:
        try:
            numbers = batch.column(self.sequence).cast(pa.int64())
        except pa.ArrowException:
            raise self.manifest.wrong(f"{self.sequence} is no whole number in a change") from None
        if numbers.null_count:
            raise self.manifest.wrong(f"{numbers.null_count} changes have no {self.sequence}")
        return numbers


def table_of(rows: Iterator[pa.RecordBatch], limit: int, manifest: Manifest) -> pa.Table:
    """The first `limit` rows, without marks; where there are none, the agreed columns alone."""
    found: list[pa.RecordBatch] = []
    for batch in rows:
        found.append(batch)
        if sum(each.num_rows for each in found) >= limit:
            break
    if not found:
        return pa.table({name: pa.array([], pa.string()) for name in manifest.source_columns})
    return pa.Table.from_batches(found).slice(0, limit)


def _text_array(cells: Sequence[Any]) -> pa.Array:
    """Cells as text; numbers are text already, and columns that hold true or false are few."""
    try:
        return pa.array(cells, pa.string())
    except pa.ArrowException:
        return pa.array([text(cell) for cell in cells], pa.string())


def _or_none(value: Any) -> Any:
    return None if value is MISSING else value


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))
