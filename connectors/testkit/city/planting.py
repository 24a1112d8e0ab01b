"""Planting defects on the rows of one dataset, with the truth of each.

A row carries one defect at most, so that what becomes of it is never in doubt. Shares are of the
dataset; every deed plants at least one row while there are rows left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from connectors.testkit.city import numbers
from connectors.testkit.city.bureaus import Bureau
from connectors.testkit.city.lots import Lots, Row
from connectors.testkit.city.table import Table, table
from connectors.testkit.city.truth import (
    BROKEN_REFERENCE,
    CONFLICT,
    FULL_WIDTH,
    HYPHEN,
    IDENTIFIER,
    LOWER_CASE,
    NOT_A_DATE,
    REQUIRED,
    RULE,
    UNKNOWN_CODE,
    UNKNOWN_UNIT,
    Expected,
)

FEW = 0.004


class Plot:
    """Rows under construction; the first `spared` ones stay as they are."""

    def __init__(self, rng: Random, rows: list[Row], *, spared: int = 0) -> None:
        self.rows = rows
        self.expected = Expected()
        self._meant = [dict(row) for row in rows]
        self._lost: set[int] = set()
        self._lots = Lots(rng, range(spared, len(rows)), size=len(rows))

    @property
    def sound(self) -> list[Row]:
        """What is meant by the rows that are loaded, without their doubles and disguises."""
        return [row for index, row in enumerate(self._meant) if index not in self._lost]

    def spoil(
        self, column: str, share: float = FEW, how: Callable[[str], str] = numbers.spoiled
    ) -> None:
        """Numbers whose check fails."""
        for row in self._refused(IDENTIFIER, share, lambda row: row[column] is not None):
            row[column] = how(str(row[column]))

    def misname(self, column: str, code: str, share: float = FEW) -> None:
        """Codes that nobody knows."""
        for row in self._refused(UNKNOWN_CODE, share):
            row[column] = code

    def strip_unit(self, column: str, unit: str, share: float = FEW) -> None:
        """Amounts of `column` without the unit they are in."""
        for row in self._refused(UNKNOWN_UNIT, share, lambda row: row[column] is not None):
            row[unit] = None

    def leave_out(self, column: str, share: float = FEW) -> None:
        """Fields that may not be empty, and are."""
        for row in self._refused(REQUIRED, share):
            row[column] = None

    def scrawl(self, column: str, text: str, share: float = FEW) -> None:
        """Dates that no calendar has."""
        for row in self._refused(NOT_A_DATE, share):
            row[column] = text

    def contradict(
        self,
        changes: Callable[[Row], Row],
        share: float = FEW,
        fits: Callable[[Row], bool] = lambda _row: True,
    ) -> None:
        """Rows that break one rule of their contract, once `changes` are made to them."""
        for row in self._refused(RULE, share, fits):
            row.update(changes(row))

    def double(self, share: float = FEW) -> None:
        """The same row twice."""
        same = self._lots.draw(share)
        self.rows += [dict(self.rows[index]) for index in same]
        self.expected.duplicates += len(same)

    def tear(self, changes: Row, share: float = FEW) -> None:
        """The same key with two stories: both stay out."""
        torn = self._lots.draw(share)
        self.rows += [{**self.rows[index], **changes} for index in torn]
        self._lost.update(torn)
        self.expected.quarantined[CONFLICT] += 2 * len(torn)

    def widen(self, column: str, share: float = FEW) -> None:
        """Numbers as wide as Chinese characters; they are mended."""
        for index in self._having(column, share):
            self.rows[index][column] = numbers.full_width(str(self.rows[index][column]))
            self.expected.normalised[FULL_WIDTH] += 1

    def lower(self, column: str, share: float = FEW) -> None:
        """Numbers in small letters; they are mended."""
        for index in self._having(column, share, str.upper, str.lower):
            self.rows[index][column] = str(self.rows[index][column]).lower()
            self.expected.normalised[LOWER_CASE] += 1

    def estrange(
        self,
        column: str,
        number: str,
        share: float = FEW,
        fits: Callable[[Row], bool] = lambda _row: True,
    ) -> None:
        """Sound numbers of somebody or something that no library knows; loaded, and flagged."""
        for index in self._having(column, share, fits=fits):
            self.rows[index][column] = self._meant[index][column] = number
            self.expected.planted[BROKEN_REFERENCE] += 1

    def hyphenated(self, column: str) -> None:
        """Say that the column's numbers are printed with a hyphen throughout, which is mended."""
        self.expected.normalised[HYPHEN] += sum(row[column] is not None for row in self.sound)

    def table(
        self,
        dataset: str,
        owner: Bureau,
        fields: Mapping[str, str],
        *,
        crosswalk: Mapping[str, Mapping[str, str]] | None = None,
        units: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Table:
        """The rows as their department sends them."""
        return table(
            dataset, owner.name, fields, self.rows, self.expected, crosswalk=crosswalk, units=units
        )

    def _refused(
        self, reason: str, share: float, fits: Callable[[Row], bool] = lambda _row: True
    ) -> Sequence[Row]:
        drawn = self._lots.draw(share, lambda index: fits(self.rows[index]))
        self._lost.update(drawn)
        self.expected.quarantined[reason] += len(drawn)
        return [self.rows[index] for index in drawn]

    def _having(
        self,
        column: str,
        share: float,
        *written: Callable[[str], str],
        fits: Callable[[Row], bool] = lambda _row: True,
    ) -> list[int]:
        """Rows with something in the column that can be written in more than one way."""

        def has(index: int) -> bool:
            text = self.rows[index][column]
            ways = {write(text) for write in written} if text is not None else set[str]()
            return text is not None and len(ways) != 1 and fits(self.rows[index])

        return self._lots.draw(share, has)
