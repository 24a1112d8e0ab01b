"""A table whose rows say when they changed, read from where the last pull ended, and a bit before.

A cursor column is set before its transaction commits, so rows appear behind the highest value that
has been seen. Each pull therefore begins `look_back` before it: a row that commits no later than
that is found, rows that were read before come again and change nothing. What is handed out as the
end of a window carries a fingerprint of those last rows; while it stays the same nothing is read.

A row that is deleted leaves no trace here; the nightly comparison of everything finds it.

    cursor_in_future      rows whose cursor is ahead of the source's clock: they are read again and
                          again until their time has come, and do not carry the mark away
    cursor_went_back      nothing is left of what was read last (a backup was restored, the table
                          was filled anew): everything is read as a snapshot
    rows_without_cursor   rows that only the first snapshot can see
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from hashlib import md5

import pyarrow as pa

from connectors.feeds.feed_settings import interval
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import OPERATION, SEQUENCE, PermanentFailure, Totals, Window
from connectors.feeds.sql_database import Database, open_database
from connectors.feeds.sql_settings import SqlCursor
from connectors.feeds.sql_snapshot import fingerprint
from connectors.feeds.sql_table import Part, SqlTable

_FRACTION = re.compile(r"\.\d{1,6}")
_COMPACT = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S", 17: "%Y%m%d%H%M%S%f"}


@dataclass(frozen=True)
class Mark:
    """Where a pull ended, and what the last rows before and at it looked like."""

    at: str | None
    seen: str

    def __str__(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, cursor: str) -> Mark:
        """The mark that a window ended with."""
        return cls(**json.loads(cursor))


class CursorFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> CursorFeed:
        """Open the database lazily: the first question connects."""
        return cls(manifest, open_database(manifest, secrets))

    def __init__(self, manifest: Manifest, database: Database) -> None:
        assert isinstance(manifest.feed, SqlCursor)
        self._manifest = manifest
        self._settings = manifest.feed
        self._database = database
        self._rows = SqlTable(manifest, database)
        self._column = database.dialect.name_of(self._settings.cursor)
        self._kind: str | None = None
        self._told: Totals | None = None
        self._notices: dict[str, int] = {}

    def plan(self, cursor: str | None) -> Window | None:
        """The table if there is no cursor yet, else what is new since, if there is anything."""
        last = Mark.of(cursor) if cursor else None
        self._database.hold(str(cursor))
        if last is None or last.at is None:
            return self._whole(cursor)
        told, seen = self._seen(last.at)
        if seen == last.seen:
            return None
        if not told.rows:
            self._notices["cursor_went_back"] = 1
            return self._whole(cursor)
        self._told = told
        return Window("changes", cursor, str(self._mark()))

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows as they are now; each of a changes window is a U."""
        self._hold(window)
        read = 0
        for batch in self._rows.read(self._part(window)):
            yield batch if window.mode == "snapshot" else _marked(batch, read)
            read += batch.num_rows

    def totals(self, window: Window) -> Totals:
        """Count and buckets of the rows that the window's own condition finds."""
        self._hold(window)
        if window.mode == "changes" and self._told is not None:
            return self._told
        return self._rows.totals(self._part(window))

    def sample(self, limit: int) -> pa.Table:
        """First rows of the table."""
        return self._rows.sample(self._settings.table, limit)

    def notices(self) -> Mapping[str, int]:
        """What is odd about the cursor; see the module."""
        return {kind: count for kind, count in self._notices.items() if count}

    def close(self) -> None:
        """End the transaction and the connections."""
        self._database.close()

    def _hold(self, window: Window) -> None:
        """The state in which the window was planned, or a new one when that was lost."""
        if not self._database.hold(str(window.start)):
            self._told = None

    def _whole(self, cursor: str | None) -> Window | None:
        mark = str(self._mark())
        if mark == cursor:
            return None
        empty = Part(self._settings.table, where=f"{self._column} IS NULL")
        self._notices["rows_without_cursor"] = int(self._rows.highest(empty, ())[0])
        return Window("snapshot", cursor, mark)

    def _mark(self) -> Mark:
        """Where the table stands now, and the fingerprint of its last rows."""
        [_, highest] = self._rows.highest(Part(self._settings.table), [self._settings.cursor])
        if highest is None:
            return Mark(None, "0")
        at = self._not_ahead(str(highest))
        return Mark(at, self._seen(at)[1])

    def _seen(self, at: str) -> tuple[Totals, str]:
        """The totals and the look of the last rows, which are read if the engine cannot sum."""
        part = self._since(at)
        told = self._rows.totals_now(part)
        if told.buckets is not None or not self._rows.whole(part.table):
            return told, fingerprint(told)
        rows = (row for batch in self._rows.read(part) for row in batch.to_pylist())
        looks = sum(_look(row[name] for name in self._manifest.source_columns) for row in rows)
        return told, f"{told.rows}:{looks:x}"

    def _not_ahead(self, highest: str) -> str:
        """The highest cursor, or the source's clock where that is behind it."""
        if self._settings.look_back.isdecimal():
            return highest
        now = str(self._rows.held(self._database.dialect.now)[0][0])
        try:
            bound = ahead(highest, now)
        except ValueError:
            raise self._unreadable() from None
        if bound is None:
            return highest
        future = f"{self._column} > {self._bound(bound)}"
        rows = self._rows.highest(Part(self._settings.table, where=future), ())[0]
        self._notices["cursor_in_future"] = int(rows)
        return bound

    def _part(self, window: Window) -> Part:
        if window.mode == "snapshot":
            return Part(self._settings.table)
        assert window.start is not None
        at = Mark.of(window.start).at
        assert at is not None
        return self._since(at)

    def _since(self, at: str) -> Part:
        try:
            begin = earlier(at, self._settings.look_back)
        except (ValueError, InvalidOperation):
            raise self._unreadable() from None
        return Part(self._settings.table, where=f"{self._column} >= {self._bound(begin)}")

    def _unreadable(self) -> PermanentFailure:
        settings = self._settings
        return self._manifest.wrong(
            f"{settings.cursor} is no time and no number that a look-back of {settings.look_back} "
            "can be taken from"
        )

    def _bound(self, text: str) -> str:
        if self._kind is None:
            self._kind = self._rows.columns(self._settings.table)[self._settings.cursor]
        return self._database.dialect.bound(text, self._kind)


