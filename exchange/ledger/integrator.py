"""The integrator gives committed entries their place in the tree, once and for good.

Entries commit in any order, so a sequence number does not tell what is still to come. What tells is
the transaction identifier: everything below `pg_snapshot_xmin` was over when the last run looked,
so that run placed it; everything from there on is compared with what has a place. No committed
entry is skipped, and a long transaction elsewhere delays none. One integrator runs at a time.
"""

from __future__ import annotations

import psycopg

from schemas.merkle import CompleteNode, Frontier, frontier, leaf_hash

LOCK = 0x79697A68616E  # an advisory lock of ours: whoever holds it integrates
MOST_AT_ONCE = 4096

FIND = """
SELECT e.receipt, e.body FROM hub.ledger_entry e
LEFT JOIN hub.ledger_leaf l ON l.receipt = e.receipt
WHERE e.xid >= %s::text::xid8 AND l.receipt IS NULL
ORDER BY e.xid, e.seq LIMIT %s
"""
LEAVES = (
    "INSERT INTO hub.ledger_leaf (position, receipt, hash) "
    "SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::bytea[])"
)
NODES = (
    "INSERT INTO hub.ledger_inner (level, index, hash) "
    "SELECT * FROM unnest(%s::smallint[], %s::bigint[], %s::bytea[])"
)


def place(conn: psycopg.Connection) -> int:
    """Place what is committed and has no place yet; return how many that were.

    One transaction on the ledger role's connection. When another process integrates, nothing is
    done: what it leaves behind is placed next time.
    """
    with conn.transaction():
        if not _one(conn, "SELECT pg_try_advisory_xact_lock(%s)", LOCK):
            return 0
        size, placed_before, xmin = conn.execute(
            # Looked at before the entries are: what is below it was over by then, and is seen.
            "SELECT size, placed_before::text, pg_snapshot_xmin(pg_current_snapshot())::text "
            "FROM hub.ledger_head"
        ).fetchone() or (0, "0", "0")
        found = conn.execute(FIND, (placed_before, MOST_AT_ONCE)).fetchall()
        if not found:
            return 0
        _append(conn, size, found)
        before = xmin if len(found) < MOST_AT_ONCE else placed_before
        conn.execute(
            "UPDATE hub.ledger_head SET size = %s, placed_before = %s::text::xid8",
            (size + len(found), before),
        )
        return len(found)


def _append(conn: psycopg.Connection, size: int, found: list[tuple[object, bytes]]) -> None:
    hashes = [leaf_hash(body) for _, body in found]
    _, complete = edge(conn, size).append(hashes)
    receipts = [receipt for receipt, _ in found]
    conn.execute(LEAVES, (list(range(size, size + len(found))), receipts, hashes))
    inner: list[CompleteNode] = [node for node in complete if node[0] > 0]
    if inner:
        conn.execute(NODES, tuple(map(list, zip(*inner, strict=True))))


def edge(conn: psycopg.Connection, size: int) -> Frontier:
    """The right edge of the stored tree of that size."""
    return frontier(size, lambda level, index: node(conn, level, index))


def node(conn: psycopg.Connection, level: int, index: int) -> bytes:
    """One complete node as it is stored; leaves are nodes of level 0."""
    query = "SELECT hash FROM hub.ledger_node WHERE level = %s AND index = %s"
    return bytes(_one(conn, query, level, index))


def size_of(conn: psycopg.Connection) -> int:
    """How many entries have a place."""
    return int(_one(conn, "SELECT size FROM hub.ledger_head"))


def _one(conn: psycopg.Connection, query: str, *arguments: object) -> bytes:
    row = conn.execute(query.encode(), arguments).fetchone()
    if row is None:
        raise LookupError("a node of the ledger's tree is missing")
    value: bytes = row[0]
    return value
