"""What the land registry keeps: every version of every row, in SQLite, across restarts.

A change never overwrites: it adds a version and marks the one it replaces. So a stretch between
two versions reads the same today and tomorrow, and a snapshot is always of one moment.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from connectors.testkit.city import numbers, words
from connectors.testkit.city.lots import Row

COLLECTIONS = ("units", "rights")
LAND = ("parcels", "buildings")
"""What it keeps with every version, and what it only lists as it is."""

_PAGES_IN_ALL = 12
_LARGEST_PAGE = 20_000

_SCHEMA = (
    "CREATE TABLE version (seq INTEGER PRIMARY KEY, collection TEXT NOT NULL,"
    " row_no INTEGER NOT NULL, unit TEXT NOT NULL, op TEXT NOT NULL, body TEXT NOT NULL,"
    " replaced_by INTEGER)",
    "CREATE INDEX version_of_unit ON version (unit) WHERE replaced_by IS NULL",
    "CREATE INDEX version_of_collection ON version (collection, seq)",
    "CREATE TABLE land (collection TEXT, row_no INTEGER, body TEXT NOT NULL,"
    " PRIMARY KEY (collection, row_no))",
)


class Refused(Exception):
    """The registry does not do that; `status` is how its API says so."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Stretch:
    """Versions after `since` up to `until`; without `since`, the rows as they were at `until`."""

    collection: str
    since: int | None
    until: int


class Store:
    """The registry's database below a folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "estate.sqlite"

    def fill(self, collections: Mapping[str, Sequence[Row]]) -> None:
        """Begin anew with these rows."""
        for end in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        self._path.touch(mode=0o600)
        with self._writing() as db:
            for statement in _SCHEMA:
                db.execute(statement)
            rows = [(name, row) for name in COLLECTIONS for row in collections[name]]
            db.executemany(
                "INSERT INTO version VALUES (?, ?, ?, ?, 'I', ?, NULL)",
                (
                    (number, collection, number, row["BDCDYH"], _body(row))
                    for number, (collection, row) in enumerate(rows, start=1)
                ),
            )
            for name in LAND:
                listed = ((name, at, _body(row)) for at, row in enumerate(collections[name]))
                db.executemany("INSERT INTO land VALUES (?, ?, ?)", listed)

    def position(self, collection: str) -> int:
        """The number of the collection's last version."""
        with self._reading() as db:
            found = db.execute(
                "SELECT coalesce(max(seq), 0) FROM version WHERE collection = ?", (collection,)
            )
            return int(found.fetchone()[0])

    def page_size(self, collection: str) -> int:
        """A twelfth of the collection, so that pages stay few in a city of any size."""
        with self._reading() as db:
            found = db.execute("SELECT count(*) FROM version WHERE collection = ?", (collection,))
            return min(_LARGEST_PAGE, int(found.fetchone()[0]) // _PAGES_IN_ALL + 1)

    def page(self, stretch: Stretch, after: int, size: int) -> tuple[list[Row], int | None]:
        """Rows after version `after`, and where the next page begins, if there is one."""
        with self._reading() as db:
            found = db.execute(*_select(stretch, after, size + 1)).fetchall()
        marked = stretch.since is not None
        rows = [_row(seq, op, body, marked) for seq, op, body in found[:size]]
        return rows, (int(found[size - 1][0]) if len(found) > size else None)

    def listed(self, collection: str, page: int, size: int) -> tuple[list[Row], int]:
        """A numbered page of land, and how many rows there are in all."""
        with self._reading() as db:
            total = db.execute("SELECT count(*) FROM land WHERE collection = ?", (collection,))
            found = db.execute(
                "SELECT body FROM land WHERE collection = ? AND row_no >= ?"
                " ORDER BY row_no LIMIT ?",
                (collection, (page - 1) * size, size),
            )
            rows = [json.loads(body) for (body,) in found]
            return rows, int(total.fetchone()[0])

    def totals(self, stretch: Stretch) -> tuple[int, list[list[int]]]:
        """Count and 256 buckets of (count, sum) over the agreed columns, which are all we keep."""
        buckets = [[0, 0] for _ in range(256)]
        rows = 0
        with self._reading() as db:
            for _, _, body in db.execute(*_select(stretch, stretch.since or 0, -1)):
                bucket, part = _digest(json.loads(body))
                buckets[bucket][0] += 1
                buckets[bucket][1] += part
                rows += 1
        return rows, buckets

    def transfer(self, unit_no: str, buyer_id: str, buyer_name: str, at: datetime) -> str:
        """Close who owns the unit now and enter the buyer; returns the new certificate's number.

        Raises `Refused`: no such owner (404), a seizure forbids it or the buyer owns it (409).
        """
        with self._writing() as db:
            standing = db.execute(
                "SELECT seq, row_no, body FROM version WHERE unit = ? AND replaced_by IS NULL "
                "AND collection = 'rights' ORDER BY seq",
                (unit_no,),
            ).fetchall()
            current = [(seq, no, json.loads(body)) for seq, no, body in standing]
            current = [each for each in current if each[2]["QSZT"] == "1"]
            owners = [each for each in current if each[2]["QLLX"] == "4"]
            _check_can_transfer([row for _, _, row in current], buyer_id)
            for seq, number, row in owners:
                closed = {**row, "QSZT": "2", "GXSJ": _stamp(at)}
                _replace(db, seq, number, unit_no, closed)
            entered = _entered(owners[-1][2], _next(db), buyer_id, buyer_name, at)
            _add(db, _next(db), unit_no, "I", entered)
        return str(entered["BDCQZH"])

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=30)
        try:
            yield db
        finally:
            db.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; nobody else writes meanwhile."""
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            yield db
            db.execute("COMMIT")
        finally:
            db.close()


def _check_can_transfer(current: Sequence[Row], buyer_id: str) -> None:
    owners = [row for row in current if row["QLLX"] == "4"]
    if not owners:
        raise Refused(404, "nobody owns that unit")
    if any(row["QLLX"] == "CFDJ" for row in current):
        raise Refused(409, "the unit is seized")
    if any(row["ZJH"] == buyer_id for row in owners):
        raise Refused(409, "the buyer owns the unit already")


def _entered(last: Row, serial: int, buyer_id: str, buyer_name: str, at: datetime) -> Row:
    """The buyer's row: sole owner, a number and a certificate of its own."""
    person = buyer_id[:17].isdigit() and numbers.resident_check(buyer_id[:17]) == buyer_id[17]
    return {
        **last,
        "YWH": f"{words.NOW}{at.year}{serial:08d}",
        "QSZT": "1",
        "BDCQZH": numbers.certificate(at.year, serial),
        "QLRMC": buyer_name,
        "ZJZL": "1" if person else "7",
        "ZJH": buyer_id,
        "GYFS": "0",
        "QLBL": None,
        "DJSJ": at.date().isoformat(),
        "GXSJ": _stamp(at),
    }


