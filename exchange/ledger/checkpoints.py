"""Signed heads of the ledger's tree: C2SP checkpoints, signed on demand and kept.

A checkpoint says "these are all entries up to here". Whoever kept one can later show that history
was changed. The key is not here: signing is asked of the vault's signer.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import psycopg

from exchange.ledger import integrator
from license_vault.signer.client import Signer, ToSign
from schemas import checkpoint

ORIGIN_SUFFIX = "/ledger"
LOCK = integrator.LOCK + 1


def origin(public_url: str) -> str:
    """The name of the ledger: host and path of the public address, without its scheme."""
    parts = urlsplit(public_url)
    return f"{parts.netloc}{parts.path.rstrip('/')}{ORIGIN_SUFFIX}"


def current(conn: psycopg.Connection, name: str, signer: Signer) -> str:
    """The signed note over everything that has a place now; signed anew only when that grew.

    `conn` is the ledger role's. Raises `Unavailable` when the signer does not answer.
    """
    with conn.transaction():
        # One at a time: a head that is signed after a bigger one would be a step back.
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        size = integrator.size_of(conn)
        kept = conn.execute(
            "SELECT note FROM hub.checkpoint WHERE origin = %s AND size = %s", (name, size)
        ).fetchone()
        if kept is not None:
            return str(kept[0])
        root = integrator.edge(conn, size).root()
        key = signer.certificates().checkpoint_key
        body = checkpoint.body(name, size, root)
        note = checkpoint.note(body, name, lambda tbs: _signed(signer, tbs), key).decode()
        conn.execute(
            "INSERT INTO hub.checkpoint (origin, size, root, note) VALUES (%s, %s, %s, %s)",
            (name, size, root, note),
        )
        return note


def newest(conn: psycopg.Connection, name: str) -> str | None:
    """The newest kept checkpoint, if there is one."""
    row = conn.execute(
        "SELECT note FROM hub.checkpoint WHERE origin = %s ORDER BY size DESC LIMIT 1", (name,)
    ).fetchone()
    return str(row[0]) if row else None


def vkey(name: str, signer: Signer) -> str:
    """The public key to check the ledger's notes with, as C2SP writes it."""
    return checkpoint.vkey(name, signer.certificates().checkpoint_key)


def _signed(signer: Signer, tbs: bytes) -> bytes:
    return signer.sign("checkpoint", [ToSign("ledger", tbs)])[0]
