"""A batch's journey: extract → land → check → stage → merge → reconcile → publish.

`land` takes one window out of a source and keeps it; `load` brings what was kept into the library
in one transaction and publishes it. Each may be killed anywhere and started again, by anybody, any
number of times: a window is landed once and a batch is loaded once. What a person must look at is
held (`Held`), and nothing of that source moves until it is released or rejected.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import psycopg

from connectors.feeds import Feed, Manifest, Totals, Window, load_manifest, open_feed
from exchange.database import Role, without_detail
from exchange.libraries import batches, landing, loading, reconcile
from exchange.libraries.batches import Batch, BatchId, Held, State, running
from exchange.settings import Settings
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


def collect(settings: Settings, source: str, *, whole: bool = False) -> Outcome | None:
    """Land what is new at a source, or all it holds, and load it; None when there is nothing."""
    batch = land(settings, source, whole=whole)
    return None if batch is None else load(settings, batch)


def land(settings: Settings, source: str, *, whole: bool = False) -> BatchId | None:
    """Keep the source's next window; None when nothing is new or a held batch is in the way.

    With `whole`, all that it holds now; None, too, where that window was read before.

    A batch that was landed and not loaded is handed out again. Raises `Busy`, or what the source
    raises: `Unavailable` to try again, `Invalid` that names its owner.
    """
    manifest = manifest_of(settings, source)
    with running(settings.database, source) as conn:
        waiting = batches.open_of(conn, source)
        if waiting and waiting.state is not State.LANDING:
            return waiting.id if waiting.state is State.LANDED else None
        with closing(open_feed(manifest, os.environ)) as feed:
            window = feed.plan(None if whole else batches.cursor_of(conn, source))
            if window is None:
                return None
            batch = _begun(conn, manifest, waiting, window)
            conn.commit()
            if batch is None:
                return None
            landed, totals = taken(settings, manifest, feed, batch, window)
            batches.save(conn, after(batch, landed, totals, feed.notices()))
            conn.commit()
            return batch.id


def taken(
    settings: Settings, manifest: Manifest, feed: Feed, batch: Batch, window: Window
) -> tuple[landing.Landed, Totals]:
    """Land the window while the source counts it by its own means."""
    # The feed is closed before the pool waits: a count that waits for the reading ends with it.
    with ThreadPoolExecutor(1) as beside, closing(feed):
        totals = beside.submit(feed.totals, window)
        landed = landing.write(settings, batch, feed.read(window), manifest.source_columns)
        return landed, totals.result()


def _begun(
    conn: psycopg.Connection, manifest: Manifest, waiting: Batch | None, window: Window
) -> Batch | None:
    if waiting:
        return batches.take(conn, waiting, window)
    return batches.begin(
        conn, manifest.source, manifest.dataset, window.mode, window.start, window.end
    )


def after(
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
    return Outcome.of(
        loading.load(loading.prepared(settings, conn, batch, manifest_of(settings, batch.source)))
    )


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
