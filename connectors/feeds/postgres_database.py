"""PostgreSQL by ADBC: Arrow record batches straight from COPY, read only.

The state that is held is a REPEATABLE READ transaction whose snapshot is exported, so that a second
connection sees the very same rows: totals are computed there while the rows stream from the first.

Text is cast in the database (`column::text`), where the checksum is computed too; reading typed
values and casting them here costs more and could differ in a digit or a time zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING

import pyarrow as pa
from adbc_driver_manager import DatabaseError, Error
from adbc_driver_postgresql import dbapi
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping

from connectors.feeds.source import PermanentFailure, TransientFailure
from connectors.feeds.sql_dialects import DIALECTS, literal

if TYPE_CHECKING:
    from connectors.feeds.manifest import Manifest
    from connectors.feeds.sql_database import Row
    from connectors.feeds.sql_settings import SqlSource

# https://www.postgresql.org/docs/18/errcodes-appendix.html: connection, transaction rollback,
# insufficient resources, operator intervention, system error; a lock that we did not wait for;
# an object that another session uses.
_TRANSIENT = ("08", "40", "53", "57", "58", "55P03", "55006")
# Columns are looked up in the state that is held; whoever drops one meanwhile is faster than we.
_NO_COLUMN = "42703"
_STATE = re.compile(r"SQLSTATE:? ?([0-9A-Z]{5})")

# https://www.postgresql.org/docs/18/libpq-connect.html: a link that is dead is noticed in minutes.
_LINK = {
    "connect_timeout": "10",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "120000",
}
# The text of a value must not depend on what somebody has set for the role.
_SESSION = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
}
_FULL = re.compile(r"too many|remaining connection slots|53300|太多")


class PostgresDatabase:
    """See the module."""

    dialect = DIALECTS["postgresql"]

    def __init__(self, manifest: Manifest, settings: SqlSource, address: str) -> None:
        self._manifest = manifest
        self._settings = settings
        self._address = _conninfo(manifest, settings, address)
        self._main: dbapi.Connection | None = None
        self._second: dbapi.Connection | None = None
        self._held: str | None = None
        self._snapshot = ""
        self._holding = Lock()
        self._asking = Lock()

    def ask(self, query: str) -> list[Row]:
        """A question in a transaction of its own."""
        with self._failures():
            main = self._main = self._main or self._connected()
            main.rollback()
            self._held = None
            rows = _rows(main, query)
            main.rollback()
            return rows

    def hold(self, name: str) -> bool:
        """A REPEATABLE READ transaction, its snapshot exported."""
        with self._holding, self._failures():
            if self._held == name:
                return True
            main = self._main = self._main or self._connected()
            main.rollback()
            _do(main, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            [[snapshot]] = _rows(main, "SELECT pg_export_snapshot()")
            self._snapshot, self._held = str(snapshot), name
            return False

    def stream(self, query: str) -> Iterator[pa.RecordBatch]:
        """Batches of some 16 MB, the driver's own size."""
        with self._failures(held=True):
            assert self._main is not None, "hold a state first"
            with self._main.cursor() as cursor:
                cursor.execute(query)
                for batch in cursor.fetch_record_batch():
                    if batch.num_rows:
                        yield batch

    def aside(self, query: str) -> list[Row]:
        """By the second connection, in the snapshot of the first."""
        with self._asking, self._failures(aside=True, held=True):
            second = self._second = self._second or self._connected()
            second.rollback()
            self._join(second)
            return _rows(second, query)

    def close(self) -> None:
        """End both connections, whatever they are at."""
        if self._second is not None:
            with suppress(Error):
                self._second.adbc_cancel()
        with self._asking:
            self._closed("_second")
        with self._holding:
            self._closed("_main")

    def _closed(self, which: str) -> None:
        connection = getattr(self, which)
        setattr(self, which, None)
        if which == "_main":
            self._held = None
        if connection is not None:
            with suppress(Error):  # it may be broken, which is why it is closed
                connection.close()

    def _join(self, second: dbapi.Connection) -> None:
        _do(second, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            _do(second, f"SET TRANSACTION SNAPSHOT {literal(self._snapshot)}")
        except Error:
            raise TransientFailure(
                f"{self._manifest.source}: the link on which the rows came is gone"
            ) from None

    def _connected(self) -> dbapi.Connection:
        try:
            connection = dbapi.connect(self._address)
        except Error as err:
            raise self._not_let_in(str(err)) from None
        limit = str(int(self._settings.time_limit.total_seconds() * 1000))
        settings = {**_SESSION, "statement_timeout": limit, "lock_timeout": "30000"}
        if self._settings.role:
            settings = {"role": self._settings.role, **settings}
        said = (f"set_config({literal(k)}, {literal(v)}, false)" for k, v in settings.items())
        _rows(connection, f"SELECT {', '.join(said)}")
        connection.commit()
        return connection

    def _not_let_in(self, text: str) -> TransientFailure | PermanentFailure:
        """A server that answers and does not let us in will not do so next time either."""
        source, variable = self._manifest.source, self._settings.connection
        answers = PGconn.ping(self._address.encode()) == Ping.OK
        if answers and not _FULL.search(text):
            return self._manifest.wrong(
                f"the database refuses the name, the password or the database in {variable}"
            )
        return TransientFailure(f"{source}: the database does not answer (no link)")

    @contextmanager
    def _failures(self, *, aside: bool = False, held: bool = False) -> Iterator[None]:
        """Sort what the driver raises; its text, which may repeat rows, goes no further."""
        try:
            yield
        except (Error, pa.ArrowException, OSError) as err:
            self._closed("_second" if aside else "_main")
            state = _state_of(err)
            if held and state == _NO_COLUMN:
                raise TransientFailure(
                    f"{self._manifest.source}: a table was changed while we began to read ({state})"
                ) from None
            raise self._sorted(state) from None

    def _sorted(self, state: str | None) -> TransientFailure | PermanentFailure:
        source = self._manifest.source
        if state == "57014":
            return TransientFailure(
                f"{source}: a question took longer than {self._settings.statement_timeout} (57014)"
            )
        if state is None or state.startswith(_TRANSIENT):
            return TransientFailure(
                f"{source}: the database does not answer ({state or 'no link'})"
            )
        if state == "42501":
            return self._manifest.wrong(
                f"our role may not read it ({state}); GRANT SELECT on what the manifest names"
            )
        return self._manifest.wrong(f"the database refused our question ({state})")


def _conninfo(manifest: Manifest, settings: SqlSource, address: str) -> str:
    try:
        given = conninfo_to_dict(address)
    except ProgrammingError:
        raise PermanentFailure(
            f"{manifest.source}: {settings.connection} is no address of a PostgreSQL database"
        ) from None
    ours = {**_LINK, "application_name": f"yizhan {manifest.source}"}
    return make_conninfo(address, **{key: ours[key] for key in ours.keys() - given.keys()})


def _do(connection: dbapi.Connection, statement: str) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(statement)


def _rows(connection: dbapi.Connection, query: str) -> list[Row]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(query)
        rows: Sequence[Row] = cursor.fetchall()
        return list(rows)


def _state_of(err: Exception) -> str | None:
    """The SQLSTATE; an error in the midst of a stream has it in its text alone."""
    if isinstance(err, DatabaseError) and err.sqlstate:
        return str(err.sqlstate)
    found = _STATE.search(str(err))
    return found[1] if found else None
