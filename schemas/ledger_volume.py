"""A volume: consecutive entries of the ledger as one file, checkable alone with a public key.

    yizhan-ledger-volume/1              what it is
    <origin>                            whose ledger
    <first> <count>                     which entries
    <SHA-256 of the volume before, hex, or ->
    <edge>                              roots of the complete subtrees below <first>, base64
    <empty line>
    blocks                              of at most 256 entries each, cut at multiples of 256
    signed checkpoint                   over <first> + <count> entries, to the end of the file

A block of n entries is n lengths (four bytes, big-endian), the entries, and the n leaf hashes that
the ledger had stored for them. Length zero stands for an entry that was not there any more. Blocks
pass one at a time, so a volume of any size needs little memory. This module reads and writes bytes
and judges nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from schemas.errors import Invalid
from schemas.merkle import HASH_SIZE

FORMAT = "yizhan-ledger-volume/1"
WIDTH = 256
LONGEST_ENTRY = 1 << 20
LONGEST_HEADER_LINE = 8192
LONGEST_CHECKPOINT = 1 << 16
NO_VOLUME = "-"


class BadVolume(Invalid):
    """The file is not a volume of the ledger, or it was cut."""

    code = "bad-volume"


@dataclass(frozen=True)
class Header:
    """What a volume says of itself; `edge` lets a reader begin with it."""

    origin: str
    first: int
    count: int
    previous: str = NO_VOLUME
    edge: tuple[bytes, ...] = ()

    @property
    def end(self) -> int:
        """The position after its last entry."""
        return self.first + self.count

    @property
    def name(self) -> str:
        """The name of its file; names sort as volumes follow each other."""
        return f"ledger-{self.first:012d}-{self.end:012d}.volume"


@dataclass(frozen=True)
class Block:
    """Consecutive entries from position `first`, and the hashes that were stored for them."""

    first: int
    entries: Sequence[bytes]
    stored: Sequence[bytes]


@dataclass
class Reader:
    """One volume, read once from front to back; `digest` is known after the checkpoint was read."""

    file: BinaryIO
    header: Header = field(init=False)

    def __post_init__(self) -> None:
        self._hash = hashlib.sha256()
        self.header = self._header()

    def blocks(self) -> Iterator[Block]:
        """The entries, a block at a time. Raises `BadVolume` where the file was cut."""
        at = self.header.first
        while at < self.header.end:
            width = min(WIDTH - at % WIDTH, self.header.end - at)
            yield self._block(at, width)
            at += width

    def checkpoint(self) -> bytes:
        """The signed note at the end. Nothing is checked."""
        note = self.file.read(LONGEST_CHECKPOINT + 1)
        if len(note) > LONGEST_CHECKPOINT:
            raise BadVolume("there is more in the volume than its entries and a checkpoint")
        self._hash.update(note)
        return note

    @property
    def digest(self) -> str:
        """SHA-256 of what was read."""
        return self._hash.hexdigest()

    def _block(self, first: int, width: int) -> Block:
        lengths = struct.unpack(f">{width}I", self._exactly(4 * width))
        if max(lengths) > LONGEST_ENTRY:
            raise BadVolume(f"entry {first + lengths.index(max(lengths))} is too long")
        body, at, entries = self._exactly(sum(lengths)), 0, list[bytes]()
        for length in lengths:
            entries.append(body[at : at + length])
            at += length
        hashes = self._exactly(HASH_SIZE * width)
        stored = [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]
        return Block(first, entries, stored)

    def _exactly(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) != size:
            raise BadVolume("the volume was cut")
        self._hash.update(data)
        return data

    def _header(self) -> Header:
        lines = [self._line() for _ in range(6)]
        counted = re.fullmatch(r"(0|[1-9][0-9]{0,17}) (0|[1-9][0-9]{0,17})", lines[2])
        if lines[0] != FORMAT or counted is None or lines[5]:
            raise BadVolume("the file is not a volume of the ledger")
        if not re.fullmatch(r"-|[0-9a-f]{64}", lines[3]):
            raise BadVolume("the volume does not say which one was before it")
        edge = tuple(_hash_of(word) for word in lines[4].split(" ") if word)
        return Header(lines[1], int(counted[1]), int(counted[2]), lines[3], edge)

    def _line(self) -> str:
        line = self.file.readline(LONGEST_HEADER_LINE)
        self._hash.update(line)
        try:
            text = line.decode()
        except UnicodeError:
            raise BadVolume("the file is not a volume of the ledger") from None
        if not text.endswith("\n"):
            raise BadVolume("the file is not a volume of the ledger")
        return text[:-1]


def header_bytes(header: Header) -> bytes:
    """The header's lines, the empty one included."""
    edge = " ".join(base64.b64encode(node).decode() for node in header.edge)
    said = (FORMAT, header.origin, f"{header.first} {header.count}", header.previous, edge, "")
    return "".join(f"{line}\n" for line in said).encode()


def block_bytes(entries: Sequence[bytes], stored: Sequence[bytes]) -> bytes:
    """One block, as it stands in the file."""
    lengths = struct.pack(f">{len(entries)}I", *map(len, entries))
    return b"".join((lengths, *entries, *stored))


def cut(first: int, rows: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Blocks of (entry, stored hash) rows that begin at position `first`."""
    at, entries, stored = first, list[bytes](), list[bytes]()
    for entry, digest in rows:
        entries.append(entry)
        stored.append(digest)
        at += 1
        if at % WIDTH == 0:
            yield block_bytes(entries, stored)
            entries, stored = [], []
    if entries:
        yield block_bytes(entries, stored)


def _hash_of(text: str) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != HASH_SIZE:
        raise BadVolume("the volume's edge is not made of hashes")
    return value
