"""What a resource's lint must know beside its metadata, read from where it stands."""

from __future__ import annotations

from datetime import datetime

import psycopg

from exchange.catalogue.lint import Surroundings
from exchange.catalogue.systems import codes
from schemas import contract, departments
from schemas.errors import NotFound

LOADED = """
SELECT dataset, max(published_at) FROM library.batch
WHERE state = 'published' GROUP BY dataset
"""


def loaded(conn: psycopg.Connection) -> dict[str, datetime]:
    """When each dataset last got a batch; a connection that reads libraries is needed."""
    return {dataset: at for dataset, at in conn.execute(LOADED).fetchall() if at is not None}


def around(
    conn: psycopg.Connection, resource: str, loaded_at: datetime | None = None
) -> Surroundings:
    """What is known beside the metadata of a resource, on the clerk's connection."""
    try:
        described = contract.load(resource)
    except NotFound:
        described = None
    return Surroundings(departments.tree(), codes(conn), described, loaded_at)
