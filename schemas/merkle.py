"""Merkle trees of RFC 6962 and RFC 9162 over SHA-256, for the call ledger and the license log.

Pure arithmetic: nodes are kept by the caller, who hands them back through `node(level, index)`.
Level 0 holds leaf hashes; a node of level n covers 2^n leaves and is complete, so it never changes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from schemas.errors import Invalid

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()  # RFC 9162 2.1.1: MTH({}) = HASH()

Node = Callable[[int, int], bytes]
CompleteNode = tuple[int, int, bytes]


class ProofFailed(Invalid):
    """A Merkle proof does not prove what it claims."""

    code = "proof-failed"


def leaf_hash(data: bytes) -> bytes:
    """Return HASH(0x00 || data), RFC 9162 2.1.1."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return HASH(0x01 || left || right), RFC 9162 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Frontier:
    """The right edge of a tree: the roots of its largest complete subtrees, biggest first.

    That is all a writer must keep to append and to know the root.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise Invalid(f"a tree of {self.size} leaves has another number of subtrees")

    def append(self, leaf_hashes: Iterable[bytes]) -> tuple[Frontier, list[CompleteNode]]:
        """Add leaves; return the new edge and every node that became complete, leaves included."""
        size, nodes, complete = self.size, list(self.nodes), list[CompleteNode]()
        for leaf in leaf_hashes:
            nodes.append(leaf)
            complete.append((0, size, leaf))
            level, index = 0, size
            while index & 1:
                right, left = nodes.pop(), nodes.pop()
                level, index = level + 1, index >> 1
                nodes.append(node_hash(left, right))
                complete.append((level, index, nodes[-1]))
            size += 1
        return Frontier(size, tuple(nodes)), complete

    def joined(self, level: int, node: bytes) -> Frontier:
        """Add 2^level leaves at once by the root of their complete subtree.

        Raises `Invalid` where such a subtree does not begin.
        """
        index, left_over = divmod(self.size, 1 << level)
        if left_over:
            raise Invalid(f"no subtree of {1 << level} leaves begins after {self.size} of them")
        nodes = [*self.nodes, node]
        while index & 1:
            right, left = nodes.pop(), nodes.pop()
            nodes.append(node_hash(left, right))
            index >>= 1
        return Frontier(self.size + (1 << level), tuple(nodes))

    def root(self) -> bytes:
        """Return the tree head, folding the subtrees from the right."""
        if not self.nodes:
            return EMPTY_ROOT
        return reduce(lambda right, left: node_hash(left, right), reversed(self.nodes))


def root(leaves: Iterable[bytes]) -> bytes:
    """Return the tree head over leaf hashes."""
    return Frontier().append(leaves)[0].root()


def subtree_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over 2^n hashes of one level: all pairs of a level at once, for speed."""
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs]
    return hashes[0]


def frontier(size: int, node: Node) -> Frontier:
    """Return the edge of a stored tree, to go on appending after a restart."""
    return Frontier(size, tuple(node(level, index) for level, index in _subtrees(0, size)))


def inclusion_path(index: int, size: int, node: Node) -> list[bytes]:
    """Return PATH(index, D[size]) of RFC 9162 2.1.3.1, the nearest sibling first."""
    if not 0 <= index < size:
        raise Invalid(f"leaf {index} is not in a tree of {size}")
    path, start, end = list[bytes](), 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    return path[::-1]


