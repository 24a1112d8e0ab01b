"""From a staging table into a library: what differs is written, the rest is not touched.

The new rows are joined with the old ones once; only rows that differ go on. A row that is changed
or removed moves to the history first, with the batches and the time between which it held. So the
cost follows the change, and merging the same rows again writes nothing.

`difference` looks and `apply` writes; between them the caller may still refuse. Both run in the
caller's transaction, which holds the dataset (`hold`) from before the first to the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import psycopg
from psycopg.sql import SQL, Composable, Composed, Identifier

from exchange.libraries import tables
from exchange.libraries.batches import Busy
from exchange.libraries.tables import columns, history_table, listed, named
from schemas.contract import Contract

FATE = "_fate"
"""Column of a staging table: what shall become of the key."""


class Fate(StrEnum):
    """What a staged row says about its key."""

    HOLDS = "H"  # this is the row now
    GONE = "G"  # the source says that the row is no more
    KEPT = "K"  # what came is in quarantine, so whatever the library holds stays


WORK_MEM = "256MB"  # the join of a whole dataset with itself shall not go to disk


@dataclass(frozen=True)
class Difference:
    """How many rows a batch would write, and how many the dataset held before."""

    inserted: int
    updated: int
    deleted: int
    before: int


ALL = SQL("true")


@dataclass(frozen=True)
class Merge:
    """One staging table on its way into one dataset.

    `closing`: a row that is not staged is no more (a snapshot). `within`: a condition that bounds
    the old rows compared (a build of some keys). `overtakable`: leave alone what later batches
    wrote (a replay). `fresh` names a finished table that takes the
    empty dataset's place.
    """

    contract: Contract
    stage: Composable
    batch: int
    closing: bool
    within: Composable | None = None
    overtakable: bool = False
    fresh: str | None = None

    @property
    def current(self) -> Identifier:
        """The table of what holds now."""
        return named(self.contract.table)

    @property
    def fields(self) -> list[str]:
        """The fields' names."""
        return list(columns(self.contract))

    def fills(self, before: int) -> bool:
        """Say whether the dataset is empty still, so that there is nothing to compare with."""
        return before == 0 and not self.overtakable

    def same_key(self, left: str, right: str) -> Composed:
        """The condition that two rows have one key."""
        pairs = [
            SQL("{} = {}").format(Identifier(left, key), Identifier(right, key))
            for key in self.contract.key
        ]
        return SQL(" AND ").join(pairs)


def hold(conn: psycopg.Connection, contract: Contract) -> datetime:
    """Keep other merges out until the transaction ends; the moment at which this one happens."""
    conn.execute(SQL("SET LOCAL work_mem = {}").format(WORK_MEM))
    conn.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(named(contract.table)))
    return moment(conn, contract)


def empty(conn: psycopg.Connection, contract: Contract) -> bool:
    """Say whether the dataset never held a row."""
    statement = SQL("SELECT EXISTS (SELECT FROM {}) OR EXISTS (SELECT FROM {})")
    tables = (named(contract.table), named(history_table(contract)))
    row = conn.execute(statement.format(*tables)).fetchone()
    return row == (False,)


def moment(conn: psycopg.Connection, contract: Contract) -> datetime:
    """Now, but later than any earlier merge of the dataset, whatever the clock does."""
    row = conn.execute(
        "SELECT greatest(clock_timestamp(), max(published_at) + interval '1 microsecond')"
        " FROM library.batch WHERE dataset = %s",
        (contract.id,),
    ).fetchone()
    assert row is not None
    at: datetime = row[0]
    return at


def difference(conn: psycopg.Connection, merge: Merge) -> Difference:
    """Compare the staged rows with what is held; the keys that differ wait in `diff`."""
    before = _count(conn, SQL("SELECT count(*) FROM {}").format(merge.current))
    if merge.fresh:
        if before:
            raise Busy(f"{merge.contract.id} was filled by another source just now; try again")
        return Difference(_count(conn, SQL("SELECT count(*) FROM {}").format(merge.stage)), 0, 0, 0)
    if merge.fills(before):
        rows = SQL("SELECT count(*) FROM {} WHERE _fate = {}").format(merge.stage, Fate.HOLDS)
        return Difference(_count(conn, rows), 0, 0, before)
    conn.execute(_difference(merge))
    found: dict[str, int] = dict(
        conn.execute("SELECT op, count(*) FROM diff GROUP BY op").fetchall()
    )
    return Difference(found.get("I", 0), found.get("U", 0), found.get("D", 0), before)


def apply(conn: psycopg.Connection, merge: Merge, difference: Difference, at: datetime) -> None:
    """Write what `difference` found."""
    values = {"batch": merge.batch, "at": at}
    if merge.fresh:
        tables.replace(conn, merge.contract, merge.fresh)
        return
    if merge.fills(difference.before):
        conn.execute(_fill(merge), values)
        return
    for statement in (_close(merge), _delete(merge), _update(merge), _insert(merge)):
        conn.execute(statement, values)


