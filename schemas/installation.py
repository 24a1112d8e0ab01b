"""What an installation keeps of its own beside what is packaged, each kind in a folder.

    YIZHAN_CONTRACTS      <library>/<dataset>.yaml   default <YIZHAN_HOME>/contracts
    YIZHAN_CODES          <list>.yaml                default <YIZHAN_HOME>/codes
    YIZHAN_DEPARTMENTS    <any>.yaml                 default <YIZHAN_HOME>/departments
    YIZHAN_CALENDARS      <any>.yaml                 default <YIZHAN_HOME>/calendars
    YIZHAN_CLOCKS         <any>.yaml                 default <YIZHAN_HOME>/clocks

Whoever reads them keeps what was read under the folder's stamp, so that a file that was added,
changed or taken away is seen without a restart.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["contracts", "codes", "departments", "calendars", "clocks"]


@dataclass(frozen=True)
class Stamp:
    """A folder and the state of what is in it: each entry's name, time of change and size."""

    folder: Path
    entries: tuple[tuple[str, int, int], ...]


def folder(kind: Kind) -> Path:
    """The folder of that kind; it need not exist."""
    named = os.environ.get(f"YIZHAN_{kind.upper()}")
    return Path(named) if named else Path(os.environ.get("YIZHAN_HOME", ".yizhan")) / kind


def stamp(kind: Kind) -> Stamp:
    """The state of the folder of that kind and of the folders in it."""
    found = folder(kind)
    return Stamp(found, tuple(sorted(_entries(found, deeper=True))))


def _entries(found: Path, *, deeper: bool) -> list[tuple[str, int, int]]:
    entries: list[tuple[str, int, int]] = []
    # A folder that is not there is empty; a file that vanishes while we look is not there.
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(found):
            state = entry.stat()
            entries.append((entry.path, state.st_mtime_ns, state.st_size))
            if deeper and entry.is_dir():
                entries += _entries(Path(entry.path), deeper=False)
    return entries
