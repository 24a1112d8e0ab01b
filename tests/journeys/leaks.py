"""Looking for a person in places where nobody may stand: files, databases, process lines, answers.

A person is looked for by number (18 digits, lower case, the 15 of before 1999), name and telephone,
each as plain text, as other programs would write it (escaped, percent-encoded, GB 18030, UTF-16,
hexadecimal, base64) and, the numbers, as a digest without a key, which is as good as the number.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from connectors.testkit.city.truth import Person
from schemas.canonical import sm3

TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')
ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Leak:
    """Where somebody was found, and in what spelling; never the spelling itself."""

    place: str
    what: str


Needles = Mapping[str, bytes]


def needles(people: Mapping[str, Person]) -> Needles:
    """Every spelling of every person, by a name that may be printed."""
    return {
        f"{who}: {what} as {how}": spelled
        for who, person in people.items()
        for what, text in _texts(person).items()
        for how, spelled in _spellings(text, digests=what != "name").items()
    }


def _texts(person: Person) -> dict[str, str]:
    number = person.resident_id
    return {
        "number": number,
        "lower-case number": number.lower(),
        "15-digit number": number[:6] + number[8:17],  # GB 11643-1989
        "name": person.name,
        "telephone": person.phone,
    }


def _spellings(text: str, *, digests: bool) -> dict[str, bytes]:
    raw = text.encode()
    made = {
        "text": raw,
        "GB 18030": text.encode("gb18030"),
        "UTF-16": text.encode("utf-16-le"),
        "JSON escapes": json.dumps(text)[1:-1].encode(),
        "Python escapes": text.encode("unicode_escape"),
        "a part of a URL": quote(text).encode(),
        "hexadecimal": raw.hex().encode(),
        "base64": base64.b64encode(raw).rstrip(b"="),
    }
    if digests:
        for name in ("md5", "sha1", "sha256"):
            made[name] = hashlib.new(name, raw).hexdigest().encode()
        made["sm3"] = sm3(raw).hex().encode()
    return made


def in_bytes(place: str, held: bytes, wanted: Needles) -> Iterator[Leak]:
    """Look through bytes."""
    for what, spelled in wanted.items():
        if spelled in held:
            yield Leak(place, what)


def in_files(home: Path, wanted: Needles, *, apart_from: Iterable[Path]) -> Iterator[Leak]:
    """Look through the names and the content of every file below `home`."""
    left_out = tuple(apart_from)
    for path in sorted(home.rglob("*")):
        if any(path.is_relative_to(other) for other in left_out):
            continue
        place = str(path.relative_to(home))
        yield from in_bytes(f"the path {place}", place.encode(), wanted)
        if path.is_file():
            yield from in_bytes(place, path.read_bytes(), wanted)


def in_database(conn: psycopg.Connection, wanted: Needles) -> Iterator[Leak]:
    """Look through every row of every table that `conn` may see, bytes included."""
    for schema, table in conn.execute(TABLES).fetchall():
        rows = SQL("SELECT t::text FROM {} AS t").format(Identifier(schema, table))
        text = "\n".join(row for (row,) in conn.execute(rows))
        yield from in_bytes(f"{schema}.{table}", text.encode(), wanted)


def in_processes(wanted: Needles) -> Iterator[Leak]:
    """Look through the command lines of everything that runs."""
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        yield from in_bytes(f"the command line of {process.pid}", line.encode(), wanted)


@contextmanager
def watching_processes(wanted: Needles) -> Iterator[set[Leak]]:
    """Look again and again while the block runs: what leaks, for however short a time."""
    found: set[Leak] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            found.update(in_processes(wanted))

    watcher = threading.Thread(target=watch, name="leaks")
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()
