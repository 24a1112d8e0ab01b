"""A batch's journey: extract → land → check → stage → merge → reconcile → publish.

`land` takes one window out of a source and keeps it; `load` brings what was kept into the library
in one transaction and publishes it. Each may be killed anywhere and started again, by anybody, any
number of times: a window is landed once and a batch is loaded once. What a person must look at is
held (`Held`), and nothing of that source moves until it is released or rejected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg.sql import Identifier

from connectors.feeds import Manifest, Totals, Window, load_manifest, open_feed
from exchange.database import Role, without_detail
from exchange.libraries import (
    aliases,
    batches,
    guards,
    landing,
    merge,
    quarantine,
    reconcile,
    thematic,
)
from exchange.libraries.batches import Batch, BatchId, Held, State, running
from exchange.libraries.check import Checked, Drifted, check, check_columns
from exchange.libraries.staging import staged
from exchange.settings import Settings
from schemas.contract import Contract
from schemas.contract import load as contract_of
from schemas.errors import Invalid, NotFound, WrongState


@dataclass(frozen=True)
class Outcome:
    """What became of a batch."""

    batch: BatchId
    source: str
    dataset: str
    state: State
    counts: Mapping[str, Any]

    @classmethod
    def of(cls, batch: Batch) -> Outcome:
        """The outcome that the ledger holds."""
        return cls(batch.id, batch.source, batch.dataset, batch.state, batch.counts)


def manifest_of(settings: Settings, source: str) -> Manifest:
    """The manifest of a source, from the file of its name. Raises `NotFound`."""
    for path in sorted(settings.sources.glob("*.yaml"), key=lambda path: path.stem != source):
        manifest = load_manifest(path)
        if manifest.source == source:
            return manifest
    raise NotFound(f"there is no source {source} in {settings.sources.name}")


def collect(settings: Settings, source: str) -> Outcome | None:
    """Land what is new at a source and load it; None when there is nothing new."""
    batch = land(settings, source)
    return None if batch is None else load(settings, batch)


def land(settings: Settings, source: str) -> BatchId | None:
    """Keep the source's next window; None when nothing is new or a held batch is in the way.

    A batch that was landed and not loaded is handed out again. Raises `Busy`, or what the source
    raises: `Unavailable` to try again, `Invalid` that names its owner.
    """
    manifest = manifest_of(settings, source)
    with running(settings.database, source) as conn:
        waiting = batches.open_of(conn, source)
        if waiting and waiting.state is not State.LANDING:
            return waiting.id if waiting.state is State.LANDED else None
        with closing(open_feed(manifest, os.environ)) as feed:
            window = feed.plan(batches.cursor_of(conn, source))
            if window is None:
                return None
            batch = _begun(conn, manifest, waiting, window)
            conn.commit()
            if batch is None:
                return None
            landed = landing.write(settings, batch, feed.read(window), manifest.source_columns)
            batches.save(conn, _after(batch, landed, feed.totals(window), feed.notices()))
            conn.commit()
            return batch.id


def _begun(
    conn: psycopg.Connection, manifest: Manifest, waiting: Batch | None, window: Window
) -> Batch | None:
    if waiting:
        return batches.take(conn, waiting, window)
    return batches.begin(
        conn, manifest.source, manifest.dataset, window.mode, window.start, window.end
    )


def _after(
    batch: Batch, landed: landing.Landed, totals: Totals, notices: Mapping[str, int]
) -> Batch:
    """The batch when its rows are kept: landed, or held where the source counts otherwise."""
    gaps = reconcile.source_gaps(totals, landed)
    return batch.moved(
        State.HELD if gaps else State.LANDED,
        columns=landed.columns,
        file=landed.file,
        digest=landed.digest,
        source_totals=asdict(totals),
        notices=dict(notices),
        counts={"landed": landed.rows},
        held=tuple(gaps),
    )


def load(settings: Settings, batch_id: BatchId) -> Outcome:
    """Check, stage, merge, reconcile and publish a landed batch; a published one stays as it is.

    Raises `Held` when a person must look first, `Busy` or `Fenced` when another run has the batch.
    """
    with running(settings.database, _source_of(settings, batch_id)) as conn:
        batch = batches.get(conn, batch_id)
        if batch.state is State.PUBLISHED:
            return Outcome.of(batch)
        if batch.state is not State.LANDED:
            raise Held(f"batch {batch.id} is {batch.state}: {'; '.join(batch.held)}")
        batch = batches.take(conn, batch)
        conn.commit()
        return _loaded(settings, conn, batch)


def replay(settings: Settings, batch_id: BatchId) -> Outcome:
    """Load a published batch again from its Parquet; what later batches wrote stays.

    A batch that a later snapshot of its source has overtaken is checked and merged nowhere. Raises
    `NotFound` when the Parquet has expired.
    """
    with running(settings.database, _source_of(settings, batch_id)) as conn:
        batch = batches.get(conn, batch_id)
        if batch.state is State.PUBLISHED and batch.mode != "build":
            batch = batches.take(conn, batch)
            conn.commit()
            return _loaded(settings, conn, batch)
    if batch.mode == "build":
        raise Invalid("a build has nothing landed to replay; replay its parents")
    return load(settings, batch_id)


def _loaded(settings: Settings, conn: psycopg.Connection, batch: Batch) -> Outcome:
    manifest, contract = manifest_of(settings, batch.source), contract_of(batch.dataset)
    table = landing.read(settings, batch)
    try:
        if not batch.released:
            before = batches.columns_before(conn, batch)
            check_columns(batch.columns or {}, before, manifest)
    except Drifted as stop:
        _hold(conn, batch, stop, batch.counts)
        raise
    checked = check(table, contract, manifest, batch.mode)
    if batch.state is State.PUBLISHED and batches.overtaken(conn, batch):
        return Outcome(batch.id, batch.source, batch.dataset, batch.state, checked.counts)
    try:
        _refuse(batch, guards.too_many_quarantined(manifest.guards, checked.counts))
        with staged(conn, settings.database, contract, batch, checked.staged) as stage:
            return _merged(settings, conn, _Load(batch, contract, manifest, checked, stage))
    except Held as stop:
        conn.rollback()
        quarantine.replace(conn, settings, batch, checked.bad)
        _hold(conn, batch, stop, checked.counts)
        raise


@dataclass(frozen=True)
class _Load:
    batch: Batch
    contract: Contract
    manifest: Manifest
    checked: Checked
    stage: Identifier


def _merged(settings: Settings, conn: psycopg.Connection, job: _Load) -> Outcome:
    """One transaction: the rows, their history, the quarantine, the aliases and the ledger."""
    batch, checked = job.batch, job.checked
    again = batch.state is State.PUBLISHED
    move = merge.Merge(
        job.contract, job.stage, batch.id, batch.mode == "snapshot", overtakable=again
    )
    batches.lock(conn, batch)
    at = merge.hold(conn, job.contract)
    difference = merge.difference(conn, move)
    _refuse(batch, guards.too_many_deleted(job.manifest.guards, difference))
    merge.apply(conn, move, difference, at)
    quarantine.replace(conn, settings, batch, checked.bad)
    new_aliases = aliases.keep(conn, checked.aliases, batch.source)
    counts = {**checked.counts, **_placed(difference, checked.holding), "aliases": new_aliases}
    if again and (difference.inserted or difference.updated or difference.deleted):
        thematic.forget(conn, batch)
    if not again:
        _refuse(None, reconcile.library_gaps(counts, checked.holding, merge.present(conn, move)))
        batch = batches.save(
            conn, batch.moved(State.PUBLISHED, counts=counts, held=(), published_at=at)
        )
    conn.commit()
    return Outcome(batch.id, batch.source, batch.dataset, batch.state, counts)


def _placed(difference: merge.Difference, holding: int) -> dict[str, int]:
    written = difference.inserted + difference.updated
    return {
        "inserted": difference.inserted,
        "updated": difference.updated,
        "unchanged": holding - written,
        "deleted": difference.deleted,
    }


def _refuse(batch: Batch | None, why: list[str]) -> None:
    """Stop the batch, unless a person released it knowing why."""
    if why and not (batch and batch.released):
        raise Held("; ".join(why))


def _hold(conn: psycopg.Connection, batch: Batch, stop: Held, counts: Mapping[str, Any]) -> None:
    if batch.state is State.LANDED:
        batches.save(conn, batch.moved(State.HELD, held=(stop.message,), counts=counts))
    conn.commit()


def audit(settings: Settings, batch_id: BatchId) -> list[str]:
    """Count a batch again, both legs, from its Parquet and its ledger row; what does not add up.

    Raises `NotFound` when the Parquet has expired.
    """
    with running(settings.database, _source_of(settings, batch_id)) as conn:
        batch = batches.get(conn, batch_id)
        if batch.mode == "build":
            return reconcile.placed_gaps(batch.counts)
        landed = landing.count(settings, batch, manifest_of(settings, batch.source).source_columns)
        gaps = reconcile.source_gaps(_totals(batch), landed)
        if batch.state is State.PUBLISHED:
            gaps += reconcile.placed_gaps(batch.counts)
        return gaps


def _totals(batch: Batch) -> Totals:
    told = batch.source_totals or {}
    buckets = told.get("buckets")
    return Totals(
        told.get("rows", 0),
        told.get("digest"),
        tuple((count, total) for count, total in buckets) if buckets else None,
    )


def release(settings: Settings, batch_id: BatchId, *, reason: str, by: str) -> Batch:
    """Let a held batch pass: its next load skips the guards. Raises `WrongState`."""
    return _decided(settings, batch_id, State.LANDED, reason, by)


def reject(settings: Settings, batch_id: BatchId, *, reason: str, by: str) -> Batch:
    """Put a held batch away: the source is asked for the window again. Raises `WrongState`."""
    return _decided(settings, batch_id, State.REJECTED, reason, by)


def _decided(settings: Settings, batch_id: BatchId, to: State, reason: str, by: str) -> Batch:
    if not reason.strip() or not by.strip():
        raise Invalid("say who decides and why: both are kept")
    with running(settings.database, _source_of(settings, batch_id)) as conn:
        batch = batches.take(conn, batches.get(conn, batch_id))
        if batch.file is None and to is State.LANDED:
            raise WrongState(f"batch {batch.id} has nothing landed to release")
        decided = batches.save(conn, batch.moved(to, released_by=by, released_reason=reason))
        conn.commit()
        return decided


def _source_of(settings: Settings, batch_id: BatchId) -> str:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        return batches.get(conn, batch_id).source
