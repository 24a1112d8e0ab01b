"""Waiting for what Airflow does, with a word on how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

from exchange.database import Role
from exchange.libraries import thematic
from exchange.settings import Settings
from schemas.errors import Unavailable

LIBRARIES = """
SELECT coalesce(sum((counts->>'landed')::bigint), 0)::bigint AS landed,
       count(DISTINCT dataset) FILTER (WHERE state = 'published' AND mode <> 'build') AS published,
       coalesce(string_agg(DISTINCT source, ', ') FILTER (WHERE state = 'held'), '') AS held
FROM library.batch
"""
LICENSES = "SELECT count(*) FROM vault.license"

Progress = tuple[bool, str]


def wait_until(
    done: Callable[[], Progress], show: Callable[[str], None], *, seconds: float, what: str
) -> None:
    """Ask `done` until it says yes; show what it says. Raises `Unavailable` after `seconds`."""
    until = time.monotonic() + seconds
    while True:
        yes, told = done()
        show(told)
        if yes:
            return
        if time.monotonic() > until:
            raise Unavailable(f"{what} did not happen within {seconds:.0f} s: {told}")
        time.sleep(0.5)


def libraries(settings: Settings) -> Progress:
    """Every source was published and every build has consumed its parents."""
    wanted = sum(1 for _ in settings.sources.glob("*.yaml"))
    with settings.database.connect(Role.OWNER) as owner:
        row = owner.execute(LIBRARIES).fetchone()
        behind = [each.id for each in thematic.thematic() if thematic.unconsumed(owner, each)]
    assert row is not None
    landed, published, held = row
    told = f"{landed:,} rows landed, {published} of {wanted} datasets published"
    if held:
        return False, f"{told}; a batch of {held} is held for a person"
    if published == wanted and behind:
        return False, f"{told}; {', '.join(behind)} is being built"
    return published == wanted and not behind, told


def licenses(settings: Settings, wanted: int) -> Progress:
    """So many licenses are issued."""
    with settings.database.connect(Role.OWNER) as owner:
        row = owner.execute(LICENSES).fetchone()
    assert row is not None
    return row[0] >= wanted, f"{row[0]:,} of {wanted:,} licenses sealed"
