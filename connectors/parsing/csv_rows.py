"""CSV by the stream: pyarrow reads, and a slow and strict reader finds the line where it will not.

An empty cell without quotes is absent; with quotes it is an empty text. Blank lines are passed
over. A header is required. Where a file has more lines than rows (a cell may hold line breaks), it
is read once more by the strict reader: a stray quote can hide rows in a cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv

from connectors.parsing.faults import Fault
from connectors.parsing.names import check_names
from connectors.parsing.spec import MEGABYTE, Rows, Spec
from connectors.parsing.text import Text

BLOCK = 2 * MEGABYTE  # pyarrow reads up to 32 of them ahead
_LONGEST_CELL = MEGABYTE
_REST = "\0rest"  # the column behind a delimiter at the end of every line

if TYPE_CHECKING:
    import _csv

Opener = Callable[[], IO[bytes]]


def read(opened: Opener, spec: Spec) -> Rows:
    """The rows of a CSV. Raises `Fault`, some of them only while the rows are read."""
    text = Text(opened(), spec.encoding)
    names = _header(text, spec)
    trailing = len(names) > 1 and not names[-1]
    check_names(names[:-1] if trailing else names, spec.columns)
    if trailing:
        names = [*names[:-1], _REST]
    batches = _checked(text, opened, spec, names)
    return Rows(tuple(names[:-1] if trailing else names), batches)


def diagnosed(opened: Opener, spec: Spec, width: int) -> None:
    """Read strictly and slowly. Raises `Fault` with the line of the first thing that is wrong."""
    csv.field_size_limit(_LONGEST_CELL)
    text = io.BufferedReader(Text(opened(), spec.encoding, decode=True), MEGABYTE)
    lines = io.TextIOWrapper(text, "utf-8", newline="")
    for _ in range(spec.skip):
        lines.readline()
    reader = _strict(lines, spec)
    while True:
        line = spec.skip + reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error:
            raise Fault("bad-quoting", line=line) from None
        if row is None:
            return
        if row and len(row) != width:
            raise Fault("wrong-fields", line=line, have=len(row), want=width)


def _header(text: Text, spec: Spec) -> list[str]:
    first = text.first()
    if not first.strip():
        raise Fault("empty")
    try:
        beginning = first.decode("utf-8", "strict" if len(first) < MEGABYTE else "ignore")
    except UnicodeDecodeError as err:
        raise Fault("wrong-encoding", line=first.count(b"\n", 0, err.start) + 1) from None
    taken: list[str] = []
    lines = io.StringIO(beginning, newline="")
    for _ in range(spec.skip):
        taken.append(lines.readline())
    try:
        names = next(_strict(_noted(lines, taken), spec), [])
    except csv.Error:
        raise Fault("bad-quoting", line=spec.skip + 1) from None
    if not taken[-1:] or (len(first) >= MEGABYTE and not taken[-1].endswith(("\n", "\r"))):
        raise Fault("header-too-long")
    text.pass_over(sum(len(line.encode()) for line in taken))
    return [name.strip() for name in names]


def _noted(lines: io.StringIO, taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _checked(text: Text, opened: Opener, spec: Spec, names: list[str]) -> Iterator[pa.RecordBatch]:
    count = 0
    try:
        for batch in _batches(text, spec, names):
            count += batch.num_rows
            yield batch
    except (pa.ArrowInvalid, UnicodeDecodeError):  # their texts repeat the row
        if text.fault:
            raise text.fault from None
        diagnosed(opened, spec, len(names))
        raise Fault("not-csv") from None
    lines = (text.lines or text.returns) + (not text.ended)
    if lines != spec.skip + 1 + count:
        diagnosed(opened, spec, len(names))
    if not text.ended and not spec.open_end:
        raise Fault("torn-end", line=lines)


def _batches(text: Text, spec: Spec, names: list[str]) -> Iterator[pa.RecordBatch]:
    if not text.first().strip(b"\r\n"):
        return
    reader = pyarrow.csv.open_csv(
        pa.PythonFile(text, mode="r"),
        pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names),
        pyarrow.csv.ParseOptions(
            delimiter=spec.delimiter,
            quote_char=spec.quote or False,
            escape_char=spec.escape or False,
            newlines_in_values=spec.quote is not None,
        ),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    for batch in reader:
        yield _without_rest(batch) if names[-1] == _REST else batch


def _without_rest(batch: pa.RecordBatch) -> pa.RecordBatch:
    if batch.column(_REST).null_count < batch.num_rows:
        raise Fault("nameless-column", column=batch.num_columns)
    return batch.drop_columns([_REST])


def _strict(lines: Iterable[str], spec: Spec) -> _csv.Reader:
    return csv.reader(
        lines,
        strict=True,
        delimiter=spec.delimiter,
        quotechar=spec.quote,
        escapechar=spec.escape,
        quoting=csv.QUOTE_MINIMAL if spec.quote else csv.QUOTE_NONE,
    )
