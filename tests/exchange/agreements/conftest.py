"""A database in which housing may apply and the police answer."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from exchange.database import Database, Role
from tests.exchange.agreements.agreeing import publish, register


@pytest.fixture
def clerk(database: Database) -> Iterator[psycopg.Connection]:
    """The clerk's connection; residents are published."""
    register(database, bank="finance", window="window")
    with database.connect(Role.CLERK, autocommit=True) as conn:
        publish(conn)
        yield conn
