"""What a control file says of its file, in the forms that departments use."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Protocol

from cryptography.hazmat.primitives.hashes import SM3, Hash

from connectors.feeds.file_settings import Control

LONGEST = 65_536
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Said:
    """What the department says of a file; None where it says nothing."""

    rows: int | None = None
    digest: str | None = None
    name: str | None = None


def control_name(control: Control, name: str, stem: str) -> str:
    """What the control file of a file is called."""
    return control.file.replace("{name}", name).replace("{stem}", stem)


def read_control(content: bytes, control: Control, name: str) -> Said:
    """Read a control file. Raises `ValueError` when it is none."""
    if control.form == "flag":
        return Said()
    text = _text(content)
    if control.form == "sums":
        return Said(digest=_sum_of(text, name))
    said = _json(text) if control.form == "json" else _lines(text)
    rows = _asked(said, control.rows)
    if rows is not None and not rows.isdecimal():
        raise ValueError("the rows are no number")
    return Said(
        rows=None if rows is None else int(rows) - control.counts_header,
        digest=None if (digest := _asked(said, control.digest)) is None else digest.lower(),
        name=_asked(said, control.name),
    )


def write_control(control: Control, said: Said) -> bytes:
    """A control file of ours in the department's form."""
    if control.form == "flag":
        return b""
    if control.form == "sums":
        return f"{said.digest}  {said.name}\n".encode()
    pairs = {control.name: said.name, control.rows: said.rows, control.digest: said.digest}
    told = {key: value for key, value in pairs.items() if key is not None}
    if control.form == "json":
        return json.dumps(told, ensure_ascii=False).encode() + b"\n"
    return "".join(f"{key}={value}\r\n" for key, value in told.items()).encode()


def digest_of(file: IO[bytes], algorithm: str) -> str:
    """The digest of a file, which is left at its beginning."""
    digest = hasher(algorithm)
    file.seek(0)
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


class Hasher(Protocol):
    """What hashlib's are."""

    def update(self, data: bytes, /) -> object:
        """Take more."""

    def hexdigest(self) -> str:
        """The digest."""


class _Sm3:
    def __init__(self) -> None:
        self._hash = Hash(SM3())

    def update(self, data: bytes, /) -> None:
        self._hash.update(data)

    def hexdigest(self) -> str:
        return self._hash.finalize().hex()


def hasher(algorithm: str) -> Hasher:
    """A digest to be fed: `sm3`, or one that hashlib has."""
    if algorithm == "sm3":
        return _Sm3()
    make: Callable[..., Hasher] = hashlib.new
    return make(algorithm, usedforsecurity=False)  # it finds slips; md5 is what departments have


def _text(content: bytes) -> str:
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.decode("gb18030")  # UnicodeDecodeError is a ValueError


def _json(text: str) -> dict[str, str]:
    try:
        said = json.loads(text)
    except RecursionError:
        raise ValueError("no control file") from None
    if not isinstance(said, dict):
        raise ValueError("no control file")
    return {key.casefold(): str(value).strip() for key, value in said.items()}


def _lines(text: str) -> dict[str, str]:
    pairs = (re.split(r"[=:]", line, maxsplit=1) for line in text.splitlines() if line.strip())
    return {key.strip().casefold(): value.strip() for key, value in pairs}


def _asked(said: Mapping[str, str], key: str | None) -> str | None:
    if key is None:
        return None
    if key.casefold() not in said:
        raise ValueError("the control file says too little")
    return said[key.casefold()]


def _sum_of(text: str, name: str) -> str:
    """As md5sum and sha256sum print it; a file of one bare sum is about its own file."""
    for line in text.splitlines():
        digest, _, about = line.strip().partition(" ")
        if not re.fullmatch(r"[0-9A-Fa-f]{32,128}", digest):
            raise ValueError("no sum")
        if about.strip().removeprefix("*") in (name, ""):
            return digest.lower()
    raise ValueError("a sum of another file")
