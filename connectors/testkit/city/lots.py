"""Drawing rows for defects: each row is drawn at most once, so no row carries two."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

Row = dict[str, str | None]
"""A row as its department sends it: text, or nothing."""


class Lots:
    """Row numbers in an order that the seed decides."""

    def __init__(self, rng: Random, rows: Iterable[int], *, size: int) -> None:
        self._left = list(rows)
        rng.shuffle(self._left)
        self._size = size

    def draw(self, share: float, fits: Callable[[int], bool] = lambda _row: True) -> list[int]:
        """That share of the dataset, at least one row, of those that fit and were not drawn."""
        wanted, drawn, passed = max(1, round(self._size * share)), list[int](), list[int]()
        while self._left and len(drawn) < wanted:
            row = self._left.pop()
            (drawn if fits(row) else passed).append(row)
        self._left += reversed(passed)
        return sorted(drawn)
