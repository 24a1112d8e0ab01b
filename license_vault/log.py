"""The license log in the formats of C2SP: entries, tiles (tlog-tiles), proof file (tlog-proof).

An entry says that something happened to *some* license: event, type, issuer, version and a salted
digest of the record. Who knows record and salt can find it; nobody else can tell whose it is.
Tree arithmetic is `schemas.merkle`, checkpoints are `schemas.checkpoint`; where nodes are stored
is the caller's business.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from license_vault import jws
from schemas import checkpoint as notes
from schemas import merkle
from schemas.canonical import b64url, canonical, sha256, unb64url
from schemas.errors import Invalid

TILE_WIDTH = 256  # C2SP tlog-tiles: tiles are of height 8
LONGEST_ENTRY = 65_535  # C2SP tlog-tiles: an entry's length is a uint16
PROOF_HEADER = "c2sp.org/tlog-proof@v1"  # https://c2sp.org/tlog-proof
LONGEST_PROOF = 64 * 1024

EVENTS = frozenset({"issue", "suspend", "restore", "revoke", "annul", "supersede"})

_TILE = re.compile(r"(entries|\d{1,2})((?:/x\d{3})*/\d{3})(?:\.p/(\d{1,3}))?")


class BadProof(Invalid):
    """The log proof does not prove what it should."""

    code = "bad-log-proof"


@dataclass(frozen=True)
class TilePath:
    """Which tile a path asks for; `level` is None for a bundle of entries."""

    level: int | None
    index: int
    width: int


@dataclass(frozen=True)
class Logged:
    """What a proof file has proved: this entry stands at `index` of the log of `checkpoint`."""

    entry: dict[str, Any]
    index: int
    checkpoint: notes.Checkpoint


def salted(record: bytes, salt: bytes) -> bytes:
    """The digest by which the log knows a record."""
    return sha256(salt + record)


def entry(
    event: str, *, type_code: str, issuer: str, version: str, digest: bytes, at: datetime
) -> bytes:
    """The entry for one event; `digest` comes from `salted`. It holds nothing personal."""
    if event not in EVENTS:
        raise Invalid(f"{event} is not an event of the license log")
    told = {
        "event": event,
        "type": type_code,
        "issuer": issuer,
        "version": version,
        "digest": b64url(digest),
        "at": int(at.timestamp()),
    }
    return canonical(told)


def tile_path(level: int | None, index: int, width: int = TILE_WIDTH) -> str:
    """The path under the log's address: `tile/0/x001/234`, `tile/entries/000.p/17`."""
    digits = f"{index % 1000:03d}"
    rest = index // 1000
    while rest:
        digits = f"x{rest % 1000:03d}/{digits}"
        rest //= 1000
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{digits}{suffix}"


def parse_tile_path(path: str) -> TilePath:
    """Read what follows `tile/`. Raises `Invalid` unless it is the one way to write it."""
    found = _TILE.fullmatch(path)
    if found is None:
        raise Invalid("no such tile")
    kind, digits, partial = found.groups()
    level = None if kind == "entries" else int(kind)
    index = int(re.sub(r"[x/]", "", digits))
    width = TILE_WIDTH if partial is None else int(partial)
    # One spelling a tile: no leading zeros, no `.p/256`, levels up to 5 hold 2^48 entries.
    if tile_path(level, index, width) != f"tile/{path}" or not 1 <= width <= TILE_WIDTH:
        raise Invalid("no such tile")
    if level is not None and level > 5:
        raise Invalid("no such tile")
    return TilePath(level, index, width)


def tile_width(path: TilePath, size: int) -> int:
    """How many hashes the tile has in a tree of `size`; 0 when it does not exist yet."""
    whole = size >> (8 * (path.level or 0))
    return max(0, min(TILE_WIDTH, whole - path.index * TILE_WIDTH))


def tile(level: int, index: int, width: int, node: Callable[[int, int], bytes]) -> bytes:
    """The hashes of one tile: nodes of tree level 8·`level`, side by side."""
    first = index * TILE_WIDTH
    return b"".join(node(8 * level, first + n) for n in range(width))


def entries_tile(entries: Sequence[bytes]) -> bytes:
    """A bundle of entries, each behind its length as a big-endian uint16."""
    if any(len(each) > LONGEST_ENTRY for each in entries):
        raise Invalid("a log entry holds at most 65,535 bytes")
    return b"".join(len(each).to_bytes(2) + each for each in entries)


def proof_file(
    *, entry: bytes, salt: bytes, index: int, path: Sequence[bytes], checkpoint: str
) -> bytes:
    """The offline evidence that travels with a license; `extra` carries the entry and its salt."""
    extra = canonical({"entry": b64url(entry), "salt": b64url(salt)})
    hashes = [_base64(each) for each in path]
    lines = [PROOF_HEADER, f"extra {_base64(extra)}", f"index {index}", *hashes, "", checkpoint]
    return "\n".join(lines).encode()


def verify_proof_file(data: bytes, *, record: bytes, vkey: str) -> Logged:
    """Prove that the log named by `vkey` holds an entry of this very record.

    1. the file has the form of C2SP tlog-proof; 2. its entry names the salted digest of `record`;
    3. its checkpoint is signed by `vkey`; 4. the path leads from the entry to that root.
    Raises `BadProof`. What the entry says (event, type, version) is the caller's to compare.
    """
    try:
        extra, index, path, checkpoint = _parse_proof(data)
        logged = unb64url(str(extra.get("entry")))
        told = jws.json_object(logged)
        if told.get("digest") != b64url(salted(record, unb64url(str(extra.get("salt"))))):
            raise BadProof("the log entry belongs to another record")
        head = notes.verify(checkpoint, vkey)
        # C2SP tlog-checkpoint: the key's name is the log's origin; a key may not speak for another.
        if head.origin != vkey.partition("+")[0]:
            raise BadProof("the checkpoint is of another log")
        merkle.verify_inclusion(merkle.leaf_hash(logged), index, head.size, path, head.root)
    except BadProof:
        raise
    except (Invalid, ValueError) as err:
        raise BadProof(f"the log proof does not hold: {err}") from err
    return Logged(told, index, head)


def _parse_proof(data: bytes) -> tuple[dict[str, Any], int, list[bytes], str]:
    if len(data) > LONGEST_PROOF:
        raise BadProof("the log proof is larger than any of ours")
    head, _, checkpoint = data.decode("utf-8").partition("\n\n")
    lines = head.split("\n")
    if len(lines) < 3 or lines[0] != PROOF_HEADER or not lines[1].startswith("extra "):
        raise BadProof("not a C2SP tlog-proof with extra data")
    number = re.fullmatch(r"index (0|[1-9]\d{0,15})", lines[2])
    if number is None:
        raise BadProof("the proof names no index")
    path = [_unbase64(line) for line in lines[3:]]
    if any(len(each) != 32 for each in path) or len(path) > 63:
        raise BadProof("the path holds something that is no hash")
    extra = jws.json_object(_unbase64(lines[1].removeprefix("extra ")))
    return extra, int(number[1]), path, checkpoint


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unbase64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    # RFC 4648 3.5: stray trailing bits would let two files be one proof.
    if _base64(data) != text:
        raise BadProof("the proof holds base64 that is not canonical")
    return data
