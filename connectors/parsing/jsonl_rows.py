"""JSON lines by the stream: pyarrow reads blocks, Python whatever is not text or whole numbers.

A number keeps the digits that it was written with, `true` is the text true, an object or a list is
its JSON, `null` and a missing key are absent. The columns are the agreed ones and those that the
first megabyte brings: a key that shows up later stops the file, for nothing may be lost silently.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, NoReturn

import pyarrow as pa
import pyarrow.compute  # now: a cast would load it when no file can be opened any more
import pyarrow.json

from connectors.parsing.faults import Fault
from connectors.parsing.names import check_names
from connectors.parsing.spec import MEGABYTE, Rows, Spec
from connectors.parsing.text import Text

BEGINNING = MEGABYTE
BLOCK = 8 * MEGABYTE
_LONGEST_LINE = 64 * MEGABYTE
_MINUS_ZERO = re.compile(rb":\s*-0[^.0-9]")

Numbered = tuple[int, dict[str, Any]]


def read(opened: Callable[[], IO[bytes]], spec: Spec) -> Rows:
    """The rows of a file of JSON objects, one a line. Raises `Fault`, some only while reading."""
    text = Text(opened(), spec.encoding, decode=True)
    blocks = _blocks(text)
    _, first = next(blocks, (1, b""))
    if not first.strip():
        raise Fault("empty")
    rows = list(_objects(first, 1))
    names = tuple(_said(key, line) or "" for line, row in rows for key in row)
    names = tuple(dict.fromkeys((*spec.columns, *names)))
    check_names(names, ())
    return Rows(names, _batches(blocks, rows, names, text, spec))


def _batches(
    blocks: Iterator[tuple[int, bytes]],
    first: Sequence[Numbered],
    names: Sequence[str],
    text: Text,
    spec: Spec,
) -> Iterator[pa.RecordBatch]:
    yield _by_hand(first, names)
    kinds = pa.schema([(name, _kind([row.get(name) for _, row in first])) for name in names])
    for line, block in blocks:
        yield _batch(block, line, kinds)
    if not text.ended and not spec.open_end:
        raise Fault("torn-end", line=text.lines + 1)


def _blocks(text: Text) -> Iterator[tuple[int, bytes]]:
    """Whole lines, some megabytes of them, and the number of the first one."""
    line, rest = 1, b""
    while part := text.read(BEGINNING if line == 1 else BLOCK):
        whole, found, after = part.rpartition(b"\n")
        if not found:
            rest += part
        else:
            block = rest + whole + found
            yield line, block
            line, rest = line + block.count(b"\n"), after
        if len(rest) > _LONGEST_LINE:
            raise Fault("line-too-long", line=line)
    if rest:
        yield line, rest


def _batch(block: bytes, line: int, kinds: pa.Schema) -> pa.RecordBatch:
    # pyarrow would put several objects on a line into several rows, and -0 is 0 to it.
    rows = sum(1 for said in block.split(b"\n") if said.strip())
    if b"\\u0000" not in block and not _MINUS_ZERO.search(block):
        batch = _quickly(block, kinds)
        if batch is not None and batch.num_rows == rows:
            return batch
    return _by_hand(_objects(block, line), kinds.names)


def _quickly(block: bytes, kinds: pa.Schema) -> pa.RecordBatch | None:
    try:
        table = pyarrow.json.read_json(
            io.BytesIO(block),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            pyarrow.json.ParseOptions(kinds, unexpected_field_behavior="error"),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # by hand it is read, or the line told
        return None
    texts = table.select(kinds.names).cast(pa.schema([(name, pa.string()) for name in kinds.names]))
    return next(iter(texts.combine_chunks().to_batches()), None)


def _kind(values: Iterable[object]) -> pa.DataType:
    """What pyarrow may read a column as without changing its text."""
    seen = [value for value in values if value is not None]
    if seen and all(isinstance(value, _Integer) for value in seen):
        return pa.int64()
    if seen and all(isinstance(value, bool) for value in seen):
        return pa.bool_()
    return pa.string()


def _by_hand(rows: Iterable[Numbered], names: Sequence[str]) -> pa.RecordBatch:
    columns: dict[str, list[str | None]] = {name: [] for name in names}
    for line, row in rows:
        if not row.keys() <= columns.keys():
            raise Fault("new-key", line=line)
        for name, cells in columns.items():
            cells.append(_said(row.get(name), line))
    arrays = [pa.array(cells, pa.string()) for cells in columns.values()]
    return pa.RecordBatch.from_arrays(arrays, names=list(names))


def _objects(block: bytes, line: int) -> Iterator[Numbered]:
    for number, said in enumerate(block.split(b"\n"), line):
        if said.strip():
            yield number, _object(said, number)


def _object(said: bytes, line: int) -> dict[str, Any]:
    try:
        row = json.loads(
            said,
            parse_int=_Integer,
            parse_float=_Number,
            parse_constant=_refused,
            object_pairs_hook=_once,
        )
    except KeyError:
        raise Fault("key-twice", line=line) from None
    except (ValueError, RecursionError):
        raise Fault("not-json", line=line) from None
    if not isinstance(row, dict):
        raise Fault("not-an-object", line=line)
    return row


class _Number(str):
    """A number as it was written."""


class _Integer(_Number):
    """One without a fraction."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        raise KeyError
    return row


def _refused(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


def _said(value: Any, line: int) -> str | None:
    if value is None or isinstance(value, _Number):
        return value
    text = value if isinstance(value, str) else _json(value)
    if "\0" in text:
        raise Fault("nul-byte", line=line)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Fault("bad-text", line=line) from None
    return text


def _json(value: Any) -> str:
    """JSON again, its numbers as they were."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case _Number():
            return str(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return "[" + ",".join(map(_json, value)) + "]"
        case _:
            pairs = (
                f"{json.dumps(key, ensure_ascii=False)}:{_json(of)}" for key, of in value.items()
            )
            return "{" + ",".join(pairs) + "}"
