"""The digest of a row and the order-free checksum of rows, our side of what a source states.

Two multisets of rows that differ in one cell differ in one bucket, which is then all that has to be
looked through. It finds slips and losses; it is no defence against somebody who forges on purpose.

A row's digest is the MD5 that `source.Totals` describes, kept as two numbers: its first and its
last eight bytes, each read little-endian, as DuckDB computes them over whole columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa

BUCKETS = 256
HEAD = "_digest_head"
TAIL = "_digest_tail"
_BETWEEN = 0x1F
_ABSENT = 0x1E
_HALF = 2**64 - 1

Buckets = tuple[tuple[int, int], ...]


class Digester:
    """Computes digests on one thread of its own, without Python's lock; close it afterwards."""

    def __init__(self, columns: Sequence[str]) -> None:
        import duckdb  # here, so that whoever only reads manifests loads no database

        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": "256MB"})
        cells = ", ".join(f"coalesce({_quoted(column)}, chr({_ABSENT}))" for column in columns)
        digest = f"md5_number(concat_ws(chr({_BETWEEN}), {cells}))"
        self._halves = (
            f"(digest & {_HALF}::uhugeint)::ubigint AS {HEAD}, (digest >> 64)::ubigint AS {TAIL}"
        )
        self._digest = f"{digest} AS digest"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        self._connection.close()

    def digests(self, rows: pa.RecordBatch) -> pl.DataFrame:
        """The two halves of each row's digest, in the order of the rows."""
        import pyarrow as pa

        table = pa.Table.from_batches([rows])
        halves = self._connection.from_arrow(table).project(self._digest).project(self._halves)
        frame = pl.from_arrow(halves.to_arrow_table())
        assert isinstance(frame, pl.DataFrame)
        return frame


class Sums:
    """(count, sum) of the rows of each bucket, added up as digests come."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._totals: Counter[int] = Counter()

    def add(self, digests: pl.DataFrame) -> None:
        """Count these rows too."""
        head = pl.col(HEAD)
        # Byte by byte, because seven bytes of many rows together do not fit into a number.
        worth = [((head // 256**place) % 256).sum().alias(str(place)) for place in range(1, 8)]
        for bucket, count, *sums in (
            digests.group_by((head % 256).alias("bucket")).agg(pl.len(), *worth).iter_rows()
        ):
            self._counts[bucket] += count
            self._totals[bucket] += sum(
                each * 256 ** (7 - place) for place, each in enumerate(sums, 1)
            )

    def buckets(self) -> Buckets:
        """What was counted until now."""
        return tuple((self._counts[bucket], self._totals[bucket]) for bucket in range(BUCKETS))


def buckets(batches: Sequence[pa.RecordBatch], columns: Sequence[str]) -> Buckets:
    """(count, sum) of the rows of each bucket, over `columns` (text or null) in that order."""
    sums = Sums()
    with Digester(columns) as digester:
        for batch in batches:
            sums.add(digester.digests(batch))
    return sums.buckets()


def digest_bytes(digests: pl.DataFrame) -> list[bytes]:
    """The digests as the sixteen bytes of MD5."""
    return [
        head.to_bytes(8, "little") + tail.to_bytes(8, "little")
        for head, tail in digests.select(HEAD, TAIL).iter_rows()
    ]


def digest_halves(digests: Sequence[bytes]) -> pl.DataFrame:
    """The digests as the two halves that landed rows carry."""
    halves = [
        (int.from_bytes(each[:8], "little"), int.from_bytes(each[8:], "little")) for each in digests
    ]
    return pl.DataFrame(halves, schema={HEAD: pl.UInt64, TAIL: pl.UInt64}, orient="row")


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'
