"""How the files that lie in a folder are named, packed and written, seen without being told.

    shops_20261122.csv           whole:   shops_{date}.csv
    shops_20261122_001.csv.gz    changes: shops_{date}_{number}.csv.gz
    shops_20261122.ok            control: {stem}.ok, a flag

What is found is a proposal like everything else; whoever knows better says so on the command line.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from connectors.feeds.file_settings import ENDINGS, PACKINGS
from connectors.feeds.places import Lying, Place
from schemas.errors import Invalid

LOOK = 65_536
SETTLE = "10s"
_DATE = re.compile(r"(?<!\d)(?:19|20)\d{2}(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")
_NUMBER = re.compile(r"(?<=[_-])\d{1,9}(?=[._-])(?!.*\d)")
_ROWS, _DIGEST, _NAME = (
    ("rows", "count", "total", "记录数"),
    ("md5", "sm3", "sha256", "sha1"),
    "file",
)
_FLAGS = (".ok", ".done", ".fin", ".flg", ".flag", ".ctl", ".md5", ".json", ".chk")


def described(place: Place, said: Mapping[str, Any]) -> dict[str, Any]:
    """What is not said of a file drop and can be seen. Raises `Invalid` where nothing is there."""
    files = [each for each in place.files() if not each.name.startswith(".")]
    found = dict[str, Any]()
    if not {"whole", "changes", "prefix"} & said.keys():
        found |= _patterns(files)
    pattern = {**said, **found}.get("whole") or {**said, **found}.get("changes")
    if pattern is None:
        return found
    newest = _newest(files, str(pattern))
    if newest is None:
        return found
    if "control" not in said and "prefix" not in said:
        found["control"] = _control(place, newest, files)
    if said.get("format", _form(newest.name)) == "csv":
        found |= _written(_head(place, newest), said)
    return found


def _patterns(files: Iterable[Lying]) -> dict[str, str]:
    """The names of whole files and of increments: the shapes that most data files have."""
    shapes: dict[str, Counter[str]] = defaultdict(Counter)
    for each in files:
        if _form(each.name):
            shape, kind = _shape(each.name)
            shapes[kind][shape] += 1
    found = {kind: names.most_common(1)[0][0] for kind, names in shapes.items() if kind}
    if not found:
        raise Invalid(
            "no file in the folder is called like a delivery; name each by its day, such as "
            "shops_20261122.csv, or say --whole and --changes"
        )
    return found


def _shape(name: str) -> tuple[str, str]:
    dated, days = _DATE.subn("{date}", name, count=1)
    numbered, numbers = _NUMBER.subn("{number}", dated, count=1)
    if numbers:
        return numbered, "changes"
    return dated, "whole" if days else ""


def _form(name: str) -> str | None:
    base = name.lower()
    for ending in PACKINGS:
        base = base.removesuffix(ending)
    return ENDINGS.get(PurePosixPath(base).suffix)


def _newest(files: Iterable[Lying], pattern: str) -> Lying | None:
    parts = re.split(r"(\{\w+\})", pattern)
    shape = "".join(r"[\d-]+" if part.startswith("{") else re.escape(part) for part in parts)
    return max(
        (each for each in files if re.fullmatch(shape, each.name)),
        key=lambda each: each.name,
        default=None,
    )


def _control(place: Place, newest: Lying, files: Iterable[Lying]) -> dict[str, Any]:
    """The small file beside the newest one that vouches for it, or how long to let it settle."""
    stem = _stem(newest.name)
    names = {each.name: each.size for each in files}
    for ending in _FLAGS:
        for file, name in (("{name}", newest.name + ending), ("{stem}", stem + ending)):
            if name in names and name != newest.name:
                content = place.small(name, LOOK) if names[name] else b""
                return {"file": file + ending, **_said(content)}
    return {"settle": SETTLE}


def _said(content: bytes) -> dict[str, Any]:
    """What a control file tells, and in which form."""
    text = content.decode("gb18030", "replace").strip().removeprefix("\ufeff")
    if re.match(r"[0-9A-Fa-f]{32,128}(\s|$)", text):
        algorithm = {32: "md5", 40: "sha1", 64: "sha256"}.get(len(text.split()[0]), "sha256")
        return {"form": "sums", "algorithm": algorithm}
    keys, form = _keys(text)
    rows = next((key for key in keys if key.casefold() in _ROWS), None)
    digest = next((key for key in keys if key.casefold() in _DIGEST), None)
    name = next((key for key in keys if key.casefold() == _NAME), None)
    if not (rows or digest):
        return {"form": "flag"}
    told = {"rows": rows, "digest": digest, "name": name}
    return {"form": form, **{key: value for key, value in told.items() if value}}


def _keys(text: str) -> tuple[list[str], str]:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return [re.split("[=:]", line)[0].strip() for line in text.splitlines()], "lines"
    return (list(said), "json") if isinstance(said, dict) else ([], "lines")


def _stem(name: str) -> str:
    for ending in (*PACKINGS, *ENDINGS):
        name = name.removesuffix(ending)
    return name


def _head(place: Place, newest: Lying) -> bytes:
    """The first bytes of a CSV, unpacked where it is packed by gzip."""
    head = place.small(newest.name, LOOK)
    if newest.name.endswith(".gz"):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(head, LOOK)
    return b"" if newest.name.endswith(".zip") else head


def _written(head: bytes, said: Mapping[str, Any]) -> dict[str, Any]:
    """The encoding and the delimiter of a CSV."""
    found = dict[str, Any]()
    if not head:
        return found
    encoding = "utf-8" if _is_utf8(head) else "gb18030"
    if "encoding" not in said:
        found["encoding"] = encoding
    header = head.decode(encoding, "replace").split("\n", 1)[0]
    delimiter = max(",\t;|", key=header.count)
    if delimiter != "," and "csv" not in said:
        found["csv"] = {"delimiter": delimiter}
    return found


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True
