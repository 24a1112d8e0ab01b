"""A hub whose libraries hold one owner and one unit, and an intake system with its grants."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.client import Client
from exchange import grants
from exchange.intake import needed_grants
from exchange.settings import Settings
from tests.connectors.intake.holdings import BUNDLE, OWNER, UNIT
from tests.exchange.hubs import RunningHub, add_resident, running_hub

INTAKE = "one-stop-hall"
PURPOSE, BASIS = "open-restaurant", "政务服务"


def give_all(hub: RunningHub, client: str = INTAKE) -> None:
    """Give a client what the bundle needs."""
    now = datetime.now(UTC)
    with hub.owner() as conn:
        for needed in needed_grants(BUNDLE):
            grant = needed.grant(
                client,
                purpose=PURPOSE,
                basis=BASIS,
                file_number="数据局〔2026〕11号",
                valid_from=now - timedelta(days=1),
                valid_to=now + timedelta(days=30),
            )
            grants.give(conn, grant)


def set_owner(hub: RunningHub, holder: str) -> None:
    """The register says that the unit is this person's."""
    with hub.owner() as conn:
        conn.execute(
            "DELETE FROM library.real_estate_registration_ownership WHERE unit_no = %s", (UNIT.id,)
        )
        conn.execute(
            "INSERT INTO library.real_estate_registration_ownership (unit_no, holder_id,"
            " holder_id_type, holder_name, certificate_no, co_ownership, location, area_m2, use,"
            " registered_on, authority, authority_name, mortgaged, seized, changed_at, _batch,"
            " _since) VALUES (%s, %s, '111', '张三', '示（2020）不动产权第1号', '0', '朝阳街1号',"
            " 120.5, '10', '2020-01-02', '11110105000000000A', '示范市自然资源局', false, false,"
            " now(), 1, now())",
            (UNIT.id, holder),
        )


@pytest.fixture
def hub(settings: Settings) -> Iterator[RunningHub]:
    """A running hub that knows the owner and the unit."""
    with running_hub(settings) as running:
        add_resident(running, OWNER, "张三")
        set_owner(running, OWNER.id)
        yield running


@pytest.fixture
def intake(hub: RunningHub) -> Iterator[Client]:
    """An intake system with the grants that the bundle needs."""
    with hub.client(INTAKE) as client:
        give_all(hub)
        yield client
