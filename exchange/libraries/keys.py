"""Keys of landed rows as hashes: which come more than once, and which rows have one of some keys.

The hash is of the key as the library spells it (15-digit numbers made 18, `x` made `X`), so two
spellings of one key meet. It lives as long as a run and is written nowhere; two keys that share one
cost a comparison, never a row, because rows that meet here are judged by their keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

import polars as pl

from connectors.feeds import Manifest
from exchange.libraries.values import value, with_texts
from schemas.contract import Contract, Field

TOGETHER = 2_000_000  # hashes that are compared at once: about 50 MB


def columns(contract: Contract, manifest: Manifest) -> list[str]:
    """The source columns that the key is read from."""
    needed = {field.name for field in _fields(contract)}
    return [column for column, field in manifest.columns.items() if field in needed]


def normalised(rows: pl.DataFrame, contract: Contract, manifest: Manifest) -> pl.DataFrame:
    """The keys of landed rows, as the library spells them; null where there is none."""
    frame = with_texts(rows, _fields(contract), manifest)
    for fields in (
        [field for field in _fields(contract) if not field.identifier_by],
        [field for field in _fields(contract) if field.identifier_by],
    ):
        frame = frame.with_columns(value(field, manifest).alias(field.name) for field in fields)
    return frame.select(contract.key)


def hashes(rows: pl.DataFrame, contract: Contract, manifest: Manifest) -> pl.Series:
    """One hash a row; null for a row without a whole key."""
    key = normalised(rows, contract, manifest)
    whole = pl.all_horizontal(pl.all().is_not_null())
    single = len(contract.key) == 1
    hashed = pl.col(contract.key[0]).hash() if single else pl.struct(contract.key).hash()
    return key.select(pl.when(whole).then(hashed).alias("key")).to_series()


def repeated(chunks: Iterable[pl.DataFrame], contract: Contract, manifest: Manifest) -> pl.Series:
    """The hashes that more than one row has; eight bytes a row are held."""
    found = [hashes(rows, contract, manifest).drop_nulls() for rows in chunks]
    every = pl.concat(found) if found else pl.Series("key", [], pl.UInt64)
    parts = max(1, ceil(every.len() / TOGETHER))
    return pl.concat(twice(every.filter(every % parts == part)) for part in range(parts))


def twice(some: pl.Series) -> pl.Series:
    """The hashes that come more than once; sorting needs a tenth of the memory of grouping."""
    ordered = some.sort()
    return ordered.filter(ordered == ordered.shift(1)).unique()


def _fields(contract: Contract) -> list[Field]:
    """The fields of the key, with those that tell which kind of number one of them is."""
    keys = [contract.field(name) for name in contract.key]
    kinds = [contract.field(key.identifier_by.column) for key in keys if key.identifier_by]
    return list({field.name: field for field in (*keys, *kinds)}.values())