def _next(db: sqlite3.Connection) -> int:
    """The number of the next version; above every serial that the generator gave away."""
    return int(db.execute("SELECT max(seq) + 1 FROM version").fetchone()[0])


def _replace(db: sqlite3.Connection, seq: int, number: int, unit: str, row: Row) -> None:
    fresh = _next(db)
    db.execute("UPDATE version SET replaced_by = ? WHERE seq = ?", (fresh, seq))
    _add(db, number, unit, "U", row)


def _add(db: sqlite3.Connection, number: int, unit: str, op: str, row: Row) -> None:
    values = (_next(db), "rights", number, unit, op, _body(row))
    db.execute("INSERT INTO version VALUES (?, ?, ?, ?, ?, ?, NULL)", values)


def _select(stretch: Stretch, after: int, limit: int) -> tuple[str, tuple[object, ...]]:
    standing = "AND (replaced_by IS NULL OR replaced_by > ?)" if stretch.since is None else ""
    until = (stretch.until, stretch.until) if stretch.since is None else (stretch.until,)
    query = (
        "SELECT seq, op, body FROM version WHERE collection = ? AND seq > ? AND seq <= ? "  # noqa: S608 - our own words; values are parameters
        f"{standing} ORDER BY seq LIMIT ?"
    )
    return query, (stretch.collection, after, *until, limit)


def _row(seq: int, op: str, body: str, marked: bool) -> Row:
    row: Row = json.loads(body)
    return {**row, "_op": op, "_seq": str(seq)} if marked else row


def _digest(row: Row) -> tuple[int, int]:
    """MD5 of the cells joined by U+001F, an absent one being U+001E: bucket and summand."""
    cells = ("\x1e" if cell is None else cell for cell in row.values())
    digest = hashlib.md5("\x1f".join(cells).encode(), usedforsecurity=False).digest()
    return digest[0], int.from_bytes(digest[1:8], "big")


def _body(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False)


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
