"""One score a dataset and day, kept, with the rule that moved it.

A rule is anything that a row, a batch or a count may fail: a field's check, a rule of the contract,
a reference, lateness, a gap. Each belongs to one of six dimensions (GB/T 36344 names them) and
costs its dimension the share of what failed it:

    dimension       of a score  what fails it
    completeness    20          rows without a required value
    validity        25          rows with a wrong code, number, date, length or range
    consistency     20          rows that contradict themselves or refer to nobody
    uniqueness      15          rows that came twice, or that contradict another of their key
    timeliness      10          batches later than the contract's freshness
    reconciliation  10          rows that the source counts otherwise

    score = Σ over dimensions of (its points · (1 − Σ over its rules of weight · share failing))

A share is of the rows that landed on that day (of batches, for lateness; of the source's own count,
for gaps); a dimension does not fall below zero. The weight of what keeps a row out is 1, of what is
only flagged or counted a quarter. A contract's rule has the dimension that the contract gives it.

The rule that moved a score is the one whose points changed most since the last day that has one.
Only figures are kept: no row is looked at again, so a score costs nothing that grows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from exchange.libraries.batches import Batch, BatchId
from schemas.contract import Contract
from schemas.contract import load as contract_of

CITY = ZoneInfo("Asia/Shanghai")
POINTS: Mapping[str, int] = MappingProxyType(
    {
        "completeness": 20,
        "validity": 25,
        "consistency": 20,
        "uniqueness": 15,
        "timeliness": 10,
        "reconciliation": 10,
    }
)
REFUSED = 1.0
FLAGGED = 0.25
LATE = "batch:late"
GAP = "source:gap"
DUPLICATE = "key:duplicate"


@dataclass(frozen=True)
class Rule:
    """What failed one rule on a day, of how much."""

    dimension: str
    weight: float
    failing: float
    looked: float

    @property
    def cost(self) -> float:
        """The points that it takes from the score, where its dimension has them."""
        share = self.failing / self.looked if self.looked else 0.0
        return POINTS[self.dimension] * self.weight * min(1.0, share)


@dataclass(frozen=True)
class Score:
    """A dataset's day."""

    dataset: str
    day: date
    score: float
    dimensions: Mapping[str, float]
    rules: Mapping[str, Rule]
    batches: tuple[BatchId, ...]
    landed: int
    score_before: float | None = None
    moved_by: str | None = None
    moved_points: float | None = None


def score(conn: psycopg.Connection, batch: Batch, counts: Mapping[str, Any]) -> Score:
    """Add a published batch to its dataset's day; the same batch counts once.

    Called by the transaction that publishes, under the lock of its dataset.
    """
    at = batch.published_at or datetime.now(CITY)
    today, before = _days(conn, batch.dataset, at.astimezone(CITY).date())
    if today and batch.id in today.batches:
        return today
    contract = contract_of(batch.dataset)
    came = dict(rules(contract, batch, counts, _late(conn, contract, batch, at)))
    added = _added(today.rules if today else {}, came, _looked(batch, counts, today))
    found = judged(
        batch.dataset,
        at.astimezone(CITY).date(),
        added,
        batches=(*(today.batches if today else ()), batch.id),
        landed=(today.landed if today else 0) + int(counts.get("landed", 0)),
        before=before,
    )
    _keep(conn, found)
    return found


def judged(
    dataset: str,
    day: date,
    rules: Mapping[str, Rule],
    *,
    batches: tuple[BatchId, ...],
    landed: int,
    before: Score | None,
) -> Score:
    """The score of a day from its rules, and which of them moved it since `before`."""
    dimensions = {name: _dimension(name, rules) for name in POINTS}
    total = sum(POINTS[name] * share / 100 for name, share in dimensions.items())
    moved_by, points = _moved(rules, before.rules) if before else (None, None)
    return Score(
        dataset=dataset,
        day=day,
        score=round(total, 3),
        dimensions=dimensions,
        rules=rules,
        batches=batches,
        landed=landed,
        score_before=before.score if before else None,
        moved_by=moved_by,
        moved_points=points,
    )


def rules(
    contract: Contract, batch: Batch, counts: Mapping[str, Any], late: float
) -> Iterator[tuple[str, Rule]]:
    """Every rule that the batch failed, and the two that each batch is asked."""
    landed = float(counts.get("landed", 0))
    for name, failing in counts.get("reasons", {}).items():
        yield name, Rule(dimension_of(contract, name), REFUSED, failing, landed)
    for name, failing in counts.get("flagged", {}).items():
        yield name, Rule(dimension_of(contract, name), FLAGGED, failing, landed)
    if counts.get("duplicate"):
        yield DUPLICATE, Rule("uniqueness", FLAGGED, counts["duplicate"], landed)
    yield LATE, Rule("timeliness", REFUSED, late, 1)
    told = float((batch.source_totals or {}).get("rows", landed))
    yield GAP, Rule("reconciliation", REFUSED, abs(told - landed), max(told, landed, 1.0))


