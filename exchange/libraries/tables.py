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
    for name, on in _indexes(contract, fields).items():
        _index(connection, contract.table, f"{contract.table}_{name}", on)
    for name, on in _HISTORY_INDEXES.items():
        history = history_table(contract)
        _index(connection, history, f"{contract.table}_{name}", on or list(contract.key))
    for table in (contract.table, history_table(contract)):
        _hand_over(connection, table)


def _hand_over(connection: psycopg.Connection, table: str) -> None:
    """Rows are the loader's: it may put a filled table in the place of an empty one."""
    owner = SQL("ALTER TABLE {} OWNER TO {}")
    connection.execute(owner.format(named(table), Identifier(Role.INGEST)))
    _grant(connection, table)


def _grant(connection: psycopg.Connection, table: str) -> None:
    for role, may in GRANTS.items():
        statement = SQL("GRANT {} ON {} TO {}")
        connection.execute(statement.format(SQL(may), named(table), Identifier(role)))


def finish(connection: psycopg.Connection, contract: Contract, filled: str) -> None:
    """Give a table that was filled without them the key and the indexes of its dataset.

    An index that is built over rows costs a third of one that grows with them.
    """
    connection.execute(SQL("SET LOCAL maintenance_work_mem = {}").format(BUILD_MEM))
    key = SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})")
    primary = Identifier(f"{filled}_pkey")
    connection.execute(key.format(named(filled), primary, listed(contract.key)))
    for name, on in _indexes(contract, columns(contract)).items():
        _index(connection, filled, f"{filled}_{name}", on)
    connection.execute(SQL("ANALYZE {}").format(named(filled)))
    _grant(connection, filled)


def replace(connection: psycopg.Connection, contract: Contract, filled: str) -> None:
    """Put a finished table in the place of the dataset's empty one, under its names."""
    connection.execute(SQL("DROP TABLE {}").format(named(contract.table)))
    rename = SQL("ALTER {} {} RENAME TO {}")
    connection.execute(rename.format(SQL("TABLE"), named(filled), Identifier(contract.table)))
    for name in ("pkey", *_indexes(contract, columns(contract))):
        old, new = named(f"{filled}_{name}"), Identifier(f"{contract.table}_{name}")
        connection.execute(rename.format(SQL("INDEX"), old, new))


BUILD_MEM = "256MB"


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


def _indexes(contract: Contract, fields: Mapping[str, str]) -> dict[str, list[str]]:
    """The indexes of what holds now, beside the primary key, by the end of their names."""
    subjects = {column for column in contract.subjects.values() if column in fields}
    subjects -= {contract.key[0]}  # the primary key serves it
    read_by_batch = any(contract.id in other.parents for other in all_contracts())
    return {
        **({"batch": ["_batch"]} if read_by_batch else {}),
        **{column: [column] for column in sorted(subjects)},
    }


_HISTORY_INDEXES: Mapping[str, list[str]] = {
    "history_key": [],  # the key of the dataset
    "history_from": ["_batch_from"],
    "history_to": ["_batch_to"],
}


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
