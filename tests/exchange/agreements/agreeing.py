"""Departments, systems and terms for tests of agreements: housing asks, the police answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from connectors.client import new_key, public_half
from exchange import clients
from exchange.agreements import applications
from exchange.agreements.evidence import By
from exchange.catalogue import systems, versions
from exchange.catalogue.metadata import Added, drafted
from exchange.catalogue.surroundings import around
from exchange.catalogue.systems import System
from exchange.database import Database, Role
from schemas import contract
from schemas.application import Application, Terms
from schemas.grant import Form, Grant, Mode

POLICE, HOUSING = "11330784MB9000111W", "11330784MB90009988"
GOVERNMENT = "11330784MB800003XR"
EDUCATION = "11330784MB900012XL"
RESOURCE = "population.resident"
AT = datetime(2026, 11, 16, 2, tzinfo=UTC)  # Monday, ten in the morning
OFFICER, CHIEF = By("housing:0312", HOUSING), By("police:0007", POLICE)
SUPERIOR = By("government:0001", GOVERNMENT)
STRANGER = By("education:0001", EDUCATION)
LAW = "《中华人民共和国居民身份证法》第十九条"
FILE = "公安〔2026〕12号"
TERMS = Terms(
    purposes=frozenset({"不动产登记核验"}),
    bases=frozenset({"《不动产登记暂行条例》第十八条"}),
    items=frozenset({"0100301000"}),
    fields={"name": Form.PLAIN, "residence_address": Form.MASKED, "birth_date": Form.COMPARE},
    modes=frozenset({Mode.QUERY, Mode.VERIFY}),
    per_minute=600,
    per_day=10_000,
    valid_from=AT - timedelta(days=1),
    valid_to=AT + timedelta(days=365),
)


def publish(conn: psycopg.Connection, version: str = "1.0.0", resource: str = RESOURCE) -> None:
    """Publish a dataset of the police's."""
    added = Added(version=version, system="police-population", condition="依法履职需要")
    versions.propose(conn, drafted(contract.load(resource), added), by=By("police:0101", POLICE))
    versions.publish(
        conn, resource, around(conn, resource), AT, by=By("police:0001", POLICE), file_number=FILE
    )


def register(database: Database, **kinds: str) -> None:
    """Register the police's and housing's systems, and clients of other kinds by name."""
    with database.connect(Role.OWNER) as owner:
        for name in ("housing", "police", *kinds):
            clients.register(owner, name, name, public_half(new_key()))
        owner.commit()
    with database.connect(Role.CLERK) as conn:
        add_systems(conn, **kinds)
        conn.commit()


def add_systems(conn: psycopg.Connection, **kinds: str) -> None:
    """Say which systems the clients are."""
    admin, day = By("admin:0001"), AT.date()
    known = [
        System("police-population", POLICE, "人口信息系统", client="police", duties=("answer",)),
        System("housing-registration", HOUSING, "不动产登记系统", client="housing"),
        *(System(f"{n}-system", HOUSING, n, kind, client=n) for n, kind in kinds.items()),
    ]
    for system in known:
        systems.register(conn, system, by=admin, day=day)


def submitted(
    conn: psycopg.Connection,
    at: datetime = AT,
    *,
    client: str = "housing",
    file_number: str = "建〔2026〕3号",
    by: By = OFFICER,
    said: Mapping[str, str] = {},
    **changes: Any,
) -> Application:
    """The usual application, with changes."""
    words = {"scenario": "核验权利人身份", "promise": "专网使用，用后即焚"} | dict(said)
    return applications.submit(
        conn,
        client,
        RESOURCE,
        replace(TERMS, **changes),
        at,
        by=by,
        file_number=file_number,
        **words,
    )


def granted(conn: psycopg.Connection, **changes: Any) -> Grant:
    """The grant of the usual application."""
    made = submitted(conn, **changes)
    return applications.approve(conn, made.id, AT, by=CHIEF, file_number=FILE)