def consistency_path(old: int, new: int, node: Node) -> list[bytes]:
    """Return PROOF(old, D[new]) of RFC 9162 2.1.4.1; empty when nothing has to be shown."""
    if not 0 <= old <= new:
        raise Invalid(f"a tree of {new} cannot continue a tree of {old}")
    if old in (0, new):
        return []
    path, start, end = list[bytes](), 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_range_root(middle, end, node))
            end = middle
        else:
            path.append(_range_root(start, middle, node))
            start = middle
    if start:
        path.append(_range_root(start, end, node))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes
) -> bytes:
    """Prove that the leaf hash is number `index` of the tree with that root; return the root.

    Raises `ProofFailed`. The caller still owes: that the root comes from a checkpoint it trusts.
    """
    _hashes(leaf, expected_root, *path)
    if not 0 <= index < size:
        raise ProofFailed(f"leaf {index} is not in a tree of {size}")
    # RFC 9162 2.1.3.2, steps 2 to 4.
    fn, sn, proved = index, size - 1, leaf
    for sibling in path:
        if sn == 0:
            raise ProofFailed("the inclusion proof is too long")
        if fn & 1 or fn == sn:
            proved = node_hash(sibling, proved)
            fn, sn = _past_even(fn, sn)
        else:
            proved = node_hash(proved, sibling)
        fn, sn = fn >> 1, sn >> 1
    # Step 5.
    if sn != 0:
        raise ProofFailed("the inclusion proof is too short")
    if proved != expected_root:
        raise ProofFailed("the inclusion proof leads to another root")
    return proved


def verify_consistency(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> bytes:
    """Prove that the new tree only appends to the old one; return the new root.

    Raises `ProofFailed`. The caller still owes: that both roots come from checkpoints it trusts.
    """
    _hashes(old_root, new_root, *path)
    if not 0 <= old_size <= new_size:
        raise ProofFailed(f"a tree of {new_size} cannot continue a tree of {old_size}")
    if old_size in (0, new_size):
        return _trivially_consistent(old_size, old_root, new_size, new_root, path)
    # RFC 9162 2.1.4.2, step 2: a power of two is its own first hash.
    hashes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not hashes:
        raise ProofFailed("the consistency proof is empty")
    # Steps 3 to 5.
    fn, sn = _past_odd(old_size - 1, new_size - 1)
    old_proved = new_proved = hashes[0]
    # Step 6.
    for sibling in hashes[1:]:
        if sn == 0:
            raise ProofFailed("the consistency proof is too long")
        if fn & 1 or fn == sn:
            old_proved, new_proved = node_hash(sibling, old_proved), node_hash(sibling, new_proved)
            fn, sn = _past_even(fn, sn)
        else:
            new_proved = node_hash(new_proved, sibling)
        fn, sn = fn >> 1, sn >> 1
    # Step 7.
    if sn != 0:
        raise ProofFailed("the consistency proof is too short")
    if old_proved != old_root:
        raise ProofFailed("the consistency proof leads to another old root")
    if new_proved != new_root:
        raise ProofFailed("the consistency proof leads to another new root")
    return new_proved


def _trivially_consistent(
    old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]
) -> bytes:
    if path:
        raise ProofFailed("the consistency proof is too long")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise ProofFailed("a tree without leaves has another root")
    if old_size == new_size and old_root != new_root:
        raise ProofFailed("two roots for one size")
    return new_root


def _past_even(fn: int, sn: int) -> tuple[int, int]:
    """Shift both until the lowest bit of fn is set, or fn is 0."""
    while fn and not fn & 1:
        fn, sn = fn >> 1, sn >> 1
    return fn, sn


def _past_odd(fn: int, sn: int) -> tuple[int, int]:
    """Shift both until the lowest bit of fn is not set."""
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    return fn, sn


def _split(width: int) -> int:
    """Return the largest power of two smaller than the width (RFC 9162 2.1.1)."""
    return 1 << (width - 1).bit_length() - 1


def _subtrees(start: int, end: int) -> Iterable[tuple[int, int]]:
    """Yield (level, index) of the complete subtrees that tile [start, end), biggest first.

    `start` is a multiple of the biggest, as it is for every range RFC 9162 hashes.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _range_root(start: int, end: int, node: Node) -> bytes:
    parts = [node(level, index) for level, index in _subtrees(start, end)]
    return reduce(lambda right, left: node_hash(left, right), reversed(parts))


def _hashes(*values: bytes) -> None:
    if any(len(value) != HASH_SIZE for value in values):
        raise ProofFailed("a hash in the proof is not 32 bytes long")
