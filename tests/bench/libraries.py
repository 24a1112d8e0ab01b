"""How fast a department's table becomes a library, against a pipe that does nothing but copy it."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from connectors.testkit.city import SOURCES
from exchange.libraries import journey
from exchange.libraries.batches import State
from exchange.postgres import binaries
from exchange.settings import Settings
from tests.bench.house import House, house
from tests.bench.people import fill_register
from tests.bench.report import Figure

PEOPLE = 1_000_000
ROUNDS = 3
SOURCE = "residents"
REGISTER = "rkk.ryjbxx"


def measure(folder: Path) -> list[Figure]:
    """A first load: extract, land encrypted, check, load with history, reconcile; no Airflow."""
    with house(folder) as here:
        reader = fill_register(_police(here), PEOPLE)
        os.environ["YIZHAN_SOURCE_RESIDENTS_DSN"] = reader
        here.settings.sources.mkdir()
        shutil.copy(SOURCES / f"{SOURCE}.yaml", here.settings.sources)
        pairs = [_round(here, reader) for _ in range(ROUNDS)]
    rows = pairs[0][0]
    copied = statistics.median(copy for _, copy, _ in pairs)
    collected = statistics.median(collect for _, _, collect in pairs)
    each = f"{rows:,} rows of 12 columns, median of {ROUNDS}"
    return [
        Figure("collect_rows_per_s", rows / collected, "rows/s", each),
        Figure("copy_rows_per_s", rows / copied, "rows/s", "binary COPY … | COPY …, the same rows"),
        Figure(
            "collect_vs_copy",
            copied / collected,
            "ratio",
            f"binary COPY … | COPY … of the same rows, {copied:.1f} s against {collected:.1f} s; "
            f"{each}",
        ),
    ]


def _round(here: House, reader: str) -> tuple[int, float, float]:
    """One pipe and one collect, each into a database that holds nothing yet."""
    with _empty_copy(here) as settings:
        here.settle()
        copied = _piped(reader, here.superuser_dsn(settings.database.name))
        here.settle()
        start = time.perf_counter()
        outcome = journey.collect(settings, SOURCE)
        collected = time.perf_counter() - start
    assert outcome is not None
    assert outcome.state is State.PUBLISHED
    return int(outcome.counts["landed"]), copied, collected


def _piped(reader: str, target: str) -> float:
    """Seconds of the pipe: no checks, no history, no key."""
    with psycopg.connect(reader) as conn:
        columns = conn.execute(
            "SELECT string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', '"
            " ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND attrelid = %s::regclass",
            (REGISTER,),
        ).fetchone()
    assert columns is not None
    with psycopg.connect(target) as admin:
        admin.execute("CREATE SCHEMA pipe")
        admin.execute(f"CREATE TABLE pipe.resident ({columns[0]})".encode())
    start = time.perf_counter()
    out = _psql(
        reader, f"COPY (SELECT * FROM {REGISTER}) TO STDOUT (FORMAT binary)", subprocess.PIPE
    )
    into = _psql(target, "COPY pipe.resident FROM STDIN (FORMAT binary)", None, out.stdout)
    statuses = [process.wait() for process in (into, out)]
    seconds = time.perf_counter() - start
    assert statuses == [0, 0]
    return seconds


def _psql(
    dsn: str, statement: str, stdout: int | None, stdin: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    known = conninfo_to_dict(dsn)
    environment = {**os.environ, "PGPASSWORD": str(known.pop("password"))}
    address = " ".join(f"{name}={value}" for name, value in known.items())
    words = [str(binaries() / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-c", statement, address]
    return subprocess.Popen(words, env=environment, stdin=stdin, stdout=stdout)


def _police(here: House) -> str:
    """A database of the department's own, on the same server."""
    with here.superuser() as admin:
        admin.execute("CREATE DATABASE police")
    return here.superuser_dsn("police")


@contextmanager
def _empty_copy(here: House) -> Iterator[Settings]:
    """The house with a fresh copy of its database, which goes away with the block."""
    name = Identifier("yizhan_round")
    template = here.settings.database.name
    with here.superuser() as admin:
        admin.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(name, Identifier(template)))
    try:
        yield replace(here.settings, database=replace(here.settings.database, name="yizhan_round"))
    finally:
        shutil.rmtree(here.settings.landing, ignore_errors=True)
        with here.superuser() as admin:
            admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))
