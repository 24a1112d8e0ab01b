"""The libraries against the departments' own systems, and against what clerks were told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from connectors.testkit.city.estate_store import Store, Stretch
from exchange.demo.departments import Departments
from schemas import identifiers
from schemas.contract import load
from schemas.errors import Invalid
from tests.journeys.oracle import Connection, Findings

OWNERSHIP = "real_estate_registration.ownership"
BASE = ("population.resident", "legal_entity.registration", "real_estate.unit", "real_estate.right")
SPANS = """
WITH span AS (
    SELECT {key}, lower(_during) AS since, upper(_during) AS until FROM {history}
    UNION ALL SELECT {key}, _since, NULL FROM {current}
)
SELECT count(*) FROM (
    SELECT until, lead(since) OVER (PARTITION BY {key} ORDER BY since) AS next FROM span) followed
WHERE {broken}
"""
UNBROKEN = "until IS DISTINCT FROM next"
MAY_PAUSE = "until > next OR (until IS NULL AND next IS NOT NULL)"
BATCHES = """
SELECT source, mode, state, window_start, window_end, id > %s AS ours FROM library.batch ORDER BY id
"""
RIGHTS = "SELECT certificate_no, unit_no, holder_id, status FROM library.real_estate_right"
ADDRESSES = """
SELECT resident_id, residence_address FROM library.population_resident
UNION ALL SELECT resident_id, residence_address FROM library.population_resident_history
"""


@dataclass(frozen=True)
class Book:
    """A dataset, and the department's own record of it: by key, what a row may say."""

    dataset: str
    columns: tuple[str, ...]
    source: Mapping[str, set[tuple[str, ...]]]

    def absent(self, conn: Connection) -> set[str]:
        """Keys that the department has and the library has not, such as those quarantined."""
        return set(self.source) - {key for key, *_ in self._rows(conn)}

    def compared(self, conn: Connection, refused: set[str]) -> Findings:
        """Each key is there once and says what the department says, but for those `refused`."""
        rows = self._rows(conn)
        for key, times in Counter(key for key, *_ in rows).items():
            if times > 1:
                yield f"{self.dataset}: {key} is there {times} times"
        if lost := self.absent(conn) - refused:
            yield f"{self.dataset}: {len(lost)} rows are lost, such as {min(lost)}"
        for key, *said in rows:
            if tuple(said) not in self.source.get(key, set()):
                yield f"{self.dataset}: {key} says {said}, which the department does not"

    def _rows(self, conn: Connection) -> list[tuple[Any, ...]]:
        columns = SQL(", ").join(map(Identifier, self.columns))
        table = Identifier("library", load(self.dataset).table)
        return conn.execute(SQL("SELECT {} FROM {}").format(columns, table)).fetchall()


def books(found: Departments) -> list[Book]:
    """The departments' own records of residents, units and rights, as of now."""
    registry = Store(found.folder / "real-estate")
    with psycopg.connect(found.police_dsn) as police:
        people = police.execute('SELECT "GMSFHM", "JZDZ" FROM rkk.ryjbxx').fetchall()
    residents = [(_normal("resident", number), address) for number, address in people]
    units = [
        (_normal("real_estate_unit", number), place)
        for number, place in _registered(registry, "units", "BDCDYH", "ZL")
    ]
    rights = _registered(registry, "rights", "YWH", "QSZT", "QLRMC")
    return [
        _book("population.resident", ("resident_id", "residence_address"), residents),
        _book("real_estate.unit", ("unit_no", "location"), units),
        _book("real_estate.right", ("right_no", "status", "holder_name"), rights),
    ]


def history(conn: Connection) -> Findings:
    """The spans of a key follow each other; only an owner may have come back after a while."""
    for dataset in (*BASE, OWNERSHIP):
        contract = load(dataset)
        query = SQL(SPANS).format(
            key=SQL(", ").join(map(Identifier, contract.key)),
            history=Identifier("library", f"{contract.table}_history"),
            current=Identifier("library", contract.table),
            broken=SQL(MAY_PAUSE if dataset == OWNERSHIP else UNBROKEN),
        )
        row = conn.execute(query).fetchone()
        if row and row[0]:
            yield f"{dataset}: {row[0]} spans of its history overlap or leave a gap"


def ownership(conn: Connection) -> Findings:
    """The thematic library is what its SQL makes of its parents now."""
    contract = load(OWNERSHIP)
    assert contract.sql is not None
    fields = SQL(", ").join(Identifier(field.name) for field in contract.fields)
    held = SQL("SELECT {} FROM {}").format(fields, Identifier("library", contract.table))
    made = SQL("SELECT {} FROM ({}) made").format(fields, SQL(contract.sql.strip().rstrip(";")))
    for one, other in ((held, made), (made, held)):
        differ = SQL("SELECT count(*) FROM ({} EXCEPT ALL {}) differ").format(one, other)
        row = conn.execute(differ).fetchone()
        if row and row[0]:
            yield f"{row[0]} rows of {OWNERSHIP} are not what a rebuild makes"


def last_batch(conn: Connection) -> int:
    """The highest number of a batch by now."""
    row = conn.execute("SELECT coalesce(max(id), 0) FROM library.batch").fetchone()
    assert row is not None
    return int(row[0])


def batches(conn: Connection, after: int = 0) -> Findings:
    """Each window of changes begins where the last one ended; nothing waits for a person.

    What was rejected up to batch `after` was rejected by a person, and its window read again.
    """
    ends = dict[str, str]()
    for source, mode, state, start, end, ours in conn.execute(BATCHES, (after,)):
        if state == "rejected" and not ours:
            continue
        if state != "published":
            yield f"a batch of {source} is {state}"
        if mode not in ("build", "snapshot") and ends.get(source) != start:
            yield f"{source}: a window from {start} follows one that ended at {ends.get(source)}"
        ends[source] = end


def sales(conn: Connection, acknowledged: Sequence[str]) -> Findings:
    """Every sale is one right of its buyer, and the last one of a unit is in force."""
    rights = dict[str, list[tuple[str, str, str]]]()
    for number, *said in conn.execute(RIGHTS):
        rights.setdefault(number, []).append(tuple(said))
    entered = [tuple(line.split("\t")) for line in acknowledged]
    last = {unit: number for unit, _, number in entered}
    for unit, buyer, number in entered:
        status = "1" if last[unit] == number else "2"
        if rights.get(number) != [(unit, buyer, status)]:
            yield f"the sale {number} became {len(rights.get(number, []))} rights, or says other"


def moves(conn: Connection, acknowledged: Sequence[str]) -> Findings:
    """Every move is in the library once: where somebody lives, or lived."""
    known = Counter(f"{person}\t{address}" for person, address in conn.execute(ADDRESSES))
    for line in acknowledged:
        if known[line] != 1:
            yield f"the move to {line.split(chr(9))[1]} is there {known[line]} times"


def _registered(registry: Store, collection: str, *columns: str) -> list[tuple[str, ...]]:
    stretch = Stretch(collection, None, registry.position(collection))
    rows, _ = registry.page(stretch, 0, 10_000_000)
    return [tuple(str(row[column] or "") for column in columns) for row in rows]


def _book(dataset: str, columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Book:
    source = dict[str, set[tuple[str, ...]]]()
    for key, *said in rows:
        source.setdefault(key, set()).add(tuple(said))
    return Book(dataset, columns, source)


def _normal(kind: str, number: str) -> str:
    """The number as the library writes it; one that fails its check is in no library."""
    try:
        return identifiers.KINDS[kind](number).value
    except Invalid:
        return number
