"""The dry run of a batch: everything up to the merge, and nothing kept.

A source's next window, or all of it, is landed as always, judged and held against the library; then
the file goes, the staging table goes and the transaction is rolled back. A batch that waits already
is planned from its landed file, without asking its source.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import psycopg

from connectors.feeds import Manifest, Window, open_feed
from exchange.libraries import (
    batches,
    guards,
    journey,
    loading,
    merge,
    references,
    staging,
)
from exchange.libraries.batches import Batch, State, running
from exchange.libraries.check import Check, drift
from exchange.libraries.loading import Load
from exchange.libraries.plan import Plan
from exchange.libraries.tables import named
from exchange.settings import Settings
from schemas.errors import Invalid


class NotWhole(Invalid):
    """The source cannot be asked at any time for everything that it holds."""

    code = "source-not-whole"


NOBODY = 0  # the number of a batch that no ledger knows


def plan(settings: Settings, source: str, *, whole: bool = False) -> Plan | None:
    """What the next run of `source` would do; None when it has nothing new.

    With `whole` everything that the source holds is compared with everything that the library
    holds. Raises `Busy`, what the source raises, and `NotWhole`.
    """
    manifest = journey.manifest_of(settings, source)
    if whole and not manifest.feed.any_time:
        raise NotWhole(f"{source} cannot be read whole at any time: {manifest.feed.kind}")
    with running(settings.database, source) as conn:
        waiting = None if whole else batches.open_of(conn, source)
        if waiting and waiting.state is not State.LANDING:
            return _planned(loading.prepared(settings, conn, waiting, manifest), list(waiting.held))
        batch, gaps = _landed(settings, conn, manifest, whole)
        if batch is None:
            return None
        try:
            job = loading.prepared(settings, conn, batch, manifest)
            return _planned(_all_of_it(job) if whole else job, gaps)
        finally:
            (settings.landing / str(batch.file)).unlink(missing_ok=True)


def lease_of(source: str) -> int:
    """The lease of a source's dry runs, by which a sweep knows whose leftovers they are."""
    return zlib.crc32(source.encode())


def _landed(
    settings: Settings, conn: psycopg.Connection, manifest: Manifest, whole: bool
) -> tuple[Batch | None, list[str]]:
    with closing(open_feed(manifest, os.environ)) as feed:
        window = feed.plan(None if whole else batches.cursor_of(conn, manifest.source))
        conn.commit()
        if window is None:
            return None, []
        batch = _nobodys(manifest, window)
        landed, totals = journey.taken(settings, manifest, feed, batch, window)
        batch = journey.after(batch, landed, totals, feed.notices())
    return batch, list(batch.held)


def _nobodys(manifest: Manifest, window: Window) -> Batch:
    return Batch(
        NOBODY,
        manifest.source,
        manifest.dataset,
        window.mode,
        window.start,
        window.end,
        State.LANDING,
        lease_of(manifest.source),
        created_at=datetime.now(UTC),
    )


def _all_of_it(job: Load) -> Load:
    """The same, but not held against the last snapshot: the database compares."""
    return replace(job, batch=replace(job.batch, fingerprint=None))


def _planned(job: Load, held: list[str]) -> Plan:
    batch, contract = job.batch, job.contract
    window = (batch.window_start, batch.window_end)
    found = Plan(
        batch.source, contract.id, batch.mode, window, rows=job.kept.rows, held=tuple(held)
    )
    drifted = drift(job.kept.columns, batches.columns_before(job.conn, batch), job.manifest)
    if drifted:
        return replace(found, drift=tuple(drifted))
    check = job.check()
    with staging.made(job.conn, contract, batch) as table:
        staging.fill(job.settings.database, table, _rows(job, check))
        return _compared(job, check, table, found)


def _rows(job: Load, check: Check) -> Iterator[pl.DataFrame]:
    for judged in job.judged(check):
        yield judged.good
    if job.changes and not job.changes.gone.is_empty():
        yield loading.gone(job.contract, job.changes.gone)


def _compared(job: Load, check: Check, table: str, found: Plan) -> Plan:
    """Hold the staged rows against the library; the caller rolls back."""
    conn, contract = job.conn, job.contract
    move = merge.Merge(contract, named(table), job.batch.id, closing=job.closing)
    merge.hold(conn, contract)
    difference = merge.difference(conn, move)
    broken = references.flag(conn, contract, named(table))
    counts = check.tally.counts()
    counts["landed"] = job.kept.rows
    counts["quarantined"] += job.refused_again
    limits = job.manifest.guards
    would_hold = [
        *guards.too_many_quarantined(limits, counts),
        *guards.too_many_deleted(limits, difference),
    ]
    return replace(
        found,
        reasons=counts["reasons"],
        flagged={**counts["flagged"], **broken},
        inserted=difference.inserted,
        updated=difference.updated,
        deleted=difference.deleted,
        unchanged=loading.placed(job, difference, check.tally.holding)["unchanged"],
        held=(*found.held, *would_hold),
    )
