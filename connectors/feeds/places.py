"""Where a department's files lie: what a file drop asks of a place, and a folder as one.

Names come from outside: a place hands out regular files directly in its folder, follows no link and
opens no pipe. It moves and adds; it never deletes and never overwrites.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Lying:
    """A file that lies there: its size, and when it was last written (seconds since 1970)."""

    name: str
    size: int
    modified: float


class PlaceAway(Exception):
    """The place, or the file asked of it, is not there now; `what` says which."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class PlaceRefuses(Exception):
    """The place will not have us, or is not the one that was agreed; `what` says why."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Place(Protocol):
    """A folder, wherever it is. Every verb raises `PlaceAway` or `PlaceRefuses`."""

    def files(self) -> list[Lying]:
        """The regular files in it."""

    def small(self, name: str, most: int) -> bytes:
        """The first bytes of a small file."""

    def opened(self, name: str) -> contextlib.AbstractContextManager[Opened]:
        """A file to read from its beginning, as often as one likes."""

    def move(self, name: str, folder: str) -> None:
        """Put a file away in a folder below, under a name that is free there."""

    def put(self, folder: str, name: str, content: Iterable[bytes]) -> None:
        """Add a file to a folder below: it is there whole or not at all."""

    def close(self) -> None:
        """Let go of it."""


class Opened(Protocol):
    """A file being read."""

    file: IO[bytes]

    def unchanged(self) -> bool:
        """Whether it is still the file that was opened, byte for byte as far as one can tell."""


class Folder:
    """A folder of this machine, or one that is mounted here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def files(self) -> list[Lying]:
        """See `Place`."""
        try:
            entries = list(os.scandir(self._path))
        except OSError:
            raise PlaceAway("the drop folder is not there") from None
        found = []
        for entry in entries:
            with contextlib.suppress(OSError):  # taken away since
                if entry.is_file(follow_symlinks=False):
                    seen = entry.stat(follow_symlinks=False)
                    found.append(Lying(entry.name, seen.st_size, seen.st_mtime))
        return found

    def small(self, name: str, most: int) -> bytes:
        """See `Place`."""
        with self._open(name) as file:
            return file.read(most)

    @contextmanager
    def opened(self, name: str) -> Iterator[OpenedHere]:
        """See `Place`."""
        with self._open(name) as file:
            yield OpenedHere(file)

    def move(self, name: str, folder: str) -> None:
        """See `Place`."""
        try:
            target = self._below(folder)
            # A hard link fails where a name is taken, which a rename does not.
            for free in free_names(name):
                with contextlib.suppress(FileExistsError):
                    (target / free).hardlink_to(self._path / name)
                    (self._path / name).unlink()
                    return
        except OSError:
            raise PlaceAway(f"{name} cannot be moved to {folder}") from None

    def put(self, folder: str, name: str, content: Iterable[bytes]) -> None:
        """See `Place`."""
        try:
            target = self._below(folder)
            partial = target / f".{name}.{os.getpid()}.part"
            try:
                with os.fdopen(os.open(partial, _NEW, 0o640), "wb") as file:
                    file.writelines(content)
                    file.flush()
                    os.fsync(file.fileno())
                (target / name).hardlink_to(partial)
            finally:
                partial.unlink(missing_ok=True)
        except FileExistsError:
            raise PlaceRefuses(f"{folder} already has a file {name}") from None
        except OSError:
            raise PlaceAway(f"nothing can be written to {folder}") from None

    def close(self) -> None:
        """See `Place`."""

    def _below(self, folder: str) -> Path:
        target = self._path / folder
        target.mkdir(mode=0o770, exist_ok=True)
        return target

    @contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.fdopen(os.open(self._path / name, flags), "rb")
        except OSError:
            raise PlaceAway(f"{name} cannot be read") from None
        with file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PlaceAway(f"{name} cannot be read")
            yield file


class OpenedHere:
    """A file of a folder; one that is written or replaced in the meantime is not unchanged."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self._before = self._seen()

    def unchanged(self) -> bool:
        """See `Opened`."""
        return self._seen() == self._before

    def _seen(self) -> tuple[int, int]:
        seen = os.fstat(self.file.fileno())
        return seen.st_size, seen.st_mtime_ns


def free_names(name: str) -> Iterator[str]:
    """The name, then what to call it where that is taken."""
    yield name
    for again in range(2, 1000):
        yield f"{name}.{again}"
