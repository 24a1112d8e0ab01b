"""What is done at night: every source compared whole with what the library holds of it."""

from __future__ import annotations

from exchange.database import Role, without_detail
from exchange.libraries import journey
from exchange.libraries.batches import BatchId
from exchange.settings import Settings
from schemas.errors import Invalid

LAST_DAY = """
SELECT id FROM library.batch
 WHERE source = %s AND state = 'published' AND published_at > now() - interval '1 day' ORDER BY id
"""


def compare(settings: Settings, source: str) -> None:
    """Count the last day's batches again, both legs. Raises `Invalid` with every gap."""
    gaps = [
        f"batch {batch}: {gap}"
        for batch in _last_day(settings, source)
        for gap in journey.audit(settings, batch)
    ]
    if gaps:
        raise Invalid(f"{source} does not reconcile: {'; '.join(gaps)}")


def _last_day(settings: Settings, source: str) -> list[BatchId]:
    with without_detail(), settings.database.connect(Role.INGEST) as conn:
        return [int(number) for (number,) in conn.execute(LAST_DAY, (source,)).fetchall()]
