"""What is done at night: every source compared whole with what the library holds of it.

By day a batch is reconciled by its own window, and some feeds see no deletions. At night the last
day's batches are counted again, and all that the source holds is compared with all that the library
holds, in the database. What still differs when the source has been collected again is brought in as
a whole batch, and told: the next morning the library is right, and somebody asks why it was not.
"""

from __future__ import annotations

from exchange.database import Role, without_detail
from exchange.libraries import batches, journey, planning, references
from exchange.libraries.batches import BatchId
from exchange.libraries.plan import Plan
from exchange.settings import Settings
from schemas.contract import load as contract_of
from schemas.errors import Invalid

LAST_DAY = """
SELECT id FROM library.batch
 WHERE source = %s AND state = 'published' AND published_at > now() - interval '1 day' ORDER BY id
"""


def compare(settings: Settings, source: str) -> None:
    """Reconcile the last day's batches and the whole source. Raises `Invalid` with every gap."""
    gaps = [
        f"batch {batch}: {gap}"
        for batch in _last_day(settings, source)
        for gap in journey.audit(settings, batch)
    ]
    gaps += _whole(settings, source)
    _recount(settings, source)
    if gaps:
        raise Invalid(f"{source} does not reconcile: {'; '.join(gaps)}")


def _whole(settings: Settings, source: str) -> list[str]:
    """Where the source and the library differ, and what was done about it."""
    try:
        found = _difference(settings, source)
        if found is not None and _differs(found):  # or it changed while it was looked at
            found = _difference(settings, source)
    except planning.NotWhole:
        return []
    if found is None or not _differs(found):
        return []
    mended = journey.collect(settings, source, whole=True)
    done = f"batch {mended.batch} mends it" if mended else "reject its last batch to read it again"
    return [
        f"the library lacks {found.inserted} rows, has {found.updated} as they were and"
        f" {found.deleted} that are gone; {done}"
    ]


def _difference(settings: Settings, source: str) -> Plan | None:
    _catch_up(settings, source)
    return planning.plan(settings, source, whole=True)


def _catch_up(settings: Settings, source: str) -> None:
    """Collect until nothing is new; a source that is only read whole has always something."""
    while (outcome := journey.collect(settings, source)) is not None:
        with without_detail(), settings.database.connect(Role.INGEST) as conn:
            if batches.get(conn, outcome.batch).mode == "snapshot":
                return


def _differs(found: Plan) -> bool:
    return bool(found.inserted or found.updated or found.deleted)


def _recount(settings: Settings, source: str) -> None:
    """References that a whole batch broke without naming them."""
    contract = contract_of(journey.manifest_of(settings, source).dataset)
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        references.recount(conn, contract)
        conn.commit()


def _last_day(settings: Settings, source: str) -> list[BatchId]:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        return [int(number) for (number,) in conn.execute(LAST_DAY, (source,)).fetchall()]
