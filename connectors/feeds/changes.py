"""The two columns that a changes window adds: what happened to a row, and in which order."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from connectors.feeds.manifest import Manifest
from connectors.feeds.source import OPERATION, SEQUENCE


def marked(
    manifest: Manifest,
    rows: pa.RecordBatch,
    operation: pa.Array,
    sequence: pa.Array,
    meanings: Mapping[str, str],
) -> pa.RecordBatch:
    """`rows` with `_op` and `_seq`. Raises `PermanentFailure` when an operation is not known."""
    spoken = pl.from_arrow(operation)
    assert isinstance(spoken, pl.Series)
    known = spoken.replace_strict(meanings, default=None, return_dtype=pl.String)
    if known.null_count():
        raise manifest.wrong(f"{known.null_count()} changes name an operation that we do not know")
    return pa.RecordBatch.from_arrays(
        [*rows.columns, known.to_arrow().cast(pa.string()), sequence.cast(pa.int64())],
        names=[*rows.schema.names, OPERATION, SEQUENCE],
    )
