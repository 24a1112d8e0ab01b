"""Volumes of the ledger recomputed: every entry, every hash, and every head that was signed.

It trusts nothing in a volume but what it computed itself and what a policy's keys signed. What it
finds is named: the first entry that was changed or removed, or the range that was rewritten.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from schemas.checkpoint import Checkpoint
from schemas.errors import Invalid
from schemas.ledger_volume import NO_VOLUME, WIDTH, Block, Reader
from schemas.merkle import Frontier, subtree_root
from schemas.trust_policy import Judged, Policy, judged

FULL = WIDTH.bit_length() - 1


class LedgerBroken(Invalid):
    """The ledger is not what was signed; the message names the first bad entry."""

    code = "ledger-broken"


@dataclass(frozen=True)
class Whole:
    """What was proved: these entries, in this order, are what was signed, and nothing else."""

    first: int
    end: int
    heads: int
    root: bytes
    newest: Judged


@dataclass
class Walk:
    """Volumes in their order, checked one after the other; `edge` is what is proved so far."""

    heads: Mapping[int, Checkpoint]
    look: Callable[[int, bytes], None] = lambda position, entry: None
    edge: Frontier = field(default_factory=Frontier)
    first: int = 0
    good: int = 0
    passed: int = 0
    last_digest: str | None = None

    def volume(self, reader: Reader, policy: Policy) -> Judged:
        """Check one volume. Raises `LedgerBroken`, `BadVolume` or `BadCheckpoint`."""
        # 1. It continues the one before; the first one brings its edge, which 4. proves.
        self._continue(reader)
        # 2. Every entry is there and is what was hashed; 3. so is every head within.
        for block in reader.blocks():
            self._block(block)
        # 4. The root over all of it is signed, by the log and enough of its witnesses.
        believed = judged(policy, reader.checkpoint())
        head = believed.head
        if (head.origin, head.size) != (reader.header.origin, self.edge.size):
            raise LedgerBroken(f"the checkpoint is over {head.size} entries of {head.origin}")
        self._compare(head)
        self.last_digest = reader.digest
        return believed

    def _continue(self, reader: Reader) -> None:
        header = reader.header
        if self.last_digest is None:
            self.edge, self.first = Frontier(header.first, header.edge), header.first
            self.good = header.first
            # Entries start anywhere only where older volumes are gone; the first has none before.
            if (header.first == 0) != (header.previous == NO_VOLUME):
                raise LedgerBroken(f"the volume from entry {header.first} denies its predecessor")
        elif (header.first, header.edge) != (self.edge.size, self.edge.nodes):
            raise LedgerBroken(f"the volume after entry {self.edge.size} is missing or another's")
        elif header.previous != self.last_digest:
            raise LedgerBroken(f"the volume before entry {header.first} was replaced")

    def _block(self, block: Block) -> None:
        hashes = [hashlib.sha256(b"\x00" + entry).digest() for entry in block.entries]
        if hashes != block.stored:
            raise LedgerBroken(_first_difference(block, hashes))
        for position, entry in enumerate(block.entries, block.first):
            self.look(position, entry)
        self._append(hashes)

    def _append(self, hashes: list[bytes]) -> None:
        end = self.edge.size + len(hashes)
        within = sorted(size for size in self.heads if self.edge.size < size < end)
        for size in within:
            self._compare(self.heads[size], hashes[: size - self.edge.size])
        if len(hashes) == WIDTH:
            self.edge = self.edge.joined(FULL, subtree_root(hashes))
        else:
            self.edge = self.edge.append(hashes)[0]
        if end in self.heads:
            self._compare(self.heads[end])

    def _compare(self, head: Checkpoint, more: Iterable[bytes] = ()) -> None:
        if self.edge.append(more)[0].root() != head.root:
            raise LedgerBroken(
                f"an entry from {self.good} to {head.size - 1} is not what was signed: "
                "changed, moved, removed or slipped in, with the tree made to fit"
            )
        self.good = head.size
        self.passed += 1


def whole(
    paths: Iterable[Path],
    policy: Policy,
    notes: Iterable[bytes] = (),
    look: Callable[[int, bytes], None] | None = None,
) -> Whole:
    """Prove volumes to be one unbroken ledger up to every checkpoint in `notes`.

    `look` sees every position and entry as it passes. Raises `LedgerBroken`, `BadVolume` or
    `BadCheckpoint`. The caller still owes: that the policy's keys are the right ones, and, to find
    what was cut off the end, a checkpoint that somebody else kept.
    """
    heads = _kept_heads(policy, notes)
    walk, newest = Walk(heads), None
    if look is not None:
        walk.look = look
    for path in in_order(paths):
        with path.open("rb") as file:
            newest = walk.volume(Reader(file), policy)
    if newest is None:
        raise LedgerBroken("there is no volume")
    if (last := max(heads, default=0)) > walk.edge.size:
        raise LedgerBroken(f"entry {walk.edge.size} is missing: {last} entries were signed for")
    return Whole(walk.first, walk.edge.size, walk.passed, walk.edge.root(), newest)


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Volumes as they follow each other; a folder stands for the volumes in it."""
    files = list[Path]()
    for path in paths:
        files += path.glob("*.volume") if path.is_dir() else [path]
    return sorted(files, key=_first_of)


def _first_of(path: Path) -> tuple[int, int]:
    with path.open("rb") as file:
        header = Reader(file).header
    return header.first, header.end


def _kept_heads(policy: Policy, notes: Iterable[bytes]) -> dict[int, Checkpoint]:
    heads = dict[int, Checkpoint]()
    for note in notes:
        head = judged(policy, note).head
        if heads.setdefault(head.size, head) != head:
            raise LedgerBroken(f"two different heads over {head.size} entries were signed: a fork")
    return heads


def _first_difference(block: Block, hashes: list[bytes]) -> str:
    place = next(n for n, digest in enumerate(hashes) if digest != block.stored[n])
    if not block.entries[place]:
        return f"entry {block.first + place} was removed"
    return f"entry {block.first + place} was changed or moved: it is not what was hashed"
