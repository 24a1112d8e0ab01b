"""PostgreSQL's own change log, by a logical replication slot that is asked in SQL.

The table is read whole once. Before that a slot is made; it keeps every change since, and a change
that the snapshot has already seen is merely seen twice. Each pull peeks at what the slot holds;
only when the pull after it hands the cursor back, which means that the batch was published, does
the slot move on and let the source forget.

A slot that nobody reads keeps the source's disk filling. `notices` tell how far it lags and whether
the source has set a limit (`max_slot_wal_keep_size`). A slot that was dropped, or that fell behind
the limit, and a table that was truncated, are answered by a new slot and a new snapshot. Slots are
numbered, and the cursor says which one it is of; a pull that was killed in between leaves the old
cursor, and so begins again.

The source's owner once runs, as what we say when something is missing repeats:

    ALTER SYSTEM SET wal_level = 'logical';            -- and restarts the server
    ALTER ROLE reader REPLICATION;
    GRANT SELECT ON rkk.ryjbxx TO reader;
    CREATE PUBLICATION yizhan FOR TABLE rkk.ryjbxx;    -- REPLICA IDENTITY: a primary key, or FULL
"""

# ruff: noqa: S608 - names come from a manifest and are quoted.
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, get_ident

import pyarrow as pa

from connectors.feeds.manifest import Manifest
from connectors.feeds.postgres_output import UNCHANGED, Change, Output, Unchanged
from connectors.feeds.postgres_slot import Position, Slots
from connectors.feeds.source import OPERATION, SEQUENCE, Totals, TransientFailure, Window
from connectors.feeds.sql_database import Database, open_database
from connectors.feeds.sql_settings import PostgresReplication
from connectors.feeds.sql_table import Columns, Part, SqlTable, fields_of
from schemas import contract

CHANGES = 200_000
"""Changes of one window, give or take a transaction; what is left comes with the next."""

ROWS = 20_000
"""Rows of one batch."""

_ROW = "get_byte(data, 0) IN (73, 85, 68)"  # I, U, D
_TRUNCATE = "get_byte(data, 0) = 84"  # T


class ReplicationFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> ReplicationFeed:
        """Open the database lazily: the first question connects."""
        return cls(manifest, open_database(manifest, secrets))

    def __init__(self, manifest: Manifest, database: Database) -> None:
        assert isinstance(manifest.feed, PostgresReplication)
        self._manifest = manifest
        self._settings = manifest.feed
        self._database = database
        self._rows = SqlTable(manifest, database)
        self._slots = Slots(manifest, database)
        self._table = Part(self._settings.table)
        self._turn = Lock()  # a slot has one reader at a time
        self._reader: int | None = None
        self._moved: dict[Window, int] = {}
        self._notices: dict[str, int] = {}

    def plan(self, cursor: str | None) -> Window | None:
        """The table and a new slot if there is no cursor, else what the slot has gained since."""
        if cursor is None:
            self._slots.drop_all_but(None)
            return self._anew(cursor, 1)
        at = Position.of(self._manifest, cursor)
        self._slots.drop_all_but(at.slot)
        slot = self._slots.look(at.slot)
        if slot is None:
            self._notices["slot_lost"] = 1
            return self._anew(cursor, at.slot + 1)
        self._notices["slot_lag_mb"] = slot.kept >> 20
        self._notices["slot_without_limit"] = int(not slot.limited)
        self._slots.advance(at)
        return self._gained(cursor, at)

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The table, or the changes in the order in which their transactions were committed."""
        self._database.hold(repr(window))
        if window.mode == "snapshot":
            yield from self._rows.read(self._table)
            return
        with self._turns():
            yield from self._changes(window)

    def totals(self, window: Window) -> Totals:
        """Of the table as ever; of changes their number, as the server counts them.

        A row whose key changed is one change there and two here; they are counted by the reading,
        for whose end this waits.
        """
        self._database.hold(repr(window))
        if window.mode == "snapshot":
            return self._rows.totals(self._table)
        with self._turns():
            if window not in self._moved:
                for _ in self._changes(window):
                    pass
            [[count]] = self._database.aside(self._peeked(_count(_ROW), window))
        return Totals(rows=int(count) + self._moved[window])

    def sample(self, limit: int) -> pa.Table:
        """First rows of the table."""
        return self._rows.sample(self._settings.table, limit)

    def notices(self) -> Mapping[str, int]:
        """How the slot is doing; see the module."""
        return {kind: count for kind, count in self._notices.items() if count}

    def close(self) -> None:
        """End the connections; the slot stays."""
        self._database.close()

    @contextmanager
    def _turns(self) -> Iterator[None]:
        if self._reader == get_ident():
            raise RuntimeError("read the window to its end before asking for its totals")
        if not self._turn.acquire(timeout=self._settings.time_limit.total_seconds()):
            raise TransientFailure(f"{self._manifest.source}: the changes are still being read")
        try:
            self._reader = get_ident()
            yield
        finally:
            self._reader = None
            self._turn.release()

    def _anew(self, cursor: str | None, number: int) -> Window:
        """A slot that keeps everything from now on, then the table."""
        self._slots.check_granted()
        return Window("snapshot", cursor, str(self._slots.make(number)))

    def _gained(self, cursor: str, at: Position) -> Window | None:
        """Up to the last whole transaction; None when the slot has nothing of our table."""
        [[before]] = self._database.ask("SELECT pg_current_wal_lsn()::text")
        wanted = f"max(lsn)::text, {_count(_ROW)}, {_count(_TRUNCATE)}"
        asked = self._slots.peeked(wanted, at.slot, most=CHANGES)
        [[end, rows, truncated]] = self._database.ask(asked)
        if truncated:
            self._notices["table_truncated"] = 1
            return self._anew(cursor, at.slot + 1)
        reached = Position(at.slot, end or before)
        if rows:
            return Window("changes", cursor, str(reached))
        self._slots.advance(reached)
        return None

    def _peeked(self, wanted: str, window: Window) -> str:
        return self._slots.peeked_until(wanted, Position.of(self._manifest, window.end))

    def _changes(self, window: Window) -> Iterator[pa.RecordBatch]:
        columns = self._rows.columns(self._settings.table)
        output = Output(self._key())
        messages, changes, before = 0, list[Change](), 0
        for batch in self._database.stream(self._peeked("data", window)):
            for message in batch.column(0).to_pylist():
                found = list(output.changes(message))
                messages += bool(found)
                changes.extend(found)
                if len(changes) >= ROWS:
                    yield self._batch(changes, columns, output, before)
                    before += len(changes)
                    changes = []
        if changes:
            yield self._batch(changes, columns, output, before)
        self._moved[window] = before + len(changes) - messages

    def _key(self) -> tuple[str, ...]:
        """The source's columns of the contract's key."""
        key = contract.load(self._manifest.dataset).key
        return tuple(name for name, fed in self._manifest.columns.items() if fed in key)

    def _batch(
        self, changes: list[Change], columns: Columns, output: Output, before: int
    ) -> pa.RecordBatch:
        whole = [self._whole(change, columns, output) for change in changes]
        agreed = set(self._manifest.source_columns)
        cells = [
            pa.array([row.get(name) if name in agreed else None for _, row in whole], pa.string())
            for name in columns
        ]
        operations = pa.array([operation for operation, _ in whole], pa.string())
        sequence = pa.array(range(before + 1, before + len(whole) + 1), pa.int64())
        fields = [*fields_of(columns), pa.field(OPERATION, pa.string())]
        schema = pa.schema([*fields, pa.field(SEQUENCE, pa.int64())])
        return pa.RecordBatch.from_arrays([*cells, operations, sequence], schema=schema)

    def _whole(
        self, change: Change, columns: Columns, output: Output
    ) -> tuple[str, Mapping[str, str | None]]:
        """The change; where the server left out large values, with those the row has now.

        A row that is gone by now is deleted by a later change, and so may be at once.
        """
        operation, row = change
        sent = {name: value for name, value in row.items() if not isinstance(value, Unchanged)}
        if len(sent) == len(row):
            return operation, sent
        known = [name for name in sorted(output.identity()) if sent.get(name) is not None]
        left_out = [name for name, value in row.items() if value is UNCHANGED and name in columns]
        found = self._current(left_out, {name: str(sent[name]) for name in known})
        if found is None:
            return "D", sent
        self._notices["rows_completed"] = self._notices.get("rows_completed", 0) + 1
        return operation, {**sent, **found}

    def _current(
        self, wanted: list[str], identity: Mapping[str, str]
    ) -> Mapping[str, str | None] | None:
        quoted = self._database.dialect.name_of
        where = [f"{quoted(name)}::text = {_quoted(text)}" for name, text in identity.items()]
        values = ", ".join(f"{quoted(name)}::text" for name in wanted) or "1"
        table = self._database.dialect.table(self._settings.table)
        rows = self._database.aside(f"SELECT {values} FROM {table} WHERE {' AND '.join(where)}")
        return dict(zip(wanted, rows[0], strict=False)) if rows else None


def _count(condition: str) -> str:
    return f"count(*) FILTER (WHERE {condition})"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"  # standard_conforming_strings are on
