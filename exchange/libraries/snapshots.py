"""What a snapshot changed, found by holding its landed file against the last one's.

A row whose digest the last file has too is what it was, and neither judged nor sent to the database
again. What is left is few: rows that are new or changed, keys that are gone, and every other row of
those keys, so that duplicates and contradictions are judged together (`Changes.places`). The cost
in the database follows the change; `journey.audit_whole` compares whole datasets now and then.

Digests are compared in parts, so memory does not follow the size of a snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import polars as pl
import psycopg

from connectors.feeds import Manifest
from connectors.feeds.checksum import HEAD, digest_bytes, digest_halves
from exchange.libraries import batches, keys
from exchange.libraries.batches import Batch
from exchange.libraries.landing import DIGEST, Kept
from exchange.libraries.values import ROW
from schemas.contract import Contract

TOGETHER = 1_000_000  # rows of a file whose digests are compared at once: about 100 MB


@dataclass(frozen=True)
class Changes:
    """What must be looked at of a new snapshot.

    `places` are the rows to judge, `repeated` the hashes of those of their keys that come more than
    once, `gone` the keys that rows of the old file had and none of the new one has, `refused` the
    digests of rows that were refused before and came again, with nothing else of their key.
    """

    places: pl.Series
    repeated: pl.Series
    gone: pl.DataFrame
    refused: list[bytes]

    def chosen(self, new: Kept, size: int) -> Iterator[pl.DataFrame]:
        """The rows to judge, in chunks of at least `size`, the last one excepted."""
        waiting: list[pl.DataFrame] = []
        for rows in new.chunks() if not self.places.is_empty() else ():
            waiting.append(rows.filter(_among(rows[ROW], self.places)))
            if sum(each.height for each in waiting) >= size:
                yield pl.concat(waiting)
                waiting = []
        if waiting:
            yield pl.concat(waiting)


def last(conn: psycopg.Connection, batch: Batch) -> Batch | None:
    """The snapshot that `batch` may be compared with; None when it must be looked at whole.

    It was judged by the same contract and manifest, and nothing was published into its dataset
    since: the library is what that snapshot made of it.
    """
    if batch.mode != "snapshot" or batch.fingerprint is None:
        return None
    before = batches.published_before(conn, batch)
    if before is None or before.source != batch.source or before.mode != "snapshot":
        return None
    return before if before.fingerprint == batch.fingerprint else None


def compare(
    old: Kept, new: Kept, refused: list[bytes], contract: Contract, manifest: Manifest
) -> Changes:
    """Hold a snapshot against the last one; `refused` are the digests now in quarantine."""
    known = digest_halves(refused)
    fresh, lost, again = _differing(old, new, known)
    fresh = pl.concat([fresh, _oftener(again, known)]).unique().sort()
    hashes = _hashes(new, contract, manifest)
    lost_keys = _keys_at(old, lost, contract, manifest)
    hashes_there = _whole(hashes)
    changed = pl.concat([hashes_there.gather(fresh - 1), lost_keys["hash"]]).drop_nulls().unique()
    meets = hashes_there.is_in(changed.implode()).fill_null(False).arg_true().cast(pl.Int64) + 1
    places = pl.concat([fresh, meets]).unique().sort()
    judged = hashes_there.gather(places - 1).drop_nulls()
    return Changes(
        places=places,
        repeated=keys.twice(judged),
        gone=lost_keys.filter(~lost_keys["hash"].is_in(judged.implode()))
        .select(contract.key)
        .unique(),
        refused=digest_bytes(again.filter(~_among(again[ROW], places))),
    )


def _oftener(again: pl.DataFrame, known: pl.DataFrame) -> pl.Series:
    """Places of refused rows that do not come as often as they are in quarantine."""
    times = known.group_by(DIGEST).len("known")
    comes = pl.len().over(DIGEST).alias("comes")
    counted = again.with_columns(comes).join(times, on=DIGEST)
    return counted.filter(pl.col("comes") != pl.col("known"))[ROW]


def _differing(
    old: Kept, new: Kept, refused: pl.DataFrame
) -> tuple[pl.Series, pl.Series, pl.DataFrame]:
    """Places that only the new file has, places that only the old one had, and the places where
    the new one has a row of `refused`."""
    parts = max(1, ceil(max(old.rows, new.rows) / TOGETHER))
    fresh, lost, again = [], [], []
    for part in range(parts):
        here, there = (_digests(kept, part, parts) for kept in (new, old))
        fresh.append(here.join(there, on=DIGEST, how="anti")[ROW])
        lost.append(there.join(here, on=DIGEST, how="anti")[ROW])
        again.append(here.join(refused, on=DIGEST, how="semi"))
    return pl.concat(fresh).sort(), pl.concat(lost).sort(), pl.concat(again)


def _digests(kept: Kept, part: int, parts: int) -> pl.DataFrame:
    chosen = [
        rows.filter(pl.col(HEAD) % parts == part) if parts > 1 else rows
        for rows in kept.chunks(DIGEST)
    ]
    return pl.concat(chosen) if chosen else pl.DataFrame(schema=_PLACED)


_PLACED = {ROW: pl.Int64, **dict.fromkeys(DIGEST, pl.UInt64)}


def _hashes(kept: Kept, contract: Contract, manifest: Manifest) -> list[pl.Series]:
    """The hash of each row's key, in the order of the file: eight bytes a row are held."""
    chunks = kept.chunks(keys.columns(contract, manifest))
    return [keys.hashes(rows, contract, manifest) for rows in chunks]


def _keys_at(kept: Kept, places: pl.Series, contract: Contract, manifest: Manifest) -> pl.DataFrame:
    """The keys at some places, with their hashes, where there is a whole key."""
    empty = pl.DataFrame(schema={**dict.fromkeys(contract.key, pl.String), "hash": pl.UInt64})
    found = [empty]
    for rows in kept.chunks(keys.columns(contract, manifest)) if len(places) else ():
        chosen = rows.filter(_among(rows[ROW], places))
        if not chosen.is_empty():
            hashes = keys.hashes(chosen, contract, manifest).alias("hash")
            key = keys.normalised(chosen, contract, manifest)
            found.append(key.with_columns(hashes).drop_nulls())
    return pl.concat(found, how="vertical_relaxed")


def _whole(hashes: list[pl.Series]) -> pl.Series:
    return pl.concat(hashes) if hashes else pl.Series("key", [], pl.UInt64)


def _among(numbers: pl.Series, places: pl.Series) -> pl.Series:
    """Which of some consecutive rows are among `places`, which are sorted."""
    if numbers.is_empty():
        return pl.Series([], dtype=pl.Boolean)
    first, last = numbers.item(0), numbers.item(-1)
    low = places.search_sorted(first, "left")
    high = places.search_sorted(last, "right")
    return numbers.is_in(places.slice(low, high - low).implode())
