"""Merkle arithmetic against a naive tree of RFC 9162 2.1.1, for every size up to seventy."""

from __future__ import annotations

import pytest

from schemas.errors import Invalid
from schemas.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofFailed,
    consistency_path,
    frontier,
    inclusion_path,
    leaf_hash,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

LARGEST = 70
LEAVES = [leaf_hash(bytes([number])) for number in range(LARGEST)]
COMPLETE = {(level, index): value for level, index, value in Frontier().append(LEAVES)[1]}


def naive(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) as the standard writes it."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaves[0]
    split = max(2**power for power in range(8) if 2**power < len(leaves))
    return node_hash(naive(leaves[:split]), naive(leaves[split:]))


ROOTS = [naive(LEAVES[:size]) for size in range(LARGEST + 1)]


def node(level: int, index: int) -> bytes:
    return COMPLETE[level, index]


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


class TestRoot:
    def test_published_tree(self) -> None:
        """The eight leaves that Certificate Transparency's implementations test with."""
        data = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657"]
        data.append("606162636465666768696a6b6c6d6e6f")

        leaves = [leaf_hash(bytes.fromhex(each)) for each in data]

        first = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        whole = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
        assert [first, whole] == [root(leaves[:1]).hex(), root(leaves).hex()]

    @pytest.mark.parametrize("size", range(LARGEST + 1))
    def test_every_way_to_a_root_agrees(self, size: int) -> None:
        """Appending at once, one by one, or going on from stored nodes gives the naive root."""
        one_by_one = Frontier()
        for leaf in LEAVES[:size]:
            one_by_one, _ = one_by_one.append([leaf])

        found = {root(LEAVES[:size]), one_by_one.root(), frontier(size, node).root()}

        assert {ROOTS[size]} == found

    def test_complete_nodes_never_change(self) -> None:
        """However the leaves are split into appends, the same nodes become complete."""
        edge, early = Frontier().append(LEAVES[:13])
        _, late = edge.append(LEAVES[13:])

        assert COMPLETE == {(level, index): value for level, index, value in early + late}

    def test_edge_that_does_not_fit_its_size(self) -> None:
        """An edge read back with a wrong size is refused before anything is appended."""
        with pytest.raises(Invalid):
            Frontier(3, (LEAVES[0],))


class TestInclusion:
    @pytest.mark.parametrize("size", range(1, LARGEST + 1))
    def test_every_leaf_is_proved(self, size: int) -> None:
        """The proof returns the root it proved."""
        for index in range(size):
            path = inclusion_path(index, size, node)

            assert ROOTS[size] == verify_inclusion(LEAVES[index], index, size, path, ROOTS[size])

    @pytest.mark.parametrize("size", range(1, LARGEST + 1))
    def test_what_is_tampered_with_proves_nothing(self, size: int) -> None:
        """Another leaf, place, root, hash or length is refused."""
        index = size * 2 // 3
        path, leaf, head = inclusion_path(index, size, node), LEAVES[index], ROOTS[size]
        tampered = [
            (flipped(leaf), index, size, path, head),
            (leaf, index, size, path, flipped(head)),
            (leaf, index, size, [*path, head], head),
            (leaf, size, size, path, head),
            (leaf, -1, size, path, head),
        ]
        tampered += [
            (leaf, index, size, [*path[:n], flipped(path[n]), *path[n + 1 :]], head)
            for n in range(len(path))
        ]
        tampered += [(leaf, index, size, path[:-1], head)] if path else []
        tampered += [(leaf, other, size, path, head) for other in range(size) if other != index]

        for each in tampered:
            with pytest.raises(ProofFailed):
                verify_inclusion(*each)

    def test_leaf_outside_the_tree(self) -> None:
        """There is no path to what is not there."""
        with pytest.raises(Invalid):
            inclusion_path(5, 5, node)

    def test_short_hash(self) -> None:
        """A hash has 32 bytes."""
        with pytest.raises(ProofFailed):
            verify_inclusion(LEAVES[0], 0, 2, [b"short"], ROOTS[2])


class TestConsistency:
    @pytest.mark.parametrize("new", range(LARGEST + 1))
    def test_every_older_tree_is_a_beginning(self, new: int) -> None:
        """The proof returns the new root."""
        for old in range(new + 1):
            path = consistency_path(old, new, node)

            assert ROOTS[new] == verify_consistency(old, ROOTS[old], new, ROOTS[new], path)

    @pytest.mark.parametrize("new", range(2, LARGEST + 1))
    def test_what_is_tampered_with_proves_nothing(self, new: int) -> None:
        """Another root, hash or length is refused, whatever the older tree was."""
        for old in range(1, new):
            path, before, after = consistency_path(old, new, node), ROOTS[old], ROOTS[new]
            tampered = [
                (old, flipped(before), new, after, path),
                (old, before, new, flipped(after), path),
                (old, before, new, after, [*path, after]),
                (old, before, new, after, path[:-1]),
                (old, before, new, after, [flipped(path[0]), *path[1:]]),
            ]

            for each in tampered:
                with pytest.raises(ProofFailed):
                    verify_consistency(*each)

    def test_one_size_has_one_root(self) -> None:
        """Two heads of one size are a split view."""
        with pytest.raises(ProofFailed, match="two roots"):
            verify_consistency(5, ROOTS[5], 5, ROOTS[6], [])

    def test_beginning_of_all(self) -> None:
        """Nothing needs proof from an empty tree, and nothing else may be called empty."""
        assert ROOTS[5] == verify_consistency(0, EMPTY_ROOT, 5, ROOTS[5], [])
        with pytest.raises(ProofFailed):
            verify_consistency(0, ROOTS[1], 5, ROOTS[5], [])

    def test_shrunk_tree(self) -> None:
        """A log that lost leaves is not consistent with itself."""
        with pytest.raises(ProofFailed):
            verify_consistency(5, ROOTS[5], 4, ROOTS[4], [])
        with pytest.raises(Invalid):
            consistency_path(5, 4, node)
