"""XLSX: a sheet's cells as text, as calamine reads what Excel saved.

A formula is the value that was saved with it; one without a saved value is absent, like an empty
cell. A date cell is 2026-01-05 (in a column where some have a time, 2026-01-05 08:30:00), whatever
its format shows; a number is its digits without the format's grouping; an error is its name, such
as #N/A. Rows without any cell are passed over. Of header rows that are merged, a column's name is
the lowest that it has. Two things are refused because they have lost values: merged cells below
the header, and numbers of more than 15 digits that are not text.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import fastexcel
import pyarrow as pa
import pyarrow.compute as pc

from connectors.parsing import archives
from connectors.parsing.faults import Fault
from connectors.parsing.names import check_names
from connectors.parsing.spec import MEGABYTE, Rows, Spec
from connectors.parsing.workbook import sheet_part

_ROWS = 65_536
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST = 4096 * MEGABYTE
_KEPT = 2048  # a cell's tag and its value are never longer
_LONG = re.compile(rb"v>(?:\d{16,}|\d(?:\.\d+)?E\+(?:1[5-9]|[2-9]\d))")
_TAG = re.compile(rb"<(?:\w+:)?c\b[^>]*>")
_MERGED = re.compile(rb"mergeCell\b[^>]*?\bref=[\"'][A-Z]+(\d+):[A-Z]+(\d+)[\"']")
_MIDNIGHT = r"^(\d{4,5}-\d\d-\d\d) 00:00:00$"
_TIMED = r"^\d{4,5}-\d\d-\d\d \d\d:\d\d:\d\d"
_ERRORS = {
    "NA": "#N/A",
    "Div0": "#DIV/0!",
    "Ref": "#REF!",
    "Name": "#NAME?",
    "Value": "#VALUE!",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "GettingData": "#GETTING_DATA",
}


def read(file: IO[bytes], spec: Spec) -> Rows:
    """The rows of one sheet. Raises `Fault`."""
    if file.read(len(_OLE)) == _OLE:
        raise Fault("encrypted-workbook")
    archive, entries = archives.checked(file)
    if sum(entry.file_size for entry in entries) > _MOST:
        raise Fault("unpacks-too-far", most=_MOST // MEGABYTE)
    file.seek(0)
    last = max(spec.header)
    try:
        name, loaded = _sheet(fastexcel.read_excel(file.read()), spec.sheet)
        _check_kept(archive, sheet_part(archive, name), last_header=last)
        table, errors = loaded.to_arrow_with_errors()
    except (fastexcel.FastExcelError, zipfile.BadZipFile, KeyError, ValueError):
        raise Fault("not-xlsx") from None
    names = _header(table.slice(0, last), spec)
    check_names(names, spec.columns)
    rows = _shaped(table.slice(last), len(names))
    return Rows(tuple(names), _batches(rows, names, _error_cells(errors, len(names), last)))


def _sheet(book: fastexcel.ExcelReader, wanted: str | None) -> tuple[str, fastexcel.ExcelSheet]:
    """The sheet of a name, or the one that holds something."""
    if wanted is not None:
        if wanted not in book.sheet_names:
            raise Fault("no-sheet")
        return wanted, _loaded(book, wanted)
    sheets = ((name, _loaded(book, name)) for name in book.sheet_names)
    full = [(name, sheet) for name, sheet in sheets if sheet.width]
    if len(full) > 1:
        raise Fault("many-sheets", have=len(full))
    if not full:
        raise Fault("empty")
    return full[0]


def _loaded(book: fastexcel.ExcelReader, name: str) -> fastexcel.ExcelSheet:
    # skip_rows makes row numbers absolute: without it, empty rows at the top are passed over.
    return book.load_sheet(name, header_row=None, dtypes="string", skip_rows=0)


def _header(top: pa.RecordBatch, spec: Spec) -> list[str]:
    rows = [row for row in sorted(spec.header, reverse=True) if row <= top.num_rows]
    named = [
        next((said for row in rows if (said := _stripped(column[row - 1].as_py()))), "")
        for column in top.columns
    ]
    while named and not named[-1]:
        named.pop()
    if not named:
        raise Fault("empty")
    return named


def _stripped(said: str | None) -> str:
    return re.sub(r"\s+", "", said or "")


def _check_kept(archive: zipfile.ZipFile, part: str, *, last_header: int) -> None:
    """Raises `Fault` for what the workbook itself has lost."""
    before = b""
    with archive.open(part) as sheet:
        while chunk := sheet.read(MEGABYTE):
            seen = before + chunk
            for found in _LONG.finditer(seen):
                if (row := _row_of_number(seen[: found.start()])) > last_header:
                    raise Fault("long-number", line=row)
            for merged in _MERGED.finditer(seen):
                if int(merged[2]) > last_header:
                    raise Fault("merged-cells", line=max(int(merged[1]), last_header + 1))
            before = seen[-_KEPT:]


def _row_of_number(before: bytes) -> int:
    """The row of the cell that begins last, 0 when its value is a text."""
    tags = _TAG.findall(before[-_KEPT:])
    tag = tags[-1] if tags else b""
    if re.search(rb"\bt=[\"'](?:str|inlineStr|s|d|e)[\"']", tag):
        return 0
    row = re.search(rb"\br=[\"'][A-Z]+(\d+)[\"']", tag)
    return int(row[1]) if row else 0


def _shaped(table: pa.RecordBatch, width: int) -> pa.RecordBatch:
    """As many columns as have a name; a cell beyond them is a shifted row."""
    for column in table.columns[width:]:
        if column.null_count < len(column):
            raise Fault("nameless-column", column=width + 1)
    columns = [*table.columns[:width]]
    while len(columns) < width:
        columns.append(pa.nulls(table.num_rows, pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=[str(at) for at in range(width)])


def _batches(
    table: pa.RecordBatch, names: list[str], errors: dict[int, dict[int, str]]
) -> Iterator[pa.RecordBatch]:
    columns = [_dates(_absent(column.cast(pa.string()))) for column in table.columns]
    for at, cells in errors.items():
        columns[at] = _put(columns[at], cells)
    batch = pa.RecordBatch.from_arrays(columns, names=names)
    present = pc.invert(pc.is_null(columns[0]))
    for column in columns[1:]:
        present = pc.or_(present, pc.is_valid(column))
    batch = batch.filter(present)
    for start in range(0, batch.num_rows, _ROWS):
        yield batch.slice(start, _ROWS)


def _absent(column: pa.Array) -> pa.Array:
    """A text without a letter looks like an empty cell, and is one."""
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _dates(column: pa.Array) -> pa.Array:
    """Dates without a time, where every time of the column is midnight."""
    midnights = pc.sum(pc.match_substring_regex(column, _MIDNIGHT)).as_py()
    if not midnights or midnights < pc.sum(pc.match_substring_regex(column, _TIMED)).as_py():
        return column
    return pc.replace_substring_regex(column, _MIDNIGHT, r"\1")


def _error_cells(errors: Any, width: int, last_header: int) -> dict[int, dict[int, str]]:
    """Column → row → the error's name; fastexcel makes an error cell an absent one."""
    cells: dict[int, dict[int, str]] = {}
    for error in errors.errors if errors else ():
        row, column = error.offset_position
        kind = re.search(r"Error\((\w+)\)", error.detail)
        if column < width and row >= last_header:
            cells.setdefault(column, {})[row - last_header] = _ERRORS.get(
                kind[1] if kind else "", "#ERROR"
            )
    return cells


def _put(column: pa.Array, cells: dict[int, str]) -> pa.Array:
    said = column.to_pylist()
    for row, error in cells.items():
        if row < len(said):
            said[row] = error
    return pa.array(said, pa.string())
