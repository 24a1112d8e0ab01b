"""Waiting until the product has nothing left to do: by itself, as it does on any day."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.feeds import load_manifests, open_feed
from exchange.database import Role
from exchange.demo import waiting
from exchange.demo.running import Demo
from exchange.issuance import due_requests
from exchange.libraries import batches, thematic
from license_vault.issue import open_reservations
from schemas.errors import Unavailable

PATIENCE = 150.0  # Airflow finds a dead task within half a minute, and sweeps every minute


def wait(demo: Demo, due: int) -> None:
    """Wait until nothing is left; `due` is how many licenses the demo may issue.

    Raises `Unavailable` that names what is still to be done.
    """

    def settled() -> tuple[bool, str]:
        left = next(_left(demo, due), "")
        return not left, left

    waiting.wait_until(settled, lambda _: None, seconds=PATIENCE, what="settling")


def _left(demo: Demo, due: int) -> Iterator[str]:
    with demo.settings.database.connect(Role.OWNER, autocommit=True) as owner:
        for batch in batches.unsettled(owner):
            yield f"batch {batch.id} of {batch.source} is {batch.state}"
        for contract in thematic.thematic():
            if missed := thematic.unconsumed(owner, contract):
                yield f"{contract.id} has not taken {len(missed)} batches"
        if opened := open_reservations(owner):
            yield f"{len(opened)} reservations are open"
        if requests := due_requests(owner, due):
            yield f"{len(requests)} licenses are due"
        for manifest in load_manifests(demo.settings.sources):
            feed = open_feed(manifest, demo.departments.environment)
            cursor = batches.cursor_of(owner, manifest.source)
            try:
                window = feed.plan(cursor)
                # A source that is read whole has always something; what matters is that it was.
                if window and not (cursor and window.mode == "snapshot"):
                    yield f"{manifest.source} has news"
            except Unavailable:
                yield f"{manifest.source} does not answer"
            finally:
                feed.close()
