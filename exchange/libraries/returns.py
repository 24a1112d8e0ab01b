"""Quarantined rows as files: out to who must mend them, and back.

A file holds one row an item: where it is (batch, row number), since when, why, and the source's own
columns as they were sent. Filled in and handed back, the same file is a repair. It is personal data
in clear, so it is written 0600 and only by who holds the ingest role's password and the key.

CSV is UTF-8 with a byte order mark, which spreadsheets need to show Chinese; GB18030 is read too.
Parquet keeps what a spreadsheet would change: leading zeros, eighteen digits, long dates.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any, BinaryIO
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from connectors.feeds import OPERATION, Manifest
from connectors.feeds.returns import takes_returns, write_return
from exchange.database import Role, without_detail
from exchange.libraries import journey, quarantine
from exchange.libraries.batches import BatchId
from exchange.libraries.quarantine import Quarantined
from exchange.libraries.repair import Repaired
from exchange.settings import Settings
from schemas.errors import Invalid

PLACE = ("batch", "row_number")
SAID = ("first_seen", "reasons")
CITY = ZoneInfo("Asia/Shanghai")
_AT_ONCE = 10_000


def export(settings: Settings, source: str, path: Path, *, batch: BatchId | None = None) -> int:
    """Write a source's open rows, or those of one batch, as `.csv` or `.parquet`; how many.

    Raises `Invalid` for another ending, or a file that is there already.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix not in writers:
        raise Invalid(f"{path.name} ends neither with .csv nor with .parquet")
    manifest = journey.manifest_of(settings, source)
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        rows = quarantine.open_rows(conn, settings, source, batch)
        with _private(path) as file:
            return writers[path.suffix](file, columns_of(manifest), _flat(rows))


@dataclass(frozen=True)
class Returned:
    """A return file: where it is, and how many rows it holds."""

    place: str
    rows: int


def give_back(settings: Settings, source: str, at: datetime) -> Returned:
    """Write the return file of a source: every open row, for its department.

    Into the department's own place where it sends files (`returns/` beside them), else below
    `<home>/returns`, for whoever carries it there. With nothing open, no file is written.
    """
    manifest = journey.manifest_of(settings, source)
    name = f"{source}-{at.astimezone(CITY):%Y%m%d-%H%M%S}"
    if not takes_returns(manifest):
        return _kept_here(settings, source, name)
    columns = columns_of(manifest)
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        rows = list(_flat(quarantine.open_rows(conn, settings, source)))
    if not rows:
        return Returned("", 0)
    texts = {name: [_text(row.get(name)) for row in rows] for name in columns}
    table = pa.table(texts, schema=pa.schema([(name, pa.string()) for name in columns]))
    return Returned(write_return(manifest, os.environ, name, table), table.num_rows)


def _kept_here(settings: Settings, source: str, name: str) -> Returned:
    folder = settings.home / "returns" / source
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{name}.csv"
    rows = export(settings, source, path)
    if not rows:
        path.unlink()
        return Returned("", 0)
    return Returned(str(path), rows)


def columns_of(manifest: Manifest) -> tuple[str, ...]:
    """The columns of a file, in order."""
    return (*PLACE, *SAID, *manifest.source_columns, OPERATION)


def repaired(path: Path) -> list[Repaired]:
    """The rows of a file that came back: CSV, Parquet or JSON lines.

    Raises `Invalid` that names a line and never repeats it.
    """
    readers = {".csv": _read_csv, ".parquet": _read_parquet, ".jsonl": _read_json_lines}
    if path.suffix not in readers:
        raise Invalid(f"{path.name} ends neither with .csv nor with .parquet nor with .jsonl")
    try:
        return [_repaired(line, row) for line, row in readers[path.suffix](path)]
    except FileNotFoundError:
        raise Invalid(f"there is no file {path.name}") from None
    except (UnicodeDecodeError, csv.Error, pa.ArrowException):
        raise Invalid(f"{path.name} cannot be read as {path.suffix[1:]}") from None


def _repaired(line: int, row: Mapping[str, Any]) -> Repaired:
    try:
        batch, number = (int(row[name]) for name in PLACE)
    except (KeyError, TypeError, ValueError):
        raise Invalid(f"line {line} does not say which row it repairs: batch, row_number") from None
    told = {name: _text(value) for name, value in row.items() if name not in (*PLACE, *SAID)}
    if told.get(OPERATION) is None:
        told.pop(OPERATION, None)
    return Repaired(batch, number, told)


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _flat(rows: Iterable[Quarantined]) -> Iterator[dict[str, Any]]:
    for item in rows:
        since = (
            item.first_seen.astimezone(CITY).isoformat("T", "seconds") if item.first_seen else ""
        )
        yield {
            "batch": item.batch,
            "row_number": item.row_number,
            "first_seen": since,
            "reasons": " ".join(item.reasons),
            **{name: _text(value) for name, value in item.row.items()},
        }


def _write_csv(file: BinaryIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    written = 0
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    writer = csv.DictWriter(text, columns, extrasaction="ignore", restval="")
    writer.writeheader()
    for row in rows:
        writer.writerow(row)
        written += 1
    text.detach()  # flushes, and leaves the file to whoever opened it
    return written


def _write_parquet(
    file: BinaryIO, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]
) -> int:
    numbers = dict.fromkeys(PLACE, pa.int64())
    schema = pa.schema([(name, numbers.get(name, pa.string())) for name in columns])
    written = 0
    with pq.ParquetWriter(file, schema) as writer:
        some: list[dict[str, Any]] = []
        for row in rows:
            some.append({name: row.get(name) for name in columns})
            if len(some) == _AT_ONCE:
                writer.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))
                written, some = written + len(some), []
        writer.write_batch(pa.RecordBatch.from_pylist(some, schema=schema))
    return written + len(some)


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    """A new file that only its owner reads; away with it when it is not whole."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Invalid(f"{path.name} is there already; name another file") from None
    except OSError as err:
        raise Invalid(f"{path.name} cannot be written here ({err.strerror})") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _read_csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _decoded(path) as file:
        reader = csv.DictReader(file, restkey="", delimiter=_delimiter(file))
        for row in reader:
            if "" in row or None in row.values():
                raise Invalid(f"line {reader.line_num} has not as many columns as the first line")
            yield reader.line_num, row


def _decoded(path: Path) -> IO[str]:
    """UTF-8 with or without its mark, or else GB18030."""
    try:
        path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        return path.open(encoding="gb18030", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _delimiter(file: IO[str]) -> str:
    """What stands between the columns: a department's files come back as it writes them."""
    first = file.readline()
    file.seek(0)
    return max(",;|\t", key=first.count)


def _read_parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    yield from enumerate(pq.read_table(path).to_pylist(), 1)


def _read_json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = None
        if not isinstance(row, dict):
            raise Invalid(f"line {number} is no JSON object")
        yield number, {**row, **row.pop("row", {})} if isinstance(row.get("row"), dict) else row
