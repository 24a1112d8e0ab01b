"""The police's register: a PostgreSQL database of its own.

A table as old registers have it (no primary key; the same person twice is possible), a change log
that a trigger fills, and a role that may read both and nothing else. The deeds below are what a
clerk does there; the product learns of them from the log alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from connectors.testkit.city.lots import Row

READER = "rkk_reader"

_SCHEMA = """
DROP SCHEMA IF EXISTS rkk CASCADE;
CREATE SCHEMA rkk;
CREATE TABLE rkk.ryjbxx (
    "GMSFHM" varchar(18) NOT NULL, "XM" varchar(50) NOT NULL, "XBDM" varchar(6),
    "MZDM" char(2), "CSRQ" date, "HJXZQH" char(6), "HJDZ" varchar(200), "JZDZ" varchar(200),
    "LXDH" varchar(20), "SWBS" char(1), "SWRQ" date, "GXSJ" varchar(25)
);
CREATE TABLE rkk.ryjbxx_bg (
    "BGXH" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "BGLX" char(1) NOT NULL,
    "BGSJ" timestamptz NOT NULL DEFAULT now(),
    LIKE rkk.ryjbxx
);
CREATE FUNCTION rkk.bg() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO rkk.ryjbxx_bg (
        "BGLX", "GMSFHM", "XM", "XBDM", "MZDM", "CSRQ", "HJXZQH", "HJDZ", "JZDZ", "LXDH",
        "SWBS", "SWRQ", "GXSJ")
    SELECT left(TG_OP, 1), r."GMSFHM", r."XM", r."XBDM", r."MZDM", r."CSRQ", r."HJXZQH", r."HJDZ",
           r."JZDZ", r."LXDH", r."SWBS", r."SWRQ", r."GXSJ"
    FROM (SELECT (CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END).*) AS r;
    RETURN NULL;
END $$;
"""

_AFTER_LOAD = """
CREATE INDEX ON rkk.ryjbxx ("GMSFHM");
CREATE TRIGGER bg AFTER INSERT OR UPDATE OR DELETE ON rkk.ryjbxx
    FOR EACH ROW EXECUTE FUNCTION rkk.bg();
ANALYZE rkk.ryjbxx;
"""


def load(dsn: str, rows: Sequence[Row], *, reader_password: str) -> str:
    """Make the register anew in the database at `dsn`; returns the DSN of its read-only role."""
    with psycopg.connect(dsn) as conn:
        conn.execute(_SCHEMA)
        columns = SQL(", ").join(Identifier(column) for column in rows[0])
        statement = SQL("COPY rkk.ryjbxx ({}) FROM STDIN").format(columns)
        with conn.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
        conn.execute(_AFTER_LOAD)
        admit_reader(conn, READER, "rkk", reader_password)
    return make_conninfo(dsn, user=READER, password=reader_password)


def admit_reader(conn: psycopg.Connection, role: str, schema: str, password: str) -> None:
    """A role that reads a schema; made when there is none, its password set in any case."""
    found = conn.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    verb = SQL("ALTER" if found else "CREATE")
    reader, whole = Identifier(role), Identifier(schema)
    conn.execute(SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, reader, Literal(password)))
    conn.execute(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(whole, reader))
    conn.execute(SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(whole, reader))


def move(dsn: str, resident_id: str, *, address: str, at: datetime) -> int:
    """Enter a new residence; returns how many rows have that number."""
    return _change(dsn, resident_id, {"JZDZ": address, "GXSJ": _stamp(at)})


def report_death(dsn: str, resident_id: str, *, on: date, at: datetime) -> int:
    """Enter a death; returns how many rows have that number."""
    return _change(dsn, resident_id, {"SWBS": "1", "SWRQ": on.isoformat(), "GXSJ": _stamp(at)})


def strike(dsn: str, resident_id: str) -> int:
    """Delete a person from the register; returns how many rows had that number."""
    with psycopg.connect(dsn) as conn:
        return conn.execute('DELETE FROM rkk.ryjbxx WHERE "GMSFHM" = %s', (resident_id,)).rowcount


def admit(dsn: str, row: Row) -> None:
    """Enter a new person."""
    columns = SQL(", ").join(Identifier(column) for column in row)
    places = SQL(", ").join(SQL("%s") for _ in row)
    with psycopg.connect(dsn) as conn:
        statement = SQL("INSERT INTO rkk.ryjbxx ({}) VALUES ({})").format(columns, places)
        conn.execute(statement, tuple(row.values()))


def _change(dsn: str, resident_id: str, values: dict[str, str]) -> int:
    assignments = SQL(", ").join(SQL("{} = %s").format(Identifier(column)) for column in values)
    statement = SQL('UPDATE rkk.ryjbxx SET {} WHERE "GMSFHM" = %s').format(assignments)
    with psycopg.connect(dsn) as conn:
        return conn.execute(statement, (*values.values(), resident_id)).rowcount


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
