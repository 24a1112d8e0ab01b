"""Which page comes next, and whether the pages add up: decisions without a wire.

A `Turn` is where a read is; it can be written down and taken up again. `Watch` sees every page and
names a source that repeats pages or rows, skips some, or changes while it is read; what it lets
pass came once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import polars as pl
import pyarrow as pa

from connectors.feeds.http_json import MISSING, at, whole
from connectors.feeds.http_links import next_of
from connectors.feeds.http_settings import ByCursor, ByLink, ByNumber, OnePage
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import TransientFailure

Paging = ByNumber | ByCursor | ByLink | OnePage


@dataclass(frozen=True)
class Turn:
    """The page to ask for: parameters of the collection, or an address that the source named."""

    query: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    page: int = 1
    seen: int = 0
    """Rows on the pages before."""


@dataclass(frozen=True)
class Said:
    """What an answer says of its page and of the next."""

    rows: int
    document: object = None
    link: str = ""
    missing: bool = False


@dataclass(frozen=True)
class Told:
    """What can be checked of a page: its rows, and the number and total that it claims."""

    rows: int
    number: int | None = None
    total: int | None = None


class Pages:
    """The order of a window's pages."""

    def __init__(self, manifest: Manifest, paging: Paging, query: Mapping[str, str]) -> None:
        self._manifest = manifest
        self._paging = paging
        self._query = dict(query)

    def first(self) -> Turn:
        """The first page."""
        return Turn(self._numbered(1, 0) if isinstance(self._paging, ByNumber) else self._sized())

    def after(self, turn: Turn, said: Said, total: int | None) -> Turn | None:
        """The page after `turn`, or None when that was the last. Raises `PermanentFailure`."""
        page, seen = turn.page + 1, turn.seen + said.rows
        match self._paging:
            case ByNumber():
                if self._was_last(said, seen, total):
                    return None
                return Turn(self._numbered(page, seen), page=page, seen=seen)
            case ByCursor():
                query = self._by_cursor(said)
                return None if query is None else Turn(query, page=page, seen=seen)
            case ByLink():
                url = self._linked(said)
                return None if url is None else Turn(url=url, page=page, seen=seen)
            case OnePage():
                return None

    def told(self, turn: Turn, said: Said) -> Told:
        """What the page claims. Raises `PermanentFailure` when it owes a claim and makes none."""
        paging = self._paging
        if said.missing:
            return Told(0)
        number = total = None
        if isinstance(paging, ByNumber) and paging.echo:
            number = self._number(turn, said, paging.echo)
        if paging.total:
            total = self._number(turn, said, paging.total)
        return Told(said.rows, number, total)

    def _number(self, turn: Turn, said: Said, path: str) -> int:
        found = whole(at(said.document, path))
        if found is None:
            raise self._manifest.wrong(f"page {turn.page} tells no number at {path}")
        return found

    def may_be_missing(self, turn: Turn) -> bool:
        """Say whether a 404 here only means that there are no more pages."""
        return isinstance(self._paging, ByNumber) and (
            self._paging.ends == "missing" and turn.page > 1
        )

    def _was_last(self, said: Said, seen: int, total: int | None) -> bool:
        assert isinstance(self._paging, ByNumber)
        if said.missing or said.rows == 0:
            return True
        if total is not None:
            return seen >= total
        return self._paging.ends == "short" and said.rows < self._paging.size

    def _numbered(self, page: int, seen: int) -> dict[str, str]:
        assert isinstance(self._paging, ByNumber)
        number = page - 1 if self._paging.counts == "pages" else seen
        return {**self._sized(), self._paging.parameter: str(self._paging.first + number)}

    def _sized(self) -> dict[str, str]:
        if isinstance(self._paging, OnePage) or self._paging.size_parameter is None:
            return self._query
        return {**self._query, self._paging.size_parameter: str(self._paging.size)}

    def _by_cursor(self, said: Said) -> dict[str, str] | None:
        assert isinstance(self._paging, ByCursor)
        if self._paging.more and at(said.document, self._paging.more) in ("false", False, None):
            return None
        cursor = at(said.document, self._paging.next)
        if cursor in (MISSING, None, ""):
            return None
        if not isinstance(cursor, str):
            raise self._manifest.wrong(f"{self._paging.next} is no cursor")
        kept = self._sized() if self._paging.repeats_query else {}
        return {**kept, self._paging.parameter: cursor}

    def _linked(self, said: Said) -> str | None:
        assert isinstance(self._paging, ByLink)
        if self._paging.next is None:
            return next_of(said.link)
        url = at(said.document, self._paging.next)
        if url in (MISSING, None, ""):
            return None
        if not isinstance(url, str):
            raise self._manifest.wrong(f"{self._paging.next} is no address")
        return url


