"""Quarantined rows, mended and handed in again: checked as any row, merged as a batch of their own.

A repaired row names the item that it repairs by batch and row number, and holds every column of the
source. It is taken only while its item is open and no later row of its key has reached the library,
so a repair never brings back what was overtaken. All rows are taken or none.

    open --(landed, one transaction)--> resubmitted --(published)--> repaired
                                                    --(rejected)---> open

Killed in between, nothing is lost or doubled: rows are landed and items marked together, and the
batch that is left is loaded by whoever comes next. Handing the same rows in again says what became
of them and does nothing. The source is not asked, and its cursor stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson
import psycopg
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.rows import class_row
from psycopg.sql import SQL, Composed, Identifier

from connectors.feeds import OPERATION, SEQUENCE, Manifest, Totals
from exchange.database import Role, without_detail
from exchange.libraries import batches, journey, landing, mended, quarantine
from exchange.libraries.batches import REPAIR, Batch, BatchId, Held, State, running
from exchange.libraries.check import REASONS, check
from exchange.libraries.journey import Outcome
from exchange.libraries.mended import Key, keys_of
from exchange.libraries.tables import columns, history_table, named
from exchange.libraries.values import ROW
from exchange.settings import Settings
from schemas.contract import Contract
from schemas.contract import load as contract_of
from schemas.errors import Invalid, NotFound, Unavailable, WrongState

NAMED = 20  # rows that an error names; more would not be read


@dataclass(frozen=True)
class Repaired:
    """A row as it should have been sent, and the item that it repairs."""

    batch: BatchId
    row_number: int
    row: Mapping[str, str | None] = field(repr=False)  # a person's, so in no error

    @property
    def place(self) -> tuple[BatchId, int]:
        """Where the item is."""
        return self.batch, self.row_number


def repair(
    settings: Settings, source: str, rows: Iterable[Repaired], *, by: str, reason: str
) -> Outcome:
    """Bring repaired rows into the library; what became of the batch that they are.

    Raises `Invalid` for rows that are still wrong, `WrongState` for items that are not open, `Held`
    when a batch of the source waits for a person or the repair itself must, and `Busy`.
    """
    if not reason.strip() or not by.strip():
        raise Invalid("say who repaired the rows and why: both are kept")
    given = _distinct(rows)
    _finish_what_is_open(settings, source)
    batch = _resubmitted(settings, source, given, by, reason)
    outcome = journey.load(settings, batch)
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        mended.settle(conn, batch)
        conn.commit()
    return outcome


def _distinct(rows: Iterable[Repaired]) -> dict[tuple[BatchId, int], Repaired]:
    given: dict[tuple[BatchId, int], Repaired] = {}
    for row in rows:
        if given.setdefault(row.place, row) != row:
            raise Invalid(f"{_places([row.place])} is repaired twice, and not in the same way")
    if not given:
        raise Invalid("there are no rows to repair")
    return given


def _finish_what_is_open(settings: Settings, source: str) -> None:
    """A batch that is under way may bring what overtakes the repair, so it goes first."""
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        waiting = batches.open_of(conn, source)
    if waiting is None:
        return
    if waiting.state is State.HELD:
        raise Held(f"batch {waiting.id} of {source} is held: release or reject it first")
    if waiting.state is State.LANDING:
        raise Unavailable(
            f"batch {waiting.id} of {source} is landing still; "
            f"collect {source} to its end before you repair its rows"
        )
    journey.load(settings, waiting.id)


@dataclass(frozen=True)
class _Item:
    batch: BatchId
    row_number: int
    source: str
    state: str
    repair: BatchId | None
    repair_digest: bytes | None

    @property
    def place(self) -> tuple[BatchId, int]:
        return self.batch, self.row_number


def _resubmitted(
    settings: Settings,
    source: str,
    given: Mapping[tuple[BatchId, int], Repaired],
    by: str,
    reason: str,
) -> BatchId:
    """The batch that the rows are landed as, now or when they were handed in before."""
    manifest = journey.manifest_of(settings, source)
    contract = contract_of(manifest.dataset)
    with running(settings.database, source) as conn:
        mended.settle(conn)  # what a run that died did not do, or a person's decision since
        conn.commit()
        items = _items(conn, source, given)
        fresh = [given[item.place] for item in items if item.state == quarantine.State.OPEN]
        _refuse_settled(settings, items, given)
        if not fresh:
            return max(item.repair for item in items if item.repair is not None)
        _check(fresh, contract, manifest)
        keys = keys_of([row.row for row in fresh], contract, manifest)
        _refuse_overtaken(conn, contract, fresh, keys)
        batch = _landed(settings, conn, manifest, fresh)
        _mark(conn, settings, batch, list(zip(fresh, keys, strict=True)), by, reason)
        conn.commit()
        return batch.id


def _items(
    conn: psycopg.Connection, source: str, given: Mapping[tuple[BatchId, int], Repaired]
) -> list[_Item]:
    wanted = sorted(given)
    with conn.cursor(row_factory=class_row(_Item)) as cursor:
        items = cursor.execute(
            "SELECT q.batch, q.row_number, q.source, q.state, q.repair, q.repair_digest"
            " FROM library.quarantine q JOIN unnest(%s::bigint[], %s::bigint[]) AS w (b, n)"
            " ON q.batch = w.b AND q.row_number = w.n JOIN library.batch b ON b.id = q.batch"
            " WHERE b.state = 'published' ORDER BY q.batch, q.row_number FOR UPDATE OF q",
            ([batch for batch, _ in wanted], [number for _, number in wanted]),
        ).fetchall()
    found = {item.place for item in items if item.source == source}
    if missing := [place for place in wanted if place not in found]:
        raise NotFound(f"{source} has no published rows in quarantine at {_places(missing)}")
    return items


def _refuse_settled(
    settings: Settings, items: Sequence[_Item], given: Mapping[tuple[BatchId, int], Repaired]
) -> None:
    """The same row handed in again is no mistake; another one, or a settled item, is."""
    repaired = (quarantine.State.RESUBMITTED, quarantine.State.REPAIRED)
    settled = [
        item
        for item in items
        if item.state != quarantine.State.OPEN
        and not (
            item.state in repaired and item.repair_digest == _digest(settings, given[item.place])
        )
    ]
    if settled:
        states = ", ".join(sorted({item.state for item in settled}))
        raise WrongState(
            f"{_places([item.place for item in settled])} cannot be repaired: {states} already"
        )


def _check(rows: Sequence[Repaired], contract: Contract, manifest: Manifest) -> None:
    """Judge the rows as a source's, and as a whole, so that two of one key are noticed."""
    wanted = set(manifest.source_columns)
    for row in rows:
        if missing := wanted - row.row.keys():
            raise Invalid(f"{_places([row.place])} lacks {', '.join(sorted(missing))}")
        if unknown := row.row.keys() - wanted - {OPERATION, SEQUENCE}:
            raise Invalid(
                f"{_places([row.place])} has {len(unknown)} columns that {manifest.source} has not"
            )
    table = pa.Table.from_batches([_arrow(rows, manifest)])
    bad = check(table, contract, manifest, "snapshot")[0].bad
    wrong = [
        f"{_places([rows[number - 1].place])} {', '.join(why)}"
        for number, why in bad.select(ROW, REASONS).iter_rows()
    ]
    if wrong:
        more = f"; and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
        raise Invalid(
            f"{len(wrong)} of {len(rows)} repaired rows are still wrong, so none was taken: "
            f"{'; '.join(wrong[:NAMED])}{more}"
        )


