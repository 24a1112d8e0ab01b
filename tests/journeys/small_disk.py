"""A disk of a few kilobytes or megabytes, to be filled: a tmpfs.

Root mounts it; anybody else mounts it in a user namespace that a child process keeps open, and
reaches it through that process's `/proc/…/root`. Where neither is allowed the test is skipped.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

INSIDE = "/mnt"
HOLD = f'mount -t tmpfs -o "size=$1,mode=700" tmpfs {INSIDE} && echo ready && exec cat'


@dataclass(frozen=True)
class SmallDisk:
    """A folder that is a disk of its own."""

    folder: Path

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self, leave: int = 0) -> None:
        """Take all of its room but `leave` bytes."""
        with self._ballast.open("wb") as file:
            while True:
                room = os.statvfs(self.folder)
                try:
                    os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - leave)
                    return
                except OSError as err:
                    if err.errno != errno.ENOSPC:
                        raise
                    # A server on this disk took room since we asked how much there is.
                    file.truncate(0)

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink()


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of `size` bytes at `folder`, or reached from there; gone at the end."""
    if os.geteuid() == 0 and _mounted(folder, size):
        try:
            yield SmallDisk(folder)
        finally:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    with subprocess.Popen(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", HOLD, "sh", str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as holder:
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            pytest.skip("a small disk needs root, or user namespaces that may mount")
        yield SmallDisk(Path(f"/proc/{holder.pid}/root{INSIDE}"))
        holder.kill()


def _mounted(folder: Path, size: int) -> bool:
    folder.mkdir(mode=0o700)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0
