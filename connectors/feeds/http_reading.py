"""One read of a window, page by page, whatever asks for the pages.

Complete pages may be kept (`http_spool`) for a run that comes after a killed one. They are kept
only while the line is at fault: whatever the pages themselves did wrong begins anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import InitVar, dataclass

import pyarrow as pa

from connectors.feeds.http_paging import Pages, Paging, Said, Turn, Watch
from connectors.feeds.http_records import Batches, Changes, Record
from connectors.feeds.http_spool import Page, Spool
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import PermanentFailure, Totals, TransientFailure, Window

Fetch = Callable[[Turn], tuple[Sequence[Record], Said]]

_PATIENCE_FOR_A_READ_S = 5.0
"""How long totals wait for a read to begin; one that has begun is waited for to its end."""


@dataclass
class Reading:
    """Reads the pages that `fetch` gives, in order, each row once."""

    manifest: Manifest
    paging: Paging
    pages: Pages
    fetch: Fetch
    batches: Batches
    changes: Changes | None
    kept: InitVar[tuple[Spool, Window] | None] = None

    def __post_init__(self, kept: tuple[Spool, Window] | None) -> None:
        self.watch = Watch(self.manifest, self.paging)
        self.spool: Spool | None
        self._window: Window | None
        self.spool, self._window = kept or (None, None)

    def rows(self) -> Iterator[pa.RecordBatch]:
        """The window's rows, a batch a page. Raises what pages and watch find wrong."""
        for page in self._all():
            if page.rows is not None:
                yield page.rows if self.changes is None else self.changes.marked(page.rows)
        with self._or_anew():
            self.watch.end()
        if self.spool:
            self.spool.drop()

    def _all(self) -> Iterator[Page]:
        turn: Turn | None = self.pages.first()
        kept = False
        for page in self.spool.pages(self._window) if self.spool and self._window else ():
            with self._or_anew():
                self._seen(page)
            self.batches.expect(page.rows)
            turn, kept = page.following, True
            yield page
        while turn is not None:
            page = self._fetched(turn, kept)
            self._keep(page)
            turn, kept = page.following, False
            yield page

    def _fetched(self, turn: Turn, kept: bool) -> Page:
        """Ask for a page. After kept ones, a source that does not know it has forgotten us."""
        try:
            with self._or_anew():
                self.watch.asking(turn)
            records, said = self.fetch(turn)
        except PermanentFailure as wrong:
            if self.spool:
                self.spool.drop()
            if not kept:
                raise
            raise TransientFailure(
                f"{self.manifest.source}: knows no more where the last run stopped "
                f"({wrong.message}); the window is read from its beginning"
            ) from wrong
        with self._or_anew():
            return self._page(turn, records, said)

    def _page(self, turn: Turn, records: Sequence[Record], said: Said) -> Page:
        rows = self.batches.of(records) if records else None
        told = self.pages.told(turn, said)
        self.watch.page(turn, told, rows)
        return Page(turn, told, rows, self.pages.after(turn, said, self.watch.total))

    def _seen(self, page: Page) -> None:
        self.watch.asking(page.turn)
        self.watch.page(page.turn, page.told, page.rows)

    def _keep(self, page: Page) -> None:
        try:
            if self.spool:
                self.spool.keep(page)
        except OSError:  # a full disk: reading goes on, a killed run would begin anew
            assert self.spool
            self.spool.drop()
            self.spool = None

    @contextmanager
    def _or_anew(self) -> Iterator[None]:
        """What the pages do wrong is not gone on with."""
        try:
            yield
        except (PermanentFailure, TransientFailure):
            if self.spool:
                self.spool.drop()
            raise


class Count:
    """The totals that only a read can tell, for whoever asks in another thread."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._begun = threading.Event()
        self._done = threading.Event()
        self._rows: int | None = None
        self.own = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """A read goes on."""
        self._done.clear()
        self._begun.set()
        try:
            yield
        finally:
            self._done.set()

    def counts(self, ours: int, theirs: int | None) -> None:
        """The read is over: the source's total, or our count where it tells none."""
        self.own = theirs is None
        self._rows = ours if theirs is None else theirs

    def close(self) -> None:
        """Nobody reads any more; whoever waits is told so."""
        self._begun.set()
        self._done.set()

    def totals(self) -> Totals:
        """Wait for the read. Raises `TransientFailure` when it did not come to its end."""
        if self._begun.wait(_PATIENCE_FOR_A_READ_S):
            self._done.wait()
        if self._rows is None:
            raise TransientFailure(
                f"{self._source}: its pages tell the totals, and they were not read to the end"
            )
        return Totals(rows=self._rows)
