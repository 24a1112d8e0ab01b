"""The ledger: written together, placed once, proved to anybody, and tampering found."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from connectors.client import Client, HubUnavailable
from exchange.cli.ledger import app
from exchange.database import Database, Role
from exchange.ledger import checkpoints, integrator, receipts
from exchange.ledger.entries import Decision, begun
from exchange.ledger.writer import Writer
from exchange.problems import LedgerUnavailable
from schemas.canonical import canonical
from schemas.errors import Invalid
from schemas.grant import Authority
from schemas.merkle import ProofFailed
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub
from tests.exchange.ledger.asking import ask, wait_placed


class TestWriting:
    def test_concurrent_calls_share_a_flush(self, hub: RunningHub, client: Client) -> None:
        """Every answer has its entry, and there are fewer flushes than entries."""
        hub.give()
        client.token()

        with ThreadPoolExecutor(12) as threads:
            receipts = {each[0] for each in threads.map(lambda _: ask(client), range(96))}

        written = {entry["receipt"] for entry in hub.entries()}
        assert len(receipts) == 96
        assert receipts <= written
        figures = dict(
            line.split(" ") for line in httpx.get(f"{hub.url}/metrics").text.splitlines()
        )
        assert int(figures["yizhan_ledger_entries_total"]) == len(written)
        assert int(figures["yizhan_ledger_flushes_total"]) < len(written)

    def test_one_transaction_for_many(self, database: Database) -> None:
        """Entries that wait together are committed together, durably."""

        async def write() -> tuple[int, int]:
            import asyncpg

            writer = Writer(lambda: asyncpg.connect(database.dsn(Role.HUB)))
            entries = [begun("query").ended(Decision.REFUSED, "no-grant") for _ in range(40)]
            waiting = [asyncio.ensure_future(writer.write(entry)) for entry in entries]
            await asyncio.sleep(0)
            task = asyncio.create_task(writer.run())
            await asyncio.gather(*waiting)
            task.cancel()
            return writer.written, writer.flushes

        assert asyncio.run(write()) == (40, 1)
        with database.connect(Role.HUB) as conn:
            query = "SELECT count(*), count(DISTINCT xid::text) FROM hub.ledger_entry"
            assert conn.execute(query).fetchone() == (40, 1)

    def test_without_evidence_no_answer(self, hub: RunningHub, client: Client) -> None:
        """When the ledger cannot be written, the call fails and discloses nothing."""
        hub.give()
        client.token()
        with hub.owner() as conn:
            conn.execute("REVOKE INSERT ON hub.ledger_entry FROM yizhan_hub")

        answer = client.request("POST", f"/v1/resources/{RESOURCE}/query", _body())

        assert (answer.status_code, answer.json()["code"]) == (503, "ledger-unavailable")
        assert "李建国" not in answer.text

    def test_it_writes_again_after_a_broken_connection(
        self, hub: RunningHub, client: Client
    ) -> None:
        """Connections that were cut cost at most a call that may be tried again, never a 500."""
        hub.give()
        ask(client)
        _cut_connections(hub)

        receipt = _ask_again(client)

        assert receipt in {entry["receipt"] for entry in hub.entries()}

    def test_waiting_has_an_end(self) -> None:
        """A writer that does not run refuses; nobody waits for ever."""

        async def write() -> None:
            writer = Writer(_never)
            await writer.write(begun("query").ended(Decision.REFUSED))

        from exchange.ledger import writer as module

        before, module.PATIENCE = module.PATIENCE, 0.05
        try:
            with pytest.raises(LedgerUnavailable):
                asyncio.run(write())
        finally:
            module.PATIENCE = before


def _ask_again(client: Client) -> str:
    for _ in range(20):
        try:
            return ask(client)[0]
        except HubUnavailable as err:
            if err.problem["status"] != 503:
                raise
            time.sleep(0.1)
    raise AssertionError("the hub does not come back")


async def _never() -> Any:
    raise AssertionError("nobody connects")


def _body() -> dict[str, Any]:
    return {
        "subject": {"type": LI.type, "id": LI.id},
        "fields": ["name"],
        "authority": {
            name: getattr(AUTHORITY, name)
            for name in ("purpose", "basis", "item", "case", "officer")
        },
    }


def _cut_connections(hub: RunningHub) -> None:
    """The hub's role may end its own connections."""
    with hub.settings.database.connect(Role.HUB, autocommit=True) as conn:
        conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
            " current_database() AND usename = current_user AND pid <> pg_backend_pid()"
        )


CHANGES = (
    "UPDATE hub.ledger_entry SET body = ''",
    "DELETE FROM hub.ledger_entry",
    "TRUNCATE hub.ledger_entry",
    "UPDATE hub.ledger_leaf SET position = position + 1",
    "DELETE FROM hub.ledger_inner",
    "TRUNCATE hub.checkpoint",
)


class TestOnlyAddedTo:
    @pytest.mark.parametrize("role", [Role.HUB, Role.LEDGER, Role.OWNER])
    def test_nobody_changes_evidence(self, database: Database, role: Role) -> None:
        """No role that a process has, not even the owner's without taking the trigger away."""
        with database.connect(Role.HUB) as conn:
            for _ in range(2):
                _insert(conn, begun("query").ended(Decision.REFUSED))
        with database.connect(Role.LEDGER) as conn:
            integrator.place(conn)

        for statement in CHANGES:
            refused = pytest.raises(psycopg.errors.InsufficientPrivilege)
            with database.connect(role) as conn, refused:
                conn.execute(statement.encode())


