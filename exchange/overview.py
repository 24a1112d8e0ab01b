"""What the hub's first page shows: figures only, read live; nothing about any person."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


class Reader(Protocol):
    """The one method of an asyncpg pool or connection that is used here."""

    async def fetch(self, query: str, *args: object) -> Sequence[Any]:
        """Rows of a query."""
        ...


@dataclass(frozen=True)
class LibraryFigures:
    """One dataset: what its batches did, added up."""

    dataset: str
    batches: int
    landed: int
    inserted: int
    updated: int
    deleted: int
    duplicate: int
    quarantined: int
    held: int
    published_at: datetime | None


@dataclass(frozen=True)
class LicenseFigures:
    """How many licenses of a type are in a state."""

    type_name: str
    status: str
    count: int


@dataclass(frozen=True)
class Chapter:
    """One paragraph of the demo's story; a line of several lines is shown as it stands."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Overview:
    """The whole page."""

    libraries: tuple[LibraryFigures, ...]
    licenses: tuple[LicenseFigures, ...]
    ledger_entries: int
    ledger_placed: int
    story: tuple[Chapter, ...]


LIBRARIES = """
SELECT dataset, count(*) AS batches,
       coalesce(sum((counts->>'landed')::bigint), 0)::bigint AS landed,
       coalesce(sum((counts->>'inserted')::bigint), 0)::bigint AS inserted,
       coalesce(sum((counts->>'updated')::bigint), 0)::bigint AS updated,
       coalesce(sum((counts->>'deleted')::bigint), 0)::bigint AS deleted,
       coalesce(sum((counts->>'duplicate')::bigint), 0)::bigint AS duplicate,
       coalesce(sum((counts->>'quarantined')::bigint), 0)::bigint AS quarantined,
       count(*) FILTER (WHERE state = 'held') AS held,
       max(published_at) AS published_at
FROM library.batch GROUP BY dataset ORDER BY dataset
"""
LICENSES = """
SELECT type_name, status, count(*) AS count
FROM vault.license GROUP BY type_name, status ORDER BY type_name, status
"""
LEDGER = """
SELECT (SELECT count(*) FROM hub.ledger_entry) AS entries,
       (SELECT count(*) FROM hub.ledger_leaf) AS placed
"""


async def overview(reader: Reader, home: Path) -> Overview:
    """Read the figures of now, and the demo's story if one was told in this home."""
    ledger = (await reader.fetch(LEDGER))[0]
    return Overview(
        libraries=tuple(LibraryFigures(**dict(row)) for row in await reader.fetch(LIBRARIES)),
        licenses=tuple(LicenseFigures(**dict(row)) for row in await reader.fetch(LICENSES)),
        ledger_entries=ledger["entries"],
        ledger_placed=ledger["placed"],
        story=read_story(home),
    )


def read_story(home: Path) -> tuple[Chapter, ...]:
    """The chapters that the demo wrote, or none."""
    path = home / "story.json"
    if not path.exists():
        return ()
    return tuple(Chapter(c["title"], tuple(c["lines"])) for c in json.loads(path.read_text()))
