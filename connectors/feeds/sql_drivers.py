"""The DB-API drivers that we know by name: their dialect, how they connect, which errors pass.

A driver that is not in the table works too, when the manifest names one of the dialects: it is
called with user, password, host, port and database, and what its errors mean is told by their
PEP 249 class. The domestic engines follow those they were made to be compatible with: GaussDB and
KingbaseES PostgreSQL, Dameng Oracle.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

Arguments = tuple[tuple[str, ...], dict[str, Any]]


@dataclass(frozen=True)
class Driver:
    """`again` are the error codes that may pass.

    `streaming` opens a cursor that does not take in every row at once, and `hang_up` ends a
    connection whatever it is at.
    """

    dialect: str
    arguments: Callable[[str], Arguments]
    again: re.Pattern[str] | None = None
    streaming: Mapping[str, Any] = field(default_factory=dict)
    hang_up: Callable[[Any], None] = lambda connection: connection.close()


def _words(url: SplitResult) -> dict[str, Any]:
    """What every address says: names as PEP 249 recommends them, and whatever is added to it."""
    said = {
        "user": unquote(url.username or ""),
        "password": unquote(url.password or ""),
        "host": url.hostname,
        "port": url.port,
        "database": unquote(url.path.removeprefix("/")),
    }
    return {name: value for name, value in said.items() if value} | dict(parse_qsl(url.query))


def _plain(address: str) -> Arguments:
    return (), _words(urlsplit(address))


def _mysql(address: str) -> Arguments:
    unbuffered = import_module("pymysql.cursors").SSCursor  # the usual one takes in every row
    return (), {"charset": "utf8mb4", "cursorclass": unbuffered, **_words(urlsplit(address))}


def _hang_up_mysql(connection: Any) -> None:
    """At once: an answer that was not read to its end would be fetched first, by a broken link."""
    result, connection._result = connection._result, None
    if result is not None:
        result.unbuffered_active = False
    connection._force_close()


def _oracle(address: str) -> Arguments:
    words = _words(urlsplit(address))
    host, port = words.pop("host", "localhost"), words.pop("port", 1521)
    return (), {"dsn": f"{host}:{port}/{words.pop('database', '')}", **words}


def _dameng(address: str) -> Arguments:
    words = _words(urlsplit(address))
    return (), {
        "server": words.pop("host", "localhost"),
        "schema": words.pop("database", ""),
    } | words


def _sqlite(address: str) -> Arguments:
    # One thread at a time uses it, not always the same one.
    return (Path(address).absolute().as_uri() + "?mode=ro",), {
        "uri": True,
        "check_same_thread": False,
        "isolation_level": None,
    }


def _libpq(address: str) -> Arguments:
    return (address,), {}


# https://www.postgresql.org/docs/18/errcodes-appendix.html
_POSTGRESQL = re.compile(r"(08|40|53|57|58).*|55P03|55006")
# https://mariadb.com/docs/server/reference/error-codes: connections, locks, shutdown, network,
# time limits, a table that was altered in the midst of a snapshot; 2xxx are the client's.
_MYSQL = re.compile(
    r"1040|1053|1152|115[89]|116[01]|1203|1205|1213|1226|1317|1412|1615|1927|1969|3024|2\d{3}"
)
# https://docs.oracle.com/error-help/db: sessions, locks, start and stop, snapshot too old, network.
_ORACLE = re.compile(
    r"ORA-(000(18|20|54|60)|010(12|13|33|34|89|90)|01555|031(13|14|35)|12\d{3}|25408)"
    r"|DPY-(1001|4011|4024|6000|6001|6005)"
)
_SQLITE = re.compile(r"SQLITE_(BUSY|LOCKED|IOERR|CANTOPEN|INTERRUPT|PROTOCOL).*")

_NAMED = {"name": "yizhan"}  # a server's cursor, without which libpq's clients take in every row

DRIVERS: Mapping[str, Driver] = {
    "pymysql": Driver("mysql", _mysql, _MYSQL, hang_up=_hang_up_mysql),
    "oracledb": Driver("oracle", _oracle, _ORACLE),
    "sqlite3": Driver("sqlite", _sqlite, _SQLITE),
    "psycopg": Driver("postgresql", _libpq, _POSTGRESQL, _NAMED),
    "gaussdb": Driver("postgresql", _libpq, _POSTGRESQL, _NAMED),
    "ksycopg2": Driver("postgresql", _libpq, _POSTGRESQL, _NAMED),
    "dmPython": Driver("dameng", _dameng),
}


def driver(name: str, dialect: str | None) -> Driver:
    """The driver of that name; one that we do not know speaks `dialect`, or plainly."""
    known = DRIVERS.get(name) or Driver("plain", _plain)
    return replace(known, dialect=dialect or known.dialect)


def code_of(err: BaseException) -> str | None:
    """The code that an engine gives an error, wherever its driver keeps it."""
    first = err.args[0] if err.args else None
    if isinstance(first, int):
        return str(first)
    for holder in (first, err):
        for place in ("full_code", "sqlstate", "pgcode", "sqlite_errorname"):
            if code := getattr(holder, place, None):
                return str(code)
    found = re.search(r"\b(ORA-\d{5}|CODE:-?\d+)", str(err))
    return found[1] if found else None