def present(conn: psycopg.Connection, merge: Merge) -> int:
    """How many of the staged rows the dataset now holds, by key: the check on `apply`.

    After a closing merge the dataset holds the staged rows, those that were kept and no other, and
    a key only once, so they need not be joined to be counted.
    """
    if merge.fresh:
        return _count(conn, SQL("SELECT count(*) FROM {}").format(merge.current))
    held = SQL("SELECT count(*) FROM {} n JOIN {} o ON {} WHERE n._fate = {}")
    joined = [merge.stage, merge.current, merge.same_key("n", "o")]
    if not merge.closing:
        return _count(conn, held.format(*joined, Fate.HOLDS))
    everything = SQL("SELECT count(*) FROM {} WHERE {}").format(merge.current, merge.within or ALL)
    return _count(conn, everything) - _count(conn, held.format(*joined, Fate.KEPT))


def _count(conn: psycopg.Connection, statement: Composed) -> int:
    row = conn.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def _difference(merge: Merge) -> Composed:
    keys = [
        SQL("coalesce(n.{key}, o.{key}) AS {key}").format(key=Identifier(key))
        for key in merge.contract.key
    ]
    return SQL(
        """
        CREATE TEMPORARY TABLE diff ON COMMIT DROP AS
        SELECT {keys}, CASE WHEN coalesce(n._fate, 'G') = 'G' THEN 'D'
                            WHEN o.{first} IS NULL THEN 'I' ELSE 'U' END AS op
          FROM {stage} n {join} JOIN (SELECT * FROM {current} WHERE {within}) o ON {same}
         WHERE CASE coalesce(n._fate, 'G')
                    WHEN 'G' THEN o.{first} IS NOT NULL
                    WHEN 'H' THEN o.{first} IS NULL
                               OR ROW({new}) IS DISTINCT FROM ROW({old}) END
           AND {still}
        """
    ).format(
        keys=SQL(", ").join(keys),
        first=Identifier(merge.contract.key[0]),
        stage=merge.stage,
        join=SQL("FULL" if merge.closing else "LEFT"),
        current=merge.current,
        within=merge.within or ALL,
        same=merge.same_key("n", "o"),
        new=listed(merge.fields, "n"),
        old=listed(merge.fields, "o"),
        still=_not_overtaken(merge) if merge.overtakable else ALL,
    )


def _fill(merge: Merge) -> Composed:
    return SQL(
        "INSERT INTO {current} ({fields}, _batch, _since)"
        " SELECT {fields}, %(batch)s, %(at)s FROM {stage} WHERE _fate = {holds}"
    ).format(
        current=merge.current,
        fields=listed(merge.fields),
        stage=merge.stage,
        holds=Fate.HOLDS,
    )


def _not_overtaken(merge: Merge) -> Composed:
    keys = [
        SQL("h.{key} = coalesce(n.{key}, o.{key})").format(key=Identifier(key))
        for key in merge.contract.key
    ]
    return SQL(
        "coalesce(o._batch <= {batch}, true) AND NOT EXISTS"
        " (SELECT FROM {history} h WHERE {keys} AND h._batch_to > {batch})"
    ).format(
        batch=merge.batch,
        history=named(history_table(merge.contract)),
        keys=SQL(" AND ").join(keys),
    )


def _close(merge: Merge) -> Composed:
    return SQL(
        """
        INSERT INTO {history} ({fields}, _batch_from, _batch_to, _during)
        SELECT {old}, o._batch, %(batch)s, tstzrange(o._since, %(at)s)
          FROM {current} o JOIN diff d ON {same} WHERE d.op <> 'I'
        """
    ).format(
        history=named(history_table(merge.contract)),
        fields=listed(merge.fields),
        old=listed(merge.fields, "o"),
        current=merge.current,
        same=merge.same_key("o", "d"),
    )


def _delete(merge: Merge) -> Composed:
    return SQL("DELETE FROM {current} o USING diff d WHERE {same} AND d.op = 'D'").format(
        current=merge.current, same=merge.same_key("o", "d")
    )


def _update(merge: Merge) -> Composed:
    pairs = [
        SQL("{field} = n.{field}").format(field=Identifier(field))
        for field in merge.fields
        if field not in merge.contract.key
    ]
    return SQL(
        """
        UPDATE {current} o SET {pairs}, _batch = %(batch)s, _since = %(at)s
          FROM {stage} n, diff d WHERE {staged} AND {same} AND d.op = 'U'
        """
    ).format(
        current=merge.current,
        pairs=SQL(", ").join(pairs),
        stage=merge.stage,
        staged=merge.same_key("n", "d"),
        same=merge.same_key("o", "d"),
    )


def _insert(merge: Merge) -> Composed:
    return SQL(
        """
        INSERT INTO {current} ({fields}, _batch, _since)
        SELECT {new}, %(batch)s, %(at)s FROM {stage} n JOIN diff d ON {staged} WHERE d.op = 'I'
        """
    ).format(
        current=merge.current,
        fields=listed(merge.fields),
        new=listed(merge.fields, "n"),
        stage=merge.stage,
        staged=merge.same_key("n", "d"),
    )
