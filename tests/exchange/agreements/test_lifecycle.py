"""The life of a grant, felt at the next call of a running hub by a client with a cached token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from connectors.client import CallRefused, Client
from exchange.agreements import evidence, lifecycle, stored
from exchange.agreements.answerable import NotYours
from exchange.agreements.evidence import By
from exchange.catalogue import systems, versions
from exchange.database import Role
from exchange.settings import Settings
from schemas.application import Terms
from schemas.errors import Invalid, Refused, WrongState
from schemas.grant import Authority, Form, Grant, GrantState, Mode
from tests.exchange.agreements.agreeing import (
    CHIEF,
    FILE,
    HOUSING,
    OFFICER,
    RESOURCE,
    STRANGER,
    SUPERIOR,
    TERMS,
    add_systems,
    granted,
    publish,
)
from tests.exchange.hubs import LI, RunningHub, add_resident, running_hub

WHY = Authority("不动产登记核验", "《不动产登记暂行条例》第十八条", "0100301000", "1", "W-12")
Deed = Callable[[psycopg.Connection, str], Grant]


def now() -> datetime:
    """The time that the hub goes by."""
    return datetime.now(UTC)


@pytest.fixture
def hub(settings: Settings) -> Iterator[RunningHub]:
    """A running hub with a resident, housing's client and the police's."""
    with running_hub(settings) as running:
        add_resident(running)
        yield running


@pytest.fixture
def client(hub: RunningHub) -> Iterator[Client]:
    """Housing's client, with a token."""
    hub.client("police").__exit__(None, None, None)
    with hub.client("housing") as opened:
        yield opened


@pytest.fixture
def clerk(hub: RunningHub, client: Client) -> Iterator[psycopg.Connection]:
    """The clerk's connection; residents are published."""
    with hub.settings.database.connect(Role.CLERK, autocommit=True) as conn:
        add_systems(conn)
        publish(conn)
        yield conn


@pytest.fixture
def grant(clerk: psycopg.Connection, client: Client) -> Grant:
    """A grant by way of an application, used once."""
    made = granted(clerk, valid_from=now() - timedelta(days=1), valid_to=now() + timedelta(days=60))
    assert client.query(RESOURCE, LI, ["name"], WHY)["found"]
    return made


def rule(client: Client, *fields: str) -> str | None:
    """What refuses a call now; none where it is answered."""
    try:
        client.query(RESOURCE, LI, list(fields or ("name",)), WHY)
    except CallRefused as err:
        return err.rule
    return None


