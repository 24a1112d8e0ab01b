"""Whether there is something to do for a source, asked cheaply and often.

The answer is a hint: a run that follows it takes what it finds from the source and from the batch
ledger. Asking reads two rows of ours and puts the source's own cheapest question: its highest
number, the names in its folder, its first page.
"""

from __future__ import annotations

import os
from contextlib import closing

from connectors.feeds import open_feed
from exchange.database import Role, without_detail
from exchange.libraries import batches, journey
from exchange.libraries.batches import State
from exchange.settings import Settings


def has_news(settings: Settings, source: str) -> bool:
    """Whether a run of the source would find work.

    A batch left half-way is work; a held one is a person's, and nothing moves until they decided.
    Raises what the source raises: `Unavailable` to ask again, `Invalid` that names its owner.
    """
    manifest = journey.manifest_of(settings, source)
    with without_detail(), settings.database.connect(Role.INGEST, autocommit=True) as conn:
        waiting = batches.open_of(conn, source)
        cursor = batches.cursor_of(conn, source)
    if waiting:
        return waiting.state is not State.HELD
    with closing(open_feed(manifest, os.environ)) as feed:
        return feed.plan(cursor) is not None
