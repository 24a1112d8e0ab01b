"""What a dataset said at any past moment: the row that holds now, or the one that held then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier

from exchange.libraries.tables import columns, history_table, listed, named
from schemas.contract import load
from schemas.errors import Invalid


def as_of(
    conn: psycopg.Connection, dataset: str, key: Sequence[str], at: datetime
) -> dict[str, Any] | None:
    """The row that the library held for `key` at that moment; None when it held none.

    `_batch` is the batch that brought the row. Raises `Invalid` for half a key or a local time.
    """
    contract = load(dataset)
    if len(key) != len(contract.key):
        raise Invalid(f"a row of {dataset} is named by {', '.join(contract.key)}")
    if at.tzinfo is None:
        raise Invalid("a moment needs its offset from UTC, such as 2026-11-22T08:00:00+08:00")
    named_by = SQL(" AND ").join(
        SQL("{} = {}").format(Identifier(column), part)
        for column, part in zip(contract.key, key, strict=True)
    )
    statement = SQL(
        "SELECT {fields}, _batch FROM {current} WHERE {key} AND _since <= {at}"
        " UNION ALL"
        " SELECT {fields}, _batch_from FROM {history} WHERE {key} AND _during @> {at}"
    ).format(
        fields=listed(columns(contract)),
        current=named(contract.table),
        history=named(history_table(contract)),
        key=named_by,
        at=at,
    )
    with conn.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement).fetchone()
