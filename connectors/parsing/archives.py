"""Unpacking gzip and ZIP by the stream, against archives that were made to do harm.

A ZIP holds one file. Its directory is believed only where the files themselves agree: no two of
them overlap, none is encrypted, none has a name that leads elsewhere. Nothing is unpacked to a
disk, and what unpacks to far more than it was stops.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import IO, Any, cast

from connectors.parsing.faults import Fault
from connectors.parsing.spec import MEGABYTE, Spec

MOST = 64 * 1024 * MEGABYTE
MOST_IN_MEMORY = 512 * MEGABYTE
FREE = 64 * MEGABYTE
RATIO = 300
MOST_ENTRIES = 4096
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 1


class Bounded(io.RawIOBase):
    """What a packed stream unpacks to, up to what is believable for its size."""

    def __init__(self, inner: IO[bytes], packed: int, most: int, over: str) -> None:
        super().__init__()
        self._inner = inner
        self._free = max(FREE, packed * RATIO)
        self._most = most
        self._over = over
        self._seen = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            chunk = self._inner.read(len(buffer))
        except EOFError:
            raise Fault("cut-short") from None
        except (gzip.BadGzipFile, zlib.error) as err:
            raise Fault(
                "not-gzip" if isinstance(self._inner, gzip.GzipFile) else "not-zip"
            ) from err
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as err:
            raise Fault("not-zip") from err
        self._seen += len(chunk)
        if self._seen > self._most:
            raise Fault(self._over, most=self._most // MEGABYTE)
        if self._seen > self._free:
            raise Fault("unpacks-too-far", most=MOST // MEGABYTE)
        buffer[: len(chunk)] = chunk
        return len(chunk)


def unpacked(file: IO[bytes], spec: Spec) -> IO[bytes]:
    """The file's bytes from their beginning, unpacked while they are read. Raises `Fault`."""
    file.seek(0)
    if spec.packing == "plain":
        return file
    return io.BufferedReader(_stream(file, spec, MOST, "unpacks-too-far"), MEGABYTE)


def in_reach(file: IO[bytes], spec: Spec) -> IO[bytes]:
    """The same for a form that is read back and forth: what was packed is held in memory."""
    file.seek(0)
    if spec.packing == "plain":
        return file
    stream = _stream(file, spec, MOST_IN_MEMORY, "packed-too-large")
    return io.BytesIO(io.BufferedReader(stream, MEGABYTE).read())


def _stream(file: IO[bytes], spec: Spec, most: int, over: str) -> Bounded:
    if spec.packing == "gz":
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        return Bounded(cast(IO[bytes], gzip.GzipFile(fileobj=file)), size, most, over)
    archive, entries = checked(file)
    entry = _one(entries, spec.member)
    return Bounded(_opened(archive, entry), entry.compress_size, most, over)


def checked(file: IO[bytes]) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """A ZIP whose directory is held against its files, and the files. Raises `Fault`."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as err:
        raise Fault("not-zip") from err
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise Fault("zip-many", have=len(entries))
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        _check_entry(entry)
        if entry.header_offset < end:
            raise Fault("zip-overlap")
        end = _end(file, entry)
    if end > archive.start_dir:
        raise Fault("zip-overlap")
    return archive, [entry for entry in entries if not entry.is_dir()]


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.orig_filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or ":" in name or "\0" in name:
        raise Fault("zip-path")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise Fault("zip-path")
    if entry.flag_bits & _ENCRYPTED:
        raise Fault("zip-encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Fault("zip-method")


def _end(file: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Where an entry's data end, by its own header rather than by the directory."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise Fault("not-zip")
    *_, name, extra = _LOCAL_HEADER.unpack(header)
    said = file.read(name)
    encoding = "utf-8" if entry.flag_bits & 0x800 else "cp437"
    if said.decode(encoding, "replace") != entry.orig_filename:
        raise Fault("zip-names")
    return int(file.tell()) + int(extra) + entry.compress_size


def _one(entries: list[zipfile.ZipInfo], member: str | None) -> zipfile.ZipInfo:
    if member is not None:
        entries = [entry for entry in entries if fnmatchcase(_name(entry), member)]
    if not entries:
        raise Fault("zip-empty")
    if len(entries) > 1:
        raise Fault("zip-many", have=len(entries))
    return entries[0]


def _name(entry: zipfile.ZipInfo) -> str:
    """The last part of the name; Windows writes GBK where the standard asks for code page 437."""
    name = entry.orig_filename
    if not entry.flag_bits & 0x800:
        name = name.encode("cp437", "replace").decode("gb18030", "replace")
    return name.replace("\\", "/").rpartition("/")[2]


def _opened(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> IO[bytes]:
    opening: Callable[..., IO[bytes]] = archive.open
    try:
        return opening(entry)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as err:
        raise Fault("not-zip") from err