def _refuse_overtaken(
    conn: psycopg.Connection,
    contract: Contract,
    rows: Sequence[Repaired],
    keys: Sequence[Key | None],
) -> None:
    """Refuse rows whose key a later batch wrote or removed: the source has spoken since."""
    asked = {"batches": [row.batch for row in rows], "numbers": [row.row_number for row in rows]}
    parts = {
        f"part{place}": [key[place] if key else None for key in keys]
        for place in range(len(contract.key))
    }
    overtaken = conn.execute(_overtaken(contract), {**asked, **parts}).fetchall()
    if overtaken:
        raise WrongState(
            f"{_places(overtaken)} cannot be repaired: the library has had a later row of that key"
            " since; waive the item, or let the department send the row"
        )


def _overtaken(contract: Contract) -> Composed:
    types = columns(contract)
    keys = [
        SQL("unnest(%(part{})s::text[])::{} AS {}").format(
            SQL(str(place)), SQL(types[key]), Identifier(key)
        )
        for place, key in enumerate(contract.key)
    ]
    same = SQL(" AND ").join(SQL("t.{0} = k.{0}").format(Identifier(key)) for key in contract.key)
    return SQL(
        "SELECT item_batch, item_row FROM (SELECT unnest(%(batches)s::bigint[]) AS item_batch,"
        " unnest(%(numbers)s::bigint[]) AS item_row, {keys}) k"
        " WHERE EXISTS (SELECT FROM {current} t WHERE {same} AND t._batch > k.item_batch)"
        " OR EXISTS (SELECT FROM {history} t WHERE {same} AND t._batch_to > k.item_batch)"
        " ORDER BY 1, 2"
    ).format(
        keys=SQL(", ").join(keys),
        current=named(contract.table),
        history=named(history_table(contract)),
        same=same,
    )


