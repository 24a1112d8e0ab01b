"""What can happen to a license, seen at once in its state, its bits, the log and the outbox."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from license_vault import change, issue, store
from schemas import merkle
from schemas.errors import Invalid, NotFound, WrongState
from schemas.license import MOVES, STATUS_BITS, STATUS_ZH, License, Status
from tests.license_vault.office import OFFICER, Office, business_license

DEEDS: dict[str, Callable[..., License]] = {
    "suspend": change.suspend,
    "restore": change.restore,
    "revoke": change.revoke,
    "annul": change.annul,
}


@pytest.fixture
def held(vault: Office) -> License:
    """A valid license."""
    [made] = issue.issue(vault.connect, vault.signer, [business_license()], vault.place)
    return made


def do(vault: Office, deed: str, license_id: str, **how: Any) -> License:
    """Do it, as an officer."""
    with vault.connect() as conn:
        return DEEDS[deed](conn, license_id, **({"reason": "by decision 7", "by": OFFICER} | how))


class TestMoves:
    def test_every_status_says_where_it_may_go_what_its_bits_are_and_its_name(self) -> None:
        """No status was forgotten in any of the tables."""
        assert set(Status) == MOVES.keys() == STATUS_BITS.keys() == STATUS_ZH.keys()


class TestRevoke:
    def test_state_bits_log_and_outbox_change_together(self, vault: Office, held: License) -> None:
        """One transaction: whoever looks sees all of it or nothing."""
        revoked = do(vault, "revoke", held.id)

        with vault.connect() as conn:
            assert revoked == store.get(conn, held.id)
            assert (1, [(held.status_index, 1)]) == store.slots(conn, 1)
        assert "revoke" == vault.one('SELECT event FROM vault.log_entry WHERE "index" = 1')
        assert OFFICER == vault.one('SELECT "by" FROM vault.outbox WHERE log_index = 1')

    def test_a_transaction_that_fails_changes_nothing(self, vault: Office, held: License) -> None:
        """Killed before the commit, the license stands as it stood."""
        with vault.connect() as conn:
            change.revoke(conn, held.id, reason="mistaken", by=OFFICER)
            conn.rollback()
            assert held == store.get(conn, held.id)
            assert (0, []) == store.slots(conn, 1)
            assert 1 == store.log_size(conn)

    def test_revoked_is_final(self, vault: Office, held: License) -> None:
        """There is no way back from revoked, and nothing is written."""
        do(vault, "revoke", held.id)

        for deed in DEEDS:
            with pytest.raises(WrongState):
                do(vault, deed, held.id)
        assert 2 == vault.one("SELECT count(*) FROM vault.log_entry")

    def test_the_log_says_what_happened_and_not_to_whom(self, vault: Office, held: License) -> None:
        """An entry holds a salted digest: no name, no number, no identifier."""
        do(vault, "revoke", held.id)

        entry = bytes(vault.one('SELECT entry FROM vault.log_entry WHERE "index" = 1'))
        for personal in (
            held.id,
            held.serial,
            held.number,
            held.holders[0].name,
            held.face["name"],
        ):
            assert personal.encode() not in entry

    def test_needs_a_reason_and_somebody_who_answers_for_it(
        self, vault: Office, held: License
    ) -> None:
        """An empty reason is refused before anything is read."""
        with pytest.raises(Invalid, match="reason"):
            do(vault, "revoke", held.id, reason=" ")

    def test_of_no_license_at_all(self, vault: Office) -> None:
        """There is no such license."""
        with pytest.raises(NotFound):
            do(vault, "revoke", "1.2.156.3005.2.x")


class TestSuspend:
    def test_restored_is_valid_again_and_its_bits_are_back(
        self, vault: Office, held: License
    ) -> None:
        """Suspended is 2, valid is 0, and the list's version rises with both."""
        do(vault, "suspend", held.id)
        with vault.connect() as conn:
            assert (1, [(held.status_index, 2)]) == store.slots(conn, 1)

        restored = do(vault, "restore", held.id)

        assert Status.VALID is restored.status
        with vault.connect() as conn:
            assert (2, []) == store.slots(conn, 1)

    def test_a_valid_license_has_nothing_to_be_restored_from(
        self, vault: Office, held: License
    ) -> None:
        """Restoring what stands is a mistake, not a change."""
        with pytest.raises(WrongState):
            do(vault, "restore", held.id)


class TestLog:
    def test_the_stored_nodes_are_those_of_the_tree_over_the_entries(
        self, vault: Office, held: License
    ) -> None:
        """Root over every leaf equals the root that the stored nodes give."""
        for deed in ("suspend", "restore", "suspend", "revoke"):
            do(vault, deed, held.id)

        with vault.connect() as conn:
            rows = conn.execute('SELECT leaf, entry FROM vault.log_entry ORDER BY "index"')
            leaves = [merkle.leaf_hash(bytes(entry)) for _, entry in rows]
            edge = merkle.frontier(5, lambda level, index: store.node(conn, level, index))
        assert merkle.root(leaves) == edge.root()
