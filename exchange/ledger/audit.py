"""The whole ledger again from its entries: every hash, every place, and every signed head.

It trusts nothing that is stored but the public key it is given. What it finds is named: the first
entry that was changed, removed, moved or slipped in. What was cut off the end after the newest
checkpoint can only be missed by somebody who holds a receipt of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg

from exchange.ledger.continuity import LedgerBroken
from exchange.ledger.entries import text_of
from schemas import checkpoint
from schemas.canonical import canonical
from schemas.checkpoint import Checkpoint
from schemas.errors import Invalid
from schemas.merkle import Frontier, leaf_hash

AT_ONCE = 5000
ROWS = """
SELECT l.position, l.receipt, l.hash, e.body, e.at, e.subject
FROM hub.ledger_leaf l LEFT JOIN hub.ledger_entry e USING (receipt) ORDER BY l.position
"""


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit proved: so many entries, under so many signed heads, and what waits."""

    entries: int
    checkpoints: int
    signed: int
    waiting: int
    root: bytes


def audit(conn: psycopg.Connection, origin: str, vkey: str) -> Audited:
    """Recompute everything on a reading connection. Raises `LedgerBroken` for the first fault.

    The caller still owes: that `vkey` is the ledger's, got from somewhere it trusts.
    """
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # 1. Signatures of all kept heads.
        heads = _heads(conn, origin, vkey)
        # 2. Entries, their places, the nodes above them, and the root at every head's size.
        edge = _walk(conn, heads)
        # 3. The newest head is not above what is there.
        signed = max(heads, default=0)
        if signed > edge.size:
            raise LedgerBroken(f"entry {edge.size} is missing: {signed} entries were signed for")
        # 4. Every entry without a place is newer than the newest place was, or waits for its turn.
        return Audited(edge.size, len(heads), signed, _waiting(conn), edge.root())


def _heads(conn: psycopg.Connection, origin: str, vkey: str) -> dict[int, Checkpoint]:
    heads = dict[int, Checkpoint]()
    for size, note in conn.execute(
        "SELECT size, note FROM hub.checkpoint WHERE origin = %s ORDER BY size", (origin,)
    ):
        try:
            head = checkpoint.verify(note, vkey)
        except Invalid as err:
            raise LedgerBroken(f"the checkpoint over {size} entries: {err.message}") from err
        if (head.origin, head.size) != (origin, size):
            raise LedgerBroken(f"the checkpoint over {size} entries is filed as another")
        heads[size] = head
    return heads


def _walk(conn: psycopg.Connection, heads: dict[int, Checkpoint]) -> Frontier:
    edge, good = Frontier(), 0
    nodes = _stored_nodes(conn)
    for row in _rows(conn):
        _check_row(row, edge.size)
        edge, complete = edge.append([bytes(row[2])])
        _check_nodes(nodes, complete[1:], row)
        head = heads.get(edge.size)
        if head is not None and head.root != edge.root():
            raise LedgerBroken(f"an entry from {good} to {edge.size - 1} is not what was signed")
        good = edge.size if head is not None else good
    return edge


def _rows(conn: psycopg.Connection) -> Iterator[tuple[Any, ...]]:
    with conn.cursor(name="ledger_audit") as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(ROWS)
        yield from cursor


def _check_row(row: tuple[Any, ...], expected: int) -> None:
    position, receipt, stored, body, at, subject = row
    if position != expected:
        raise LedgerBroken(f"entry {expected} is missing from the tree")
    name = f"entry {position} ({receipt})"
    if body is None:
        raise LedgerBroken(f"{name} was removed")
    if leaf_hash(bytes(body)) != bytes(stored):
        raise LedgerBroken(f"{name} was changed or moved: it is not what was hashed")
    said = orjson.loads(bytes(body))
    columns = (str(receipt), text_of(at), bytes(subject).hex() if subject else None)
    if columns != (said.get("receipt"), said.get("at"), said.get("subject")):
        raise LedgerBroken(f"{name} is filed under another receipt, time or subject")
    if canonical(said) != bytes(body):
        raise LedgerBroken(f"{name} is not canonical")


def _stored_nodes(conn: psycopg.Connection) -> dict[tuple[int, int], bytes]:
    stored = conn.execute("SELECT level, index, hash FROM hub.ledger_inner")
    return {(level, index): bytes(digest) for level, index, digest in stored}


def _check_nodes(
    stored: dict[tuple[int, int], bytes],
    complete: list[tuple[int, int, bytes]],
    row: tuple[Any, ...],
) -> None:
    for level, index, digest in complete:
        if stored.get((level, index)) != digest:
            first = index << level
            raise LedgerBroken(
                f"an entry from {first} to {row[0]} is not what was hashed: "
                f"node {level}/{index} above it differs"
            )


def _waiting(conn: psycopg.Connection) -> int:
    row = conn.execute(
        "SELECT count(*) FROM hub.ledger_entry e"
        " LEFT JOIN hub.ledger_leaf l USING (receipt) WHERE l.receipt IS NULL"
    ).fetchone()
    return int(row[0]) if row else 0
