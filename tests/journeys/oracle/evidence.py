"""The ledger against the receipts that clients hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exchange.ledger import audit
from exchange.ledger.continuity import LedgerBroken
from tests.journeys.oracle import Connection, Findings

ENTRIES = "SELECT receipt::text FROM hub.ledger_entry"
BODIES = "SELECT convert_from(body, 'UTF8')::jsonb ->> 'receipt' FROM hub.ledger_entry"
LEAVES = "SELECT receipt::text FROM hub.ledger_leaf"


def receipts(conn: Connection, acknowledged: Sequence[str]) -> Findings:
    """Every receipt that a client holds is one entry of the ledger and one leaf of its tree."""
    entries, bodies, leaves = (_counted(conn, query) for query in (ENTRIES, BODIES, LEAVES))
    for receipt, times in Counter(acknowledged).items():
        found = (times, entries[receipt], bodies[receipt], leaves[receipt])
        if found != (1, 1, 1, 1):
            yield "receipt {}: given {} times, {} entries that say it {} times, {} leaves".format(
                receipt, *found
            )
    for receipt, times in (entries - leaves).items():
        yield f"entry {receipt} lacks {times} leaves"


def ledger(conn: Connection, origin: str, vkey: str) -> Findings:
    """The whole ledger verifies, under every head that was ever signed, and nothing waits."""
    try:
        audited = audit.audit(conn, origin, vkey)
    except LedgerBroken as err:
        yield f"the ledger does not verify: {err.message}"
        return
    if audited.waiting:
        yield f"{audited.waiting} entries have no place in the tree"


def _counted(conn: Connection, query: str) -> Counter[str]:
    return Counter(receipt for (receipt,) in conn.execute(query.encode()))
