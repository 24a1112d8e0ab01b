"""Pull a window and hold it against the source's totals, as whoever lands it does."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.feeds import Feed, Totals, Window
from connectors.feeds.checksum import buckets


@dataclass(frozen=True)
class Pulled:
    """A window's rows and what the source said of them."""

    window: Window
    table: pa.Table
    totals: Totals
    notices: dict[str, int]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        found: list[dict[str, Any]] = self.table.to_pylist()
        return found


def pull(feed: Feed, columns: tuple[str, ...], cursor: str | None = None) -> Pulled:
    """Plan, read and ask for totals; the two must agree."""
    with closing(feed):
        window = feed.plan(cursor)
        assert window is not None
        batches = list(feed.read(window))
        totals = feed.totals(window)
        notices = dict(feed.notices())
    table = pa.Table.from_batches(batches)
    assert totals.rows == table.num_rows
    if totals.buckets is not None:
        assert totals.buckets == buckets(batches, columns)
    return Pulled(window, table, totals, notices)
