"""Functions as an operator would write them, for sources of kind `python`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import dlt
import polars as pl
import pyarrow as pa

from connectors.feeds.arrow_reader import Given
from schemas.errors import Unavailable

TYPED = pa.table(
    {
        "NO": pa.array([1, 2**62], pa.int64()),
        "JE": pa.array([Decimal("89.50"), Decimal("1000000.00")], pa.decimal128(12, 2)),
        "RQ": pa.array([date(2026, 1, 5), None], pa.date32()),
        "SJ": pa.array(
            [datetime(2026, 1, 5, 1, tzinfo=UTC)] * 2, pa.timestamp("us", "Asia/Shanghai")
        ),
        "YX": pa.array([True, False]),
        "LX": pa.array(["甲", "乙"]).dictionary_encode(),
    }
)
TEXTS = [
    {
        "NO": "1",
        "JE": "89.50",
        "RQ": "2026-01-05",
        "SJ": "2026-01-05T09:00:00+08:00",
        "YX": "true",
        "LX": "甲",
    },
    {
        "NO": str(2**62),
        "JE": "1000000.00",
        "RQ": None,
        "SJ": "2026-01-05T09:00:00+08:00",
        "YX": "false",
        "LX": "乙",
    },
]


def table() -> pa.Table:
    return TYPED


def reader() -> pa.RecordBatchReader:
    return TYPED.to_reader(max_chunksize=1)


def batches() -> Iterator[pa.RecordBatch]:
    yield from TYPED.to_batches(max_chunksize=1)


def frame() -> pl.DataFrame:
    found = pl.from_arrow(TYPED)
    assert isinstance(found, pl.DataFrame)
    return found


def rows() -> Iterator[dict[str, Any]]:
    yield from TYPED.to_pylist()


def lists() -> Iterator[list[dict[str, Any]]]:
    yield TYPED.to_pylist()[:1]
    yield TYPED.to_pylist()[1:]


def resource() -> Any:
    return dlt.resource(TYPED.to_pylist(), name="permits")


def arrow_resource() -> Any:
    @dlt.resource
    def permits() -> Iterator[pa.Table]:
        yield TYPED

    return permits()


def source() -> Any:
    @dlt.source
    def office() -> Any:
        return dlt.resource(TYPED.to_pylist(), name="permits")

    return office()


def wide_source() -> Any:
    @dlt.source
    def office() -> Any:
        return [dlt.resource([{"NO": 1}], name=name) for name in ("permits", "penalties")]

    return office()


def counted(count: int) -> Given:
    return Given(TYPED, rows=count)


def numbered(rows: int) -> Iterator[dict[str, str]]:
    return ({"NO": str(number)} for number in range(rows))


def since(cursor: str | None, key: str) -> Given | None:
    """Changes by number: each pull gives one more."""
    assert key == "the key"
    if cursor == "3":
        return None
    number = int(cursor or "0") + 1
    return Given(pa.table({"NO": [str(number)], "LX": ["U"]}), rows=1, cursor=str(number))


def log(cursor: str | None) -> Given:
    """A change log with its own words."""
    rows = {"NO": ["1", "2"], "BGLX": ["新增", "注销"], "BGXH": [7, 8]}
    return Given(pa.table(rows), cursor="8")


def standing(cursor: str | None) -> Given:
    return Given(TYPED, cursor=cursor)


def nested() -> pa.Table:
    return pa.table({"NO": pa.array([["1"]], pa.list_(pa.string()))})


def no_number() -> list[dict[str, float]]:
    return [{"NO": float("nan")}]


def no_number_column() -> pa.Table:
    return pa.table({"NO": [1.5, float("inf")]})


def picture() -> list[dict[str, bytes]]:
    return [{"NO": b"\x89PNG"}]


def nonsense() -> int:
    return 7


def text() -> str:
    return "rows"


def changing() -> Iterator[pa.Table]:
    yield pa.table({"NO": ["1"]})
    yield pa.table({"NO": ["2"], "XP": ["photo"]})


def broken_line() -> Iterator[dict[str, str]]:
    yield {"NO": "1"}
    raise ConnectionResetError("330784199001011234 is secret")


def broken_resource() -> Any:
    @dlt.resource
    def permits() -> Iterator[dict[str, str]]:
        yield {"NO": "1"}
        raise TimeoutError

    return permits()


def bug() -> Any:
    held: dict[str, Any] = {}
    return held["330784199001011234"]


def not_now() -> Any:
    raise Unavailable("the office is closed")
