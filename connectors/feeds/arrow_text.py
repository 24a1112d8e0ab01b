"""Values of any plain type as the text that says exactly the same, column by column.

Nothing is rounded and nothing guessed: what has no one text (bytes, lists, NaN) is refused. Moments
become ISO 8601 with their own offset, decimals keep their digits, booleans are true and false.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc


class NoText(ValueError):
    """These values have no one text; the message names their type, never a value."""


def text_array(values: pa.Array) -> pa.Array:
    """`values` as an array of text. Raises `NoText`."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return text_array(values.dictionary).take(values.indices)
    for holds, turned in _TURNS:
        if holds(kind):
            return turned(values)
    raise NoText(f"holds {kind}")


def text_value(value: object) -> str | None:
    """One value as text. Raises `NoText`."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if math.isfinite(value):
            return repr(value)
        case Decimal() if value.is_finite():
            return format(value, "f")
        case datetime() | date() | time():
            return value.isoformat()
    raise NoText(f"holds {type(value).__name__}")


def _plain(values: pa.Array) -> pa.Array:
    return values.cast(pa.string())


def _float(values: pa.Array) -> pa.Array:
    if pc.any(pc.invert(pc.is_finite(values))).as_py():
        raise NoText("holds NaN or Infinity")
    return pa.array(
        [None if cell is None else repr(cell) for cell in values.to_pylist()], pa.string()
    )


def _decimal(values: pa.Array) -> pa.Array:
    cells = values.to_pylist()
    return pa.array([None if cell is None else format(cell, "f") for cell in cells], pa.string())


def _moment(values: pa.Array) -> pa.Array:
    """ISO 8601; fractions of a second only where the column has any."""
    zone = values.type.tz
    with suppress(pa.ArrowInvalid):
        values = values.cast(pa.timestamp("s", zone))
    said = pc.strftime(values, "%Y-%m-%dT%H:%M:%S" + ("%z" if zone else ""))
    return pc.replace_substring_regex(said, r"([+-]\d{2})(\d{2})$", r"\1:\2") if zone else said


_TURNS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.Array]], ...] = (
    (pa.types.is_string, lambda values: values),
    (pa.types.is_large_string, _plain),
    (pa.types.is_string_view, _plain),
    (pa.types.is_null, _plain),
    (pa.types.is_boolean, _plain),
    (pa.types.is_integer, _plain),
    (pa.types.is_floating, _float),
    (pa.types.is_decimal, _decimal),
    (pa.types.is_date32, _plain),
    (pa.types.is_time, _plain),
    (pa.types.is_timestamp, _moment),
)
