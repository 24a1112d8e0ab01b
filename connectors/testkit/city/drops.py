"""What departments put into drop folders: a file, and its control file when the file is whole.

A file is written beside its name and renamed, its control file last, as the agreement asks. What
a file is, its name's ending says: `.csv`, `.xlsx`, `.jsonl`, `.parquet`, then `.zip` or `.gz`.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
from cryptography.hazmat.primitives.hashes import SM3, Hash

from connectors.testkit.city.lots import Row
from connectors.testkit.city.workbook import workbook


def whole(
    folder: Path,
    prefix: str,
    day: date,
    rows: Sequence[Row],
    *,
    ending: str = ".csv",
    encoding: str = "gb18030",
) -> Path:
    """Put the whole register of a day there, with its control file."""
    return drop(folder, f"{prefix}_{day:%Y%m%d}_full", rows, ending=ending, encoding=encoding)


def drop(
    folder: Path, stem: str, rows: Sequence[Row], *, ending: str = ".csv", encoding: str = "gb18030"
) -> Path:
    """Put a file of these rows there, with its control file."""
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    path = folder / f"{stem}{ending}"
    form, _, packing = ending.lstrip(".").partition(".")
    content = _packed(packing, f"{stem}.{form}", _FORMS[form](rows, encoding))
    _place(path, content)
    control(path, content, len(rows))
    return path


def control(path: Path, content: bytes, rows: int) -> None:
    """Write the control file that says what `path` holds."""
    digest = Hash(SM3())
    digest.update(content)
    said = f"FILE={path.name}\r\nROWS={rows}\r\nSM3={digest.finalize().hex()}\r\n"
    stem = path.name.partition(".")[0]
    _place(path.with_name(f"{stem}.ctl"), said.encode("ascii"))


def _csv(rows: Sequence[Row], encoding: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def _jsonl(rows: Sequence[Row], encoding: str) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding)


def _xlsx(rows: Sequence[Row], _encoding: str) -> bytes:
    return workbook(list(rows[0]), [list(row.values()) for row in rows])


def _parquet(rows: Sequence[Row], _encoding: str) -> bytes:
    schema = pa.schema([(name, pa.string()) for name in rows[0]])
    out = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), out)
    return out.getvalue()


_FORMS: Mapping[str, Callable[[Sequence[Row], str], bytes]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "xlsx": _xlsx,
    "parquet": _parquet,
}


def _packed(packing: str, name: str, content: bytes) -> bytes:
    if packing == "gz":
        return gzip.compress(content, mtime=0)
    if packing != "zip":
        return content
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return out.getvalue()


def _place(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.part")
    fresh.touch(mode=0o600)
    fresh.write_bytes(content)
    fresh.rename(path)
