"""Ledgers made by hand: entries, keys, volumes, and the verifier as an auditor gets it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from exchange.ledger import integrator, verifier
from exchange.ledger.entries import Call, Decision, Entry, begun
from schemas import checkpoint
from schemas.cosignature import cosign
from schemas.grant import Authority
from schemas.ledger_volume import NO_VOLUME, Header, cut, header_bytes
from schemas.merkle import Frontier, leaf_hash

ORIGIN = "hub.example/ledger"
LOG = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
WITNESSES = tuple(Ed25519PrivateKey.from_private_bytes(bytes([n] * 32)) for n in (1, 2, 3))
NAMES = ("auditor.example/w", "university.example/w", "province.example/w")
VKEY = checkpoint.vkey(ORIGIN, LOG.public_key())
WITNESS_VKEYS = tuple(
    checkpoint.vkey(name, key.public_key(), checkpoint.COSIGNATURE)
    for name, key in zip(NAMES, WITNESSES, strict=True)
)
AT = 1_795_000_000
WHY = Authority("bench", "不动产登记暂行条例第十八条", "item-1", "CASE-1", "clerk:1")


def entry(number: int = 0) -> Entry:
    """An entry like those of calls."""
    call: Call = begun("query")
    call.client, call.authority, call.fields = f"client-{number}", WHY, ("name", "sex")
    call.subject_type, call.subject = "cn.resident_id", bytes([number % 256]) * 32
    return call.ended(Decision.ANSWERED, answer=bytes(32))


def entries(count: int) -> list[bytes]:
    """Bodies of entries."""
    return [entry(number).body for number in range(count)]


def head(bodies: Iterable[bytes], witnesses: Sequence[int] = (), key: Any = LOG) -> bytes:
    """A signed checkpoint over these entries, cosigned by these witnesses."""
    edge = Frontier().append(map(leaf_hash, bodies))[0]
    return signed(edge.size, edge.root(), witnesses, key)


def signed(size: int, root: bytes, witnesses: Sequence[int] = (), key: Any = LOG) -> bytes:
    """A signed checkpoint of that size and root."""
    text = checkpoint.body(ORIGIN, size, root)
    note = checkpoint.note(text, ORIGIN, key.sign, key.public_key())
    return note + b"".join(cosignature(text, number).encode() for number in witnesses)


def cosignature(text: bytes, number: int, at: int = AT) -> str:
    """The line of one of the witnesses."""
    key = WITNESSES[number]
    return cosign(text, NAMES[number], at, key.sign, key.public_key().public_bytes_raw())


def volume(
    folder: Path,
    bodies: Sequence[bytes],
    note: bytes | None = None,
    first: int = 0,
    previous: str = NO_VOLUME,
) -> Path:
    """The entries from `first` on as a volume."""
    edge = Frontier().append(map(leaf_hash, bodies[:first]))[0]
    header = Header(ORIGIN, first, len(bodies) - first, previous, edge.nodes)
    rows = ((body, leaf_hash(body)) for body in bodies[first:])
    path = folder / header.name
    end = head(bodies) if note is None else note
    path.write_bytes(header_bytes(header) + b"".join(cut(first, rows)) + end)
    return path


def alone(folder: Path) -> ModuleType:
    """The stand-alone verifier, written to a file and loaded from it."""
    path = folder / "ledger_verifier.py"
    path.write_text(verifier.source(), "utf-8")
    spec = importlib.util.spec_from_file_location("ledger_verifier", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


INSERT = "INSERT INTO hub.ledger_entry (receipt, at, subject, body) VALUES (%s, %s, %s, %s)"


def insert(conn: psycopg.Connection, made: Iterable[Entry]) -> None:
    """Commit entries as the hub does, without its writer."""
    with conn.cursor() as cursor:
        cursor.executemany(INSERT, [(e.receipt, e.at, e.subject, e.body) for e in made])
    conn.commit()


def placed(conn: psycopg.Connection) -> int:
    """Place everything; return how many entries have a place."""
    while integrator.place(conn):
        pass
    return integrator.size_of(conn)
