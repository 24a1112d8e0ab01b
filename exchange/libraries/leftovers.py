"""What runs that were killed left behind: batches half-way, builds missed, files and tables.

Everything is done under the lock of its source, so nothing of a living run is touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg.sql import SQL

from connectors.feeds import read_manifests
from exchange.database import Role, without_detail
from exchange.libraries import batches, journey, planning, staging, thematic
from exchange.libraries.batches import Batch, BatchId, Busy, Held, State, running
from exchange.libraries.tables import named
from exchange.settings import Settings
from schemas.contract import all_contracts


@dataclass(frozen=True)
class Swept:
    """What a sweep did."""

    loaded: tuple[BatchId, ...]
    built: tuple[BatchId, ...]
    files: int
    tables: int
    expired: int = 0


def sweep(settings: Settings) -> Swept:
    """Finish what was left half-way and remove what nobody will ever use.

    A source that is busy is left to its run and a held batch to a person; the rest raises as
    `load` and `build` do.
    """
    files = sum(_sweep_files(settings, source) for source in _sources(settings))
    tables = _sweep_tables(settings)
    loaded = tuple(_load_landed(settings))
    built = tuple(_build_missed(settings))
    return Swept(loaded, built, files, tables, expire(settings))


def expire(settings: Settings) -> int:
    """Remove landed files whose contract lets them go; their digests stay. How many went.

    The last snapshot of a source stays, for the next one is held against it.
    """
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        due = [
            batch
            for contract in all_contracts()
            if contract.retention
            for batch in batches.landed_before(conn, contract.id, contract.retention)
        ]
    return sum(_expire(settings, batch) for batch in due)


def _expire(settings: Settings, batch: Batch) -> int:
    try:
        with running(settings.database, batch.source) as conn:
            batches.forget_file(conn, batch)
            conn.commit()
            (settings.landing / str(batch.file)).unlink(missing_ok=True)
            return 1
    except Busy:
        return 0


def _sources(settings: Settings) -> set[str]:
    """Those that manifests describe, and those that something was landed from."""
    manifests, _ = read_manifests(settings.sources.glob("*.yaml"))
    landed = (folder.name for folder in settings.landing.glob("*") if folder.is_dir())
    return {*landed, *(manifest.source for manifest in manifests)}


def _load_landed(settings: Settings) -> Iterator[BatchId]:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        waiting = [b for b in batches.unsettled(conn) if b.state is State.LANDED]
    for batch in waiting:
        try:
            yield journey.load(settings, batch.id).batch
        except (Busy, Held):
            continue


def _build_missed(settings: Settings) -> Iterator[BatchId]:
    for contract in thematic.thematic():
        try:
            built = thematic.build(settings, contract.id)
        except Busy:
            continue
        if built is not None:
            yield built


def _sweep_files(settings: Settings, source: str) -> int:
    """Remove files of the source that the ledger does not know."""
    folder = settings.landing / source
    if not folder.exists():
        return 0
    try:
        with running(settings.database, source) as conn:
            known = {file for (file,) in _files(conn, source)}
            strays = [path for path in folder.iterdir() if f"{source}/{path.name}" not in known]
            for path in strays:
                path.unlink(missing_ok=True)
            return len(strays)
    except Busy:
        return 0


def _files(conn: psycopg.Connection, source: str) -> list[tuple[str | None]]:
    return conn.execute("SELECT file FROM library.batch WHERE source = %s", (source,)).fetchall()


def _sweep_tables(settings: Settings) -> int:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        left = [(name, _source_of(settings, conn, name)) for name in staging.tables(conn)]
    return sum(_drop(settings, name, source) for name, source in left)


def _source_of(settings: Settings, conn: psycopg.Connection, name: str) -> str:
    """The source whose run a staging table was made for, or whose dry run."""
    batch, lease = staging.made_for(name)
    if batch != planning.NOBODY:
        return batches.get(conn, batch).source
    dry_runs = {planning.lease_of(source): source for source in _sources(settings)}
    return dry_runs.get(lease, name)


def _drop(settings: Settings, name: str, source: str) -> int:
    try:
        with running(settings.database, source) as conn:
            conn.execute(SQL("DROP TABLE IF EXISTS {}").format(named(name)))
            conn.commit()
            return 1
    except Busy:
        return 0
