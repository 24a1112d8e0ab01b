"""A drop folder, here or on a server: whole files, increments, or both, as a department sends them.

    frk_20260105_full.csv   frk_20260105_full.ctl    the whole register of that day
    frk_20260105_001.csv    frk_20260105_001.ctl     the first increment after it

Names, packing, form and control files are the manifest's (`file_settings`); which file is next is
decided in `drops`. A file without its control file, or one that still changes, is not there yet. A
file whose digest is not its control file's is refused by name before a row of it is handed out; one
whose rows are not, when they have been counted. Increments are read one by one, none left out; a
newer whole file overtakes what came before it. Nothing is deleted here, and no row is judged.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from threading import Event

import pyarrow as pa

from connectors.feeds.arrivals import Arrivals
from connectors.feeds.changes import marked
from connectors.feeds.drops import Cursor, Drop, after, chosen, named
from connectors.feeds.file_settings import Control, FileDrop
from connectors.feeds.manifest import Manifest
from connectors.feeds.places import Opened, Place, PlaceAway
from connectors.feeds.reaching import place_of, reached
from connectors.feeds.source import OPERATION, SEQUENCE, Totals, TransientFailure, Window
from connectors.parsing.child import Child
from connectors.parsing.faults import Fault, sentence
from connectors.parsing.spec import Spec

_PATIENCE = 30.0  # seconds that totals wait for a read to begin before they count for themselves
_REMEMBERED_DIGITS = 12


class DropFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> DropFeed:
        """Open the folder, or the server, that the environment names."""
        settings = manifest.feed
        assert isinstance(settings, FileDrop)
        return cls(manifest, settings, place_of(manifest, settings, secrets))

    def __init__(self, manifest: Manifest, settings: FileDrop, place: Place) -> None:
        self._manifest = manifest
        self._settings = settings
        self._place = place
        self._arrivals = Arrivals(manifest, settings, place)
        self._notices: dict[str, int] = {}
        self._begun, self._ended = Event(), Event()
        self._counted: int | None = None

    def plan(self, cursor: str | None) -> Window | None:
        """The newest whole file if there is one after `cursor`, else the next increment."""
        known = self._cursor(cursor) if cursor else None
        with reached(self._manifest):
            drops = self._arrivals.ready()
            found = chosen(drops, known, self._arrivals.namings)
            self._put_away(drops, known)
            if found.drop is None:
                return None
            self._check_missing(found.drop, found.missing)
            self._notices |= {"files_overtaken": found.overtaken, "files_late": int(found.late)}
            if not self._arrivals.still(found.drop):
                self._notices["files_settling"] = 1
                return None
            end = after(known, found.drop, self._remembered(found.drop))
            return Window("snapshot" if found.drop.whole else "changes", cursor, str(end))

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The file's rows, after the whole of it has been held against its control file."""
        self._begun.set()
        try:
            if self._is_repeated(window):
                self._notices["files_repeated"] = 1
                yield self._nothing()
                return
            count = 0
            with closing(self._rows(self._drop(window))) as batches:
                for batch in batches:
                    yield batch if window.mode == "snapshot" else self._marked(batch, count)
                    count += batch.num_rows
            self._counted = count
        finally:
            self._ended.set()

    def totals(self, window: Window) -> Totals:
        """What the control file says; where it says no count, what the whole file was read to."""
        if self._is_repeated(window):
            return Totals(rows=0)
        drop = self._drop(window)
        with reached(self._manifest):
            said = self._arrivals.control(drop)
        rows = self._count(drop) if said.rows is None else said.rows
        digest = f"{self._arrivals.algorithm}:{said.digest}" if said.digest else None
        return Totals(rows=rows, digest=digest)

    def sample(self, limit: int) -> pa.Table:
        """The first rows of the newest file, a whole one where there is any."""
        with reached(self._manifest):
            drops = self._arrivals.ready()
        if not drops:
            raise TransientFailure(f"{self._manifest.source}: no file is there to look at")
        kept: list[pa.RecordBatch] = []
        newest = max([drop for drop in drops if drop.whole] or drops)
        with closing(self._rows(newest)) as batches:
            for batch in batches:
                kept.append(batch)
                if sum(one.num_rows for one in kept) >= limit:
                    break
        return pa.Table.from_batches(kept).slice(0, limit)

    def notices(self) -> Mapping[str, int]:
        """Files met on the way that were not read, or not in their turn, counted by kind."""
        met = {**self._arrivals.notices, **self._notices}
        return {kind: count for kind, count in met.items() if count}

    def close(self) -> None:
        """Let go of the place."""
        self._place.close()

    def _cursor(self, said: str) -> Cursor:
        try:
            return Cursor.of(said, self._arrivals.namings)
        except ValueError:
            raise self._manifest.wrong("the cursor names no file of this folder") from None

    def _drop(self, window: Window) -> Drop:
        drop = named(self._arrivals.namings, self._cursor(window.end).stem)
        assert drop is not None
        return drop

    def _check_missing(self, drop: Drop, missing: str | None) -> None:
        if missing is None:
            return
        if self._settings.gaps == "wait" and not drop.whole:
            raise TransientFailure(
                f"{self._manifest.source}: {missing} is missing before {drop.name}"
            )
        self._notices["files_missing"] = 1

    def _remembered(self, drop: Drop) -> str:
        """By what an increment is known again when it comes twice."""
        if drop.whole or self._settings.repeated == "read":
            return ""
        if said := self._arrivals.control(drop).digest:
            return said[:_REMEMBERED_DIGITS]
        with self._opened(drop) as opened:
            return self._arrivals.digest(opened)[:_REMEMBERED_DIGITS]

    def _is_repeated(self, window: Window) -> bool:
        if window.mode == "snapshot" or window.start is None:
            return False
        drop = self._drop(window)
        digest = self._cursor(window.end).taken.get(drop.key)
        return bool(digest) and digest in self._cursor(window.start).taken.values()

    def _put_away(self, drops: list[Drop], known: Cursor | None) -> None:
        """Move what the ledger has taken; a folder that we may only read keeps its files."""
        folder = self._settings.done
        if folder is None or known is None:
            return
        for drop in drops:
            if known.has_taken(drop):
                try:
                    self._arrivals.put_away(drop, folder)
                except PlaceAway:
                    self._notices["files_not_moved"] = self._notices.get("files_not_moved", 0) + 1

    @contextmanager
    def _opened(self, drop: Drop) -> Iterator[Opened]:
        with contextlib.ExitStack() as stack:
            try:
                opened = stack.enter_context(self._place.opened(drop.name))
            except PlaceAway:
                if self._settings.done is None:
                    raise
                there = f"{self._settings.done}/{drop.name}"
                opened = stack.enter_context(self._place.opened(there))
            yield opened

    def _rows(self, drop: Drop) -> Generator[pa.RecordBatch, None, None]:
        with reached(self._manifest), self._opened(drop) as opened:
            said = self._arrivals.control(drop)
            if said.digest and said.digest != self._arrivals.digest(opened):
                algorithm = str(self._arrivals.algorithm).upper()
                raise self._manifest.wrong(
                    f"{drop.name} is refused: its {algorithm} is not its control file's"
                )
            count = 0
            for batch in self._parsed(drop, opened):
                yield batch
                count += batch.num_rows
            if said.rows is not None and said.rows != count:
                raise self._manifest.wrong(
                    f"{drop.name} is refused: it has {count} rows, its control file says"
                    f" {said.rows}"
                )

    def _parsed(self, drop: Drop, opened: Opened) -> Iterator[pa.RecordBatch]:
        try:
            with closing(Child(opened.file, self._spec(drop))) as child:
                yield from child
        except Fault as fault:
            self._check_unchanged(drop, opened)
            told = sentence(fault.code, fault.numbers)
            raise self._manifest.wrong(f"{drop.name} {told}") from None
        self._check_unchanged(drop, opened)

    def _check_unchanged(self, drop: Drop, opened: Opened) -> None:
        if not opened.unchanged():
            raise TransientFailure(
                f"{self._manifest.source}: {drop.name} was written while it was read"
            )

    def _spec(self, drop: Drop) -> Spec:
        settings = self._settings
        form, packing = settings.form_of(drop.name)
        return Spec(
            form,
            packing,
            settings.text_encoding(form),
            columns=self._manifest.source_columns,
            delimiter=settings.csv.delimiter,
            quote=settings.csv.quote,
            escape=settings.csv.escape,
            skip=settings.csv.skip,
            open_end=isinstance(settings.control, Control),
            sheet=settings.sheet.name,
            header=settings.sheet.header,
            member=settings.member,
        )

    def _marked(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        name, rows = self._settings.operation, batch.num_rows
        sequence = pa.array(range(before + 1, before + rows + 1), pa.int64())
        if name is None:
            updates = pa.array(["U"] * rows, pa.string())
            return marked(self._manifest, batch, updates, sequence, {"U": "U"})
        if name not in batch.schema.names:
            raise self._manifest.wrong(f"an increment has no column {name}")
        operations = batch.column(name)
        rest = batch.drop_columns([name])
        return marked(self._manifest, rest, operations, sequence, self._settings.operations)

    def _nothing(self) -> pa.RecordBatch:
        columns = [(name, pa.string()) for name in (*self._manifest.source_columns, OPERATION)]
        return pa.RecordBatch.from_pylist([], schema=pa.schema([*columns, (SEQUENCE, pa.int64())]))

    def _count(self, drop: Drop) -> int:
        """The rows of the file: of the read that is under way, or of one for this."""
        if self._begun.wait(_PATIENCE):
            self._ended.wait()
            if self._counted is None:
                raise TransientFailure(f"{self._manifest.source}: {drop.name} was not read whole")
            return self._counted
        with closing(self._rows(drop)) as batches:
            return sum(batch.num_rows for batch in batches)
