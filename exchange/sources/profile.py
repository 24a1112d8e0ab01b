"""What a sample says of each column: how its texts can be read, how long and how various they are.

Texts are read as the loader will read them (`exchange.libraries.values`), so a type that is found
here is one that loads. A few wrong rows do not change what a column is: those are what quarantine
is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl
import pyarrow as pa

from connectors.feeds.sql_table import SOURCE_TYPE
from exchange.libraries.values import TEXT, trimmed, value
from exchange.sources.asking import looking
from schemas.contract import Field, FieldType
from schemas.identifier_columns import valid
from schemas.identifiers import KINDS

MOSTLY = 0.9
"""The share of values that must be of a type or a kind; the rest is wrong, not different."""
FEW = 40
"""Columns with at most so many different values may hold codes."""
TIDY = 0.05  # a kind of number that is rarer than that in a column is there by accident

# A code that looks like a number is none: 0571, a telephone number, a code of six digits.
CODE_NAME = re.compile(
    r"号|码|编号|证|电话|手机|(?:^|_)(?:id|no|code|tel|phone|mobile|zip)$|(?:BH|DM|BM|HM|DH|ID|NO)$",
    re.IGNORECASE,
)
_INTEGER = r"^-?(?:0|[1-9]\d{0,17})$"
_DECIMAL = r"^-?(?:0|[1-9]\d{0,17})(?:\.\d{1,8})?$"
_WORDS = ("true", "false", "t", "f", "Y", "N", "是", "否")
_OTHER_DATE = r"^\d{4}(?:/\d{1,2}/\d{1,2}|\.\d{1,2}\.\d{1,2}|年\d{1,2}月\d{1,2}日)"
_DECLARED: tuple[tuple[str, FieldType], ...] = (
    (r"bool.*", "boolean"),
    (r"date", "date"),
    (r"(timestamp|datetime).*", "timestamp"),
    (r"(big|small|tiny|medium)?int(eger)?\d*(\(\d+\))?|number\(\d+,0\)", "integer"),
    (r"(numeric|decimal|number).*|real|float.*|double.*|money", "decimal"),
)
_NOWHERE = looking("none", "nobody", {"kind": "sql_snapshot", "connection": "X", "table": "x"})


@dataclass(frozen=True)
class Column:
    """One column of a sample. `values` are its few different values, for code lists alone."""

    name: str
    declared: str
    rows: int
    filled: int
    distinct: int
    shortest: int
    longest: int
    type: FieldType
    readable: int
    precision: int = 18
    scale: int = 2
    kinds: Mapping[str, int] = field(default_factory=dict)
    other_dates: bool = False
    values: Mapping[str, int] = field(default_factory=dict, repr=False)

    @property
    def identifier(self) -> str | None:
        """The kind of number that nearly all values are."""
        best = max(self.kinds, key=lambda kind: self.kinds[kind], default=None)
        return best if best and self.kinds[best] >= MOSTLY * self.filled else None

    @property
    def mixed(self) -> tuple[str, ...]:
        """The kinds of number that its values are, where they are of several."""
        together = sum(self.kinds.values()) >= MOSTLY * self.filled > 0
        return tuple(sorted(self.kinds)) if together and not self.identifier else ()

    @property
    def wrong(self) -> int:
        """Values that are not what the others are."""
        return self.filled - (self.kinds[self.identifier] if self.identifier else self.readable)

    @property
    def full(self) -> bool:
        """Whether every row says something."""
        return self.rows > 0 and self.filled == self.rows


@dataclass(frozen=True)
class Sample:
    """The first rows of a source, with what was found of each column."""

    rows: pa.Table = field(repr=False)
    frame: pl.DataFrame = field(repr=False)
    columns: tuple[Column, ...]
    whole: bool
    """Whether these are all the rows that there are."""

    def column(self, name: str) -> Column:
        """The column of that name, which must be there."""
        return next(each for each in self.columns if each.name == name)

    def distinct(self, *names: str) -> int:
        """How many different combinations those columns hold, of rows that fill them all."""
        full = self.frame.select(names).drop_nulls()
        return full.n_unique() if not full.is_empty() else 0


def profiled(rows: pa.Table, limit: int) -> Sample:
    """Look at every column."""
    frame = pl.DataFrame(pl.from_arrow(rows)).select(
        trimmed(name).alias(name) for name in rows.schema.names
    )
    columns = tuple(_column(frame[each.name], _declared(each)) for each in rows.schema)
    return Sample(rows, frame, columns, rows.num_rows < limit)


def _declared(column: pa.Field) -> str:
    said: bytes = (column.metadata or {}).get(SOURCE_TYPE, b"")
    return said.decode()


def _column(cells: pl.Series, declared: str) -> Column:
    texts = cells.drop_nulls()
    lengths = texts.str.len_chars()
    kind = _type(cells.name, texts, declared)
    kinds = {} if kind in ("decimal", "boolean") or declared in ("date",) else _kinds(texts)
    precision, scale = _digits(texts, declared)
    distinct = texts.n_unique()
    return Column(
        name=cells.name,
        declared=declared,
        rows=len(cells),
        filled=len(texts),
        distinct=distinct,
        shortest=_number(lengths.min()),
        longest=_number(lengths.max()),
        type="string" if kinds else kind,
        readable=_readable(texts, kind, precision, scale),
        precision=precision,
        scale=scale,
        kinds=kinds,
        other_dates=_share(texts.str.contains(_OTHER_DATE)) >= MOSTLY,
        values=_counted(texts) if distinct <= FEW else {},
    )


def _type(name: str, texts: pl.Series, declared: str) -> FieldType:
    for pattern, kind in _DECLARED:
        if re.fullmatch(pattern, declared, re.IGNORECASE):
            return kind
    if _share(texts.is_in(_WORDS)) >= MOSTLY:
        return "boolean"
    if _share(read_as(texts, "date").dt.year().is_between(1850, 2200)) >= MOSTLY:
        return "date"
    if _share(read_as(texts, "timestamp").is_not_null()) >= MOSTLY:
        return "timestamp"
    if CODE_NAME.search(name) or _is_code(texts):
        return "string"
    if _share(texts.str.contains(_INTEGER)) >= MOSTLY:
        return "integer"
    return "decimal" if _share(texts.str.contains(_DECIMAL)) >= MOSTLY else "string"


def _is_code(texts: pl.Series) -> bool:
    """Digits, all equally many: numbers of things rarely are."""
    lengths = texts.str.len_bytes()
    same = lengths.n_unique() == 1 and _number(lengths.max()) >= len("330784")
    return same and bool(texts.str.contains(r"^\d+$").all())


def _kinds(texts: pl.Series) -> dict[str, int]:
    frame = texts.alias("it").to_frame()
    found = frame.select(valid(kind, "it").sum().alias(kind) for kind in KINDS).row(0, named=True)
    least = max(1, TIDY * len(texts))
    known = {kind: int(count) for kind, count in found.items() if count and count >= least}
    return known if sum(known.values()) >= MOSTLY * len(texts) else {}


def _readable(texts: pl.Series, kind: FieldType, precision: int, scale: int) -> int:
    return int(read_as(texts, kind, precision, scale).is_not_null().sum())


def read_as(texts: pl.Series, kind: FieldType, precision: int = 18, scale: int = 2) -> pl.Series:
    """Texts as the loader reads them; null where it could not."""
    wanted = Field(
        *("it", kind, "", "", "", False, "S3", "conditional"), precision=precision, scale=scale
    )
    return pl.DataFrame({TEXT + "it": texts}).select(value(wanted, _NOWHERE)).to_series()


def _digits(texts: pl.Series, declared: str) -> tuple[int, int]:
    """Room for what is there and for more before the point."""
    if said := re.search(r"\((\d+),\s*(\d+)\)", declared):
        return min(38, int(said[1])), min(8, int(said[2]))
    behind = texts.filter(texts.str.contains(_DECIMAL)).str.extract(r"\.(\d+)$").str.len_bytes()
    return 18, max(2, _number(behind.max()))


def _counted(texts: pl.Series) -> dict[str, int]:
    counts = texts.value_counts(sort=True)
    return {str(text): int(count) for text, count in counts.iter_rows()}


def _share(holds: pl.Series) -> float:
    return int(holds.fill_null(False).sum()) / len(holds) if len(holds) else 0.0


def _number(value: object) -> int:
    return int(value) if isinstance(value, int) else 0
