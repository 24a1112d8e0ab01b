"""What a load is held against: a pipe that only copies, and dlt, at its best and as it starts.

None of them checks a row, keeps a history or reconciles anything.
"""

from __future__ import annotations

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.sql import SQL, Identifier

from exchange.postgres import binaries
from tests.bench.alone import Cost, measured

NEEDED = ("dlt", "connectorx", "psycopg2")  # the last by dlt's PostgreSQL destination


def missing() -> list[str]:
    """Packages that dlt needs and this environment lacks."""
    return [name for name in NEEDED if find_spec(name) is None]


def piped(reader: str, target: str, table: str, server: int) -> Cost:
    """Copy a table by `COPY … | COPY …` in PostgreSQL's binary format; no key, no index."""
    schema, name = table.split(".")
    source = SQL("{}.{}").format(Identifier(schema), Identifier(name))
    with psycopg.connect(reader) as conn:
        columns = conn.execute(
            "SELECT string_agg(format('%%I %%s', attname, format_type(atttypid, atttypmod)), ', '"
            " ORDER BY attnum) FROM pg_attribute WHERE attnum > 0 AND attrelid = %s::regclass",
            (source.as_string(conn),),
        ).fetchone()
    assert columns is not None
    with psycopg.connect(target) as admin:
        admin.execute("DROP SCHEMA IF EXISTS pipe CASCADE; CREATE SCHEMA pipe")
        admin.execute(f"CREATE TABLE pipe.copy ({columns[0]})".encode())
    out = f"COPY (SELECT * FROM {source.as_string(None)}) TO STDOUT (FORMAT binary)"
    into = "COPY pipe.copy FROM STDIN (FORMAT binary)"
    return measured(server, lambda: _pipe((reader, out), (target, into)))[1]


def _pipe(source: tuple[str, str], target: tuple[str, str]) -> None:
    out = _psql(*source, subprocess.PIPE)
    into = _psql(*target, None, out.stdout)
    assert out.stdout is not None
    out.stdout.close()  # else it never learns that the reading half died
    assert [0, 0] == [process.wait() for process in (into, out)]


def _psql(
    dsn: str, statement: str, stdout: int | None, stdin: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    known = conninfo_to_dict(dsn)
    environment = {**os.environ, "PGPASSWORD": str(known.pop("password"))}
    address = " ".join(f"{name}={value}" for name, value in known.items())
    words = [str(binaries() / "psql"), "-qX", "-v", "ON_ERROR_STOP=1", "-c", statement, address]
    return subprocess.Popen(words, env=environment, stdin=stdin, stdout=stdout)


def dlt_best(reader: str, target: str, table: str, folder: Path, server: int) -> Cost:
    """dlt as fast as we know to set it: read by connectorx, written as Parquet by ADBC."""
    return _dlt(reader, target, table, folder, server, {"backend": "connectorx"}, "parquet")


def dlt_default(reader: str, target: str, table: str, folder: Path, server: int) -> Cost:
    """dlt as its documentation starts: `sql_database` with nothing said."""
    return _dlt(reader, target, table, folder, server, {}, None)


def _dlt(
    reader: str,
    target: str,
    table: str,
    folder: Path,
    server: int,
    options: dict[str, Any],
    file_format: Any,
) -> Cost:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # it would call home, within the clock
    os.environ["DLT_PROJECT_DIR"] = os.environ["DLT_DATA_DIR"] = str(folder)
    import dlt
    from dlt.sources.sql_database import sql_database

    schema, name = table.split(".")

    def run(pipeline: str, **more: Any) -> Any:
        made = dlt.pipeline(
            pipeline,
            pipelines_dir=str(folder),
            destination=dlt.destinations.postgres(_url(target)),
            dataset_name=pipeline,
        )
        source = sql_database(
            _url(reader), schema=schema, table_names=[name], **{**options, **more}
        )
        return made.run(source, loader_file_format=file_format)

    # A row first, by the way: it imports most of itself when it is first needed.
    run("warm", query_adapter_callback=lambda query, _: query.limit(1))
    told, cost = measured(server, lambda: run("peer"))
    told.raise_on_failed_jobs()
    assert _rows(reader, schema, name) == _rows(target, "peer", name)
    return cost


def _rows(dsn: str, schema: str, table: str) -> int:
    with psycopg.connect(dsn) as conn:
        statement = SQL("SELECT count(*) FROM {}.{}").format(Identifier(schema), Identifier(table))
        row = conn.execute(statement).fetchone()
    assert row is not None
    return int(row[0])


def _url(dsn: str) -> str:
    known = conninfo_to_dict(dsn)
    address = f"{known['host']}:{known['port']}/{known['dbname']}"
    return f"postgresql://{known['user']}:{known['password']}@{address}"
