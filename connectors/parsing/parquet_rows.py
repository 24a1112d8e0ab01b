"""Parquet by row groups. Every type has one text: numbers and times as ISO and Arrow write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from connectors.parsing.faults import Fault
from connectors.parsing.names import check_names
from connectors.parsing.spec import Rows, Spec

_ROWS = 65_536
_DAMAGED = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, UnicodeDecodeError)


def read(file: IO[bytes], spec: Spec) -> Rows:
    """The rows of a Parquet file. Raises `Fault`, some only while reading."""
    try:
        opened = pq.ParquetFile(pa.PythonFile(file, mode="r"))
        schema = opened.schema_arrow
    except _DAMAGED:
        raise Fault("not-parquet") from None
    check_names(schema.names, spec.columns)
    for column, field in enumerate(schema, 1):
        if not _has_text(field.type):
            raise Fault("column-type", column=column)
    return Rows(tuple(schema.names), _batches(opened))


def _batches(opened: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    try:
        for batch in opened.iter_batches(_ROWS, use_threads=False):
            columns = [as_text(column) for column in batch.columns]
            yield pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
    except _DAMAGED:
        raise Fault("not-parquet") from None


def as_text(column: pa.Array) -> pa.Array:
    """A column as text; a time of a whole second has no fraction."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    text = pc.cast(column, pa.string())
    if pa.types.is_timestamp(column.type) or pa.types.is_time(column.type):
        text = pc.replace_substring_regex(text, r"\.0+(Z?)$", r"\1")
    if pc.any(pc.match_substring(text, "\0")).as_py():
        raise Fault("nul-byte", line=pc.index(pc.match_substring(text, "\0"), True).as_py() + 1)
    return text


def _has_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_any = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_boolean,
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_decimal,
        pa.types.is_temporal,
        pa.types.is_null,
    )
    return any(test(kind) for test in is_any) and not pa.types.is_interval(kind)
