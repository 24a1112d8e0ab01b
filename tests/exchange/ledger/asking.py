"""Asking, and waiting until what was asked has its place in the ledger."""

from __future__ import annotations

import time

from connectors.client import Client
from exchange.database import Role
from exchange.ledger import audit, checkpoints
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub


def ask(client: Client, times: int = 1) -> list[str]:
    """Ask; return the receipts."""
    return [client.query(RESOURCE, LI, ["name"], AUTHORITY)["receipt"] for _ in range(times)]


def wait_placed(hub: RunningHub) -> int:
    """Wait until everything has its place; return how many that are."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with hub.settings.database.connect(Role.LEDGER) as conn:
            row = conn.execute(
                "SELECT (SELECT count(*) FROM hub.ledger_entry), (SELECT size FROM hub.ledger_head)"
            ).fetchone()
        if row and row[0] == row[1]:
            return int(row[0])
        time.sleep(0.05)
    raise AssertionError("the integrator does not keep up")


def audited(hub: RunningHub) -> audit.Audited:
    """Audit with the key of the hub's signer."""
    origin = checkpoints.origin(hub.url)
    with hub.settings.database.connect(Role.LEDGER, autocommit=True) as conn:
        return audit.audit(conn, origin, checkpoints.vkey(origin, hub.signer))
