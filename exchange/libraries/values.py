"""From the text a source sent to the value a contract asks for, as polars expressions.

Each source text stands in a column `text:<field>`; `value` makes the field's column from it and
`faults` says what may be wrong with it. Nothing here looks at one row at a time, and nothing is
guessed: a text that does not say what it must becomes null and a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from decimal import Decimal

import polars as pl

from connectors.feeds import OPERATION, SEQUENCE, Manifest
from schemas import identifier_columns
from schemas.codes import code_list
from schemas.contract import Field

TEXT = "text:"
UNIT = "unit:"
FAILED = "failed:"
ROW = "row_number"

# Sources that write no offset mean the clock on their wall.
WALL_CLOCK = "Asia/Shanghai"

MOMENT = pl.Datetime("us", "UTC")
_SECONDS_END = len("2026-11-22 08:00:00")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>[0-9]{2})(:?(?P<minutes>[0-9]{2}))?")
_FEW_OFFSETS = 16  # that are read once for all rows of a chunk; further ones row by row

_WIDE = pl.Decimal(38, 8)  # before a unit's factor is applied
_BOOLEANS: Mapping[str, bool] = {
    **dict.fromkeys(("true", "t", "1", "Y", "是"), True),
    **dict.fromkeys(("false", "f", "0", "N", "否"), False),
}
_FAULT_OF_TYPE = {
    "date": "not-a-date",
    "timestamp": "not-a-time",
    "decimal": "not-a-number",
    "integer": "not-a-number",
    "boolean": "not-a-boolean",
}


def numbered(field: Field) -> bool:
    """Say whether the field holds a national identifier."""
    return field.identifier is not None or field.identifier_by is not None


def with_texts(rows: pl.DataFrame, fields: Iterable[Field], manifest: Manifest) -> pl.DataFrame:
    """Each field's source text, beside row number and operation; null where nothing feeds it."""
    column_of = {field: column for column, field in manifest.columns.items()}
    texts = [
        _sent(rows, column_of.get(field.name), numbered(field)).alias(TEXT + field.name)
        for field in fields
    ]
    units = [_sent(rows, unit.column).alias(UNIT + f) for f, unit in manifest.units.items()]
    changes = (
        [pl.col(OPERATION), pl.col(SEQUENCE)]
        if OPERATION in rows.columns
        else [pl.lit("I").alias(OPERATION), pl.lit(0, pl.Int64).alias(SEQUENCE)]
    )
    return rows.select(pl.col(ROW), *texts, *units, *changes)


def _sent(rows: pl.DataFrame, name: str | None, number: bool = False) -> pl.Expr:
    if name is None or name not in rows.columns:
        return pl.lit(None, pl.String)
    return untouched(name) if number else trimmed(name)


def text(field: Field) -> pl.Expr:
    """What the source sent for `field`; nothing is null."""
    return pl.col(TEXT + field.name)


def trimmed(column: str) -> pl.Expr:
    """A source column without blanks around it."""
    return pl.col(column).cast(pl.String).str.strip_chars().replace("", None)


def untouched(column: str) -> pl.Expr:
    """A source column of numbers, whose blanks are mended and counted with the rest."""
    sent = pl.col(column).cast(pl.String)
    return pl.when(sent.str.strip_chars() != "").then(sent)


def value(field: Field, manifest: Manifest) -> pl.Expr:
    """The field's value; null where the source sent nothing or something wrong."""
    if field.identifier or field.identifier_by:
        return _by_kind(field, identifier_columns.normalised, TEXT + field.name, text(field))
    return _typed(field, manifest, _translated(field, manifest))


def faults(field: Field, manifest: Manifest) -> Iterator[tuple[str, pl.Expr]]:
    """What may be wrong with the field, each named and true for the rows that have it."""
    sent, came = text(field).is_not_null(), pl.col(field.name).is_not_null()
    if field.required:
        yield "required", ~sent
    if field.name in manifest.crosswalk or field.code_list:
        yield "unknown-code", sent & ~_known(field, manifest)
    if field.name in manifest.units:
        yield "unknown-unit", sent & _factor(field, manifest).is_null()
    if field.type in _FAULT_OF_TYPE:
        yield _FAULT_OF_TYPE[field.type], _unreadable(field, manifest)
    if field.minimum is not None:
        yield "range", came & (pl.col(field.name) < field.minimum)
    if field.type == "string" and not (field.identifier or field.identifier_by):
        yield from _lengths(field)


def _unreadable(field: Field, manifest: Manifest) -> pl.Expr:
    """There is a text, and no value came of it; a unit that is missing is another fault."""
    said, read = _translated(field, manifest), pl.col(field.name)
    if field.name in manifest.units:
        read = _typed(field, manifest, said, unit=False)
    return said.is_not_null() & read.is_null()


def _lengths(field: Field) -> Iterator[tuple[str, pl.Expr]]:
    length = pl.col(field.name).str.len_chars()
    if field.max_length is not None:
        yield "too-long", length > field.max_length
    if field.min_length is not None:
        yield "too-short", length < field.min_length


