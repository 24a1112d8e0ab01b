"""Making the proof of one entry; `receipts` reads and checks what is made here."""

from __future__ import annotations

from uuid import UUID

import psycopg

from exchange.ledger import checkpoints, integrator
from exchange.ledger.receipts import Proof
from exchange.problems import NotYetPlaced
from license_vault.signer.client import Signer
from schemas.errors import NotFound
from schemas.merkle import inclusion_path


def prove(conn: psycopg.Connection, receipt: UUID, origin: str, signer: Signer) -> Proof:
    """Make the proof of an entry, on the ledger role's connection.

    Raises `NotFound`, `NotYetPlaced` within the second that a place takes, or `Unavailable`.
    """
    row = conn.execute(
        "SELECT e.body, l.position FROM hub.ledger_entry e"
        " LEFT JOIN hub.ledger_leaf l USING (receipt) WHERE e.receipt = %s",
        (receipt,),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such receipt", zh="回执不存在")
    body, index = row
    if index is None:
        raise NotYetPlaced("the entry gets its place within a second", zh="证据正在入账，请稍后")
    note = checkpoints.current(conn, origin, signer)
    size = int(note.split("\n")[1])
    path = inclusion_path(index, size, lambda level, at: integrator.node(conn, level, at))
    return Proof(bytes(body).decode(), index, tuple(path), note)
