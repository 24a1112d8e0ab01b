"""The signed head of the license log, and the offline proof that stands beside every license.

A head is signed when somebody needs it and kept, so the same head is signed once. Whoever asks
while others append may be behind the last head signed; the signer refuses that, and we look again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

from license_vault import log, store
from license_vault.record import log_origin
from license_vault.signer.client import Signer, ToSign
from license_vault.store import Connection
from schemas import checkpoint, merkle
from schemas.errors import Refused, Unavailable
from schemas.license import Form

TREE = "log"
ATTEMPTS = 10


@dataclass(frozen=True)
class SignedHead:
    """A head of the license log and its signed note."""

    size: int
    note: str


def current(conn: Connection, signer: Signer, public_url: str) -> SignedHead:
    """The signed head of the log as committed; signs it when nobody has yet.

    Give it a connection with nothing pending: entries that are not committed cannot be signed.
    Raises `Unavailable` when the signer stays away or others append faster than this can look.
    """
    origin = log_origin(public_url)
    for _ in range(ATTEMPTS):
        size = store.log_size(conn)
        kept = conn.execute(
            "SELECT note FROM vault.checkpoint WHERE origin = %s AND size = %s", (origin, size)
        ).fetchone()
        if kept is not None:
            return SignedHead(size, kept[0])
        root = merkle.frontier(size, partial(store.node, conn)).root()
        conn.commit()
        body = checkpoint.body(origin, size, root)
        try:
            note = _note(body, origin, signer)
        except Refused as err:
            if err.rule != "log-rolled-back":
                raise
            continue
        conn.execute(
            "INSERT INTO vault.checkpoint (origin, size, note) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (origin, size, note),
        )
        conn.commit()
        return SignedHead(size, note)
    raise Unavailable("the license log grows faster than its head can be signed")


def prove(
    conn: Connection, signer: Signer, public_url: str, license_ids: Sequence[str] | None = None
) -> int:
    """Store a tlog-proof beside these licenses, or beside every one that has none; says how many.

    Commits before it asks the signer and when it is done. Killed anywhere, it is asked again.
    """
    rows = _unproved(conn, license_ids)
    if not rows:
        return 0
    held = {each.id: each for each in store.many(conn, [row[0] for row in rows])}
    head = current(conn, signer, public_url)
    # Neighbours share most of their paths: each node is read once.
    node = cache(partial(store.node, conn))
    files = []
    for license_id, index, entry in rows:
        path = merkle.inclusion_path(index, head.size, node)
        proof = log.proof_file(
            entry=bytes(entry),
            salt=held[license_id].salt,
            index=index,
            path=path,
            checkpoint=head.note,
        )
        files.append((held[license_id], Form.PROOF, proof))
    store.add_files(conn, files)
    conn.commit()
    return len(files)


def _unproved(conn: Connection, license_ids: Sequence[str] | None) -> list[tuple[str, int, bytes]]:
    some = license_ids is not None
    return conn.execute(
        "SELECT l.id, l.log_index, e.entry FROM vault.license l"
        ' JOIN vault.log_entry e ON e."index" = l.log_index'
        " WHERE (NOT %s OR l.id = ANY(%s)) AND NOT EXISTS (SELECT FROM vault.file f"
        " WHERE f.license_id = l.id AND f.form = 'proof') ORDER BY l.log_index",
        (some, list(license_ids or ())),
    ).fetchall()


def _note(body: bytes, origin: str, signer: Signer) -> str:
    def sign(text: bytes) -> bytes:
        return signer.sign("checkpoint", [ToSign(TREE, text)])[0]

    return checkpoint.note(body, origin, sign, signer.certificates().checkpoint_key).decode()
