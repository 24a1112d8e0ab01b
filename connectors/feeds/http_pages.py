"""A collection of an HTTP API: JSON records in pages, by number, by cursor or by link.

Windows are closed stretches where the API has them: between two positions (what lies between them
never changes again) or between two moments of the source's clock, looking back a little for rows
that were committed late. Without either, every pull is a whole snapshot. Addresses hold positions,
moments and cursors, nothing of a person.

The first leg of reconciliation is the API's own: an endpoint of totals, or the total that its
pages tell. An API that has neither is counted by us as its rows come, and the notice `own_count`
says so: then only landing is proved, not that the source sent everything.

A run that died goes on behind the last complete page where its window still stands; when that is,
and why a plain numbered snapshot begins anew instead, is told in `http_spool`.

It will not follow a redirect or a link to another host, guess at rows that are not flat, or repair
what a source sends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from connectors.feeds import http_windows as windows
from connectors.feeds.http_credentials import credentials_of
from connectors.feeds.http_json import MISSING, at, whole
from connectors.feeds.http_paging import Pages, Said, Turn
from connectors.feeds.http_reading import Count, Reading
from connectors.feeds.http_records import Batches, Changes, Form, Record, table_of
from connectors.feeds.http_settings import ByCursor, ByLink, ByPosition, ByTime, HttpPages
from connectors.feeds.http_spool import Spool
from connectors.feeds.http_wire import Line, Question
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals, Window

ATTEMPTS = 6
SKEW_S = 60
"""Between our clock and the source's; more is worth a notice."""


class PagesFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> PagesFeed:
        """Open the collection; nothing is asked yet. Raises `PermanentFailure`."""
        return cls(manifest, secrets)

    def __init__(
        self,
        manifest: Manifest,
        secrets: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        assert isinstance(manifest.feed, HttpPages)
        self._manifest = manifest
        self._settings = manifest.feed
        credentials = credentials_of(manifest, self._settings, secrets)
        self._line = Line(
            manifest, self._settings, secrets, credentials, attempts=ATTEMPTS, sleep=sleep
        )
        self._spool = _spool(manifest, secrets)
        self._count = Count(manifest.source)

    def plan(self, cursor: str | None) -> Window | None:
        """What is new after `cursor`; the window of a read that was killed, if it still stands."""
        if self._spool and (begun := self._spool.window(cursor)):
            self._line.note("read_resumed")
            return begun
        window = self._planned(cursor)
        if window and self._spool:
            self._spool.plan(window, cursor)
        return window

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The window's rows, a batch a page."""
        with self._count.reading():
            reading = self._reading(window, self._spool)
            yield from reading.rows()
            self._count.counts(reading.watch.rows, reading.watch.total)
            if self._count.own and self._settings.totals is None:
                self._line.note("own_count")

    def totals(self, window: Window) -> Totals:
        """The API's own count and buckets, or what its pages said."""
        asked = self._settings.totals
        if asked is None:
            return self._count.totals()
        said = self._line.ask(Question(asked.path, self._bounds(window))).document
        rows = whole(at(said, asked.rows))
        if rows is None:
            raise self._manifest.wrong("the totals are no totals")
        pairs = MISSING if asked.buckets is None else at(said, asked.buckets)
        return Totals(rows=rows, buckets=None if pairs is MISSING else self._buckets(pairs))

    def sample(self, limit: int) -> pa.Table:
        """The first rows."""
        window = self._planned(None)
        rows = self._reading(window, None).rows() if window else iter(())
        return table_of(rows, limit, self._manifest)

    def notices(self) -> Mapping[str, int]:
        """How many 429 and 503 were met, how often anything was tried again, and the like."""
        return self._line.notices()

    def close(self) -> None:
        """Close the connections."""
        self._count.close()
        self._line.close()

    def _planned(self, cursor: str | None) -> Window | None:
        now = datetime.now(UTC)
        match self._settings.window:
            case None:
                return windows.snapshot(now)
            case ByPosition(path=path, at=place):
                position = whole(at(self._line.ask(Question(path)).document, place))
                if position is None:
                    raise self._manifest.wrong("the position is no number")
                return windows.between_positions(self._manifest, cursor, position)
            case ByTime():
                return self._planned_by_time(cursor, now)

    def _planned_by_time(self, cursor: str | None, now: datetime) -> Window | None:
        """Look at the first page: its Date is the source's clock, and it may be empty."""
        far = Window("changes" if cursor else "snapshot", cursor, windows.written(now))
        pages = Pages(self._manifest, self._settings.paging, self._asked(far))
        turn = pages.first()
        answer = self._line.ask(Question(self._settings.path, turn.query))
        theirs = answer.date or now
        if abs((theirs - now).total_seconds()) > SKEW_S:
            self._line.note("clock_skew")
        window = windows.between_moments(self._manifest, cursor, theirs)
        if cursor is not None and not self._records(answer.document):
            return None
        return window

    def _reading(self, window: Window, spool: Spool | None) -> Reading:
        changes = None
        if window.mode == "changes":
            changes = Changes(
                self._manifest,
                self._settings.operation,
                self._settings.operations,
                self._settings.sequence,
            )
        pages = Pages(self._manifest, self._settings.paging, self._asked(window))
        form = Form(self._settings.fields, self._settings.ignores, self._settings.omits_null)
        return Reading(
            self._manifest,
            self._settings.paging,
            pages,
            lambda turn: self._page(turn, pages),
            Batches(self._manifest, form, changes.marks if changes else ()),
            changes,
            (spool, window) if spool else None,
        )

    def _page(self, turn: Turn, pages: Pages) -> tuple[Sequence[Record], Said]:
        question = Question(self._settings.path, turn.query, link=turn.url)
        answer = self._line.ask(question, missing=pages.may_be_missing(turn))
        if answer.status == 404:
            return [], Said(0, missing=True)
        records = self._records(answer.document)
        return records, Said(len(records), answer.document, answer.headers.get("link", ""))

    def _records(self, document: object) -> list[Record]:
        found = at(document, self._settings.records)
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise self._manifest.wrong(
                f"a row is not flat text: {self._settings.records} holds no list of objects"
            )
        return found

    def _asked(self, window: Window) -> dict[str, str]:
        return {**self._settings.query, **self._bounds(window)}

    def _bounds(self, window: Window) -> dict[str, str]:
        match self._settings.window:
            case ByPosition(since=since, until=until):
                return dict(windows.positions(since, until, window))
            case ByTime() as by_time:
                return windows.bounds(by_time, window)
            case _:
                return {}

    def _buckets(self, pairs: Any) -> tuple[tuple[int, int], ...]:
        try:
            # A bucket adds up 56 bits a row: with a hundred rows it has outgrown 18 digits.
            found = tuple((whole(count), whole(total, 38)) for count, total in pairs)
        except (TypeError, ValueError):
            found = ()
        sums = tuple((a, b) for a, b in found if a is not None and b is not None)
        if len(sums) != 256:
            raise self._manifest.wrong("the totals are no totals")
        return sums


def _spool(manifest: Manifest, secrets: Mapping[str, str]) -> Spool | None:
    """Where pages are kept, if they may be: see `http_spool`."""
    settings, home = manifest.feed, secrets.get("YIZHAN_HOME")
    assert isinstance(settings, HttpPages)
    names = [name for name in (settings.client_secret, *settings.headers.values()) if name]
    stands = isinstance(settings.paging, ByCursor | ByLink) or isinstance(
        settings.window, ByPosition
    )
    if not home or not names or not stands:
        return None
    secret = "\n".join(manifest.secret(secrets, name) for name in names)
    return Spool(Path(home) / "pages", manifest.source, secret)