class Watch:
    """Sees every page of a window, in order."""

    def __init__(self, manifest: Manifest, paging: Paging) -> None:
        self._manifest = manifest
        self._paging = paging
        self._pages: dict[bytes, int] = {}
        self._asked: set[bytes] = set()
        self._rows: list[pl.Series] = []
        self._usual: int | None = None
        self._short: int | None = None
        self.rows = 0
        self.total: int | None = None

    def asking(self, turn: Turn) -> None:
        """Raise `PermanentFailure` when the source names a page that it named before."""
        key = _digest(repr((sorted(turn.query.items()), turn.url)).encode())
        if key in self._asked:
            raise self._manifest.wrong(
                f"page {turn.page} has the same cursor as a page before: its pages never end"
            )
        self._asked.add(key)

    def page(self, turn: Turn, told: Told, rows: pa.RecordBatch | None) -> None:
        """Take note of a page. Raises what it finds wrong."""
        self._check_number(turn, told)
        self._check_total(told)
        if rows is None:
            return
        self._check_size(turn, told)
        self._check_new(turn, rows)
        self.rows += rows.num_rows
        if isinstance(self._paging, ByNumber) and not self._paging.may_repeat:
            self._rows.append(pl.DataFrame(rows).hash_rows().unique())

    def end(self) -> None:
        """The pages are over: check that they were all, and each row once."""
        if self.total is not None and self.total != self.rows:
            raise self._manifest.wrong(
                f"the source speaks of {self.total} rows and its pages held {self.rows}: "
                "pages were skipped or repeated"
            )
        every = pl.concat(self._rows) if self._rows else pl.Series()
        if twice := len(every) - every.n_unique():
            raise TransientFailure(
                f"{self._manifest.source}: {twice} rows came on two pages: the pages shifted while "
                "they were read, and they are read again; if the source does hold exact copies, "
                "say may_repeat: true in the manifest"
            )

    def _check_number(self, turn: Turn, told: Told) -> None:
        if not isinstance(self._paging, ByNumber) or told.number is None:
            return
        wanted = self._paging.first + turn.page - 1
        if told.number != wanted:
            raise self._manifest.wrong(f"page {wanted} was asked for and page {told.number} came")

    def _check_total(self, told: Told) -> None:
        if self.total is not None and told.total not in (None, self.total):
            raise TransientFailure(
                f"{self._manifest.source}: changed while it was read, from {self.total} rows to "
                f"{told.total}; it is read again"
            )
        self.total = told.total if self.total is None else self.total

    def _check_size(self, turn: Turn, told: Told) -> None:
        """Numbered pages are equally long, but for the last; a gap would shift what follows."""
        if not isinstance(self._paging, ByNumber) or self._paging.counts == "rows":
            return
        self._usual = self._usual or told.rows
        if self._short is not None or told.rows > self._usual:
            raise self._manifest.wrong(
                f"page {self._short or turn.page} holds another number of rows than the pages "
                "before and is not the last: rows were skipped or repeated"
            )
        if told.rows < self._usual:
            self._short = turn.page

    def _check_new(self, turn: Turn, rows: pa.RecordBatch) -> None:
        before = self._pages.setdefault(_digest(rows.serialize()), turn.page)
        if before != turn.page:
            hint = ""
            if isinstance(self._paging, ByNumber):
                hint = "; if it answers its last page again and again, say ends: short"
            raise self._manifest.wrong(f"page {turn.page} repeats page {before}{hint}")


def _digest(content: Any) -> bytes:
    return blake2b(memoryview(content), digest_size=16).digest()
