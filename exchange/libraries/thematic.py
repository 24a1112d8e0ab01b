"""Thematic libraries: SQL over base datasets, rebuilt where a parent changed.

A build takes every published batch of the parents that it has not consumed yet, whichever order
they came in, and recomputes only the keys that those batches touched. What it consumed is written
in the transaction that merges, so a trigger that is lost, doubled or merged costs time, not truth.

The SQL of a contract may therefore combine rows of one scope only: the part of the thematic key
that every parent has as a column, under whatever name (the unit number, for real-estate
registration).
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from exchange.libraries import batches, merge, reconcile, staging
from exchange.libraries.batches import Batch, BatchId, Held, State, running
from exchange.libraries.tables import columns, history_table, listed, named
from exchange.settings import Settings
from schemas.contract import Contract, all_contracts, load
from schemas.errors import Invalid

MANY = 1000  # scopes; a build of fewer finds its rows by index
STAGE = Identifier("stage")


def thematic() -> tuple[Contract, ...]:
    """The contracts that are built."""
    return tuple(contract for contract in all_contracts() if contract.kind == "thematic")


def build(settings: Settings, dataset: str) -> BatchId | None:
    """Bring a thematic dataset up to its parents; None when they have nothing new.

    Raises `Busy` when another run builds it, `Held` when the result does not reconcile.
    """
    contract = load(dataset)
    if contract.kind != "thematic" or contract.sql is None:
        raise Invalid(f"{dataset} is not a thematic dataset")
    with running(settings.database, dataset) as conn:
        consumed = unconsumed(conn, contract)
        if not consumed:
            return None
        batch = _begun(conn, contract)
        published = _built(conn, contract, batch, consumed)
        conn.commit()
        return published.id


def unconsumed(conn: psycopg.Connection, contract: Contract) -> list[BatchId]:
    """The parents' published batches that no build has taken."""
    rows = conn.execute(
        "SELECT id FROM library.batch b WHERE dataset = ANY(%s) AND state = 'published'"
        " AND NOT EXISTS (SELECT FROM library.consumed c WHERE c.consumer = %s AND c.batch = b.id)"
        " ORDER BY id",
        (list(contract.parents), contract.id),
    )
    return [int(number) for (number,) in rows]


def _begun(conn: psycopg.Connection, contract: Contract) -> Batch:
    row = conn.execute(
        "SELECT count(*) FROM library.batch WHERE source = %s", (contract.id,)
    ).fetchone()
    assert row is not None  # and the lock keeps other builds from counting the same
    batch = batches.begin(conn, contract.id, contract.id, "build", None, f"build {row[0] + 1}")
    if batch is None:
        raise Held(f"{contract.id} has a build that is not settled")
    return batches.save(conn, batch.moved(State.LANDED))


def _built(
    conn: psycopg.Connection, contract: Contract, batch: Batch, consumed: Sequence[BatchId]
) -> Batch:
    at = merge.hold(conn, contract)
    touched = _touch(conn, contract, consumed)
    if touched > MANY:
        # Parents that were loaded a moment ago have no statistics, and a planner that expects few
        # rows joins them in nested loops: minutes instead of a second for 100,000 people.
        conn.execute("SET LOCAL enable_nestloop = off")
    staged = _stage(conn, contract)
    scope = SQL("({}) IN (SELECT {} FROM touched)").format(
        listed(scope_of(contract)), listed(scope_of(contract))
    )
    move = merge.Merge(contract, STAGE, batch.id, closing=True, within=scope)
    difference = merge.difference(conn, move)
    merge.apply(conn, move, difference, at)
    written = difference.inserted + difference.updated
    counts = {
        **dict.fromkeys(reconcile.PLACES, 0),
        "landed": staged,
        "inserted": difference.inserted,
        "updated": difference.updated,
        "unchanged": staged - written,
        "deleted": difference.deleted,
        "consumed": list(consumed),
        "touched": touched,
    }
    gaps = reconcile.library_gaps(counts, staged, merge.present(conn, move))
    if gaps:
        raise Held(f"{contract.id} does not reconcile: {'; '.join(gaps)}")
    _consume(conn, contract, consumed, batch)
    return batches.save(conn, batch.moved(State.PUBLISHED, counts=counts, published_at=at))


def forget(conn: psycopg.Connection, batch: Batch) -> None:
    """Let builds take the batch again: a replay wrote rows that they have not seen."""
    conn.execute("DELETE FROM library.consumed WHERE batch = %s", (batch.id,))


def scope_of(contract: Contract) -> tuple[str, ...]:
    """Our columns by which parents and result belong together; the same ones for every parent."""
    return tuple(sorted(contract.scopes[contract.parents[0]]))


def _touch(conn: psycopg.Connection, contract: Contract, consumed: Sequence[BatchId]) -> int:
    """The scopes of the rows that the batches wrote, changed or closed, in `touched`."""
    parts: list[Composed] = []
    for parent in map(load, contract.parents):
        scope = _as_ours(contract, parent)
        for table, column in (
            (parent.table, "_batch"),
            (history_table(parent), "_batch_from"),
            (history_table(parent), "_batch_to"),
        ):
            part = SQL("SELECT {} FROM {} WHERE {} = ANY({})")
            ids = list(consumed)
            parts.append(part.format(scope, named(table), Identifier(column), ids))
    union = SQL(" UNION ").join(parts)
    conn.execute(SQL("CREATE TEMPORARY TABLE touched ON COMMIT DROP AS {}").format(union))
    conn.execute("ANALYZE touched")
    return _count(conn, "touched")


def _as_ours(contract: Contract, parent: Contract) -> Composed:
    """A parent's columns of the scope, under our names."""
    theirs = contract.scopes[parent.id]
    named_alike = SQL("{} AS {}")
    return SQL(", ").join(
        named_alike.format(Identifier(theirs[ours]), Identifier(ours))
        for ours in scope_of(contract)
    )


def _stage(conn: psycopg.Connection, contract: Contract) -> int:
    """What the contract's SQL says of the scopes touched, in `stage`."""
    staging.create(conn, contract, STAGE, "TEMPORARY")
    fields = listed(columns(contract))
    scope = listed(scope_of(contract))
    statement = SQL(
        "INSERT INTO stage ({fields}, _fate) SELECT {fields}, {holds} FROM ({sql}) built"
        " WHERE ({scope}) IN (SELECT {scope} FROM touched)"
    )
    conn.execute(
        statement.format(
            fields=fields,
            holds=merge.Fate.HOLDS.value,
            sql=SQL(_own_sql(contract)),
            scope=scope,
        )
    )
    return _count(conn, "stage")


def _own_sql(contract: Contract) -> str:
    assert contract.sql is not None
    return contract.sql.strip().rstrip(";")


def _consume(
    conn: psycopg.Connection, contract: Contract, consumed: Sequence[BatchId], batch: Batch
) -> None:
    conn.execute(
        "INSERT INTO library.consumed (consumer, batch, by_batch)"
        " SELECT %s, unnest(%s::bigint[]), %s",
        (contract.id, list(consumed), batch.id),
    )


def _count(conn: psycopg.Connection, table: str) -> int:
    row = conn.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])
