"""What later rows do to quarantined ones: settle them, or let what a repair brought in stand.

Called by the transaction that loads a batch. Each costs what the batch changed, and next to nothing
where a source has no open items. Keys are compared by a digest under a key outside the database.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

import orjson
import polars as pl
import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from psycopg.sql import SQL, Composed, Identifier

from connectors.feeds import Manifest
from exchange.libraries import keys, quarantine
from exchange.libraries.batches import Batch, BatchId
from exchange.libraries.tables import columns, listed
from exchange.libraries.values import ROW
from exchange.settings import Settings
from schemas.contract import Contract

Key = tuple[str, ...]
T = TypeVar("T")
_DIGEST = 16
_AT_ONCE = 10_000


def digester(settings: Settings) -> Callable[[object], bytes]:
    """Digests of rows and keys that say nothing without the quarantine's own key."""
    key = settings.secret(quarantine.KEY)

    def digest(content: object) -> bytes:
        return hashlib.blake2b(orjson.dumps(content), key=key, digest_size=_DIGEST).digest()

    return digest


def settle(conn: psycopg.Connection, batch: BatchId | None = None) -> int:
    """Settle the items that `batch` repaired, or every settled batch's; how many are repaired.

    What a repair could not bring in, because it was rejected or its row was refused, is open again.
    """
    conn.execute(_REFUSED, {"batch": batch})
    return conn.execute(_REPAIRED, {"batch": batch}).rowcount


def superseded(
    conn: psycopg.Connection,
    settings: Settings,
    contract: Contract,
    manifest: Manifest,
    batch: Batch,
    stage: Identifier,
) -> int:
    """Settle open items whose key the source sent again; how many. Call it after `add`.

    In good order: the item is repaired. Removed: it is gone. Wrong in another way: the new item
    takes over the day on which the old one was first seen. Of a snapshot only the last is asked:
    what it does not send any more, `quarantine.carry` knows.
    """
    _name(conn, settings, contract, manifest, batch.source)
    values = {"source": batch.source, "batch": batch.id}
    conn.execute(_STILL_WRONG, values)
    settled = conn.execute(_WRONG_OTHERWISE, values).rowcount
    if batch.mode == "snapshot" or conn.execute(_ANY_NAMED, values).fetchone() != (True,):
        return settled
    for some in _chunks(_came(conn, settings, contract, stage)):
        digests, fates = zip(*some, strict=True)
        came = {**values, "digests": list(digests), "fates": list(fates)}
        settled += conn.execute(_CAME_AGAIN, came).rowcount
    return settled


def protect(
    conn: psycopg.Connection,
    settings: Settings,
    contract: Contract,
    batch: Batch,
    stage: Identifier,
) -> int:
    """Stage as KEPT what a repair brought in while the source still sends the wrong row.

    Without this a snapshot that is merged whole would delete the repaired row, whose key the source
    never sent. Call it after `add`, which notes what came again; how many keys were kept.
    """
    kept = _brought_in(conn, settings, batch)
    if not kept:
        return 0
    parts = {f"part{place}": list(part) for place, part in enumerate(zip(*kept, strict=True))}
    return conn.execute(_kept(contract, stage), parts).rowcount


def keys_of(
    rows: Sequence[Mapping[str, object]], contract: Contract, manifest: Manifest
) -> list[Key | None]:
    """The key of each raw row as the library spells it, its parts as text; None without one."""
    texts = dict.fromkeys(manifest.source_columns, pl.String())
    raw = pl.DataFrame([{name: row.get(name) for name in texts} for row in rows], schema=texts)
    found = keys.normalised(raw.with_row_index(ROW), contract, manifest)
    return [None if None in key else key for key in found.cast(pl.String).iter_rows()]


def _name(
    conn: psycopg.Connection, settings: Settings, contract: Contract, manifest: Manifest, of: str
) -> None:
    """Give the open items that have none yet the digest of their key; empty where they have no."""
    digest = digester(settings)
    with conn.cursor("unnamed_items") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(
            "SELECT batch, row_number, reasons, sealed_row, state, first_seen"
            " FROM library.quarantine WHERE source = %s AND state = 'open' AND key_digest IS NULL",
            (of,),
        )
        for items in _chunks(quarantine.opened(settings, cursor)):
            found = keys_of([item.row for item in items], contract, manifest)
            named = [digest(key) if key else b"" for key in found]
            places = [[item.batch for item in items], [item.row_number for item in items]]
            conn.execute(_NAMED, (*places, named))


def _came(
    conn: psycopg.Connection, settings: Settings, contract: Contract, stage: Identifier
) -> Iterator[tuple[bytes, str]]:
    """The digest of each staged key, and what shall become of it; what is kept says nothing."""
    digest = digester(settings)
    parts = [SQL("{}::text").format(Identifier(key)) for key in contract.key]
    with conn.cursor("staged_keys") as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(
            SQL("SELECT _fate, {} FROM {} WHERE _fate IN ('H', 'G')").format(
                SQL(", ").join(parts), stage
            )
        )
        for fate, *key in cursor:
            yield digest(key), fate


