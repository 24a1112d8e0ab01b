"""Days again: the batches that were landed between two moments, replayed from their Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from exchange.database import Role, without_detail
from exchange.libraries import journey
from exchange.libraries.batches import BatchId
from exchange.settings import Settings
from schemas.errors import Invalid, NotFound

DAY = """
SELECT id, source FROM library.batch
 WHERE landed_at >= %s AND landed_at < %s AND mode <> 'build' AND state = 'published' ORDER BY id
"""


@dataclass(frozen=True)
class Day:
    """From a midnight to the next, by the departments' clock."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Replayed:
    """What was loaded again, and what could not be because its Parquet has expired."""

    replayed: tuple[BatchId, ...]
    expired: tuple[BatchId, ...]


def day_of(moment: datetime, clock: str) -> Day:
    """The day in which `moment` lies."""
    here = moment.astimezone(ZoneInfo(clock))
    start = here.replace(hour=0, minute=0, second=0, microsecond=0)
    return Day(start, start + timedelta(days=1))


def sources(settings: Settings, day: Day, asked: Sequence[str] | None = None) -> list[str]:
    """The sources with batches on that day, of those `asked` for. Raises `NotFound` for a typo."""
    for source in asked or ():
        journey.manifest_of(settings, source)
    landed = {source for _, source in _landed(settings, day)}
    return sorted(landed & set(asked) if asked is not None else landed)


def replay(settings: Settings, source: str, day: Day) -> Replayed:
    """Load that source's batches of the day again, in their order.

    Raises what `journey.replay` raises; what was replayed before stays replayed.
    """
    if day.end <= day.start:
        raise Invalid("a day ends after it began")
    replayed, expired = list[BatchId](), list[BatchId]()
    for batch, of in _landed(settings, day):
        if of != source:
            continue
        try:
            journey.replay(settings, batch)
            replayed.append(batch)
        except NotFound:
            expired.append(batch)
    return Replayed(tuple(replayed), tuple(expired))


def _landed(settings: Settings, day: Day) -> list[tuple[BatchId, str]]:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        return conn.execute(DAY, (day.start, day.end)).fetchall()
