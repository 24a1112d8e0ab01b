"""From a file and its spec to rows: the one place that knows every form."""

from __future__ import annotations

import importlib
from typing import IO

from connectors.parsing import archives
from connectors.parsing.spec import Rows, Spec

STREAMED = {"csv": "connectors.parsing.csv_rows", "jsonl": "connectors.parsing.jsonl_rows"}
REACHED = {"xlsx": "connectors.parsing.xlsx_rows", "parquet": "connectors.parsing.parquet_rows"}


def rows(file: IO[bytes], spec: Spec) -> Rows:
    """The rows of a file. Raises `Fault`, some only while the rows are read."""
    if spec.form in STREAMED:
        streamed = importlib.import_module(STREAMED[spec.form])
        found: Rows = streamed.read(lambda: archives.unpacked(file, spec), spec)
        return found
    reached = importlib.import_module(REACHED[spec.form])
    found = reached.read(archives.in_reach(file, spec), spec)
    return found
