"""A table that tells nothing of its changes, read whole each time; what changed is found later.

Where the manifest says how a table that has not changed is known, an unchanged one is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import md5

import pyarrow as pa

from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals, Window
from connectors.feeds.sql_database import Database, open_database
from connectors.feeds.sql_settings import SqlSnapshot
from connectors.feeds.sql_table import Part, SqlTable


class SnapshotFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> SnapshotFeed:
        """Open the database lazily: the first question connects."""
        return cls(manifest, open_database(manifest, secrets))

    def __init__(self, manifest: Manifest, database: Database) -> None:
        assert isinstance(manifest.feed, SqlSnapshot)
        self._settings = manifest.feed
        self._database = database
        self._rows = SqlTable(manifest, database)
        self._part = Part(self._settings.table)

    def plan(self, cursor: str | None) -> Window | None:
        """The whole table, unless its fingerprint is the one of last time."""
        self._database.hold("table")
        found = self._fingerprint()
        if self._settings.fingerprint is not None and found == cursor:
            return None
        return Window("snapshot", cursor, found)

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """Every row, as it was when the window was planned."""
        self._database.hold("table")
        yield from self._rows.read(self._part)

    def totals(self, window: Window) -> Totals:
        """Count and buckets of every row."""
        self._database.hold("table")
        return self._rows.totals(self._part)

    def sample(self, limit: int) -> pa.Table:
        """First rows of the table."""
        return self._rows.sample(self._settings.table, limit)

    def notices(self) -> Mapping[str, int]:
        """Nothing worth telling happens here."""
        return {}

    def close(self) -> None:
        """End the transaction and the connections."""
        self._database.close()

    def _now(self) -> str:
        return str(self._rows.held(self._database.dialect.now)[0][0])

    def _fingerprint(self) -> str:
        """What the manifest takes for a sign of change; the source's clock where there is none."""
        wanted = self._settings.fingerprint
        if wanted == "checksum":
            totals = self._rows.totals_now(self._part)
            return fingerprint(totals) if totals.buckets else self._now()
        if wanted is None:
            return self._now()
        highest = () if wanted == "rows" else wanted
        return " ".join(str(cell) for cell in self._rows.highest(self._part, highest))


def fingerprint(totals: Totals) -> str:
    """Totals in a few letters: how many rows, and a digest of their buckets where there are any."""
    if totals.buckets is None:
        return str(totals.rows)
    return f"{totals.rows}:{md5(repr(totals.buckets).encode(), usedforsecurity=False).hexdigest()}"
