"""Quarantine in figures: how much, for what, how old, whose, and whether it grows.

No row is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import psycopg
from psycopg.rows import class_row

from connectors.feeds import Manifest

AGES: Mapping[str, int] = {"< 1 day": 0, "1-7 days": 1, "7-30 days": 7, "> 30 days": 30}
"""The ages that are told apart, and the days at which each begins."""


@dataclass(frozen=True)
class Standing:
    """What of a source is in quarantine, and who must mend it."""

    source: str
    dataset: str
    owner: str
    contact: str
    states: Mapping[str, int]
    ages: Mapping[str, int]
    oldest: datetime | None
    reasons: Mapping[str, int]

    @property
    def open(self) -> int:
        """How many rows wait."""
        return self.states.get("open", 0)


@dataclass(frozen=True)
class Day:
    """A source's day: rows that were new, rows that were settled, rows open when it ended."""

    day: date
    source: str
    new: int
    settled: int
    open: int


def standings(conn: psycopg.Connection, manifests: Iterable[Manifest]) -> list[Standing]:
    """Every source that has or had rows in quarantine, most open ones first."""
    known = {manifest.source: manifest for manifest in manifests}
    states = _grouped(conn, _STATES)
    ages = _grouped(conn, _AGES)
    why = _grouped(conn, _REASONS)
    rows = conn.execute(
        "SELECT source, dataset, min(first_seen) FILTER (WHERE state = 'open')"
        " FROM library.quarantine GROUP BY source, dataset"
    )
    found = [
        Standing(
            source=source,
            dataset=dataset,
            owner=known[source].owner if source in known else "",
            contact=(known[source].contact or "") if source in known else "",
            states=states.get(source, {}),
            ages=ages.get(source, {}),
            oldest=oldest,
            reasons=why.get(source, {}),
        )
        for source, dataset, oldest in rows
    ]
    return sorted(found, key=lambda standing: (-standing.open, standing.source))


def trend(conn: psycopg.Connection, *, days: int, source: str | None = None) -> list[Day]:
    """The last days of each source that has rows in quarantine, oldest first."""
    with conn.cursor(row_factory=class_row(Day)) as cursor:
        return cursor.execute(_TREND, {"days": days, "source": source}).fetchall()


def _grouped(conn: psycopg.Connection, sql: bytes) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for source, name, count in conn.execute(sql, {"ages": list(AGES), "days": list(AGES.values())}):
        found.setdefault(source, {})[name] = count
    return found


# Rows of a batch that was rejected are no longer anybody's to mend.
_COUNTED = b"""
WITH item AS (SELECT q.* FROM library.quarantine q JOIN library.batch b ON b.id = q.batch
               WHERE b.state <> 'rejected')
"""
_STATES = _COUNTED + b"SELECT source, state, count(*) FROM item GROUP BY 1, 2 ORDER BY 1, 2"
_REASONS = _COUNTED + (
    b"SELECT source, reason, count(*) FROM item, unnest(reasons) AS reason"
    b" WHERE state = 'open' GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"
)
_AGES = (
    _COUNTED
    + b"""
SELECT source, (%(ages)s::text[])[greatest(1, width_bucket(
           extract(epoch FROM now() - first_seen)::float8 / 86400, %(days)s::float8[]))], count(*)
  FROM item WHERE state = 'open' GROUP BY 1, 2 ORDER BY 1, min(now() - first_seen)
"""
)
_TREND = (
    _COUNTED
    + b"""
, moved AS (SELECT source, (first_seen AT TIME ZONE 'Asia/Shanghai')::date AS came,
                   (settled_at AT TIME ZONE 'Asia/Shanghai')::date AS went FROM item
             WHERE source = coalesce(%(source)s, source))
SELECT day::date AS day, source, count(*) FILTER (WHERE came = day::date) AS new,
       count(*) FILTER (WHERE went = day::date) AS settled,
       count(*) FILTER (WHERE came <= day::date AND (went IS NULL OR went > day::date)) AS open
  FROM moved, generate_series((now() AT TIME ZONE 'Asia/Shanghai')::date - %(days)s + 1,
                              (now() AT TIME ZONE 'Asia/Shanghai')::date, interval '1 day') AS day
 GROUP BY 1, 2 ORDER BY 1, 2
"""
)
