"""What a department sent, as it sent it: one encrypted, immutable Parquet file per batch.

Written beside its name, synced and renamed; a run that is killed leaves a `.tmp` that a sweep
removes. A file's name carries the batch and the lease, so two runs never write the same one, and
the ledger says which of them counts. The key is a secret outside the database (`landing.key`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from connectors.feeds.checksum import BUCKETS, buckets
from exchange.libraries.batches import Batch
from exchange.settings import Settings
from schemas.canonical import b64url, unb64url
from schemas.errors import Invalid, NotFound, Unavailable

KEY = "landing.key"
Buckets = tuple[tuple[int, int], ...]

_AHEAD = 4  # record batches that may wait for their checksum
# Texts that hardly repeat: without dictionaries they are written twice as fast, and no larger.
_ENCODING: dict[str, Any] = {"compression": "zstd", "use_dictionary": False}
_ENCRYPTION = pe.EncryptionConfiguration(
    footer_key=KEY, uniform_encryption=True, plaintext_footer=False, data_key_length_bits=256
)


@dataclass(frozen=True)
class Landed:
    """A landed file: its name below the landing folder, its digest and what it holds."""

    file: str
    digest: str
    rows: int
    columns: dict[str, str]
    buckets: Buckets | None


def write(
    settings: Settings, batch: Batch, rows: Iterable[pa.RecordBatch], columns: Sequence[str]
) -> Landed:
    """Land `rows`; the checksum is over `columns`, where the source sent all of them.

    Raises what the source raises, and `Unavailable` when the disk takes no more; a file that is
    not whole is removed.
    """
    folder = settings.landing / batch.source
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{batch.id:012d}-{batch.lease}.parquet"
    with _whole_or_gone(path.with_suffix(".tmp")) as partial:
        with partial.open("xb") as file:
            written, schema, sums = _write(file, rows, columns, settings.secret(KEY))
            file.flush()
            os.fsync(file.fileno())
        digest = _sha256(partial)
        partial.rename(path)
        _sync(folder)
    kinds = {field.name: str(field.type) for field in schema}
    return Landed(f"{batch.source}/{path.name}", digest, written, kinds, sums)


def read(settings: Settings, batch: Batch) -> pa.Table:
    """The rows as they were landed. Raises `NotFound` or, for an altered file, `Invalid`."""
    path = settings.landing / str(batch.file)
    if batch.file is None or not path.exists():
        raise NotFound(f"the landed file of batch {batch.id} is gone; only its digest was kept")
    if _sha256(path) != batch.digest:
        raise Invalid(f"the landed file of batch {batch.id} is not the one that was landed")
    properties = _factory(settings.secret(KEY)).file_decryption_properties(_CONNECTION)
    return pq.read_table(path, decryption_properties=properties)


def count(settings: Settings, batch: Batch, columns: Sequence[str]) -> Landed:
    """Count a landed file again. Raises as `read` does."""
    table = read(settings, batch)
    kinds = {field.name: str(field.type) for field in table.schema}
    summed = set(columns) <= set(kinds)
    sums = buckets(table.to_batches(), columns) if summed else None
    return Landed(str(batch.file), str(batch.digest), table.num_rows, kinds, sums)


def _write(
    file: IO[bytes], rows: Iterable[pa.RecordBatch], columns: Sequence[str], key: bytes
) -> tuple[int, pa.Schema, Buckets | None]:
    stream = iter(rows)
    first = next(stream, None) or _nothing(columns)
    schema = first.schema
    summed = set(columns) <= set(schema.names)
    properties = _factory(key).file_encryption_properties(_CONNECTION, _ENCRYPTION)
    count, sums = 0, list[Future[Buckets]]()
    with (
        ThreadPoolExecutor(1) as pool,
        pq.ParquetWriter(file, schema, encryption_properties=properties, **_ENCODING) as writer,
    ):
        for batch in chain([first], stream):
            if not batch.schema.equals(schema):
                raise Invalid("the source changed its columns in the middle of a window")
            if summed:
                sums.append(pool.submit(buckets, [batch], columns))
            writer.write_batch(batch)
            count += batch.num_rows
            if len(sums) > _AHEAD:
                sums[-_AHEAD].result()
    return count, schema, _added(sums) if summed else None


def _added(sums: Sequence[Future[Buckets]]) -> Buckets:
    counts, totals = [0] * BUCKETS, [0] * BUCKETS
    for future in sums:
        for bucket, (count, total) in enumerate(future.result()):
            counts[bucket] += count
            totals[bucket] += total
    return tuple(zip(counts, totals, strict=True))


def _nothing(columns: Sequence[str]) -> pa.RecordBatch:
    schema = pa.schema([(column, pa.string()) for column in columns])
    return pa.RecordBatch.from_pylist([], schema=schema)


@contextmanager
def _whole_or_gone(partial: Path) -> Iterator[Path]:
    try:
        yield partial
    except OSError as err:
        if err.errno not in (ENOSPC, EDQUOT):
            raise
        raise Unavailable(f"the landing folder is full ({err.strerror})") from None
    finally:
        partial.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the rename itself must survive a power cut
    finally:
        os.close(handle)


class _Keys(pe.KmsClient):  # type: ignore[misc]  # pyarrow ships no types
    """Wraps each file's own keys under the landing key (AES key wrap, RFC 3394)."""

    def __init__(self, key: bytes) -> None:
        super().__init__()
        self._key = key

    def wrap_key(self, key_bytes: bytes, _master: str) -> str:
        return b64url(aes_key_wrap(self._key, key_bytes))

    def unwrap_key(self, wrapped_key: str, _master: str) -> bytes:
        return aes_key_unwrap(self._key, unb64url(wrapped_key))


_CONNECTION = pe.KmsConnectionConfig()


def _factory(key: bytes) -> Any:
    return pe.CryptoFactory(lambda _config: _Keys(key))
