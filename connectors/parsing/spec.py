"""What a child is told of a file: its form, how it is packed, and what it owes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["csv", "xlsx", "jsonl", "parquet"]
Packing = Literal["plain", "gz", "zip"]

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Spec:
    """How one delivered file is to be read.

    `columns` are those that it owes: a file that has none of them has no header. `header` are the
    rows of an XLSX that name its columns, from 1. `open_end` allows a CSV's last line to have no
    line end, which is all that tells a file from half of it when no control file vouches for it.
    """

    form: Form
    packing: Packing = "plain"
    encoding: str = "utf-8"
    columns: tuple[str, ...] = ()
    delimiter: str = ","
    quote: str | None = '"'
    escape: str | None = None
    skip: int = 0
    open_end: bool = True
    sheet: str | None = None
    header: tuple[int, ...] = (1,)
    member: str | None = None

    def to_json(self) -> str:
        """For the child's command line: nothing in it is secret."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, told: str) -> Spec:
        """What `to_json` wrote."""
        said = json.loads(told)
        return cls(**{**said, "columns": tuple(said["columns"]), "header": tuple(said["header"])})


@dataclass(frozen=True)
class Rows:
    """The names of a file's columns and, read while they are asked for, its rows as text."""

    names: tuple[str, ...]
    batches: Iterator[pa.RecordBatch]