def _brought_in(conn: psycopg.Connection, settings: Settings, batch: Batch) -> list[Key]:
    cipher = AESGCM(settings.secret(quarantine.KEY))
    rows = conn.execute(
        "SELECT batch, row_number, repair_key FROM library.quarantine"
        " WHERE last_batch = %s AND batch <> %s AND state = 'repaired' AND repair_key IS NOT NULL",
        (batch.id, batch.id),
    )
    opened = (orjson.loads(quarantine.unseal(cipher, *row)) for row in rows)
    return sorted({tuple(key) for key in opened})


def _kept(contract: Contract, stage: Identifier) -> Composed:
    types = columns(contract)
    casts = [
        SQL("unnest(%(part{})s::text[])::{} AS {}").format(
            SQL(str(place)), SQL(types[key]), Identifier(key)
        )
        for place, key in enumerate(contract.key)
    ]
    same = [SQL("s.{0} = k.{0}").format(Identifier(key)) for key in contract.key]
    return SQL(
        "INSERT INTO {stage} ({keys}, _fate) SELECT {keys}, 'K' FROM (SELECT {casts}) k"
        " WHERE NOT EXISTS (SELECT FROM {stage} s WHERE {same})"
    ).format(
        stage=stage,
        keys=listed(contract.key),
        casts=SQL(", ").join(casts),
        same=SQL(" AND ").join(same),
    )


def _chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    each = iter(rows)
    while some := list(islice(each, _AT_ONCE)):
        yield some


_NAMED = """
UPDATE library.quarantine q SET key_digest = n.named
  FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS n (batch, number, named)
 WHERE q.batch = n.batch AND q.row_number = n.number
"""
_REFUSED = """
WITH refused AS (
    UPDATE library.quarantine q
       SET state = 'open', settled_by = NULL, settled_reason = NULL
      FROM library.batch b
     WHERE b.id = q.repair AND q.repair = coalesce(%(batch)s, q.repair) AND q.state = 'resubmitted'
       AND (b.state = 'rejected'
            OR b.state = 'published' AND EXISTS (
                SELECT FROM library.quarantine again
                 WHERE again.batch = q.repair AND again.row_number = q.repair_row
                   AND again.state = 'open'))
    RETURNING q.repair, q.repair_row)
UPDATE library.quarantine again SET state = 'gone', settled_at = now()
  FROM refused WHERE again.batch = refused.repair AND again.row_number = refused.repair_row
"""
_REPAIRED = """
UPDATE library.quarantine q SET state = 'repaired', settled_at = now(), settled_batch = b.id
  FROM library.batch b
 WHERE b.id = q.repair AND q.repair = coalesce(%(batch)s, q.repair)
   AND q.state = 'resubmitted' AND b.state = 'published'
"""
# Items of before whose key is wrong again in this batch, open or gone a moment ago by a snapshot.
_STILL_WRONG = """
WITH new AS MATERIALIZED (
         SELECT DISTINCT key_digest FROM library.quarantine
          WHERE batch = %(batch)s AND state = 'open' AND key_digest <> ''),
     old AS MATERIALIZED (
         SELECT key_digest, min(first_seen) AS first_seen
           FROM library.quarantine JOIN new USING (key_digest)
          WHERE source = %(source)s AND batch < %(batch)s
            AND (state = 'open' OR state = 'gone' AND settled_batch = %(batch)s)
          GROUP BY key_digest)
UPDATE library.quarantine again SET first_seen = least(again.first_seen, old.first_seen)
  FROM old WHERE again.batch = %(batch)s AND again.state = 'open'
   AND again.key_digest = old.key_digest
"""
_WRONG_OTHERWISE = """
WITH new AS MATERIALIZED (
         SELECT DISTINCT key_digest FROM library.quarantine
          WHERE batch = %(batch)s AND state = 'open' AND key_digest <> '')
UPDATE library.quarantine old SET state = 'gone', settled_at = now(), settled_batch = %(batch)s
  FROM new WHERE old.key_digest = new.key_digest AND old.source = %(source)s
   AND old.state = 'open' AND old.batch < %(batch)s AND old.last_batch <> %(batch)s
"""
_ANY_NAMED = """
SELECT EXISTS (SELECT FROM library.quarantine WHERE source = %(source)s AND state = 'open'
                  AND batch < %(batch)s AND last_batch <> %(batch)s AND key_digest <> '')
"""
_CAME_AGAIN = """
UPDATE library.quarantine q
   SET state = CASE c.fate WHEN 'H' THEN 'repaired' ELSE 'gone' END,
       settled_at = now(), settled_batch = %(batch)s
  FROM unnest(%(digests)s::bytea[], %(fates)s::text[]) AS c (digest, fate)
 WHERE q.source = %(source)s AND q.state = 'open' AND q.key_digest = c.digest
   AND q.batch < %(batch)s AND q.last_batch <> %(batch)s
"""
