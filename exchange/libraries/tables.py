"""Dataset tables, made from their contracts: what holds now, and what held before.

A new field of a contract becomes a new, empty column. A field that changed its type or went away is
a decision for people, so a retyped one is refused and a dropped one stays where it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from exchange.database import Role
from schemas.contract import Contract, all_contracts
from schemas.errors import Invalid

SCHEMA = "library"
CURRENT: Mapping[str, str] = {"_batch": "bigint", "_since": "timestamp with time zone"}
HISTORY: Mapping[str, str] = {
    "_batch_from": "bigint",
    "_batch_to": "bigint",
    "_during": "tstzrange",
}
GRANTS: Mapping[Role, str] = {
    Role.INGEST: "SELECT, INSERT, UPDATE, DELETE",
    Role.HUB: "SELECT",
    Role.VAULT: "SELECT",
}


def create(connection: psycopg.Connection) -> None:
    """Create and widen the tables of every contract that keeps rows of its own."""
    for contract in all_contracts():
        if contract.kind != "view":
            create_dataset(connection, contract)


def create_dataset(connection: psycopg.Connection, contract: Contract) -> None:
    """Create and widen the two tables of one dataset. Raises `Invalid` for a retyped field."""
    fields = columns(contract)
    _table(connection, contract.table, {**fields, **CURRENT}, primary=contract.key)
    _table(connection, history_table(contract), {**fields, **HISTORY}, primary=())
    for name, index_columns in _indexes(contract, fields):
        table = history_table(contract) if name.startswith("history") else contract.table
        _index(connection, table, f"{contract.table}_{name}", index_columns)
    for role, may in GRANTS.items():
        for table in (contract.table, history_table(contract)):
            statement = SQL("GRANT {} ON {} TO {}")
            connection.execute(statement.format(SQL(may), named(table), Identifier(role)))


def columns(contract: Contract) -> dict[str, str]:
    """The PostgreSQL type of each field, as PostgreSQL spells it."""
    return {field.name: _SPELLED.get(field.sql_type, field.sql_type) for field in contract.fields}


_SPELLED = {"timestamptz": "timestamp with time zone"}


def history_table(contract: Contract) -> str:
    """The table of what held before."""
    return f"{contract.table}_history"


def named(table: str) -> Identifier:
    """A table of the library schema, quoted."""
    return Identifier(SCHEMA, table)


def listed(names: Iterable[str], of: str | None = None) -> Composed:
    """Column names, quoted and separated by commas."""
    return SQL(", ").join(Identifier(of, name) if of else Identifier(name) for name in names)


def _indexes(contract: Contract, fields: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    subjects = {column for column in contract.subjects.values() if column in fields}
    subjects -= {contract.key[0]}  # the primary key serves it
    read_by_batch = any(contract.id in other.parents for other in all_contracts())
    return [
        *([("batch", ["_batch"])] if read_by_batch else []),
        *((column, [column]) for column in sorted(subjects)),
        ("history_key", list(contract.key)),
        ("history_from", ["_batch_from"]),
        ("history_to", ["_batch_to"]),
    ]


def _table(
    connection: psycopg.Connection, name: str, wanted: Mapping[str, str], primary: tuple[str, ...]
) -> None:
    found = _columns(connection, name)
    retyped = [column for column in wanted.keys() & found.keys() if wanted[column] != found[column]]
    if retyped:
        raise Invalid(f"library.{name} holds {', '.join(sorted(retyped))} as another type already")
    if not found:
        rows = [SQL("{} {}").format(Identifier(c), SQL(kind)) for c, kind in wanted.items()]
        keys = [SQL("PRIMARY KEY ({})").format(listed(primary))] if primary else []
        statement = SQL("CREATE TABLE {} ({})").format(named(name), SQL(", ").join([*rows, *keys]))
        connection.execute(statement)
        return
    for column in wanted.keys() - found.keys():
        widening = SQL("ALTER TABLE {} ADD COLUMN {} {}")
        connection.execute(widening.format(named(name), Identifier(column), SQL(wanted[column])))


def _columns(connection: psycopg.Connection, name: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        (f"{SCHEMA}.{name}",),
    )
    return {str(column): str(kind) for column, kind in rows}


def _index(connection: psycopg.Connection, table: str, name: str, on: list[str]) -> None:
    statement = SQL("CREATE INDEX IF NOT EXISTS {} ON {} ({})")
    connection.execute(statement.format(Identifier(name), named(table), listed(on)))
