"""What departments put into drop folders: a file, and its control file when the file is whole.

A file is written beside its name and renamed, its control file last, as the agreement asks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SM3, Hash

from connectors.testkit.city.lots import Row


def whole(
    folder: Path, prefix: str, day: date, rows: Sequence[Row], *, encoding: str = "gb18030"
) -> Path:
    """Put the whole register of a day there, with its control file."""
    return drop(folder, f"{prefix}_{day:%Y%m%d}_full", rows, encoding=encoding)


def drop(folder: Path, stem: str, rows: Sequence[Row], *, encoding: str = "gb18030") -> Path:
    """Put a CSV of these rows there, with its control file."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = folder / f"{stem}.csv"
    content = _csv(rows, encoding)
    _place(path, content)
    control(path, content, len(rows))
    return path


def control(path: Path, content: bytes, rows: int) -> None:
    """Write the control file that says what `path` holds."""
    digest = Hash(SM3())
    digest.update(content)
    said = f"FILE={path.name}\r\nROWS={rows}\r\nSM3={digest.finalize().hex()}\r\n"
    _place(path.with_suffix(".ctl"), said.encode("ascii"))


def _csv(rows: Sequence[Row], encoding: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def _place(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.part")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.rename(path)