def _translated(field: Field, manifest: Manifest) -> pl.Expr:
    """The text in our codes, where the source speaks its own."""
    table = manifest.crosswalk.get(field.name)
    if table is None:
        return text(field)
    return text(field).replace_strict(dict(table), default=None, return_dtype=pl.String)


def _known(field: Field, manifest: Manifest) -> pl.Expr:
    ours = _translated(field, manifest)
    if field.code_list is None:
        return ours.is_not_null()
    return ours.is_in(list(code_list(field.code_list).values)).fill_null(False)


def _typed(field: Field, manifest: Manifest, said: pl.Expr, *, unit: bool = True) -> pl.Expr:
    match field.type:
        case "date":
            return _date(said)
        case "timestamp":
            return _time(said)
        case "boolean":
            return said.replace_strict(dict(_BOOLEANS), default=None, return_dtype=pl.Boolean)
        case "integer":
            return said.cast(pl.Int64, strict=False)
        case "decimal":
            exact = said.cast(_WIDE, strict=False)
            if unit and field.name in manifest.units:
                exact = exact * _factor(field, manifest)
            return exact.cast(pl.Decimal(field.precision, field.scale or 0), strict=False)
    return said


def _date(said: pl.Expr) -> pl.Expr:
    return said.map_batches(_dates, return_dtype=pl.Date, is_elementwise=True)


def _time(said: pl.Expr) -> pl.Expr:
    """ISO 8601, as PostgreSQL writes it too (`+00` for an offset)."""
    return said.map_batches(_moments, return_dtype=MOMENT, is_elementwise=True)


def _dates(said: pl.Series) -> pl.Series:
    dashed = said.str.to_date("%Y-%m-%d", strict=False)
    return _filled(dashed, said, lambda rest: rest.str.to_date("%Y%m%d", strict=False))


def _moments(said: pl.Series) -> pl.Series:
    """Most sources write seconds in one width, and an offset that is one of very few."""
    ends = said.str.slice(_SECONDS_END)
    offsets = {end: _since_utc(end) for end in ends.drop_nulls().unique().head(_FEW_OFFSETS)}
    seconds = (
        said.str.head(_SECONDS_END)
        .str.replace("T", " ", literal=True)
        .str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    )
    since = ends.replace_strict(
        list(offsets), list(offsets.values()), default=None, return_dtype=pl.Duration("us")
    )
    return _filled((seconds - since).dt.replace_time_zone("UTC"), said, _any_moments)


def _since_utc(end: str) -> timedelta | None:
    """How far ahead of UTC a clock is whose times end like this; None to look more closely."""
    found = _OFFSET.fullmatch(end)
    if found is None:
        return None
    hours, minutes = int(found["hours"]), int(found["minutes"] or 0)
    if hours > 23 or minutes > 59:
        return None
    ahead = timedelta(hours=hours, minutes=minutes)
    return -ahead if found["sign"] == "-" else ahead


def _any_moments(said: pl.Series) -> pl.Series:
    """Fractions of a second, odd widths, and no offset at all."""
    plain = said.str.replace("T", " ", literal=True).str.replace("Z", "+00:00", literal=True)
    shape = "%Y-%m-%d %H:%M:%S%.f"
    absolute = plain.str.to_datetime(f"{shape}%#z", strict=False, time_unit="us")
    return _filled(absolute, plain, lambda rest: _on_the_wall(rest, shape))


def _on_the_wall(said: pl.Series, shape: str) -> pl.Series:
    wall = said.str.to_datetime(shape, strict=False, time_unit="us")
    local = wall.dt.replace_time_zone(WALL_CLOCK, ambiguous="earliest", non_existent="null")
    return local.dt.convert_time_zone("UTC")


def _filled(
    read: pl.Series, said: pl.Series, otherwise: Callable[[pl.Series], pl.Series]
) -> pl.Series:
    """What was read; where nothing was though something is said, what another way reads."""
    rest = (read.is_null() & said.is_not_null()).arg_true()
    return read.scatter(rest, otherwise(said.gather(rest))) if len(rest) else read


def _factor(field: Field, manifest: Manifest) -> pl.Expr:
    factors: dict[str, Decimal] = dict(manifest.units[field.name].factors)
    return pl.col(UNIT + field.name).replace_strict(factors, default=None, return_dtype=_WIDE)


def failed(field: Field) -> pl.Expr:
    """The first check that the field's value, an identifier, fails; null where it fails none."""
    return _by_kind(field, identifier_columns.failed_check, field.name, pl.lit(None, pl.String))


def _by_kind(
    field: Field, ask: Callable[[str, str], pl.Expr], column: str, otherwise: pl.Expr
) -> pl.Expr:
    """The answer for the kind of number that the field, or the column beside it, says it is."""
    if field.identifier:
        return ask(field.identifier, column)
    assert field.identifier_by is not None
    chosen = otherwise
    for code, kind in field.identifier_by.kinds.items():
        is_kind = pl.col(field.identifier_by.column) == code
        chosen = pl.when(is_kind).then(ask(kind, column)).otherwise(chosen)
    return chosen
