"""The whole ledger recomputed: what was changed behind its back is found and named."""

from __future__ import annotations

import httpx
import pytest

from connectors.client import Client
from exchange.database import Role
from exchange.ledger.continuity import LedgerBroken
from tests.exchange.hubs import RunningHub
from tests.exchange.ledger.asking import ask, audited, wait_placed


class TestAudit:
    def test_a_whole_ledger(self, hub: RunningHub, client: Client) -> None:
        """Everything recomputed, under the heads that were signed."""
        hub.give()
        ask(client, 6)
        size = wait_placed(hub)
        httpx.get(f"{hub.url}/v1/ledger/checkpoint")

        found = audited(hub)

        assert (found.entries, found.signed, found.waiting) == (size, size, 0)

    @pytest.mark.parametrize(
        ("statements", "said"),
        [
            (
                [
                    "UPDATE hub.ledger_entry SET body ="
                    " convert_to(replace(convert_from(body, 'UTF8'), 'W-12', 'W-99'), 'UTF8')"
                    " WHERE receipt = (SELECT receipt FROM hub.ledger_leaf WHERE position = 3)"
                ],
                r"entry 3 \(.*\) was changed",
            ),
            (
                [
                    "DELETE FROM hub.ledger_entry WHERE receipt ="
                    " (SELECT receipt FROM hub.ledger_leaf WHERE position = 2)"
                ],
                r"entry 2 \(.*\) was removed",
            ),
            (
                [
                    "DELETE FROM hub.ledger_entry WHERE receipt ="
                    " (SELECT receipt FROM hub.ledger_leaf WHERE position = 2)",
                    "DELETE FROM hub.ledger_leaf WHERE position = 2",
                ],
                "entry 2 is missing",
            ),
            (
                ["DELETE FROM hub.ledger_leaf WHERE position >= 5"],
                "entry 5 is missing",
            ),
            (
                [
                    "UPDATE hub.ledger_leaf SET position = -1 WHERE position = 1",
                    "UPDATE hub.ledger_leaf SET position = 1 WHERE position = 4",
                    "UPDATE hub.ledger_leaf SET position = 4 WHERE position = -1",
                ],
                "an entry from 0 to 1 is not what was hashed",
            ),
            (
                ["UPDATE hub.ledger_entry SET subject = '\\x00'::bytea WHERE subject IS NOT NULL"],
                "filed under another",
            ),
            (
                ["UPDATE hub.checkpoint SET note = replace(note, E'\\n6\\n', E'\\n5\\n')"],
                "checkpoint",
            ),
        ],
    )
    def test_tampering_is_found_and_named(
        self, hub: RunningHub, client: Client, statements: list[str], said: str
    ) -> None:
        """The owner takes the triggers away and changes rows; the audit says which."""
        hub.give()
        ask(client, 5)
        wait_placed(hub)
        httpx.get(f"{hub.url}/v1/ledger/checkpoint")
        _tamper(hub, statements)

        with pytest.raises(LedgerBroken, match=said):
            audited(hub)

    def test_a_rewritten_history_is_found(self, hub: RunningHub, client: Client) -> None:
        """Entry, leaf and every node made to fit: the signed head does not."""
        hub.give()
        ask(client, 3)
        wait_placed(hub)
        httpx.get(f"{hub.url}/v1/ledger/checkpoint")
        _tamper(
            hub,
            [
                "DELETE FROM hub.ledger_inner",
                "DELETE FROM hub.ledger_leaf",
                "UPDATE hub.ledger_head SET size = 0, placed_before = '0'",
                "UPDATE hub.ledger_entry SET body ="
                " convert_to(replace(convert_from(body, 'UTF8'), 'W-12', 'W-99'), 'UTF8')",
            ],
        )
        wait_placed(hub)

        with pytest.raises(LedgerBroken, match="not what was signed"):
            audited(hub)


def _tamper(hub: RunningHub, statements: list[str]) -> None:
    tables = ("ledger_entry", "ledger_leaf", "ledger_inner", "checkpoint")
    with hub.settings.database.connect(Role.OWNER) as conn:
        for table in tables:
            conn.execute(f"ALTER TABLE hub.{table} DISABLE TRIGGER USER".encode())
        for statement in statements:
            conn.execute(statement.encode())
        for table in tables:
            conn.execute(f"ALTER TABLE hub.{table} ENABLE TRIGGER USER".encode())
        conn.commit()
