"""A department's PostgreSQL database: one table read whole first, then its change log.

The log is read by its sequence. A number is drawn before its transaction commits, so a reader that
trusts the highest number it sees loses rows that commit late. `plan` therefore takes the highest
number and waits until every transaction that was writing the log at that moment has ended; what
it then hands out cannot change any more.

A snapshot is read, and its totals are computed, in one REPEATABLE READ transaction. The log is
then followed from the number settled before it: a change may be seen twice, never missed.
"""

# ruff: noqa: S608 - names come from a manifest and are quoted; numbers pass int().
from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pyarrow as pa

from connectors.feeds.changes import marked
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals, TransientFailure, Window
from connectors.feeds.sql_database import Database, open_database
from connectors.feeds.sql_dialects import literal
from connectors.feeds.sql_settings import SqlChanges
from connectors.feeds.sql_table import Part, SqlTable

PATIENCE = 2.0
"""Seconds that `plan` waits for open writers before it leaves their changes to the next pull."""


class SqlFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> SqlFeed:
        """Open the database lazily: the first question connects."""
        return cls(manifest, open_database(manifest, secrets))

    def __init__(self, manifest: Manifest, database: Database) -> None:
        assert isinstance(manifest.feed, SqlChanges)
        self._manifest = manifest
        self._settings = manifest.feed
        self._database = database
        self._rows = SqlTable(manifest, database)
        self._name = database.dialect.name_of
        self._notices: dict[str, int] = {}

    def plan(self, cursor: str | None) -> Window | None:
        """The table if there is no cursor yet, else what the log has gained since."""
        settled = self._settled()
        if cursor is None:
            return Window("snapshot", None, str(self._begun(settled)))
        if settled is None or settled <= int(cursor):
            return None
        return Window("changes", cursor, str(settled))

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows, streamed."""
        self._database.hold(repr(window))
        for batch in self._rows.read(self._part(window)):
            yield batch if window.mode == "snapshot" else self._marked(batch)

    def totals(self, window: Window) -> Totals:
        """Count and buckets, computed by the department's own database."""
        self._database.hold(repr(window))
        return self._rows.totals(self._part(window))

    def sample(self, limit: int) -> pa.Table:
        """First rows of the table."""
        return self._rows.sample(self._settings.table, limit)

    def notices(self) -> Mapping[str, int]:
        """How often open writers made a pull wait."""
        return dict(self._notices)

    def close(self) -> None:
        """End the transaction and the connections."""
        self._database.close()

    def _begun(self, settled: int | None) -> int:
        if settled is None:
            raise TransientFailure(
                f"{self._manifest.source}: a transaction keeps writing the change log; "
                f"the first snapshot waits for its end"
            )
        return settled

    def _settled(self) -> int | None:
        """The highest number below which nothing can appear any more; None while one might."""
        log = self._database.dialect.table(self._settings.log)
        sequence = self._name(self._settings.sequence)
        [[highest]] = self._database.ask(f"SELECT coalesce(max({sequence}), 0) FROM {log}")
        writers = self._writers()
        until = time.monotonic() + PATIENCE
        while writers:
            if time.monotonic() > until:
                return None
            self._notices["open_writers"] = self._notices.get("open_writers", 0) + 1
            time.sleep(0.05)
            writers &= self._writers()
        return int(highest)

    def _writers(self) -> set[str]:
        # The lock is taken before the number is drawn and kept until the transaction ends.
        log = literal(self._database.dialect.table(self._settings.log))
        held = self._database.ask(
            "SELECT virtualtransaction FROM pg_locks WHERE mode = 'RowExclusiveLock' "
            f"AND relation = {log}::regclass"
        )
        return {row[0] for row in held}

    def _part(self, window: Window) -> Part:
        settings = self._settings
        if window.mode == "snapshot":
            return Part(settings.table)
        assert window.start is not None
        sequence = self._name(settings.sequence)
        return Part(
            settings.log,
            where=f"{sequence} > {int(window.start)} AND {sequence} <= {int(window.end)}",
            order=sequence,
            marks=(f"{self._name(settings.operation)}::text", sequence),
            like=settings.table,
        )

    def _marked(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = batch.select(range(batch.num_columns - 2))
        operation, sequence = batch.columns[-2:]
        return marked(self._manifest, rows, operation, sequence, self._settings.operations)
