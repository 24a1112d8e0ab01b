"""What our own database has for a source: its dataset's tables, and its last batch."""

from __future__ import annotations

import psycopg

from connectors.feeds import Manifest
from exchange.database import Role, without_detail
from exchange.libraries import batches, tables
from exchange.settings import Settings
from schemas.contract import Contract

_COLUMNS = """
SELECT attname FROM pg_attribute
 WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
"""


def state(manifest: Manifest, contract: Contract) -> tuple[tuple[str, ...], str]:
    """What `db upgrade` would still make, and what the ledger says of the source.

    Raises `Invalid` where there is no database, `Unavailable` where it does not answer.
    """
    settings = Settings.load()
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        missing = tuple(_missing(conn, contract))
        return missing, "" if missing else _last(conn, manifest)


def _missing(conn: psycopg.Connection, contract: Contract) -> list[str]:
    found = []
    for table in (contract.table, tables.history_table(contract)):
        rows = conn.execute(_COLUMNS, (f"{tables.SCHEMA}.{table}",)).fetchall()
        there = {str(row[0]) for row in rows}
        lacking = [name for name in contract.columns if name not in there]
        if not there:
            found.append(f"{tables.SCHEMA}.{table}")
        elif lacking:
            found.append(f"{', '.join(lacking)} of {tables.SCHEMA}.{table}")
    return found


def _last(conn: psycopg.Connection, manifest: Manifest) -> str:
    of_dataset = batches.listed(conn, dataset=manifest.dataset)
    last = next((each for each in of_dataset if each.source == manifest.source), None)
    return "no batch yet" if last is None else f"batch {last.id} is {last.state}"
