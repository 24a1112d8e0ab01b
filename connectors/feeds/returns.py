"""What goes back to the department that sent a file: a CSV in `returns/` of the same place.

Written as the department writes its own: its encoding, delimiter and kind of control file. Where it
sends no CSV, it is UTF-8 with the mark by which spreadsheets know it. Cells are written as they
are: the department gets back what it sent.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.csv

from connectors.feeds.controls import Said, control_name, hasher, write_control
from connectors.feeds.file_settings import Control, FileDrop
from connectors.feeds.manifest import Manifest
from connectors.feeds.reaching import place_of, reached
from schemas.errors import Invalid

_MARK = b"\xef\xbb\xbf"
_NAME = re.compile(r"^[^\s/\\.][^\s/\\]*$")


def takes_returns(manifest: Manifest) -> bool:
    """Whether the source has a place for files of ours."""
    return isinstance(manifest.feed, FileDrop)


def write_return(manifest: Manifest, secrets: Mapping[str, str], name: str, rows: pa.Table) -> str:
    """Put `rows` (texts) there as `name`.csv and tell where, such as `returns/name.csv`.

    Raises `Invalid` for a source without a place or a name that is taken or no name, and
    `Unavailable` when the place does not answer. A file is there whole or not at all.
    """
    settings = manifest.feed
    if not isinstance(settings, FileDrop):
        raise Invalid(f"{manifest.source} is no file drop: give its return file by hand")
    if not _NAME.match(name):
        raise Invalid("a return file's name is one word without slashes")
    content, file = _csv(settings, rows), f"{name}.csv"
    place = place_of(manifest, settings, secrets)
    try:
        with reached(manifest):
            place.put(settings.returns, file, [content])
            if isinstance(control := settings.control, Control):
                told = write_control(control, _said(control, file, content, rows.num_rows))
                place.put(settings.returns, control_name(control, file, name), [told])
    finally:
        place.close()
    return f"{settings.returns}/{file}"


def _csv(settings: FileDrop, rows: pa.Table) -> bytes:
    out = io.BytesIO()
    encoding, delimiter = "utf-8", ","
    if settings.sends_csv:
        encoding, delimiter = settings.text_encoding("csv"), settings.csv.delimiter
    pyarrow.csv.write_csv(rows, out, pyarrow.csv.WriteOptions(delimiter=delimiter))
    if encoding == "utf-8":
        return _MARK + out.getvalue()
    return out.getvalue().decode().encode(encoding)


def _said(control: Control, name: str, content: bytes, rows: int) -> Said:
    if control.hashed_by is None:
        return Said(rows + control.counts_header, None, name)
    digest = hasher(control.hashed_by)
    digest.update(content)
    return Said(rows + control.counts_header, digest.hexdigest(), name)
