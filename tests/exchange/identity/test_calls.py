"""From a decision to an answered call and back, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.client import CallInvalid, Client
from exchange.identity import decisions
from exchange.settings import Settings
from schemas.grant import Form, Subject
from tests.exchange.hubs import AUTHORITY, LI, RESOURCE, RunningHub, add_resident, running_hub
from tests.exchange.identity.conftest import number

OTHER = Subject("cn.resident_id", number(4))
WHY: Any = {"by": "李科长", "reason": "经核实为同一人"}
UNIT = "330784001002GB00003F00040005"
OWNERSHIP = "real_estate_registration.ownership"


@pytest.fixture
def hub(settings: Settings) -> Iterator[RunningHub]:
    """A running hub whose library holds one resident, and a house under another number."""
    with running_hub(settings) as running:
        add_resident(running)
        with running.owner() as conn:
            conn.execute(
                "INSERT INTO library.real_estate_registration_ownership"
                " (unit_no, holder_id, holder_id_type, holder_name, mortgaged, seized, changed_at,"
                " _batch, _since) VALUES (%s, %s, '111', '李建国', false, false, %s, 1, now())",
                (UNIT, OTHER.id, datetime.now(UTC)),
            )
        yield running


@pytest.fixture
def client(hub: RunningHub) -> Iterator[Client]:
    """A client that may ask for residents, houses and the log."""
    with hub.client() as opened:
        hub.give()
        hub.give(id="houses", resource=OWNERSHIP, fields={"unit_no": Form.PLAIN})
        hub.give(id="log", resource="ledger.accesses", fields={"accesses": Form.PLAIN})
        yield opened


def merge(hub: RunningHub) -> None:
    with hub.owner() as conn:
        decisions.merge(conn, "resident", OTHER.id, LI.id, **WHY)


def unmerge(hub: RunningHub) -> None:
    with hub.owner() as conn:
        decisions.unmerge(conn, "resident", OTHER.id, **WHY)


class TestACallByAnOldNumber:
    def test_answers_while_it_stands_for_the_new_one(self, hub: RunningHub, client: Client) -> None:
        """Not found, then the person, then not found again; the ledger means the person."""
        asked = [client.query(RESOURCE, OTHER, ["name"], AUTHORITY)["found"]]
        merge(hub)
        answer = client.query(RESOURCE, OTHER, ["name"], AUTHORITY)
        hashed = hub.entries()[-1]["subject"]
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        assert hashed == hub.entries()[-1]["subject"]
        unmerge(hub)
        asked.append(client.query(RESOURCE, OTHER, ["name"], AUTHORITY)["found"])

        assert [False, False] == asked
        assert "李建国" == answer["values"]["name"]["value"]
        assert hashed != hub.entries()[-1]["subject"]

    def test_rows_under_either_number_are_the_person_s(
        self, hub: RunningHub, client: Client
    ) -> None:
        """A house registered under the one number is found by the other, while they are one."""
        found = [client.query(OWNERSHIP, LI, ["unit_no"], AUTHORITY)["found"]]
        merge(hub)
        for subject in (LI, OTHER):
            answer = client.query(OWNERSHIP, subject, ["unit_no"], AUTHORITY)
            assert [UNIT] == answer["values"]["unit_no"]["value"]
        unmerge(hub)
        found.append(client.query(OWNERSHIP, LI, ["unit_no"], AUTHORITY)["found"])

        assert [False, False] == found

    def test_of_two_rows_the_one_under_the_own_number_answers(
        self, hub: RunningHub, client: Client
    ) -> None:
        """Where a person has one row, the other number's row is set aside, not mixed in."""
        add_resident(hub, OTHER, "李建囯")
        merge(hub)

        names = [
            client.query(RESOURCE, subject, ["name"], AUTHORITY)["values"]["name"]["value"]
            for subject in (LI, OTHER)
        ]

        assert ["李建国", "李建国"] == names

    def test_the_citizen_s_log_has_both(self, hub: RunningHub, client: Client) -> None:
        """Who asked by the old number before the merge asked about this person."""
        client.query(RESOURCE, OTHER, ["name"], AUTHORITY)
        client.query(RESOURCE, LI, ["name"], AUTHORITY)
        assert 1 == len(client.accesses(LI, AUTHORITY)["accesses"])
        merge(hub)

        assert ["answered", "answered", "not-found"] == [
            access["decision"] for access in client.accesses(LI, AUTHORITY)["accesses"]
        ]

    def test_a_chain_from_fifteen_digits(self, hub: RunningHub, client: Client) -> None:
        """The 15-digit form of a merged number leads on, although no batch ever reported it."""
        merge(hub)
        short = replace(OTHER, id=OTHER.id[:6] + OTHER.id[8:17])

        assert client.query(RESOURCE, short, ["name"], AUTHORITY)["found"]

    def test_an_ambiguous_one_is_refused(self, hub: RunningHub, client: Client) -> None:
        """Two claims that end at two persons are nobody's to choose."""
        with hub.owner() as conn:
            conn.execute(
                "INSERT INTO library.alias (kind, alias, subject, source) VALUES"
                " ('resident', '110105491231004', %s, 'a'),"
                " ('resident', '110105491231004', %s, 'b')",
                (LI.id, OTHER.id),
            )
        short = replace(OTHER, id="110105491231004")

        with pytest.raises(CallInvalid) as refused:
            client.query(RESOURCE, short, ["name"], AUTHORITY)
        merge(hub)

        assert "subject-ambiguous" == refused.value.rule
        assert client.query(RESOURCE, short, ["name"], AUTHORITY)["found"]
