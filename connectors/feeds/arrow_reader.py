"""A function of yours as a source: anything Arrow, rows as dictionaries, or a resource of dlt.

    def permits(cursor: str | None = None, *, state: str) -> pa.RecordBatchReader: ...

    feed: {kind: python, reader: "our_readers.permits:permits", options: {state: all}}

It is called with the manifest's `options` and `secrets`, and with `cursor` where it takes one. It
may give what has `__arrow_c_stream__` (a pyarrow Table or RecordBatchReader, a polars frame, a
DuckDB relation), an iterator of record batches, tables or dictionaries, a dlt resource, or a dlt
source with one resource; None when there is nothing new. `Given` adds what only it can know:

    return Given(reader, rows=counted_by_the_system, cursor="2026-01-05T09:00:00Z")

Every value becomes the text that says exactly the same; what has none (bytes, lists, NaN) is
refused. With `mode: changes` the first pull is whole and later ones are changes after `cursor`,
which the ledger keeps: not dlt's own state, and no pipeline of dlt runs here.

The first leg of reconciliation is the count that `Given` brings. Without one it is our own count of
what came, and the notice `own_count` says so: it proves that what came was landed, not that all
came. A manifest that names a function runs its code; whoever may write manifests may run code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pkgutil import resolve_name
from typing import Any

import pyarrow as pa

from connectors.feeds.arrow_text import NoText, text_array, text_value
from connectors.feeds.http_reading import Count
from connectors.feeds.http_records import Batches, Changes, Form, table_of
from connectors.feeds.http_settings import PythonReader
from connectors.feeds.http_windows import snapshot
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import PermanentFailure, Totals, TransientFailure, Window
from schemas.errors import YizhanError

ROWS_AT_ONCE = 10_000
"""Dictionaries that are gathered into one batch."""


@dataclass(frozen=True)
class Given:
    """What a reader gives, with the source's own count and the cursor to go on from."""

    data: Any
    rows: int | None = None
    cursor: str | None = None


class ReaderFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> ReaderFeed:
        """Find the function; nothing is read yet. Raises `PermanentFailure`."""
        return cls(manifest, secrets)

    def __init__(self, manifest: Manifest, secrets: Mapping[str, str]) -> None:
        assert isinstance(manifest.feed, PythonReader)
        self._manifest = manifest
        self._settings = manifest.feed
        self._function = _function(manifest, manifest.feed.reader)
        named = {name: manifest.secret(secrets, env) for name, env in manifest.feed.secrets.items()}
        self._options = {**manifest.feed.options, **named}
        self._given: tuple[str | None, Given] | None = None
        self._count = Count(manifest.source)
        self._notices: dict[str, int] = {}

    def plan(self, cursor: str | None) -> Window | None:
        """Call the function; it says how far it goes, or that there is nothing new."""
        if self._settings.mode == "snapshot":
            return snapshot(datetime.now(UTC))
        given = self._called(cursor)
        if given is None:
            return None
        if given.cursor is None or given.cursor == cursor:
            raise self._manifest.wrong("its reader gives changes and no new cursor to go on from")
        self._given = cursor, given
        return Window("snapshot" if cursor is None else "changes", cursor, given.cursor)

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The rows, in batches as they come."""
        with self._count.reading():
            given = self._taken(window)
            changes = self._changes() if window.mode == "changes" else None
            rows = 0
            for batch in self._batches(given, changes.marks if changes else ()):
                rows += batch.num_rows
                yield batch if changes is None else changes.marked(batch)
            self._count.counts(rows, None if given is None else given.rows)
            if self._count.own:
                self._notices["own_count"] = 1

    def totals(self, window: Window) -> Totals:
        """The reader's own count, or ours when it gives none."""
        return self._count.totals()

    def sample(self, limit: int) -> pa.Table:
        """The first rows."""
        return table_of(self._batches(self._called(None), ()), limit, self._manifest)

    def notices(self) -> Mapping[str, int]:
        """`own_count` when nobody but us counted the rows."""
        return self._notices

    def close(self) -> None:
        """Let go of what the reader gave, if it can be let go of."""
        self._count.close()
        if self._given:
            close = getattr(self._given[1].data, "close", None)
            with suppress(Exception):  # it is over, whatever foreign code says to that
                if callable(close):
                    close()

    def _taken(self, window: Window) -> Given | None:
        """What the function gave for this window, or gives now."""
        held, self._given = self._given, None
        if held and held[0] == window.start and held[1].cursor == window.end:
            return held[1]
        return self._called(window.start if self._settings.mode == "changes" else None)

    def _called(self, cursor: str | None) -> Given | None:
        options = dict(self._options)
        if "cursor" in inspect.signature(self._function).parameters:
            options["cursor"] = cursor
        with self._foreign():
            found = self._function(**options)
        return found if isinstance(found, Given) or found is None else Given(found)

    def _changes(self) -> Changes:
        settings = self._settings
        return Changes(self._manifest, settings.operation, settings.operations, settings.sequence)

    def _batches(self, given: Given | None, marks: tuple[str, ...]) -> Iterator[pa.RecordBatch]:
        """What was given as batches of text, all of one schema."""
        shape = Batches(self._manifest, Form(omits_null=True), marks)
        items = iter(()) if given is None else self._items(given.data)
        rows: list[Mapping[str, Any]] = []
        while True:
            with self._foreign():
                item = next(items, _END)
            whole = item is _END or not isinstance(item, Mapping)
            if rows and (whole or len(rows) >= ROWS_AT_ONCE):
                yield shape.of([self._text_row(row) for row in rows])
                rows = []
            if item is _END:
                return
            if isinstance(item, Mapping):
                rows.append(item)
            elif isinstance(item, pa.RecordBatch) and item.num_rows:
                yield shape.same(self._text_batch(item))

    def _items(self, data: Any) -> Iterator[pa.RecordBatch | Mapping[str, Any]]:
        """Batches and dictionaries, whatever they came in."""
        if isinstance(data, pa.RecordBatch | Mapping):
            return iter((data,))
        if hasattr(data, "__arrow_c_stream__"):
            return iter(pa.RecordBatchReader.from_stream(data))
        if type(data).__module__.split(".")[0] == "dlt":
            data = self._resource(data)
        if isinstance(data, str | bytes) or not isinstance(data, Iterable):
            raise self._manifest.wrong(f"its reader gives {type(data).__name__}, which is no rows")
        return chain.from_iterable(map(self._items, data))

    def _resource(self, data: Any) -> Any:
        """The resource of a dlt source; a resource as it is."""
        chosen = getattr(data, "selected_resources", None)
        if chosen is None:
            return data
        if len(chosen) != 1:
            raise self._manifest.wrong(
                f"its dlt source has {len(chosen)} resources; choose one by with_resources(…)"
            )
        return next(iter(chosen.values()))

    def _text_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                columns.append(text_array(column))
            except NoText as what:
                raise self._no_text(name, what) from None
        return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)

    def _text_row(self, row: Mapping[str, Any]) -> dict[str, str | None]:
        found = {}
        for name, value in row.items():
            try:
                found[str(name)] = text_value(value)
            except NoText as what:
                raise self._no_text(str(name), what) from None
        return found

    def _no_text(self, name: str, what: NoText) -> PermanentFailure:
        return self._manifest.wrong(f"its reader's column {name} {what}, which has no one text")

    @contextmanager
    def _foreign(self) -> Iterator[None]:
        """Run somebody else's code: whatever it raises becomes one of our two failures."""
        try:
            yield
        except YizhanError:
            raise
        except Exception as err:  # somebody else's code may raise anything
            kind = type(err).__name__
            if _passes(err):
                raise TransientFailure(f"{self._manifest.source}: its reader met {kind}") from err
            raise self._manifest.wrong(f"its reader failed with {kind}") from err


_END = object()


def _function(manifest: Manifest, name: str) -> Callable[..., Any]:
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError) as err:
        missing = getattr(err, "name", None) or name
        raise PermanentFailure(
            f"{manifest.source}: there is no reader {name} here ({missing} is missing); install "
            "its package beside yizhan, or mend the manifest"
        ) from err
    if not callable(found):
        raise PermanentFailure(f"{manifest.source}: {name} is no function")
    reader: Callable[..., Any] = found
    return reader


def _passes(err: BaseException | None) -> bool:
    """Say whether an error, or one that it came from, is of a kind that passes by itself."""
    while err is not None:
        # dlt's own word for it, without importing dlt; OSError covers lines, timeouts and disks.
        names = {cls.__name__ for cls in type(err).__mro__}
        if isinstance(err, OSError) or "TransientException" in names:
            return True
        err = err.__cause__ or err.__context__
    return False
