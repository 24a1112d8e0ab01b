"""What a call asks for: a page of the rows that meet its conditions. Pure.

Conditions are a list of lists: the inner ones must all hold, of the outer ones any. Moments are
compared as moments (one without a zone is Shanghai's), everything else as text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors.feeds.dialects import Body
from connectors.testkit.gateway.folder import Row

Condition = Callable[[Row], bool]

_SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True)
class Wanted:
    """A page, its size, and the rows that count. Raises `ValueError` from `read`."""

    page: int
    size: int
    conditions: Sequence[Sequence[Condition]]

    @classmethod
    def read(cls, said: Mapping[str, Any], words: Body, largest: int) -> Wanted:
        """What the body of a call wants, in the platform's words."""
        page, size = int(said.get(words.page, 1)), int(said.get(words.size, 100))
        if page < 1 or not 1 <= size <= largest:
            raise ValueError(f"pages begin with 1 and hold 1 to {largest} rows")
        where = said.get(words.where) or []
        return cls(page, size, [[_condition(each, words) for each in group] for group in where])

    def of(self, rows: Sequence[Row]) -> tuple[list[Row], int]:
        """The page, and how many rows there are in all."""
        found = [row for row in rows if self._meets(row)] if self.conditions else list(rows)
        start = (self.page - 1) * self.size
        return found[start : start + self.size], len(found)

    def _meets(self, row: Row) -> bool:
        return any(all(holds(row) for holds in group) for group in self.conditions)


def _condition(said: Mapping[str, Any], words: Body) -> Condition:
    column, logical, value = (str(said[name]) for name in (words.field, words.logical, words.value))
    bound = _order(value)
    compared: Mapping[str, Condition] = {
        words.equals: lambda row: row.get(column) == value,
        words.from_: lambda row: _order(row.get(column)) >= bound,
        words.to: lambda row: _order(row.get(column)) <= bound,
    }
    if logical not in compared:
        raise ValueError("a logical that this platform does not know")
    return compared[logical]


def _order(value: str | None) -> tuple[float, str]:
    """Where a value stands among others: by its moment, or by its text."""
    try:
        moment = datetime.fromisoformat(value or "")
    except ValueError:
        return 0.0, value or ""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=_SHANGHAI)
    return zoned.timestamp(), ""