def _insert(conn: psycopg.Connection, entry: Any) -> None:
    conn.execute(
        "INSERT INTO hub.ledger_entry (receipt, at, subject, body) VALUES (%s, %s, %s, %s)",
        (entry.receipt, entry.at, entry.subject, entry.body),
    )


class TestPlacing:
    def test_a_late_commit_is_not_skipped(self, database: Database) -> None:
        """An older transaction that commits after a newer one still gets its place."""
        early, late = (begun("query").ended(Decision.REFUSED) for _ in range(2))
        slow, quick = database.connect(Role.HUB), database.connect(Role.HUB)
        _insert(slow, early)
        _insert(quick, late)
        quick.commit()
        with database.connect(Role.LEDGER, autocommit=True) as conn:
            first = integrator.place(conn)
            slow.commit()
            second, third = integrator.place(conn), integrator.place(conn)
            placed = conn.execute(
                "SELECT receipt FROM hub.ledger_leaf ORDER BY position"
            ).fetchall()
        slow.close()
        quick.close()

        assert (first, second, third) == (1, 1, 0)
        assert [(late.receipt,), (early.receipt,)] == placed

    def test_one_at_a_time(self, database: Database) -> None:
        """A second integrator leaves the work to the first."""
        with database.connect(Role.HUB) as conn:
            _insert(conn, begun("query").ended(Decision.REFUSED))
        with database.connect(Role.LEDGER) as first, database.connect(Role.LEDGER) as second:
            first.execute("SELECT pg_advisory_xact_lock(%s)", (integrator.LOCK,))

            assert integrator.place(second) == 0

    def test_many_and_in_pieces(self, database: Database) -> None:
        """The stored tree is the tree over all entries, however they came."""
        with database.connect(Role.LEDGER, autocommit=True) as ledger:
            for count in (1, 2, 5, 17, 100):
                with database.connect(Role.HUB) as conn:
                    for _ in range(count):
                        _insert(conn, begun("query").ended(Decision.REFUSED))
                assert integrator.place(ledger) == count

            from schemas.merkle import leaf_hash, root

            bodies = ledger.execute(
                "SELECT e.body FROM hub.ledger_leaf l JOIN hub.ledger_entry e USING (receipt)"
                " ORDER BY l.position"
            ).fetchall()
            assert integrator.edge(ledger, 125).root() == root(leaf_hash(b) for (b,) in bodies)


CHANGED: tuple[Callable[[Any], Any], ...] = (
    lambda proof: {**proof, "entry": proof["entry"].replace("answered", "refused")},
    lambda proof: {**proof, "entry": proof["entry"].replace(":", ": ", 1)},
    lambda proof: {**proof, "index": proof["index"] + 1},
    lambda proof: {**proof, "index": True},
    lambda proof: {**proof, "path": proof["path"][:-1]},
    lambda proof: {**proof, "path": ["not base64"]},
    lambda proof: {**proof, "checkpoint": proof["checkpoint"].replace("\n5\n", "\n6\n")},
    lambda proof: {**proof, "checkpoint": ""},
    lambda _: [],
)


class TestProving:
    def test_a_receipt_is_proved_with_the_key_alone(
        self, hub: RunningHub, client: Client, tmp_path: Any
    ) -> None:
        """From the receipt to a file that anybody checks without the hub."""
        hub.give()
        receipt = ask(client, 5)[2]
        file = tmp_path / "proof.json"
        key = checkpoints.vkey(checkpoints.origin(hub.url), hub.signer)

        made = CliRunner().invoke(
            app, ["prove", receipt, "--hub", hub.url, "--out", str(file)], catch_exceptions=False
        )
        checked = CliRunner().invoke(
            app, ["check", str(file), "--key", key], catch_exceptions=False
        )

        assert (made.exit_code, checked.exit_code) == (0, 0)
        assert receipt in checked.stdout
        assert "proved" in checked.stdout

    def test_a_changed_proof_is_none(self, hub: RunningHub, client: Client) -> None:
        """Whatever is changed in it."""
        hub.give()
        receipt = ask(client, 4)[1]
        wait_placed(hub)
        proof = httpx.get(f"{hub.url}/v1/ledger/receipts/{receipt}/proof").json()
        key = checkpoints.vkey(checkpoints.origin(hub.url), hub.signer)
        assert (
            receipts.check(receipts.read(json.dumps(proof).encode()), key).index == proof["index"]
        )

        for change in CHANGED:
            with pytest.raises((Invalid, ProofFailed)):
                receipts.check(receipts.read(json.dumps(change(proof)).encode()), key)

    def test_the_checkpoint_grows(self, hub: RunningHub, client: Client) -> None:
        """The same head is signed once, a bigger one anew."""
        hub.give()
        ask(client)
        wait_placed(hub)

        first, again = (httpx.get(f"{hub.url}/v1/ledger/checkpoint").text for _ in range(2))
        ask(client)
        size = wait_placed(hub)
        grown = httpx.get(f"{hub.url}/v1/ledger/checkpoint").text

        assert first == again
        assert grown.split("\n")[:2] == [checkpoints.origin(hub.url), str(size)]


class TestEntries:
    @given(st.builds(Authority, *[st.text(max_size=30)] * 5), st.sampled_from(Decision))
    def test_an_entry_is_canonical(self, authority: Authority, decision: Decision) -> None:
        """The bytes that are hashed are RFC 8785's, whatever the texts hold."""
        call = begun("query")
        call.authority, call.fields = authority, ("name", "b")

        body = call.ended(decision, "a-rule", b"answer").body

        assert canonical(json.loads(body)) == body
