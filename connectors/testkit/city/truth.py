"""The truth of a city: what each department sends, and what must become of it.

Written by the generator while it plants, so it knows nothing of how the product decides. Kept as
JSON beside the city; the demo and the tests hold the libraries' counts against it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IDENTIFIER = "identifier"
UNKNOWN_CODE = "unknown-code"
UNKNOWN_UNIT = "unknown-unit"
CONFLICT = "conflicting-duplicate"
REQUIRED = "required"
RULE = "broken-rule"
NOT_A_DATE = "not-a-date"
RANGE = "out-of-range"

BROKEN_REFERENCE = "broken-reference"
"""Planted, loaded and flagged: the row names something that no library knows."""

FIFTEEN = "15-digit"
LOWER_CASE = "lower-case"
FULL_WIDTH = "full-width"
BLANKS = "blanks"
HYPHEN = "hyphen"


@dataclass
class Expected:
    """One dataset. `rows_sent` = `library_rows` + `duplicates` + all that is quarantined.

    `quarantined` counts rows by reason, every row having one; `normalised` counts cells by what was
    mended; `aliases` counts other numbers that must find the row; `planted` counts what is loaded
    as it is, such as the deceased.
    """

    rows_sent: int = 0
    library_rows: int = 0
    duplicates: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    normalised: Counter[str] = field(default_factory=Counter)
    aliases: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)

    def count(self, rows_sent: int) -> None:
        """Close the book: what was sent and neither refused nor doubled is in the library."""
        self.rows_sent = rows_sent
        self.library_rows = rows_sent - self.duplicates - self.quarantined.total()


@dataclass(frozen=True)
class Person:
    """Somebody whom the story or a search for leaks knows by number."""

    resident_id: str
    name: str
    phone: str


@dataclass(frozen=True)
class Cast:
    """Who appears in the story: an owner with a restaurant in a shop of their own, and a buyer.

    The buyer runs a restaurant too and owns nothing yet. `canaries` are in every library and in no
    log: one is sound and holds an entity and a unit, the other's row is refused.
    """

    owner: Person
    owner_entity: str
    unit_no: str
    buyer: Person
    buyer_entity: str
    canaries: tuple[Person, ...]


@dataclass(frozen=True)
class Truth:
    """Everything that must be true once all departments were collected.

    `built` counts, by thematic dataset, its `rows` and those of them for which a column is true.
    `licensable` lists, by license type, the natural keys (credit codes; unit numbers, one
    certificate a unit whatever the number of owners) that may have a license, in key order.
    """

    seed: int
    people: int
    datasets: Mapping[str, Expected]
    built: Mapping[str, Mapping[str, int]]
    licensable: Mapping[str, list[str]]
    cast: Cast

    def write(self, path: Path) -> None:
        """Write it as JSON, for this user's eyes only: it names people."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(self, default=vars, ensure_ascii=False, indent=1), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what `write` wrote."""
        said = json.loads(path.read_text("utf-8"))
        return cls(
            seed=said["seed"],
            people=said["people"],
            datasets={name: _expected(each) for name, each in said["datasets"].items()},
            built=said["built"],
            licensable=said["licensable"],
            cast=_cast(said["cast"]),
        )


def _expected(said: Mapping[str, Any]) -> Expected:
    counted: dict[str, Any] = {
        name: Counter(each) if isinstance(each, dict) else each for name, each in said.items()
    }
    return Expected(**counted)


def _cast(said: Mapping[str, Any]) -> Cast:
    people = {
        "owner": Person(**said["owner"]),
        "buyer": Person(**said["buyer"]),
        "canaries": tuple(Person(**each) for each in said["canaries"]),
    }
    return Cast(**{**said, **people})
