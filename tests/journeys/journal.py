"""A journal of acknowledgements: the oracle of the kill rounds.

A client in a process of its own writes a line only after the product acknowledged, and the line is
on disk before the client goes on. Whatever is killed, a line in the journal is a promise to keep.
"""

from __future__ import annotations

import os
from pathlib import Path


class Journal:
    """Lines that were acknowledged, each durable before the next thing happens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab")

    def acknowledged(self, line: str) -> None:
        """Write one line down, durably."""
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read(path: Path) -> list[str]:
    """The whole lines; one that was torn by a kill was not acknowledged to anybody."""
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return whole.decode().split("\n") if whole else []
