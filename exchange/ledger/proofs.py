"""The proof of one entry: the entry itself, its place, its path, and the signed head above it.

`check` needs nothing but the proof and the ledger's public key: no hub, no database, no network.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import orjson
import psycopg

from exchange.ledger import checkpoints, integrator
from exchange.problems import NotYetPlaced
from license_vault.signer.client import Signer
from schemas import checkpoint
from schemas.canonical import canonical
from schemas.errors import Invalid, NotFound
from schemas.merkle import ProofFailed, inclusion_path, leaf_hash, verify_inclusion

LONGEST = 64 * 1024
LONGEST_PATH = 64


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that is needed to prove one entry, but the public key."""

    entry: str
    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    def document(self) -> dict[str, object]:
        """The proof as JSON; `entry` is a text, because its exact bytes are what was hashed."""
        return {
            "entry": self.entry,
            "index": self.index,
            "path": [base64.b64encode(step).decode() for step in self.path],
            "checkpoint": self.checkpoint,
        }


@dataclass(frozen=True, slots=True)
class Proved:
    """What a proof proved: this entry was number `index` of a signed ledger of `size` entries."""

    entry: Mapping[str, object]
    index: int
    size: int
    origin: str


def prove(conn: psycopg.Connection, receipt: UUID, origin: str, signer: Signer) -> Proof:
    """Make the proof of an entry, on the ledger role's connection.

    Raises `NotFound`, `NotYetPlaced` within the second that a place takes, or `Unavailable`.
    """
    row = conn.execute(
        "SELECT e.body, l.position FROM hub.ledger_entry e"
        " LEFT JOIN hub.ledger_leaf l USING (receipt) WHERE e.receipt = %s",
        (receipt,),
    ).fetchone()
    if row is None:
        raise NotFound("there is no such receipt", zh="回执不存在")
    body, index = row
    if index is None:
        raise NotYetPlaced("the entry gets its place within a second", zh="证据正在入账，请稍后")
    note = checkpoints.current(conn, origin, signer)
    size = int(note.split("\n")[1])
    path = inclusion_path(index, size, lambda level, at: integrator.node(conn, level, at))
    return Proof(bytes(body).decode(), index, tuple(path), note)


def read(raw: bytes) -> Proof:
    """Read a proof file. Raises `Invalid`."""
    if len(raw) > LONGEST:
        raise Invalid("the file is too long for a proof")
    try:
        value = orjson.loads(raw)
        path = tuple(base64.b64decode(step, validate=True) for step in value["path"])
        proof = Proof(value["entry"], value["index"], path, value["checkpoint"])
    except (ValueError, TypeError, KeyError) as err:
        raise Invalid("the file is not a proof of the ledger") from err
    shaped = isinstance(proof.entry, str) and isinstance(proof.checkpoint, str)
    if not shaped or type(proof.index) is not int or len(proof.path) > LONGEST_PATH:
        raise Invalid("the file is not a proof of the ledger")
    return proof


def check(proof: Proof, vkey: str) -> Proved:
    """Prove the entry with nothing but the ledger's public key. Raises `Invalid` or `ProofFailed`.

    The caller still owes: that the key is the ledger's, got from somewhere it trusts.
    """
    # 1. C2SP signed-note: the checkpoint is signed with that key.
    head = checkpoint.verify(proof.checkpoint, vkey)
    # 2. RFC 9162 section 2.1.3.2: the entry's leaf is below that root, at that place.
    body = proof.entry.encode()
    verify_inclusion(leaf_hash(body), proof.index, head.size, proof.path, head.root)
    # 3. The entry has one meaning: its bytes are canonical.
    entry = orjson.loads(body)
    if not isinstance(entry, dict) or canonical(entry) != body:
        raise ProofFailed("the entry is not canonical JSON")
    return Proved(entry, proof.index, head.size, head.origin)
