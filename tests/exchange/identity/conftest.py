"""A library's connection and some persons who are nobody's."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from exchange.database import Database, Role
from schemas.identifiers import resident_check


def number(sequence: int, born: str = "19491231") -> str:
    """A resident number of our own making, its check character right."""
    body = f"110105{born}{sequence:03d}"
    return body + resident_check(body)


@pytest.fixture
def conn(database: Database) -> Iterator[psycopg.Connection]:
    """The ingest role's connection; nothing is committed unless a test does."""
    with database.connect(Role.INGEST) as connection:
        yield connection
        connection.rollback()
