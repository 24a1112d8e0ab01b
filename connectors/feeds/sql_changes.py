"""A department's PostgreSQL database: one table read whole first, then its change log.

The log is read by its sequence. A number is drawn before its transaction commits, so a reader that
trusts the highest number it sees loses rows that commit late. `plan` therefore takes the highest
number and waits until every transaction that was writing the log at that moment has ended; what
it then hands out cannot change any more.

A snapshot is read, and its totals are computed, in one REPEATABLE READ transaction. The log is
then followed from the number settled before it: a change may be seen twice, never missed.

Columns that the manifest does not name are shown without their values: the library shall see that
the table has drifted, and shall not take what was not agreed.
"""

# ruff: noqa: S608 - names come from a manifest and are quoted; numbers pass int().
from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pyarrow as pa
from adbc_driver_manager import DatabaseError, Error
from adbc_driver_postgresql import dbapi

from connectors.feeds.changes import marked
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals, TransientFailure, Window
from connectors.feeds.sql_settings import SqlChanges

PATIENCE = 2.0
"""Seconds that `plan` waits for open writers before it leaves their changes to the next pull."""

# https://www.postgresql.org/docs/18/errcodes-appendix.html: connection, transaction rollback,
# insufficient resources, operator intervention, system error.
_TRANSIENT = ("08", "40", "53", "57", "58")


class SqlFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> SqlFeed:
        """Open the database lazily: the first question connects."""
        settings = manifest.feed
        assert isinstance(settings, SqlChanges)
        return cls(manifest, settings, manifest.secret(secrets, settings.connection))

    def __init__(self, manifest: Manifest, settings: SqlChanges, dsn: str) -> None:
        self._manifest = manifest
        self._settings = settings
        self._dsn = dsn
        self._connection: dbapi.Connection | None = None
        self._held: Window | None = None
        self._notices: dict[str, int] = {}

    def plan(self, cursor: str | None) -> Window | None:
        """The table if there is no cursor yet, else what the log has gained since."""
        with self._failures():
            settled = self._settled()
        if cursor is None:
            return Window("snapshot", None, str(self._begun(settled)))
        if settled is None or settled <= int(cursor):
            return None
        return Window("changes", cursor, str(settled))

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows, streamed."""
        with self._failures(), self._holding(window).cursor() as cursor:
            cursor.execute(self._select(window))
            for batch in cursor.fetch_record_batch():
                if batch.num_rows:
                    yield batch if window.mode == "snapshot" else self._marked(batch)

    def totals(self, window: Window) -> Totals:
        """Count and buckets, computed by the department's own database.

        Where a column that was agreed on is gone the count alone is told: drift is for the library
        to find, which says what came instead.
        """
        with self._failures(), self._holding(window).cursor() as cursor:
            if not set(self._manifest.source_columns) <= set(
                self._columns(self._read_from(window))
            ):
                cursor.execute(f"SELECT count(*) FROM {self._window(window)}")
                return Totals(rows=cursor.fetchall()[0][0])
            cursor.execute(self._sums(window))
            found = {bucket: (count, int(total)) for bucket, count, total in cursor.fetchall()}
        buckets = tuple(found.get(bucket, (0, 0)) for bucket in range(256))
        return Totals(rows=sum(count for count, _ in buckets), buckets=buckets)

    def notices(self) -> Mapping[str, int]:
        """How often open writers made a pull wait."""
        return dict(self._notices)

    def close(self) -> None:
        """End the transaction and the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = self._held = None

    def _begun(self, settled: int | None) -> int:
        if settled is None:
            raise TransientFailure(
                f"{self._manifest.source}: a transaction keeps writing the change log; "
                f"the first snapshot waits for its end"
            )
        return settled

    def _settled(self) -> int | None:
        """The highest number below which nothing can appear any more; None while one might."""
        log = _quoted(self._settings.log)
        highest = self._one(f"SELECT coalesce(max({_name(self._settings.sequence)}), 0) FROM {log}")
        writers = self._writers()
        until = time.monotonic() + PATIENCE
        while writers:
            if time.monotonic() > until:
                return None
            self._notices["open_writers"] = self._notices.get("open_writers", 0) + 1
            time.sleep(0.05)
            writers &= self._writers()
        return int(highest[0][0])

    def _writers(self) -> set[str]:
        # The lock is taken before the number is drawn and kept until the transaction ends.
        held = self._one(
            "SELECT virtualtransaction FROM pg_locks WHERE mode = 'RowExclusiveLock' "
            f"AND relation = {_literal(_quoted(self._settings.log))}::regclass"
        )
        return {row[0] for row in held}

    def _one(self, query: str) -> list[tuple[str, ...]]:
        """A question in a transaction of its own."""
        connection = self._connected()
        connection.rollback()
        self._held = None
        with connection.cursor() as cursor:
            cursor.execute(query)
            rows: list[tuple[str, ...]] = cursor.fetchall()
        connection.rollback()
        return rows

    def _connected(self) -> dbapi.Connection:
        if self._connection is None:
            self._connection = dbapi.connect(self._dsn)
        return self._connection

    def _holding(self, window: Window) -> dbapi.Connection:
        """The connection inside the transaction that holds this window still."""
        connection = self._connected()
        if self._held != window:
            connection.rollback()
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self._held = window
        return connection

    def _columns(self, table: str) -> list[str]:
        with self._connected().cursor() as cursor:
            cursor.execute(
                "SELECT attname::text FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped "
                f"AND attrelid = {_literal(_quoted(table))}::regclass ORDER BY attnum"
            )
            return [row[0] for row in cursor.fetchall()]

    def _select(self, window: Window) -> str:
        if window.mode == "snapshot":
            columns = ", ".join(self._shown(self._columns(self._settings.table)))
            return f"SELECT {columns} FROM {_quoted(self._settings.table)}"
        own = {self._settings.sequence, self._settings.operation}
        kept = set(self._columns(self._settings.table)) & set(self._columns(self._settings.log))
        columns = ", ".join(self._shown(sorted(kept - own, key=self._place)))
        marks = f"{_name(self._settings.operation)}::text, {_name(self._settings.sequence)}"
        return (
            f"SELECT {columns}, {marks} FROM {self._window(window)} "
            f"ORDER BY {_name(self._settings.sequence)}"
        )

    def _place(self, column: str) -> tuple[int, str]:
        agreed = self._manifest.source_columns
        return (agreed.index(column) if column in agreed else len(agreed), column)

    def _shown(self, columns: list[str]) -> Iterator[str]:
        agreed = set(self._manifest.source_columns)
        for column in columns:
            value = f"{_name(column)}::text" if column in agreed else "NULL::text"
            yield f"{value} AS {_name(column)}"

    def _read_from(self, window: Window) -> str:
        return self._settings.table if window.mode == "snapshot" else self._settings.log

    def _window(self, window: Window) -> str:
        if window.mode == "snapshot":
            return _quoted(self._settings.table)
        assert window.start is not None
        sequence = _name(self._settings.sequence)
        return (
            f"(SELECT * FROM {_quoted(self._settings.log)} WHERE {sequence} > {int(window.start)} "
            f"AND {sequence} <= {int(window.end)}) AS changed"
        )

    def _sums(self, window: Window) -> str:
        agreed = self._manifest.source_columns
        cells = (f"coalesce({_name(column)}::text, chr(30))" for column in agreed)
        # OFFSET 0 keeps the digest from being computed again wherever it is named.
        return f"""
            SELECT ('x' || left(digest, 2))::bit(8)::int, count(*),
                   sum(('x' || substr(digest, 3, 14))::bit(56)::bigint)::text
            FROM (SELECT md5(concat_ws(chr(31), {", ".join(cells)})) AS digest
                  FROM {self._window(window)} OFFSET 0) AS digests
            GROUP BY 1"""

    def _marked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.select(batch.schema.names[:-2])
        operation, sequence = batch.columns[-2:]
        return marked(self._manifest, rows, operation, sequence, self._settings.operations)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Sort what the driver raises; its text, which may repeat rows, goes no further."""
        try:
            yield
        except Error as err:
            self.close()
            state = err.sqlstate if isinstance(err, DatabaseError) else None
            if state is None or state.startswith(_TRANSIENT):
                raise TransientFailure(
                    f"{self._manifest.source}: the database does not answer ({state or 'no link'})"
                ) from None
            raise self._manifest.wrong(f"the database refused our question ({state})") from None


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _quoted(table: str) -> str:
    return ".".join(_name(part) for part in table.split("."))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