def _landed(
    settings: Settings, conn: psycopg.Connection, manifest: Manifest, rows: Sequence[Repaired]
) -> Batch:
    """The rows as a batch with its Parquet; nobody sees it before the caller commits."""
    row = conn.execute(
        "SELECT count(*) FROM library.batch WHERE source = %s AND starts_with(window_end, %s)",
        (manifest.source, REPAIR),
    ).fetchone()
    assert row is not None  # and the lock keeps other repairs from counting the same
    window = f"{REPAIR}{row[0] + 1}"
    batch = batches.begin(conn, manifest.source, manifest.dataset, "changes", None, window)
    if batch is None:
        raise Unavailable(f"another batch of {manifest.source} has just begun")
    landed = landing.write(settings, batch, [_arrow(rows, manifest)], manifest.source_columns)
    kept = batch.moved(
        State.LANDED,
        columns=landed.columns,
        file=landed.file,
        digest=landed.digest,
        source_totals=asdict(Totals(len(rows))),
        counts={"landed": landed.rows},
    )
    return batches.save(conn, kept)


def _mark(
    conn: psycopg.Connection,
    settings: Settings,
    batch: Batch,
    rows: Sequence[tuple[Repaired, Key | None]],
    by: str,
    reason: str,
) -> None:
    cipher = AESGCM(settings.secret(quarantine.KEY))
    with conn.cursor() as cursor:
        cursor.executemany(
            "UPDATE library.quarantine SET state = 'resubmitted', repair = %s, repair_row = %s,"
            " repair_digest = %s, repair_key = %s, settled_by = %s, settled_reason = %s"
            " WHERE batch = %s AND row_number = %s AND state = 'open'",
            [
                (
                    *(batch.id, number, _digest(settings, row)),
                    quarantine.seal(cipher, *row.place, key),
                    *(by, reason, *row.place),
                )
                for number, (row, key) in enumerate(rows, 1)
            ],
        )


def _arrow(rows: Sequence[Repaired], manifest: Manifest) -> pa.RecordBatch:
    fields = [(name, pa.string()) for name in (*manifest.source_columns, OPERATION)]
    schema = pa.schema([*fields, (SEQUENCE, pa.int64())])
    return pa.RecordBatch.from_pylist(list(_changes(rows)), schema=schema)


def _changes(rows: Sequence[Repaired]) -> Iterator[dict[str, Any]]:
    for number, row in enumerate(rows, 1):
        gone = row.row.get(OPERATION) == "D"
        yield {**row.row, OPERATION: "D" if gone else "U", SEQUENCE: number}


def _digest(settings: Settings, row: Repaired) -> bytes:
    said = {name: text for name, text in row.row.items() if name != SEQUENCE}
    return mended.digester(settings)(orjson.dumps(said, option=orjson.OPT_SORT_KEYS).decode())


def _places(places: Iterable[tuple[BatchId, int]]) -> str:
    named = [f"row {number} of batch {batch}" for batch, number in places]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return f"{', '.join(named[:NAMED])}{more}"
