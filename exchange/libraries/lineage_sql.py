"""Which columns of which parents a field of a thematic dataset is made from, read from its SQL.

The parser comes with Airflow's OpenLineage provider; without it builds are told without columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.contract import Contract

Origins = Mapping[str, tuple[tuple[str, str], ...]]


def origins(sql: str, parents: Mapping[str, Contract]) -> Origins:
    """(dataset, column) of each field; `parents` by the name of their table."""
    try:
        from openlineage_sql import parse  # type: ignore[import-untyped]  # made by Rust
    except ImportError:
        return {}
    parsed = parse([sql], dialect="postgres")
    if parsed is None:
        return {}
    return {
        each.descendant.name: tuple(
            sorted({found for one in each.lineage for found in _found(one, parents)})
        )
        for each in parsed.column_lineage
    }


def _found(column: object, parents: Mapping[str, Contract]) -> Iterator[tuple[str, str]]:
    """The parent's column; through a named subquery, that of the one parent that has it."""
    name, origin = str(column.name), column.origin  # type: ignore[attr-defined]  # made by Rust
    table = str(origin.qualified_name).removeprefix("library.") if origin else ""
    if table in parents:
        yield parents[table].id, name
        return
    having = [parent.id for parent in parents.values() if name in parent.columns]
    if len(having) == 1:
        yield having[0], name
