"""A drop folder: whole files and daily increments as CSV, each with a control file.

    frk_20260105_full.csv   frk_20260105_full.ctl    the whole register of that day
    frk_20260105_001.csv    frk_20260105_001.ctl     the first increment after it

A control file is three lines, FILE=, ROWS= and SM3= (of the CSV's bytes), and is put last: a CSV
without one is not there yet. A file that does not match its control file is refused as a whole,
by name, before a row of it is handed out. Increments are read one by one, in order, none left out;
a newer whole file overtakes what came before it.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv
from cryptography.hazmat.primitives.hashes import SM3, Hash

from connectors.feeds.changes import marked
from connectors.feeds.file_settings import FileDrop
from connectors.feeds.manifest import Manifest
from connectors.feeds.source import Totals, TransientFailure, Window

_CHUNK = 1 << 20
_CONTROL_LIMIT = 4096


@dataclass(frozen=True, order=True)
class Drop:
    """One delivered file: its day, then 0 for the whole register or an increment's number."""

    day: str
    number: int
    stem: str

    @property
    def whole(self) -> bool:
        """Whether it is the whole register."""
        return self.number == 0

    def follows(self, earlier: Drop) -> bool:
        """Whether no increment can lie between `earlier` and this one."""
        return self.number == (earlier.number + 1 if earlier.day == self.day else 1)


@dataclass(frozen=True)
class Control:
    """What the department says of a file."""

    file: str
    rows: int
    sm3: str


