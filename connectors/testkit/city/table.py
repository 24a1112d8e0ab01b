"""One table of a department: its rows as it sends them, how to read them, and what is planted.

A table knows nothing of how it travels; whoever wires the department chooses the feed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connectors.testkit.city.lots import Row
from connectors.testkit.city.truth import Expected

Values = tuple[str | None, ...]


@dataclass(frozen=True)
class Table:
    """The rows of one dataset under the department's own columns, in its own codes.

    `fields` says which column feeds which of our fields, `crosswalk` what the department's codes
    mean (by field), `units` which column tells a field's unit and what one of it is in ours.
    `expected` is what must become of the rows.
    """

    dataset: str
    owner: str
    fields: Mapping[str, str]
    columns: tuple[str, ...]
    rows: list[Values]
    expected: Expected
    crosswalk: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    units: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def defects(self) -> Mapping[str, int]:
        """How many rows carry each defect that was planted."""
        counted = self.expected
        parts = (counted.quarantined, counted.normalised, counted.planted)
        named = {name: count for part in parts for name, count in part.items() if count}
        return {**named, **({"duplicate": counted.duplicates} if counted.duplicates else {})}

    def as_rows(self) -> list[Row]:
        """The rows by column name, as CSV and JSON writers take them."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def manifest(self) -> dict[str, Any]:
        """The part of the source manifest that says how to read the rows."""
        said: dict[str, Any] = {"dataset": self.dataset, "owner": self.owner}
        said["columns"] = dict(self.fields)
        if self.crosswalk:
            said["crosswalk"] = {name: dict(codes) for name, codes in self.crosswalk.items()}
        if self.units:
            said["units"] = {name: dict(unit) for name, unit in self.units.items()}
        return said


def table(
    dataset: str,
    owner: str,
    fields: Mapping[str, str],
    rows: Sequence[Row],
    expected: Expected,
    *,
    crosswalk: Mapping[str, Mapping[str, str]] | None = None,
    units: Mapping[str, Mapping[str, Any]] | None = None,
) -> Table:
    """A table of these rows; its columns are those of `fields`, then those that tell units."""
    extra = (str(unit["column"]) for unit in (units or {}).values())
    columns = tuple(dict.fromkeys((*fields, *extra)))
    expected.count(len(rows))
    values = [tuple(row[column] for column in columns) for row in rows]
    return Table(dataset, owner, fields, columns, values, expected, crosswalk or {}, units or {})
