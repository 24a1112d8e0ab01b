"""A landed batch into its library: check, stage, merge, reconcile, publish.

Rows pass through in chunks, from the landed file over the checks into a staging table, so memory
does not follow the size of a batch; what is refused goes into quarantine on the way. Everything is
one transaction, which checks that the batch is still ours (`batches.lock`) and ends with it
published, or held for a person, or as it was.

What is judged, and how it enters, depends on what is there already:

    nothing yet       every row; the filled table takes the empty one's place
    a like snapshot   what differs from its landed file (`snapshots`)
    anything else     every row; the database compares it with what is held
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from typing import Any

import polars as pl
import psycopg
from psycopg.sql import SQL, Identifier

from connectors.feeds import Manifest
from exchange.identity import histories
from exchange.libraries import (
    aliases,
    batches,
    guards,
    keys,
    landing,
    mended,
    merge,
    quality,
    quarantine,
    reconcile,
    references,
    snapshots,
    staging,
    tables,
    thematic,
)
from exchange.libraries.ahead import ahead
from exchange.libraries.batches import Batch, Held, State
from exchange.libraries.check import Check, Drifted, Judged, check_columns
from exchange.libraries.merge import FATE, Difference, Fate
from exchange.libraries.snapshots import Changes
from exchange.libraries.tables import named
from exchange.settings import Settings
from schemas.codes import code_list
from schemas.contract import Contract
from schemas.contract import load as contract_of
from schemas.errors import NotFound


@dataclass(frozen=True)
class Load:
    """One batch on its way in."""

    settings: Settings
    conn: psycopg.Connection
    batch: Batch
    manifest: Manifest
    contract: Contract
    kept: landing.Kept

    @property
    def again(self) -> bool:
        """It was published before, and is replayed."""
        return self.batch.state is State.PUBLISHED

    @cached_property
    def changes(self) -> Changes | None:
        """What differs from the last snapshot, where the two may be compared."""
        before = None if self.again else snapshots.last(self.conn, self.batch)
        if before is None:
            return None
        try:
            old = landing.opened(self.settings, before)
        except NotFound:  # it has expired, so everything is looked at
            return None
        refused = quarantine.digests(self.conn, self.batch.source)
        return snapshots.compare(old, self.kept, refused, self.contract, self.manifest)

    @cached_property
    def fresh(self) -> bool:
        """The dataset holds nothing, so that there is nothing to compare with."""
        return not self.again and merge.empty(self.conn, self.contract)

    def check(self) -> Check:
        """A judge of this batch that has seen nothing yet."""
        repeated = self.changes.repeated if self.changes else self._repeated
        return Check(self.contract, self.manifest, self.batch.mode, repeated)

    @cached_property
    def _repeated(self) -> pl.Series:
        columns = keys.columns(self.contract, self.manifest)
        return keys.repeated(self.kept.chunks(columns), self.contract, self.manifest)

    def judged(self, check: Check) -> Iterator[Judged]:
        """What is to be judged, judged chunk by chunk."""
        chosen = self.changes.chosen(self.kept, landing.CHUNK) if self.changes else None
        # Three at once: one chunk is decrypted, one judged, one on its way into the database.
        for rows in ahead(chosen if chosen is not None else self.kept.chunks(), waiting=1):
            yield check.chunk(rows)
        rest = check.rest()
        if rest is not None:
            yield rest

    @property
    def refused_again(self) -> int:
        """Rows that were refused before, came again unchanged, and were not judged again."""
        return len(self.changes.refused) if self.changes else 0

    @property
    def closing(self) -> bool:
        """A row that is not staged is no more."""
        return self.batch.mode == "snapshot" and self.changes is None


def prepared(
    settings: Settings, conn: psycopg.Connection, batch: Batch, manifest: Manifest
) -> Load:
    """A batch ready to be judged. Raises `NotFound` when its file has expired."""
    contract = contract_of(batch.dataset)
    if batch.state is not State.PUBLISHED:
        batch = replace(batch, fingerprint=fingerprint(contract, manifest))
    return Load(settings, conn, batch, manifest, contract, landing.opened(settings, batch))


def fingerprint(contract: Contract, manifest: Manifest) -> str:
    """By what a batch is judged: two with the same are judged alike."""
    lists = {field.code_list for field in contract.fields if field.code_list} | {"divisions"}
    codes = [(name, sorted(code_list(name).values)) for name in sorted(lists)]
    return sha256(f"{contract!r}{manifest.model_dump_json()}{codes!r}".encode()).hexdigest()


def load(job: Load) -> Batch:
    """Bring the batch in and publish it. Raises `Held` when a person must look first."""
    conn, batch = job.conn, job.batch
    try:
        _drifted(job)
    except Drifted as stop:
        _hold(job, stop, batch.counts)
        raise
    if job.again and batches.overtaken(conn, batch):
        return replace(batch, counts=_counted(job))
    check = job.check()
    try:
        with staging.made(conn, job.contract, batch, fresh=job.fresh) as table:
            return _merged(job, check, table)
    except Held as stop:
        conn.rollback()
        _quarantined_only(job)
        _hold(job, stop, check.tally.counts())
        raise


def _drifted(job: Load) -> None:
    if not job.batch.released:
        before = batches.columns_before(job.conn, job.batch)
        check_columns(job.kept.columns, before, job.manifest)


def _counted(job: Load) -> Mapping[str, Any]:
    """What a replay would find, where a later snapshot has said everything since."""
    check = job.check()
    for _ in job.judged(check):
        pass
    return check.tally.counts()


def _merged(job: Load, check: Check, table: str) -> Batch:
    """One transaction: the rows, their history, the quarantine, the aliases and the ledger."""
    conn, batch, contract = job.conn, job.batch, job.contract
    began = merge.moment(conn, contract)
    _staged(job, check, table, began)
    counts = check.tally.counts()
    counts["landed"] = job.kept.rows
    counts["quarantined"] += job.refused_again
    _refuse(job, guards.too_many_quarantined(job.manifest.guards, counts))
    if job.fresh:
        tables.finish(conn, contract, table)
        batches.alone(conn)
    _mended(job, table)
    move = _move(job, table)
    batches.lock(conn, batch)
    at = merge.hold(conn, contract)
    difference = merge.difference(conn, move)
    _refuse(job, guards.too_many_deleted(job.manifest.guards, difference))
    broken = _references(job, table)
    merge.apply(conn, move, difference, at)
    counts["flagged"] = {**counts["flagged"], **broken}
    counts |= {**placed(job, difference, check.tally.holding), "aliases": _learned(job)}
    if job.again:
        _replayed(job, difference)
    else:
        present = merge.present(conn, move)
        gaps = reconcile.library_gaps(counts, check.tally.holding, present)
        if gaps:
            raise Held("; ".join(gaps))
        batch = _published(job, counts, began if job.fresh else at)
    conn.commit()
    return replace(batch, counts=counts)


def _learned(job: Load) -> int:
    """Older numbers that the batch told of, and those that its changes make of numbers."""
    told = aliases.keep_heard(job.conn, job.batch.source, job.batch.id)
    made = histories.remember(job.conn, job.batch.dataset, job.batch.id, job.batch.source)
    return told + made


def _staged(job: Load, check: Check, table: str, began: datetime) -> None:
    """Fill the staging table; what is refused and what else was learned is kept on the way."""
    conn, batch = job.conn, job.batch
    quarantine.clear(conn, batch)

    def rows() -> Iterator[pl.DataFrame]:
        for judged in job.judged(check):
            quarantine.add(conn, job.settings, batch, judged.bad)
            aliases.hear(conn, judged.aliases)
            yield _fresh(job, judged.good, began) if job.fresh else judged.good
        if job.changes and not job.fresh and not job.changes.gone.is_empty():
            yield gone(job.contract, job.changes.gone)

    staging.fill(job.settings.database, table, rows())


def _fresh(job: Load, good: pl.DataFrame, began: datetime) -> pl.DataFrame:
    """Rows as they will stand in the dataset."""
    return (
        good.filter(pl.col(FATE) == Fate.HOLDS)
        .drop(FATE)
        .with_columns(
            pl.lit(job.batch.id, pl.Int64).alias("_batch"),
            pl.lit(began).cast(pl.Datetime("us", "UTC")).alias("_since"),
        )
    )


def gone(contract: Contract, gone: pl.DataFrame) -> pl.DataFrame:
    """Keys that are no more, in the shape of staged rows."""
    shape = pl.from_arrow(contract.arrow_schema().empty_table())
    assert isinstance(shape, pl.DataFrame)
    rows = pl.concat(
        [shape, gone.cast({key: shape.schema[key] for key in contract.key})], how="diagonal"
    )
    return rows.with_columns(pl.lit(Fate.GONE.value).alias(FATE))


def _mended(job: Load, table: str) -> None:
    """Let what came settle what was refused before, and what was repaired stand."""
    if job.fresh or job.again:
        return
    given = (job.conn, job.settings, job.contract)
    mended.superseded(*given, job.manifest, job.batch, named(table))
    if job.closing:
        mended.protect(*given, job.batch, named(table))


def _move(job: Load, table: str) -> merge.Merge:
    return merge.Merge(
        job.contract,
        named(table),
        job.batch.id,
        closing=job.closing,
        overtakable=job.again,
        fresh=table if job.fresh else None,
    )


def _references(job: Load, table: str) -> dict[str, int]:
    """Values that the datasets they refer to do not know, by field."""
    if not job.fresh:
        return _named(references.flag(job.conn, job.contract, named(table)))
    # A filled table has no fates: all its rows are to be held.
    view = Identifier(f"{table}_rows")
    made = SQL("CREATE TEMPORARY VIEW {} AS SELECT *, {}::text AS {} FROM {}")
    job.conn.execute(made.format(view, Fate.HOLDS.value, Identifier(FATE), named(table)))
    broken = references.flag(job.conn, job.contract, view)
    job.conn.execute(SQL("DROP VIEW {}").format(view))
    return _named(broken)


def _named(broken: Mapping[str, int]) -> dict[str, int]:
    return {f"{name}:reference": count for name, count in broken.items()}


def placed(job: Load, difference: Difference, holding: int) -> dict[str, int]:
    """Where the landed rows went that were neither refused nor repeated."""
    written = difference.inserted + difference.updated
    judged = len(job.changes.places) if job.changes else job.kept.rows
    return {
        "inserted": difference.inserted,
        "updated": difference.updated,
        "unchanged": holding - written + job.kept.rows - judged - job.refused_again,
        "deleted": difference.deleted,
    }


def _replayed(job: Load, difference: Difference) -> None:
    """Rows that a replay wrote are news to builds, and to the next snapshot."""
    if difference.inserted or difference.updated or difference.deleted:
        thematic.forget(job.conn, job.batch)
        batches.unlike(job.conn, job.batch.dataset)


def _published(job: Load, counts: Mapping[str, Any], at: datetime) -> Batch:
    conn = job.conn
    references.mend_by_aliases(conn, job.batch.source)
    if job.batch.mode == "snapshot":
        refused = job.changes.refused if job.changes else []
        quarantine.carry(conn, job.batch, job.batch, refused)
    batch = batches.save(
        conn, job.batch.moved(State.PUBLISHED, counts=counts, held=(), published_at=at)
    )
    mended.settle(conn, batch.id)
    quality.score(conn, batch, counts)
    return batch


def _refuse(job: Load, why: list[str]) -> None:
    """Stop the batch, unless a person released it knowing why."""
    if why and not job.batch.released:
        raise Held("; ".join(why))


def _quarantined_only(job: Load) -> None:
    """Keep what a held batch refuses, for its owner to look at; nothing else of it."""
    quarantine.clear(job.conn, job.batch)
    for judged in job.judged(job.check()):
        quarantine.add(job.conn, job.settings, job.batch, judged.bad)


def _hold(job: Load, stop: Held, counts: Mapping[str, Any]) -> None:
    if not job.again:
        held = job.batch.moved(State.HELD, held=(stop.message,), counts=counts)
        batches.save(job.conn, held)
    job.conn.commit()
