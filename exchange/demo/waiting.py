"""Waiting for what Airflow does, with a word on how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable

from exchange.database import Role
from exchange.demo.checks import OWNERSHIP
from exchange.settings import Settings
from schemas.errors import Unavailable

LIBRARIES = """
SELECT coalesce(sum((counts->>'landed')::bigint), 0)::bigint AS landed,
       count(DISTINCT dataset) FILTER (WHERE state = 'published' AND mode <> 'build') AS published,
       coalesce(string_agg(DISTINCT source, ', ') FILTER (WHERE state = 'held'), '') AS held
FROM library.batch
"""
BUILD_BEHIND = """
SELECT count(*) FROM library.batch
WHERE dataset IN ('real_estate.unit', 'real_estate.right') AND state = 'published'
  AND id NOT IN (SELECT batch FROM library.consumed WHERE consumer = %s)
"""
LICENSES = "SELECT count(*) FROM vault.license"
BASE_DATASETS = 4

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
    """Every base dataset was published and the thematic build has consumed its parents."""
    with settings.database.connect(Role.OWNER) as owner:
        row = owner.execute(LIBRARIES).fetchone()
        behind = owner.execute(BUILD_BEHIND, (OWNERSHIP,)).fetchone()
    assert row is not None
    assert behind is not None
    landed, published, held = row
    told = f"{landed:,} rows landed, {published} of {BASE_DATASETS} libraries published"
    if held:
        return False, f"{told}; a batch of {held} is held for a person"
    if published == BASE_DATASETS and behind[0]:
        return False, f"{told}; who owns what is being built"
    return published == BASE_DATASETS and not behind[0], told


def licenses(settings: Settings, wanted: int) -> Progress:
    """So many licenses are issued."""
    with settings.database.connect(Role.OWNER) as owner:
        row = owner.execute(LICENSES).fetchone()
    assert row is not None
    return row[0] >= wanted, f"{row[0]:,} of {wanted:,} licenses sealed"
