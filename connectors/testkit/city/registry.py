"""The market regulator's drop folder: CSV in GB 18030, whole or increment, with control files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from connectors.testkit.city import drops
from connectors.testkit.city.lots import Row

PREFIX = "frk"
OPERATION = "BGLX"
_OPERATIONS = {"I": "1", "U": "2", "D": "3"}


def drop_whole(folder: Path, day: date, rows: Sequence[Row]) -> Path:
    """Put the whole register of a day there, with its control file."""
    return drops.whole(folder, PREFIX, day, rows)


def drop_increment(
    folder: Path, day: date, number: int, changes: Iterable[tuple[str, Row]]
) -> Path:
    """Put an increment (I, U or D, and the row) there, with its control file."""
    rows: list[Row] = [{OPERATION: _OPERATIONS[kind], **row} for kind, row in changes]
    return drops.drop(folder, f"{PREFIX}_{day:%Y%m%d}_{number:03d}", rows)


def drop_damaged(folder: Path, day: date, number: int, changes: Iterable[tuple[str, Row]]) -> Path:
    """Put an increment there that lost its last bytes on the way: its control file disagrees."""
    path = drop_increment(folder, day, number, changes)
    path.write_bytes(path.read_bytes()[:-9])
    return path


def mend(path: Path, rows: int) -> None:
    """Write the control file of a CSV anew, as the department does when it was at fault."""
    drops.control(path, path.read_bytes(), rows)
