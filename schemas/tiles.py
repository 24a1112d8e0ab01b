"""Tiles of a Merkle tree: 256 hashes of one level in a file, as C2SP publishes them.

https://c2sp.org/tlog-tiles. Tile level L holds nodes of level 8 L of `schemas.merkle`. Whoever
reads a tile trusts it as far as `Tree` does: not before the root above it is the signed one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.checkpoint import Checkpoint
from schemas.errors import Invalid
from schemas.merkle import (
    HASH_SIZE,
    ProofFailed,
    consistency_path,
    frontier,
    subtree_root,
    verify_consistency,
)

TILE_WIDTH = 256
TILE_HEIGHT = 8
HIGHEST = 63
TILE_PATH = re.compile(
    r"tile/(0|[1-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6})([0-9]{3})"
    r"(?:\.p/([1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
)


class BadTile(Invalid):
    """There is no such tile, or it is not as wide as it must be."""

    code = "bad-tile"


@dataclass(frozen=True)
class Tile:
    """One tile by level and index; `width` is less than 256 at the right edge of a tree."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Its address below the tree's prefix."""
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{spelled_index(self.index)}{suffix}"

    @property
    def first(self) -> int:
        """The index of its first node among the nodes of its level."""
        return self.index * TILE_WIDTH


def spelled_index(index: int) -> str:
    """1234067 as x001/x234/067."""
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def tile_at(path: str) -> Tile:
    """The tile of an address. Raises `BadTile` for any other spelling than the one."""
    matched = TILE_PATH.fullmatch(path)
    if matched is None:
        raise BadTile("there is no such tile")
    level, high, low, width = matched.groups()
    tile = Tile(int(level), int(re.sub("[x/]", "", high) + low), int(width or TILE_WIDTH))
    if tile.path != path:
        raise BadTile("there is no such tile")
    return tile


@dataclass
class Tree:
    """A tree known by a signed head and whatever serves its tiles; it believes the head alone."""

    head: Checkpoint
    fetch: Callable[[str], bytes]
    _held: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def continues(self, older: Checkpoint) -> None:
        """Prove that this tree only adds to the older one. Raises `ProofFailed` or `BadTile`."""
        if older.origin != self.head.origin:
            raise ProofFailed("the two checkpoints are of different logs")
        if older.size > self.head.size:
            raise ProofFailed(f"{self.head.size} entries cannot continue {older.size}")
        # 1. What the tiles say of the edge is below the signed root.
        if frontier(self.head.size, self.node).root() != self.head.root:
            raise ProofFailed("the tiles are not those of the signed head")
        # 2. RFC 9162 2.1.4.2: the older root is a prefix of the newer.
        path = consistency_path(older.size, self.head.size, self.node)
        verify_consistency(older.size, older.root, self.head.size, self.head.root, path)

    def node(self, level: int, index: int) -> bytes:
        """A complete node, computed from the tile that holds it or what is below it."""
        within = level % TILE_HEIGHT
        first, count = index << within, 1 << within
        hashes = self._tile(level // TILE_HEIGHT, first // TILE_WIDTH)
        at = first % TILE_WIDTH
        if at + count > len(hashes) // HASH_SIZE:
            raise BadTile("a tile is narrower than its tree")
        return subtree_root(
            [hashes[HASH_SIZE * n : HASH_SIZE * (n + 1)] for n in range(at, at + count)]
        )

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._held:
            tile = tile_of(level, index, self.head.size)
            hashes = self.fetch(tile.path)
            if len(hashes) != HASH_SIZE * tile.width:
                raise BadTile("a tile is not as wide as it must be")
            self._held[level, index] = hashes
        return self._held[level, index]


def tile_of(level: int, index: int, size: int) -> Tile:
    """The tile as wide as a tree of that size has it. Raises `BadTile` where it has none."""
    if not 0 <= level <= HIGHEST:
        raise BadTile("there is no such tile")
    width = min((size >> TILE_HEIGHT * level) - index * TILE_WIDTH, TILE_WIDTH)
    if width < 1:
        raise BadTile("there is no such tile")
    return Tile(level, index, width)
