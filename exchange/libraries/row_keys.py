"""The natural keys of raw rows, as the library spells them; nothing else of the rows is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from connectors.feeds import Manifest
from exchange.libraries.values import TEXT, UNIT, trimmed, untouched, value
from schemas.contract import Contract, Field

Key = tuple[str, ...]


def keys_of(
    rows: Sequence[Mapping[str, object]], contract: Contract, manifest: Manifest
) -> list[Key | None]:
    """The key of each row, its parts as text; None where a part is missing or wrong."""
    if not rows:
        return []
    columns = dict.fromkeys(manifest.source_columns, pl.String)
    raw = pl.DataFrame([{name: row.get(name) for name in columns} for row in rows], schema=columns)
    asked = [contract.field(name) for name in _asked(contract)]
    column_of = {field: column for column, field in manifest.columns.items()}
    texts = [_text(field, column_of.get(field.name)) for field in asked]
    units = [trimmed(unit.column).alias(UNIT + name) for name, unit in manifest.units.items()]
    frame = raw.select(*texts, *units)
    for some in ([f for f in asked if not f.identifier_by], [f for f in asked if f.identifier_by]):
        frame = frame.with_columns(value(field, manifest).alias(field.name) for field in some)
    parts = frame.select(pl.col(name).cast(pl.String) for name in contract.key)
    return [None if None in key else key for key in parts.iter_rows()]


def _asked(contract: Contract) -> list[str]:
    """The key's fields, and those that say of which kind its numbers are."""
    keys = [contract.field(name) for name in contract.key]
    kinds = [field.identifier_by.column for field in keys if field.identifier_by]
    return list(dict.fromkeys((*contract.key, *kinds)))


def _text(field: Field, column: str | None) -> pl.Expr:
    numbered = field.identifier is not None or field.identifier_by is not None
    if column is None:
        text = pl.lit(None, pl.String)
    else:
        text = untouched(column) if numbered else trimmed(column)
    return text.alias(TEXT + field.name)