def earlier(at: str, look_back: str) -> str:
    """The cursor that lies `look_back` before `at`, written as `at` is."""
    if look_back.isdecimal():
        return str(int(Decimal(at)) - int(look_back)) if look_back != "0" else at
    return _written(_moment(at) - interval(look_back), at)


def ahead(highest: str, now: str) -> str | None:
    """The source's clock, written as `highest` is, when `highest` is ahead of it."""
    top, clock = _moment(highest), _moment(now)
    if top.tzinfo is None or clock.tzinfo is None:
        top, clock = top.replace(tzinfo=None), clock.replace(tzinfo=None)
    else:
        clock = clock.astimezone(top.tzinfo)
    return _written(clock, highest) if top > clock else None


def _moment(text: str) -> datetime:
    digits = _COMPACT.get(len(text)) if text.isdecimal() else None
    return datetime.strptime(text, digits) if digits else datetime.fromisoformat(text)


def _written(at: datetime, like: str) -> str:
    """A time as another one is written (compact, a day, so many digits), never later than it is."""
    if like.isdecimal():
        return at.strftime(_COMPACT[len(like)])[: len(like)]
    if len(like) == len("2026-01-05"):
        return at.date().isoformat()
    fraction = _FRACTION.match(like[19:])
    digits = fraction.end() if fraction else 0
    said = at.replace(tzinfo=None).isoformat(sep=like[10], timespec="microseconds")
    return said[: 19 + digits] + (at.isoformat()[-6:] if at.tzinfo else "")


def _look(cells: Iterable[str | None]) -> int:
    told = "\x1f".join("\x1e" if cell is None else cell for cell in cells)
    return int.from_bytes(md5(told.encode(), usedforsecurity=False).digest())


def _marked(batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
    """Rows as changes: what is here now was inserted or updated, in whatever order."""
    sequence = pa.array(range(before + 1, before + batch.num_rows + 1), pa.int64())
    return batch.append_column(OPERATION, pa.repeat("U", batch.num_rows)).append_column(
        SEQUENCE, sequence
    )
