"""National identifiers, a column at a time: the checks of `identifiers` as polars expressions.

A million numbers take a fraction of a second because no row is visited by Python: a column is cut
at fixed positions into columns of bytes, and the check character is folded over those. Empty stays
empty, and is neither valid nor invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

import polars as pl

from schemas.identifiers import (
    BIRTH_YEARS,
    CENTENARIANS,
    DIGITS_AND_LETTERS,
    FIFTEEN_DIGITS,
    LICENSE_ROOT,
    MENDS,
    MENDS_OF_KIND,
    ORG_CODE_CHECKS,
    ORG_CODE_WEIGHTS,
    RESIDENT_CHECKS,
    RESIDENT_WEIGHTS,
    SHAPES,
    USCC_ALPHABET,
    USCC_WEIGHTS,
    mended,
)

Check = tuple[str, pl.Series]

# The root and its dot come before the type; type 21, issuer 18, serial 40, version 3 at most.
LICENSE_PARTS_AT = len(LICENSE_ROOT) + 1
LICENSE_FOLD = 21 + 18 + 40 + 3
# ISO 7064 MOD 37,36 starts at 36, and a leading I (18) leaves it at 36: (36+18) mod 36 * 2 mod 37.
NEUTRAL = "I"


def normalised(kind: str, column: str) -> pl.Expr:
    """Return the column in the standard's own characters, 15-digit numbers made 18.

    What fails its check is mended all the same; keep it apart with `valid`.
    """
    text = _mended(kind, column)
    return _by_column(_eighteen_digits, text, pl.String) if kind == "resident" else text


def valid(kind: str, column: str) -> pl.Expr:
    """Say of each value whether its check passes; empty where the value is empty."""
    return pl.when(pl.col(column).is_not_null()).then(failed(kind, column).is_null())


def failed(kind: str, column: str) -> pl.Expr:
    """Name the first check that fails, as `InvalidIdentifier.check` does; empty where none does."""
    return _by_column(partial(_first_failed, kind), normalised(kind, column), pl.String)


def failed_check(kind: str, column: str) -> pl.Expr:
    """The same for a column that is normalised already."""
    return _by_column(partial(_first_failed, kind), pl.col(column), pl.String)


def alias(kind: str, column: str) -> pl.Expr:
    """Return the number that the normalised one replaces: 15 digits, where there were 15."""
    if kind != "resident":
        return pl.lit(None, dtype=pl.String)
    text = _mended(kind, column)
    return pl.when(text.str.contains(FIFTEEN_DIGITS)).then(text)


def _mended(kind: str, column: str) -> pl.Expr:
    return _by_column(partial(_mend, kind), pl.col(column), pl.String)


def _mend(kind: str, text: pl.Series) -> pl.Series:
    """Mend what does not look like one of the kind already; mostly that is little."""
    odd = (~text.str.contains(SHAPES[kind])).fill_null(False)
    if not odd.any():
        return text
    tables = [table for _, table in (*MENDS, MENDS_OF_KIND.get(kind, ("", {})))]
    characters = sorted({character for table in tables for character in table})
    better = [mended(kind, character)[0] for character in characters]
    return text.clone().scatter(
        odd.arg_true(), text.filter(odd).str.replace_many(characters, better)
    )


def _by_column(
    function: Callable[[pl.Series], pl.Series], expression: pl.Expr, dtype: type[pl.DataType]
) -> pl.Expr:
    """Call the function once with the whole column, so that a step used often is computed once."""
    return expression.map_batches(function, return_dtype=dtype, is_elementwise=True)


def _first_failed(kind: str, value: pl.Series) -> pl.Series:
    checks = [("shape", value.str.contains(SHAPES[kind])), *CHECKS[kind](value)]
    outcome: pl.Expr = pl.lit(None, dtype=pl.String)
    for name, _ in reversed(checks):
        outcome = pl.when(pl.col(name)).then(outcome).otherwise(pl.lit(name))
    frame = pl.DataFrame([passes.rename(name) for name, passes in checks])
    return frame.select(pl.when(value.is_not_null()).then(outcome).alias(value.name)).to_series()


def _resident(value: pl.Series) -> Iterable[Check]:
    year = value.str.slice(6, 8).str.to_date("%Y%m%d", strict=False).dt.year()
    yield "birth-date", year.is_between(BIRTH_YEARS.start, BIRTH_YEARS.stop, closed="left")
    yield "check-character", value.str.slice(17, 1) == _resident_check(value.str.slice(0, 17))


def _uscc(value: pl.Series) -> Iterable[Check]:
    yield "organisation-check", value.str.slice(16, 1) == _org_code_check(value.str.slice(8, 8))
    yield "check-character", value.str.slice(17, 1) == _uscc_check(value.str.slice(0, 17))


def _org_code(value: pl.Series) -> Iterable[Check]:
    yield "check-character", value.str.slice(8, 1) == _org_code_check(value.str.slice(0, 8))


def _license_id(value: pl.Series) -> Iterable[Check]:
    issuer = value.str.slice(LICENSE_PARTS_AT + 22).str.extract(r"^([0-9A-Z]+)")
    by_division = issuer.str.len_bytes() == 6
    yield "type-check", _is_uscc(value.str.slice(LICENSE_PARTS_AT, 18))
    yield "issuer-check", by_division | _is_uscc(issuer)
    parts = value.str.slice(LICENSE_PARTS_AT).str.replace_all(".", "", literal=True)
    yield "check-character", parts.str.tail(1) == _license_check(parts.str.head(-1))


def _structure_only(_: pl.Series) -> Iterable[Check]:
    return ()


CHECKS: Mapping[str, Callable[[pl.Series], Iterable[Check]]] = MappingProxyType(
    {
        "resident": _resident,
        "uscc": _uscc,
        "org_code": _org_code,
        "real_estate_unit": _structure_only,
        "certificate_no": _structure_only,
        "license_id": _license_id,
    }
)


def _eighteen_digits(text: pl.Series) -> pl.Series:
    """Make the 15-digit numbers 18; when there are none, which is usual, touch nothing."""
    fifteen = text.str.contains(FIFTEEN_DIGITS).fill_null(False)
    if not fifteen.any():
        return text
    short = text.filter(fifteen)
    late = (short.str.slice(12, 3) >= CENTENARIANS).cast(pl.Int32)
    century = pl.Series(["19", "18"]).gather(late)
    body = short.str.slice(0, 6) + century + short.str.slice(6, 9)
    return text.clone().scatter(fifteen.arg_true(), body + _resident_check(body))


def _is_uscc(value: pl.Series) -> pl.Series:
    return _first_failed("uscc", value).is_null() & value.is_not_null()


def _resident_check(first_17: pl.Series) -> pl.Series:
    total = _weighted(first_17, RESIDENT_WEIGHTS, DIGITS_AND_LETTERS)
    return _characters(RESIDENT_CHECKS, total % 11)


def _uscc_check(first_17: pl.Series) -> pl.Series:
    total = _weighted(first_17, USCC_WEIGHTS, USCC_ALPHABET)
    return _characters(USCC_ALPHABET, (31 - total % 31) % 31)


def _org_code_check(first_8: pl.Series) -> pl.Series:
    total = _weighted(first_8, ORG_CODE_WEIGHTS, DIGITS_AND_LETTERS)
    return _characters(ORG_CODE_CHECKS, 11 - total % 11)


def _license_check(parts: pl.Series) -> pl.Series:
    padded = parts.str.pad_start(LICENSE_FOLD, NEUTRAL)
    product = pl.Series([36], dtype=pl.Int32).new_from_index(0, len(parts))
    for value in _positions(padded, LICENSE_FOLD, DIGITS_AND_LETTERS):
        product = ((product + value - 1) % 36 + 1) * 2 % 37
    return _characters(DIGITS_AND_LETTERS, (37 - product) % 36)


def _weighted(text: pl.Series, weights: Sequence[int], alphabet: str) -> pl.Series:
    total = pl.Series([0], dtype=pl.Int32).new_from_index(0, len(text))
    values = _positions(text, len(weights), alphabet)
    for value, weight in zip(values, weights, strict=True):
        total = total + value * weight
    return total


def _positions(text: pl.Series, width: int, alphabet: str) -> Iterable[pl.Series]:
    """Yield the value of each position; empty for a text of another width or alphabet."""
    array = text.cast(pl.Binary).bin.reinterpret(
        dtype=pl.Array(pl.UInt8, width), endianness="little"
    )
    worth = {ord(character): value for value, character in enumerate(alphabet)}
    values = pl.Series([worth.get(byte) for byte in range(256)], dtype=pl.Int32)
    for position in range(width):
        yield values.gather(array.arr.get(position))


def _characters(alphabet: str, index: pl.Series) -> pl.Series:
    return pl.Series(list(alphabet)).gather(index)
