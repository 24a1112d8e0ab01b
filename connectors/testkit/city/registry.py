"""The market regulator's drop folder: CSV in GB 18030, whole or increment, with control files.

A file is written beside its name and renamed, its control file last, as the agreement asks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SM3, Hash

from connectors.testkit.city.lots import Row

PREFIX = "frk"
OPERATION = "BGLX"
_OPERATIONS = {"I": "1", "U": "2", "D": "3"}


def drop_whole(folder: Path, day: date, rows: Sequence[Row]) -> Path:
    """Put the whole register of a day there, with its control file."""
    return _drop(folder, f"{PREFIX}_{day:%Y%m%d}_full", rows)


def drop_increment(
    folder: Path, day: date, number: int, changes: Iterable[tuple[str, Row]]
) -> Path:
    """Put an increment (I, U or D, and the row) there, with its control file."""
    rows: list[Row] = [{OPERATION: _OPERATIONS[kind], **row} for kind, row in changes]
    return _drop(folder, f"{PREFIX}_{day:%Y%m%d}_{number:03d}", rows)


def drop_damaged(folder: Path, day: date, number: int, changes: Iterable[tuple[str, Row]]) -> Path:
    """Put an increment there that lost its last bytes on the way: its control file disagrees."""
    path = drop_increment(folder, day, number, changes)
    path.write_bytes(path.read_bytes()[:-9])
    return path


def mend(path: Path, rows: int) -> None:
    """Write the control file of a CSV anew, as the department does when it was at fault."""
    _control(path, path.read_bytes(), rows)


def _drop(folder: Path, stem: str, rows: Sequence[Row]) -> Path:
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = folder / f"{stem}.csv"
    content = _csv(rows)
    _place(path, content)
    _control(path, content, len(rows))
    return path


def _csv(rows: Sequence[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("gb18030")


def _control(path: Path, content: bytes, rows: int) -> None:
    digest = Hash(SM3())
    digest.update(content)
    said = f"FILE={path.name}\r\nROWS={rows}\r\nSM3={digest.finalize().hex()}\r\n"
    _place(path.with_suffix(".ctl"), said.encode("ascii"))


def _place(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.part")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.rename(path)