class DropFeed:
    """See the module."""

    @classmethod
    def opened(cls, manifest: Manifest, secrets: Mapping[str, str]) -> DropFeed:
        """Open the folder that the environment names."""
        settings = manifest.feed
        assert isinstance(settings, FileDrop)
        return cls(manifest, settings, Path(manifest.secret(secrets, settings.folder)))

    def __init__(self, manifest: Manifest, settings: FileDrop, folder: Path) -> None:
        self._manifest = manifest
        self._settings = settings
        self._folder = folder
        self._named = re.compile(rf"^{re.escape(settings.prefix)}_(\d{{8}})_(full|\d{{3}})$")
        self._notices: dict[str, int] = {}

    def plan(self, cursor: str | None) -> Window | None:
        """The newest whole file if there is one after `cursor`, else the next increment."""
        last = self._drop(cursor) if cursor else None
        waiting = [drop for drop in self._ready() if last is None or drop > last]
        if wholes := [drop for drop in waiting if drop.whole]:
            self._notices["files_overtaken"] = waiting.index(wholes[-1])
            return Window("snapshot", cursor, wholes[-1].stem)
        if last is None or not waiting:
            return None
        if not waiting[0].follows(last):
            raise TransientFailure(
                f"{self._manifest.source}: an increment is missing before {waiting[0].stem}.csv"
            )
        return Window("changes", cursor, waiting[0].stem)

    def read(self, window: Window) -> Iterator[pa.RecordBatch]:
        """The file's rows, once the whole of it has been held against its control file."""
        with self._opened(window) as file:
            self._verify(window.end, file)
            sequence = 0
            for batch in self._batches(window.end, file):
                if window.mode == "snapshot":
                    yield batch
                else:
                    yield self._marked(batch, sequence)
                sequence += batch.num_rows

    def totals(self, window: Window) -> Totals:
        """What the control file says."""
        control = self._control(window.end)
        return Totals(rows=control.rows, digest=f"sm3:{control.sm3}")

    def notices(self) -> Mapping[str, int]:
        """Files that a newer whole file made superfluous, and files without a control file yet."""
        return {kind: count for kind, count in self._notices.items() if count}

    def close(self) -> None:
        """Nothing is held open between calls."""

    def _ready(self) -> list[Drop]:
        if not self._folder.is_dir():
            raise TransientFailure(f"{self._manifest.source}: the drop folder is not there")
        stems = [path.stem for path in self._folder.glob("*.csv") if self._named.match(path.stem)]
        ready = [stem for stem in stems if self._path(stem, "ctl").exists()]
        self._notices["files_without_control"] = len(stems) - len(ready)
        return sorted(self._drop(stem) for stem in ready)

    def _drop(self, stem: str) -> Drop:
        found = self._named.match(stem)
        if not found:
            raise self._manifest.wrong("the cursor names no file of this folder")
        return Drop(found[1], 0 if found[2] == "full" else int(found[2]), stem)

    def _path(self, stem: str, suffix: str) -> Path:
        return self._folder / f"{stem}.{suffix}"

    @contextmanager
    def _opened(self, window: Window) -> Iterator[IO[bytes]]:
        """The CSV; refused when it is replaced or written while it is read."""
        path = self._path(window.end, "csv")
        try:
            file = path.open("rb")
        except OSError:
            raise TransientFailure(f"{self._manifest.source}: {path.name} cannot be read") from None
        with file:
            before = _fingerprint(file)
            yield file
            if _fingerprint(file) != before:
                raise self._manifest.wrong(f"{path.name} was written while it was read")

    def _control(self, stem: str) -> Control:
        path = self._path(stem, "ctl")
        try:
            text = path.read_bytes()[:_CONTROL_LIMIT].decode("ascii")
            said = dict(line.split("=", 1) for line in text.split())
            return Control(said["FILE"], int(said["ROWS"]), said["SM3"].lower())
        except OSError:
            raise TransientFailure(f"{self._manifest.source}: {path.name} cannot be read") from None
        except (UnicodeDecodeError, KeyError, ValueError):
            raise self._manifest.wrong(f"{path.name} is no control file") from None

    def _verify(self, stem: str, file: IO[bytes]) -> None:
        """The name, the digest, then the rows. Leaves the file at its beginning."""
        control, name = self._control(stem), f"{stem}.csv"
        if control.file != name:
            raise self._manifest.wrong(f"the control file of {name} is about another file")
        if control.sm3 != _sm3(file):
            raise self._manifest.wrong(f"{name} is refused: its SM3 is not its control file's")
        rows = sum(batch.num_rows for batch in self._batches(stem, file))
        if control.rows != rows:
            raise self._manifest.wrong(
                f"{name} is refused: it has {rows} rows, its control file says {control.rows}"
            )

    def _batches(self, stem: str, file: IO[bytes]) -> Iterator[pa.RecordBatch]:
        """The rows as text, an empty cell without quotes as null."""
        try:
            columns = self._header(file)
            file.seek(0)
            yield from pyarrow.csv.open_csv(
                pa.PythonFile(file, mode="r"),
                pyarrow.csv.ReadOptions(encoding=self._settings.encoding, use_threads=False),
                pyarrow.csv.ParseOptions(newlines_in_values=True),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(columns, pa.string()),
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                    null_values=[""],
                ),
            )
        except (pa.ArrowInvalid, UnicodeDecodeError):  # their texts repeat the row
            encoding = self._settings.encoding.upper()
            raise self._manifest.wrong(f"{stem}.csv is no {encoding} CSV") from None

    def _header(self, file: IO[bytes]) -> list[str]:
        file.seek(0)
        first = io.StringIO(file.readline().decode(self._settings.encoding))
        return next(csv.reader(first), [])

    def _marked(self, batch: pa.RecordBatch, before: int) -> pa.RecordBatch:
        name = self._settings.operation
        if name not in batch.schema.names:
            raise self._manifest.wrong(f"an increment has no column {name}")
        sequence = pa.array(range(before + 1, before + batch.num_rows + 1), pa.int64())
        rows = batch.drop_columns([name])
        return marked(self._manifest, rows, batch.column(name), sequence, self._settings.operations)


def _sm3(file: IO[bytes]) -> str:
    digest = Hash(SM3())
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.finalize().hex()


def _fingerprint(file: IO[bytes]) -> tuple[int, int]:
    seen = os.fstat(file.fileno())
    return seen.st_size, seen.st_mtime_ns
