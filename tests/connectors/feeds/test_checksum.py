"""The checksum finds one changed cell among many rows, whatever their order."""

from __future__ import annotations

import hashlib

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.feeds.checksum import buckets

CELL = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\x1e\x1f"))
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=20)


def summed(rows: list[tuple[str | None, str | None]]) -> tuple[tuple[int, int], ...]:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    return buckets([pa.RecordBatch.from_arrays(columns, names=["a", "b"])], ["a", "b"])


class TestChecksum:
    def test_one_row_by_hand(self) -> None:
        """MD5 of the cells joined by U+001F, nothing being U+001E; first byte, next seven."""
        digest = hashlib.md5("𠮷\x1f\x1e".encode()).digest()

        found = summed([("𠮷", None)])

        assert (1, int.from_bytes(digest[1:8])) == found[digest[0]]
        assert 1 == sum(count for count, _ in found)

    @given(rows=ROWS)
    @settings(max_examples=50, deadline=None)
    def test_order_does_not_matter(self, rows: list[tuple[str | None, str | None]]) -> None:
        assert summed(rows) == summed(rows[::-1])

    @given(rows=ROWS, at=st.integers(0, 19), other=CELL)
    @settings(max_examples=50, deadline=None)
    def test_one_changed_cell_shows(
        self, rows: list[tuple[str | None, str | None]], at: int, other: str | None
    ) -> None:
        """Nothing and an empty text are different, too."""
        changed = list(rows)
        changed[at % len(rows)] = (other, changed[at % len(rows)][1])

        assert (rows == changed) == (summed(rows) == summed(changed))
