"""Client systems and their keys. Registering and suspending are an administrator's deeds: they run
on the owner's connection, and the hub's own role cannot do them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import psycopg
from psycopg.types.json import Jsonb

from exchange.keys import public_key
from schemas.errors import NotFound

REVOKE = """
WITH RECURSIVE fallen (kid) AS (
    SELECT kid FROM hub.client_key WHERE kid = %s AND revoked_at IS NULL
    UNION
    SELECT k.kid FROM hub.client_key k JOIN fallen f ON k.follows = f.kid
)
UPDATE hub.client_key k SET revoked_at = now()
FROM fallen WHERE k.kid = fallen.kid AND k.revoked_at IS NULL
"""


def register(
    conn: psycopg.Connection, client_id: str, name: str, public_jwk: Mapping[str, object]
) -> str:
    """Register a client with its public key, or give it one more; return the key's `kid`.

    Raises `BadKey`, also for a key that carries its private half.
    """
    key = public_key(dict(public_jwk))
    conn.execute(
        "INSERT INTO hub.client (id, name) VALUES (%s, %s) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        (client_id, name),
    )
    conn.execute(
        "INSERT INTO hub.client_key (kid, client, jwk) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
        (key.kid, client_id, Jsonb(dict(key.jwk))),
    )
    return key.kid


def suspend(conn: psycopg.Connection, client_id: str) -> None:
    """Suspend a client: its next call is refused, whatever token it holds. Raises `NotFound`."""
    _set_status(conn, client_id, "suspended")


def restore(conn: psycopg.Connection, client_id: str) -> None:
    """Let a suspended client call again. Raises `NotFound`."""
    _set_status(conn, client_id, "active")


def revoke_key(conn: psycopg.Connection, kid: str) -> None:
    """Revoke a key for good: tokens bound to it stop at the next call. Raises `NotFound`.

    Keys that it gave its client after it fall with it: whoever stole it may have given them.
    """
    done = conn.execute(REVOKE, (kid,))
    if done.rowcount == 0:
        raise NotFound("there is no such key in force")


def sign_from(conn: psycopg.Connection, client_id: str, moment: datetime) -> None:
    """Let a client that cannot sign yet call without a signature until then. Raises `NotFound`."""
    done = conn.execute(
        "UPDATE hub.client SET unsigned_until = %s WHERE id = %s", (moment, client_id)
    )
    if done.rowcount == 0:
        raise NotFound("there is no such client")


def allow_misses(conn: psycopg.Connection, client_id: str, per_day: int) -> None:
    """How many subjects that nobody knows a client may ask about in a day. Raises `NotFound`."""
    done = conn.execute(
        "UPDATE hub.client SET misses_per_day = %s WHERE id = %s", (per_day, client_id)
    )
    if done.rowcount == 0:
        raise NotFound("there is no such client")


def _set_status(conn: psycopg.Connection, client_id: str, status: str) -> None:
    done = conn.execute("UPDATE hub.client SET status = %s WHERE id = %s", (status, client_id))
    if done.rowcount == 0:
        raise NotFound("there is no such client")
