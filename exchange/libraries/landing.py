"""What a department sent, as it sent it: one encrypted, immutable Parquet file per batch.

Beside the source's columns stands the digest of each row, by which the next snapshot is compared
with this one. A file is written under another name, synced and renamed; a run that is killed leaves
a `.tmp` that a sweep removes. Its name carries the batch and the lease, so two runs never write the
same one, and the ledger says which of them counts. The key is a secret outside the database
(`landing.key`). Nothing here holds more than a few record batches in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from hashlib import file_digest
from itertools import chain
from pathlib import Path
from typing import IO, Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap

from connectors.feeds.checksum import HEAD, TAIL, Buckets, Digester, Sums
from exchange.libraries.ahead import ahead
from exchange.libraries.batches import Batch
from exchange.libraries.values import ROW
from exchange.settings import Settings
from schemas.canonical import b64url, unb64url
from schemas.errors import Invalid, NotFound, Unavailable

# pyarrow's own allocator keeps what was given back: a hundred megabytes for a million rows.
pa.set_memory_pool(pa.system_memory_pool())

KEY = "landing.key"
DIGEST = (HEAD, TAIL)
CHUNK = 32768  # rows that are looked at together: enough for columns, few enough to forget

# Texts that hardly repeat: without dictionaries they are written twice as fast, and no larger. LZ4
# costs a third more disk than Zstandard and is read back in half the time.
_ENCODING: dict[str, Any] = {"compression": "lz4", "use_dictionary": False}
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


@dataclass(frozen=True)
class Kept:
    """A landed file, open for reading; its digest was found to be the ledger's."""

    file: pq.ParquetFile

    @property
    def rows(self) -> int:
        """How many rows it holds."""
        return int(self.file.metadata.num_rows)

    @property
    def columns(self) -> dict[str, str]:
        """The source's columns, with their types."""
        schema = self.file.schema_arrow
        return {field.name: str(field.type) for field in schema if field.name not in DIGEST}

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows in their order with their places, from 1; of `columns`, those there are."""
        there = (
            None if columns is None else [c for c in columns if c in self.file.schema_arrow.names]
        )
        before = 1
        for batch in self.file.iter_batches(CHUNK, columns=there):
            chunk = pl.from_arrow(batch)
            assert isinstance(chunk, pl.DataFrame)
            numbers = pl.int_range(before, before + batch.num_rows, dtype=pl.Int64, eager=True)
            yield chunk.insert_column(0, numbers.alias(ROW))
            before += batch.num_rows


def write(
    settings: Settings, batch: Batch, rows: Iterable[pa.RecordBatch], columns: Sequence[str]
) -> Landed:
    """Land `rows`; their digests are over `columns`, the checksum too where all of them came.

    Raises what the source raises, and `Unavailable` when the disk takes no more; a file that is
    not whole is removed.
    """
    folder = settings.landing / batch.source
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{batch.id:012d}-{batch.lease}.parquet"
    with _whole_or_gone(path.with_suffix(".tmp")) as partial:
        with partial.open("xb") as file:
            count, schema, sums = _write(file, rows, columns, settings.secret(KEY))
            file.flush()
            os.fsync(file.fileno())
        digest = _sha256(partial)
        partial.rename(path)
        _sync(folder)
    kinds = {field.name: str(field.type) for field in schema}
    whole = set(columns) <= set(kinds)
    return Landed(
        f"{batch.source}/{path.name}", digest, count, kinds, sums.buckets() if whole else None
    )


def opened(settings: Settings, batch: Batch) -> Kept:
    """The rows as they were landed. Raises `NotFound` or, for an altered file, `Invalid`."""
    path = settings.landing / str(batch.file)
    if batch.file is None or not path.exists():
        raise NotFound(f"the landed file of batch {batch.id} is gone; only its digest was kept")
    if _sha256(path) != batch.digest:
        raise Invalid(f"the landed file of batch {batch.id} is not the one that was landed")
    properties = _factory(settings.secret(KEY)).file_decryption_properties(_CONNECTION)
    # Buffered ahead, everything that was read would stay until the last row is.
    return Kept(pq.ParquetFile(path, decryption_properties=properties, pre_buffer=False))


def count(settings: Settings, batch: Batch, columns: Sequence[str]) -> Landed:
    """Count a landed file again. Raises as `opened` does."""
    kept = opened(settings, batch)
    whole, sums, rows = set(columns) <= set(kept.columns), Sums(), 0
    with Digester(_summed(columns, kept.columns)) as digester:
        for part in kept.file.iter_batches(CHUNK, columns=list(kept.columns)):
            rows += part.num_rows
            sums.add(digester.digests(part))
    return Landed(
        str(batch.file), str(batch.digest), rows, kept.columns, sums.buckets() if whole else None
    )


def _write(
    file: IO[bytes], rows: Iterable[pa.RecordBatch], columns: Sequence[str], key: bytes
) -> tuple[int, pa.Schema, Sums]:
    stream = iter(rows)
    first = next(stream, None) or _nothing(columns)
    schema = first.schema
    with_digests = pa.schema([*schema, (HEAD, pa.uint64()), (TAIL, pa.uint64())])
    properties = _factory(key).file_encryption_properties(_CONNECTION, _ENCRYPTION)
    written, sums = 0, Sums()
    with (
        Digester(_summed(columns, schema.names)) as digester,
        pq.ParquetWriter(
            file, with_digests, encryption_properties=properties, **_ENCODING
        ) as writer,
    ):
        for part in ahead(_even(chain([first], stream), schema), waiting=1):
            digests = digester.digests(part)
            sums.add(digests)
            halves = [digests[half].to_arrow() for half in DIGEST]
            writer.write_batch(pa.record_batch([*part.columns, *halves], schema=with_digests))
            written += part.num_rows
    return written, schema, sums


def _even(rows: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows in record batches of about `CHUNK`, however small the source's own are."""
    waiting: list[pa.RecordBatch] = []
    for batch in rows:
        if not batch.schema.equals(schema):
            raise Invalid("the source changed its columns in the middle of a window")
        waiting.append(batch)
        if sum(each.num_rows for each in waiting) >= CHUNK:
            yield pa.concat_batches(waiting)
            waiting = []
    if waiting:
        yield pa.concat_batches(waiting)


def _summed(columns: Sequence[str], came: Iterable[str]) -> list[str]:
    """The columns that a digest is over: those agreed on, where they came at all."""
    there = set(came)
    return [column for column in columns if column in there] or sorted(there)


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