class TestFeltAtTheNextCall:
    def test_suspended_and_resumed(
        self, clerk: psycopg.Connection, client: Client, grant: Grant
    ) -> None:
        """No new token is needed for either."""
        lifecycle.suspend(clerk, grant.id, now(), by=CHIEF, reason="疑似批量查询")
        assert "grant-suspended" == rule(client)

        lifecycle.resume(clerk, grant.id, now(), by=CHIEF, reason="已核实")
        assert rule(client) is None

    def test_revoked(self, clerk: psycopg.Connection, client: Client, grant: Grant) -> None:
        """For good."""
        lifecycle.revoke(clerk, grant.id, now(), by=CHIEF, reason="目的已完成")

        assert "grant-revoked" == rule(client)
        with pytest.raises(WrongState, match="cannot become in-force"):
            lifecycle.resume(clerk, grant.id, now(), by=CHIEF, reason="x")

    def test_narrowed(self, clerk: psycopg.Connection, client: Client, grant: Grant) -> None:
        """A field less, and a mask over what was plain."""
        less = replace(Terms.of(grant), fields={"name": Form.MASKED}, modes=frozenset({Mode.QUERY}))
        lifecycle.narrow(clerk, grant.id, less, now(), by=CHIEF, reason="最小必要")

        assert "field-outside-grant" == rule(client, "residence_address")
        answer = client.query(RESOURCE, LI, ["name"], WHY)
        assert ("李**", True) == (
            answer["values"]["name"]["value"],
            answer["values"]["name"]["masked"],
        )
        told = evidence.events(clerk, "grant", grant.id)[-1]
        assert ("narrow", "plain") == (told.deed, told.detail["from"]["fields"]["name"])

    def test_its_version_ended(
        self, hub: RunningHub, clerk: psycopg.Connection, client: Client, grant: Grant
    ) -> None:
        """On its day the grant ends with it; nobody has to revoke anything."""
        versions.end(
            clerk, RESOURCE, "1.0.0", now() + timedelta(days=31), now(), by=CHIEF, reason="换版"
        )
        assert rule(client) is None

        with hub.owner() as owner:  # the day comes
            owner.execute('UPDATE hub."grant" SET sunset_at = now()')
        assert "version-ended" == rule(client)

    def test_planted_a_hub_that_remembers_grants_would_be_caught(
        self,
        clerk: psycopg.Connection,
        client: Client,
        grant: Grant,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The tests above can fail: with yesterday's grant in its head the hub answers."""
        from exchange import grant_rows

        monkeypatch.setattr(grant_rows, "grant", lambda row: grant)
        lifecycle_row = 'UPDATE hub."grant" SET suspended_at = now()'
        clerk.execute(lifecycle_row)

        assert rule(client) is None


class TestRenew:
    def test_it_holds_longer_under_a_new_number(
        self, clerk: psycopg.Connection, grant: Grant
    ) -> None:
        """And the old approval stays on record."""
        until = grant.valid_to + timedelta(days=100)

        done = lifecycle.renew(
            clerk, grant.id, until, now(), by=CHIEF, file_number="公安〔2027〕1号"
        )

        assert (until, "公安〔2027〕1号") == (done.valid_to, done.file_number)
        assert [FILE, "公安〔2027〕1号"] == [
            each.reason for each in evidence.events(clerk, "grant", grant.id)
        ]

    @pytest.mark.parametrize("days", [-1, 0, 5 * 366])
    def test_later_and_not_for_ever(
        self, clerk: psycopg.Connection, grant: Grant, days: int
    ) -> None:
        """Three years at most."""
        until = grant.valid_to + timedelta(days=days)

        with pytest.raises(Invalid, match="within three years"):
            lifecycle.renew(clerk, grant.id, until, now(), by=CHIEF, file_number=FILE)

    def test_what_is_over_is_applied_for_anew(
        self, clerk: psycopg.Connection, grant: Grant
    ) -> None:
        """An expired or suspended grant is not renewed."""
        late = grant.valid_to + timedelta(seconds=1)

        with pytest.raises(WrongState, match="apply anew"):
            lifecycle.renew(
                clerk, grant.id, late + timedelta(days=9), late, by=CHIEF, file_number=FILE
            )


class TestWhoDecides:
    def test_the_superior_may_step_in_and_the_holder_may_give_up(
        self, clerk: psycopg.Connection, grant: Grant
    ) -> None:
        """But who holds it does not resume it."""
        lifecycle.suspend(clerk, grant.id, now(), by=SUPERIOR, reason="督查")
        with pytest.raises(NotYours):
            lifecycle.resume(clerk, grant.id, now(), by=OFFICER, reason="需要")
        lifecycle.revoke(clerk, grant.id, now(), by=OFFICER, reason="不再需要")

        assert GrantState.REVOKED is stored.grant(clerk, grant.id).state

    def test_strangers_do_nothing(self, clerk: psycopg.Connection, grant: Grant) -> None:
        """None of the deeds, and nothing is written."""
        deeds: list[Callable[[], Any]] = [
            lambda: lifecycle.suspend(clerk, grant.id, now(), by=STRANGER, reason="x"),
            lambda: lifecycle.resume(clerk, grant.id, now(), by=STRANGER, reason="x"),
            lambda: lifecycle.revoke(clerk, grant.id, now(), by=STRANGER, reason="x"),
            lambda: lifecycle.narrow(clerk, grant.id, TERMS, now(), by=STRANGER, reason="x"),
            lambda: lifecycle.renew(
                clerk, grant.id, now() + timedelta(90), now(), by=STRANGER, file_number="x"
            ),
        ]
        for deed in deeds:
            with pytest.raises(NotYours):
                deed()

        assert grant == stored.grant(clerk, grant.id)

    def test_narrowing_gives_nothing_more(self, clerk: psycopg.Connection, grant: Grant) -> None:
        """Not one field, not one day, not one row."""
        terms = Terms.of(grant)
        for more in (
            replace(terms, fields={**terms.fields, "sex": Form.PLAIN}),
            replace(terms, valid_to=terms.valid_to + timedelta(days=1)),
            replace(terms, per_day=terms.per_day + 1),
        ):
            with pytest.raises(Refused, match="nothing more"):
                lifecycle.narrow(clerk, grant.id, more, now(), by=CHIEF, reason="x")

    def test_a_system_that_was_retired_decides_nothing(
        self, clerk: psycopg.Connection, grant: Grant
    ) -> None:
        """Its department no longer holds the grant through it."""
        systems.retire(clerk, "housing-registration", by=By("admin"), reason="下线")

        with pytest.raises(NotYours):
            lifecycle.revoke(clerk, grant.id, now(), by=By("x", HOUSING), reason="x")