def dimension_of(contract: Contract, name: str) -> str:
    """The dimension of a reason or a flag, such as `sex:unknown-code` or `rule:sex-in-number`."""
    subject, _, fault = name.partition(":")
    if subject == "rule":
        said = {rule.name: rule.dimension for rule in contract.quality}.get(fault, "")
        said = _SAME_DIMENSION.get(said, said)
        return said if said in POINTS else "consistency"
    if subject == "key":
        return "uniqueness"
    return {"required": "completeness", "reference": "consistency"}.get(fault, "validity")


# What ODCS v3 calls otherwise.
_SAME_DIMENSION: Mapping[str, str] = MappingProxyType(
    {"accuracy": "validity", "conformity": "validity", "coverage": "completeness"}
)


def scores(conn: psycopg.Connection, *, dataset: str | None = None, limit: int = 30) -> list[Score]:
    """The newest days first."""
    return _query(
        conn,
        "SELECT * FROM library.quality_score WHERE dataset = coalesce(%s, dataset)"
        " ORDER BY day DESC, dataset LIMIT %s",
        (dataset, limit),
    )


def _dimension(name: str, rules: Mapping[str, Rule]) -> float:
    lost = sum(rule.cost for rule in rules.values() if rule.dimension == name)
    return round(100 * max(0.0, 1 - lost / POINTS[name]), 3)


def _moved(now: Mapping[str, Rule], before: Mapping[str, Rule]) -> tuple[str | None, float | None]:
    gains = {
        name: (before[name].cost if name in before else 0.0)
        - (now[name].cost if name in now else 0.0)
        for name in sorted(now.keys() | before.keys())
    }
    name = max(gains, key=lambda name: abs(gains[name]), default=None)
    if name is None or round(gains[name], 3) == 0:
        return None, None
    return name, round(gains[name], 3)


def _late(conn: psycopg.Connection, contract: Contract, batch: Batch, at: datetime) -> float:
    """How much of the time since the dataset's last batch was beyond its promise, 0 to 1."""
    row = conn.execute(
        "SELECT max(published_at) FROM library.batch"
        " WHERE dataset = %s AND state = 'published' AND id <> %s",
        (batch.dataset, batch.id),
    ).fetchone()
    if row is None or row[0] is None or row[0] >= at:
        return 0.0
    gap: float = (at - row[0]).total_seconds()
    return max(0.0, 1 - contract.freshness.total_seconds() / gap)


def _looked(batch: Batch, counts: Mapping[str, Any], today: Score | None) -> dict[str, float]:
    """Of how much the day's shares are, by the kind of rule."""
    landed = float(counts.get("landed", 0)) + (today.landed if today else 0)
    return {"rows": landed, LATE: 1.0 + (len(today.batches) if today else 0)}


def _added(
    day: Mapping[str, Rule], batch: Mapping[str, Rule], looked: Mapping[str, float]
) -> dict[str, Rule]:
    """The day's rules with a batch's; what a batch did not fail was looked at all the same."""
    failing: dict[str, float] = defaultdict(float)
    for rules in (day, batch):
        for name, rule in rules.items():
            failing[name] += rule.failing
    gaps = sum(rules[GAP].looked for rules in (day, batch) if GAP in rules)
    of = {LATE: looked[LATE], GAP: gaps}
    return {
        name: Rule(known.dimension, known.weight, failing[name], of.get(name, looked["rows"]))
        for name, known in {**day, **batch}.items()
    }


def _days(conn: psycopg.Connection, dataset: str, day: date) -> tuple[Score | None, Score | None]:
    """The day as it is so far, and the last one before it."""
    found = _query(
        conn,
        "SELECT * FROM library.quality_score WHERE dataset = %s AND day <= %s"
        " ORDER BY day DESC LIMIT 2",
        (dataset, day),
    )
    today = found[0] if found and found[0].day == day else None
    earlier = [one for one in found if one.day < day]
    return today, earlier[0] if earlier else None


def _keep(conn: psycopg.Connection, found: Score) -> None:
    values = {
        **vars(found),
        "batches": list(found.batches),
        "dimensions": Jsonb(dict(found.dimensions)),
        "rules": Jsonb({name: vars(rule) for name, rule in found.rules.items()}),
    }
    conn.execute(
        """
        INSERT INTO library.quality_score (dataset, day, score, dimensions, rules, batches, landed,
                                           score_before, moved_by, moved_points)
        VALUES (%(dataset)s, %(day)s, %(score)s, %(dimensions)s, %(rules)s, %(batches)s, %(landed)s,
                %(score_before)s, %(moved_by)s, %(moved_points)s)
            ON CONFLICT (dataset, day) DO UPDATE
           SET score = excluded.score, dimensions = excluded.dimensions, rules = excluded.rules,
               batches = excluded.batches, landed = excluded.landed,
               score_before = excluded.score_before, moved_by = excluded.moved_by,
               moved_points = excluded.moved_points, at = now()
        """,
        values,
    )


def _query(conn: psycopg.Connection, sql: str, values: Any) -> list[Score]:
    with conn.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(sql.encode(), values).fetchall()
    return [_score(row) for row in rows]


def _score(row: dict[str, Any]) -> Score:
    row.pop("at")
    known = {name: Rule(**rule) for name, rule in row.pop("rules").items()}
    return Score(**{**row, "batches": tuple(row["batches"]), "rules": known})
